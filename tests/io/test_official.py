"""The official archives, fetched from a server on this machine that fails in many ways."""

import errno
import hashlib
import io
import shutil
import threading
import zipfile
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
from conftest import machine_folder

from asdlib import cli, dataset
from asdlib.io import official
from asdlib.io.official import unpack
from asdlib.params import AsdError

BLOCK = 5000


def packed(files):
    """A zip of names and bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, data in files.items():
            file.writestr(name, data)
    return content.getvalue()


class Server(ThreadingHTTPServer):
    """Serves files from memory; ``faults`` of a name are used up one by one."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.faults, self.asked, self.ranges = {}, {}, Counter(), True
        self.address = f"http://127.0.0.1:{self.server_port}/mirror/"
        self.sent = []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked[self.name] += 1
        body, waiting = self.server.files[self.name], self.server.faults.get(self.name, [])
        fault = waiting.pop(0) if waiting else None
        if fault in (404, 503):
            self.send_error(fault)
            return
        asked = self.headers.get("Range") if self.server.ranges else None
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if start and start >= len(body):
            self.answer(416, 0)
            return
        rest = body[start:]
        self.answer(206 if asked else 200, len(rest))
        sent = rest[: len(rest) // 2] if fault == "cut" else rest
        self.server.sent.append(len(sent))
        self.wfile.write(sent)

    @property
    def name(self):
        return self.path.rpartition("/")[2]

    def answer(self, status, length):
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch, rng, tmp_path):
    """All three sets of two machines, small; the time between tries is short."""
    monkeypatch.setattr(official, "_PAUSE", 0)
    monkeypatch.setattr(official, "_BLOCK", 500)
    made = Server()
    noise = rng.bytes(BLOCK)
    archives = []
    for kind in official.COUNTS:
        split = "test" if kind == "evaluation" else "train"
        for archive in official.chosen(kind)[:2]:
            names = [f"{archive.machine}/{split}/{i}.wav" for i in range(2)]
            content = made.files[archive.name] = packed(dict.fromkeys(names, noise))
            archives.append(archive._replace(md5=hashlib.md5(content).hexdigest()))
    monkeypatch.setattr(official, "ARCHIVES", archives)
    threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def fetched(server, out, kind="development", **options):
    return official.download(kind, out, mirror=server.address, **options)


def files(out):
    return sorted(str(p.relative_to(out)) for p in out.rglob("*.wav"))


CARS = [f"{machine}/train/{i}.wav" for machine in ("ToyCar", "ToyCarEmu") for i in range(2)]


def test_a_set_is_unpacked_and_a_second_call_asks_for_nothing(server, tmp_path, capsys):
    out = tmp_path / "recordings"
    assert fetched(server, out) == out
    assert files(out) == CARS
    assert not (out / "archives").exists()
    assert "CC BY-NC-SA 4.0" in capsys.readouterr().err
    asked = server.asked.copy()
    fetched(server, out)
    assert server.asked == asked
    assert capsys.readouterr().err == ""
    (out / CARS[0]).unlink()
    fetched(server, out)
    assert files(out) == CARS
    assert server.asked.total() == asked.total() + 1


def test_training_and_test_clips_of_a_machine_share_a_folder(server, tmp_path):
    for kind in ("additional", "evaluation"):
        fetched(server, tmp_path, kind, machines=["Sander"], keep=True)
    assert {path.split("/")[0] for path in files(tmp_path)} == {"Sander"}
    assert {path.split("/")[1] for path in files(tmp_path)} == {"train", "test"}
    kept = {path.name for path in (tmp_path / "archives").iterdir()}
    assert kept == {"eval_data_Sander_train.zip", "eval_data_Sander_test.zip"}
    shutil.rmtree(tmp_path / "Sander")
    asked = server.asked.copy()
    fetched(server, tmp_path, "additional", machines=["Sander"])
    assert server.asked == asked  # unpacked from the archive that is there
    assert (tmp_path / "archives" / "eval_data_Sander_train.zip").exists()  # and it stays
    assert list((tmp_path / ".asd" / "archives").iterdir()) == []


def test_an_archive_of_the_users_own_is_used_and_stays_or_is_refused(server, tmp_path):
    own = tmp_path / "archives" / "dev_ToyCar_r2.zip"
    own.parent.mkdir()
    own.write_bytes(b"half of it")
    with pytest.raises(AsdError, match=r"r2\.zip: not the published archive .*; move it away"):
        fetched(server, tmp_path, machines=["ToyCar"])
    assert own.read_bytes() == b"half of it"
    own.write_bytes(server.files[own.name])
    fetched(server, tmp_path, machines=["ToyCar"])
    assert own.read_bytes() == server.files[own.name]
    assert not server.asked


@pytest.mark.parametrize("faults", [["cut", "cut", 503], [503, 503]])
@pytest.mark.parametrize("ranges", [True, False])
def test_faults_that_pass_are_survived(server, tmp_path, faults, ranges):
    server.ranges = ranges
    server.faults["dev_ToyCar_r2.zip"] = list(faults)
    fetched(server, tmp_path)
    assert files(tmp_path) == CARS
    whole = len(server.files["dev_ToyCar_r2.zip"])
    own = server.sent[:-1]  # the other archive is not cut
    assert len(own) == faults.count("cut") + 1
    assert sum(own) < whole + 500 * len(own) or not ranges  # what came is not sent again
    assert own[-1] == whole or ranges


def test_a_server_that_stays_away_leaves_what_came_and_the_next_call_goes_on(server, tmp_path):
    server.faults["dev_ToyCar_r2.zip"] = ["cut"] + [503] * 5
    with pytest.raises(AsdError, match=r"dev_ToyCar_r2\.zip: cannot be fetched \(503.*resumes"):
        fetched(server, tmp_path)
    half = (tmp_path / ".asd" / "archives" / "dev_ToyCar_r2.zip").stat().st_size
    assert half == len(server.files["dev_ToyCar_r2.zip"]) // 2 // 500 * 500
    fetched(server, tmp_path)
    assert files(tmp_path) == CARS
    assert server.sent[1] == len(server.files["dev_ToyCar_r2.zip"]) - half


@pytest.mark.parametrize("is_whole", [True, False])
def test_what_was_there_before_is_used_or_fetched_anew(server, tmp_path, is_whole):
    content = server.files["dev_ToyCar_r2.zip"]
    part = tmp_path / ".asd" / "archives" / "dev_ToyCar_r2.zip"
    part.parent.mkdir(parents=True)
    part.write_bytes(content if is_whole else b"another release" * 20)
    fetched(server, tmp_path, machines=["ToyCar"])
    assert files(tmp_path) == CARS[:2]
    assert server.sent == ([] if is_whole else [len(content) - 300, len(content)])


def test_what_is_not_the_published_archive_is_refused(server, tmp_path):
    good = server.files["dev_ToyCar_r2.zip"]
    server.files["dev_ToyCar_r2.zip"] = packed({"ToyCar/train/0.wav": b"other"})
    found = hashlib.md5(server.files["dev_ToyCar_r2.zip"]).hexdigest()
    with pytest.raises(AsdError, match=f"cannot be fetched .not the published .*, found {found}"):
        fetched(server, tmp_path)
    assert files(tmp_path) == []
    server.files["dev_ToyCar_r2.zip"] = good
    fetched(server, tmp_path)
    assert files(tmp_path) == CARS


def test_what_is_not_there_is_not_asked_for_again(server, tmp_path, capsys):
    server.faults["dev_ToyCar_r2.zip"] = [404]
    with pytest.raises(AsdError, match=r"dev_ToyCar_r2\.zip: the server answers 404"):
        fetched(server, tmp_path)
    assert server.asked["dev_ToyCar_r2.zip"] == 1
    with pytest.raises(AsdError, match="pump: no machine of the development set; its machines"):
        fetched(server, tmp_path, machines=["pump"])
    arguments = ["download", "development", str(tmp_path), "--mirror", "http://127.0.0.1:9"]
    assert cli.main(arguments) == 2
    assert "cannot be fetched ([Errno 111] Connection refused)" in capsys.readouterr().err


def test_a_disk_that_fills_up_is_one_sentence_and_the_next_call_goes_on(
    server, tmp_path, monkeypatch, capsys
):
    def full(self, mode="r", *arguments):
        if mode == "wb" and self.suffix == ".zip":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, mode, *arguments)

    arguments = ["download", "development", str(tmp_path), "--mirror", server.address]
    real = Path.open
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        assert cli.main(arguments) == 2
    assert "cannot be written (No space left on device)" in capsys.readouterr().err
    assert cli.main(arguments) == 0
    assert files(tmp_path) == CARS


@pytest.mark.parametrize(
    "name",
    ["ToyCar/../../evil.wav", "ToyCar\\..\\evil.wav", "/evil.wav", "C:\\evil.wav", "fan/0.wav"],
)
def test_an_archive_that_leads_elsewhere_is_not_unpacked(tmp_path, name):
    path = tmp_path / "in" / "a.zip"
    path.parent.mkdir()
    path.write_bytes(packed({"ToyCar/train/1.wav": b"1", name: b"/etc/passwd"}))
    out = tmp_path / "out" / "here"
    out.mkdir(parents=True)
    with pytest.raises(AsdError, match="does not lie in ToyCar/"):
        unpack(path, "ToyCar", out)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


DAMAGED = bytearray(packed({"ToyCar/0.wav": b"good", "ToyCar/1.wav": b"unique"}))
DAMAGED[DAMAGED.index(b"unique")] ^= 1


@pytest.mark.parametrize(
    "content", [b"", b"no zip", packed({}), packed({"ToyCar/a": b"1" * 99})[:-9], bytes(DAMAGED)]
)
def test_an_archive_that_cannot_be_read_is_one_sentence(tmp_path, content):
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(AsdError, match=r"a\.zip: (not a zip file that can be read|holds no file)"):
        unpack(path, "ToyCar", tmp_path)
    assert files(tmp_path) == []


def test_a_users_own_files_and_an_older_release_stay(server, tmp_path):
    own = tmp_path / CARS[0]
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    with pytest.raises(AsdError, match=r"0\.wav: there already, .*; move .*ToyCar away \(an older"):
        fetched(server, tmp_path)
    assert own.read_bytes() == b"mine"
    assert files(tmp_path) == CARS[:1]


def test_the_published_archives_have_an_address_and_a_sum_each():
    assert len({a.md5 for a in official.ARCHIVES}) == len(official.ARCHIVES) == 17
    assert all(len(a.md5) == 32 and a.name.endswith(".zip") for a in official.ARCHIVES)
    assert {a.kind for a in official.ARCHIVES} == set(official.COUNTS)


def test_what_is_missing_of_the_official_sets_is_told(tmp_path, rng, capsys, monkeypatch):
    root = machine_folder(tmp_path / "data", rng, "fan", domains=("source", "target"))
    (root / "dev_ToyCar.zip").touch()
    told = official.lacking(dataset.scan(root / "fan"), root)
    assert told[0].endswith("dev_ToyCar_r2.zip replaces it (asd download development).")
    assert told[1] == "fan: 2 test clips (source, normal); the development set has 50."
    assert told[-1].startswith("The development set has 7 machines; not here: ToyCar, ToyCarEmu,")
    monkeypatch.setattr("asdlib.report.provenance.forecast", lambda *_: "")
    monkeypatch.chdir(tmp_path)  # of the results
    (root / "dev_ToyCar.zip").unlink()
    assert cli.main(["doctor", str(root)]) == 0
    assert told[1] in capsys.readouterr().out
    whole = [
        {"machine": "Sander", "split": split, "domain": domain, "label": label}
        for kind in ("additional", "evaluation")
        for (split, domain, label), count in official.COUNTS[kind].items()
        for _ in range(count)
    ]
    table = pd.DataFrame(whole)
    assert [line.partition("; ")[0] for line in official.lacking(table, tmp_path)] == [
        "The additional set has 5 machines",
        "The evaluation set has 5 machines",
    ]
    assert official.lacking(table.assign(machine="pump"), tmp_path) == []
