import os
from pathlib import Path

import numpy as np
import pytest
from conftest import machine_folder, two_channels, write_wav

from asdlib import dataset
from asdlib.dataset import Problems
from asdlib.io import store
from asdlib.params import AsdError, Spectra
from asdlib.report import provenance


def touch(root, *names, rng):
    for name in names:
        write_wav(root / name, two_channels(rng, 0.2))


def test_every_kind_of_name_is_read(tmp_path, rng):
    touch(
        tmp_path,
        "ToyCarEmu/train/section_00_source_train_normal_0000_car_D2_spd_5_mic_2_mic_1.wav",
        "gearboxEmu/train/section_00_target_train_normal_0003_pro_Y.wav",
        "gearboxEmu/test/section_00_source_test_anomaly_0199_pro_y.wav",
        "valveEmu/train/section_00_source_train_normal_0000_noAttribute.wav",
        "Sander/train/section_00_source_train_normal_0000_spd_4_grit_120.wav",
        "Sander/test/section_00_0007.wav",
        "Sander/supplemental/section_00_source_supplemental_normal_0000.wav",
        "Sander/train/._section_00_source_train_normal_0000_spd_4_grit_120.wav",
        rng=rng,
    )
    (tmp_path / "Sander/train/notes.txt").write_text("x")
    table = dataset.scan(tmp_path)
    assert list(table.columns) == dataset.COLUMNS
    assert len(table) == 6
    row = table.set_index("name").loc["section_00_0007.wav"]
    told = row[["machine", "split", "domain", "label", "section"]].tolist()
    assert told == ["Sander", "test", "unknown", "unknown", "00"]
    toy = table[table["machine"] == "ToyCarEmu"].iloc[0]
    assert toy["attributes"] == "car_D2_spd_5_mic_2_mic_1"
    gear = table[table["machine"] == "gearboxEmu"]
    assert set(gear["attributes"]) == {"pro_Y", "pro_y"}
    assert table.loc[table["machine"] == "valveEmu", "attributes"].item() == ""
    assert (toy["seconds"], toy["sample_rate"], toy["channels"]) == (0.2, 16000, 2)


def test_a_linked_machine_keeps_the_name_of_its_link(tmp_path, rng):
    touch(tmp_path, "store/a/raw/train/x.wav", "store/b/raw/train/x.wav", rng=rng)
    (tmp_path / "set").mkdir()
    for link, place in (("fan", "a"), ("valve", "b")):
        (tmp_path / "set" / link).symlink_to(tmp_path / "store" / place / "raw")
    assert dataset.scan(tmp_path / "set")["machine"].tolist() == ["fan", "valve"]


def test_other_machines_do_not_stand_in_the_way(tmp_path, rng):
    touch(tmp_path, "fan/train/a.wav", "Sander/test/section_00_0000.wav", rng=rng)
    table, problems = dataset.survey(tmp_path, ["fan"])
    assert set(table["machine"]) == {"fan"}
    assert problems == []
    with pytest.raises(AsdError, match="no machine pump; it holds Sander, fan"):
        dataset.survey(tmp_path, ["pump"])


def attributes(folder, content):
    (folder / dataset.ATTRIBUTES).write_bytes(content)
    return dataset.read_attributes(folder, ["a.wav", "b.wav", "c.wav"])


@pytest.mark.parametrize(
    "content",
    [
        b"file_name,d1p,d1v,\nm/train/a.wav,spd,3,\nm/train/b.wav,spd,4\n",
        b"\xef\xbb\xbffile_name,d1p,d1v\r\nm/train/a.wav,spd,3\r\nm/train/b.wav,spd,4,,\r\n",
        b"file_name;d1p;d1v\nm/train/a.wav;spd;3\nm/train/b.wav;spd;4\n",
        b"file_name\td1p\td1v\na.wav\tspd\t3\na.wav\tspd\t3\nb.wav\tspd\t4\n",
        b'"file_name","d1p","d1v"\n"m\\train\\a.wav","spd","3"\nC:\\m\\b.wav,spd,4\n',
        b"\nfile_name, d1p, d1v\n\n  a.wav, spd , 3\n,,\nb.wav, spd, 4\n\n",
        b"d1p,d1v,file_name\nspd,3,a.wav\nspd,4,b.wav\nspd,5,not_here.wav\n",
    ],
)
def test_an_attribute_table_is_read_however_it_was_saved(tmp_path, content):
    found = attributes(tmp_path, content)
    assert [found.get(name) for name in ("a.wav", "b.wav", "c.wav")] == ["spd_3", "spd_4", None]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", ": not an attribute table with a file_name column."),
        (b"file_name,d1p\na.wav,spd\nb.wav,spd,4,mic\n", ", line 3: more cells than in the first"),
        (b"file_name,d1p\n\x91\xac.wav,spd\n", ": not a table in UTF-8 text ('utf-8' codec can"),
        (b"file_name,d1p\na.wav,spd\na.wav,mic\n", ", line 3: a.wav has other attributes above;"),
        (b"file_name,d1p\n,spd\n", ", line 2: names no file."),
        (b"file_name,d1p\nx.wav,spd\n", ": names 'x.wav' and no clip of this machine."),
        (b"file_name,d1p\n" + b"a" * 200000, ": not a table in UTF-8 text (field larger"),
    ],
)
def test_an_attribute_table_that_is_not_understood_is_refused(tmp_path, content, told):
    with pytest.raises(AsdError) as error:
        attributes(tmp_path, content)
    assert str(error.value).startswith(f"{tmp_path / dataset.ATTRIBUTES}{told}")


def test_clips_are_checked_where_nothing_can_be_kept(tmp_path, rng):
    table = dataset.scan(machine_folder(tmp_path, rng))
    with pytest.raises(AsdError, match="cannot be written"):
        store.save([], Path("/proc/nowhere/checked.json"))
    hashes, problems = dataset.check(table, cache=Path("/proc/nowhere/checked.json"))
    assert problems == []
    assert hashes.str.len().eq(16).all()


def test_many_files_with_one_fault_are_one_sentence_with_the_remedy(tmp_path, rng):
    for i in range(9):
        write_wav(tmp_path / "fan" / "train" / f"{i}.wav", two_channels(rng)[: 16000 - i, :1])
    (tmp_path / "fan" / "train" / "x.wav").write_bytes(b"")
    problems = dataset.check(dataset.scan(tmp_path))[1]
    assert len(problems) == 10
    first, more, empty = str(Problems(problems)).splitlines()
    assert first.endswith("0.wav: " + first.partition(": ")[2])
    assert "are needed: 'sox -M NEAR.wav FAR.wav NEW.wav' (asd fit --mono" in first
    assert more.startswith("The same is true of 8 others, the last one ")
    assert more.endswith("8.wav.")
    assert empty.endswith("x.wav: the file is empty (0 bytes).")


def test_wrong_names_are_collected(tmp_path, rng):
    touch(
        tmp_path,
        "m/train/section_00_source_train_normal_0000_a.wav",
        "m/train/section_01_source_train_normal_0000_a.wav",
        "m/train/section_00_source_test_normal_0000_a.wav",
        "m/train/section_00_source_train_anomaly_0000_a.wav",
        "m/train/section_00_0001.wav",
        "m/test/section_0_source.wav",
        "n/test/section_00_source_test_normal_0000.wav",
        rng=rng,
    )
    with pytest.raises(Problems) as error:
        dataset.scan(tmp_path)
    sentences = error.value.sentences
    assert len(sentences) == 6
    for part in (
        "clips of the sections 00, 01; a",
        "lies in train/",
        "must be normal",
        "concealed",
        "not a DCASE 2026",
        "no wav",
    ):
        assert any(part in s for s in sentences)


def broken(root, rng):
    """One file of each kind of damage beside good ones, and what must be said of it."""
    train = root / "m" / "train"
    for i in range(3):
        write_wav(train / f"good{i}.wav", two_channels(rng))
    (train / "empty.wav").write_bytes(b"")
    (train / "text.wav").write_text("this is not sound")
    write_wav(train / "mono.wav", two_channels(rng)[:, 0])
    write_wav(train / "rate.wav", two_channels(rng), rate=44100)
    write_wav(train / "short.wav", two_channels(rng, 0.1))
    write_wav(train / "nothing.wav", np.zeros((0, 2)))
    write_wav(train / "silent.wav", np.zeros((16000, 2)))
    dead = two_channels(rng)
    dead[:, 1] = 0.25
    write_wav(train / "dead.wav", dead)
    nan = two_channels(rng)
    nan[5, 0] = np.nan
    write_wav(train / "nan.wav", nan, subtype="FLOAT")
    whole = write_wav(train / "cut.wav", two_channels(rng)).read_bytes()
    (train / "cut.wav").write_bytes(whole[: len(whole) // 2])
    return {
        "empty": "the file is empty",
        "text": "cannot be read as audio",
        "mono": "1 channel; near and far (2 channels) are needed",
        "rate": "sample rate 44100 Hz; 16000 Hz is needed",
        "short": "1600 samples long; at least 2048 are needed",
        "nothing": "holds no samples",
        "silent": "the near and far channel is silent",
        "dead": "the far channel is silent",
        "nan": "1 samples are NaN or infinite",
        "cut": "truncated; the header announces 64000 bytes of sound, the file holds 31",
    }


def test_every_broken_file_gets_its_sentence_at_once(tmp_path, rng):
    expected = broken(tmp_path, rng)
    table = dataset.scan(tmp_path)
    hashes, problems = dataset.check(table, cache=tmp_path / "cache.json")
    assert len(hashes) == len(table) == 13
    assert len(problems) == len(expected)
    for name, part in expected.items():
        assert [p for p in problems if f"{name}.wav" in p and part in p], name
    assert dataset.check(table, cache=tmp_path / "cache.json")[1] == problems
    (tmp_path / "cache.json").write_text("{cut off")
    assert dataset.check(table, cache=tmp_path / "cache.json")[1] == problems


def test_the_cache_notices_two_clips_that_change_places(tmp_path, rng, monkeypatch):
    machine_folder(tmp_path, rng)
    table, cache = dataset.scan(tmp_path), tmp_path / "cache.json"
    monkeypatch.setattr(dataset, "_SETTLED", 0)
    one, other = (Path(path) for path in table["path"].iloc[:2])
    for clip in (one, other):
        os.utime(clip, ns=(0, 0))
    before, _ = dataset.check(table, cache=cache)
    assert one.stat().st_size == other.stat().st_size
    beside = one.rename(one.with_name("beside"))
    other.rename(one)
    beside.rename(other)
    assert one.stat().st_mtime_ns == other.stat().st_mtime_ns
    after, _ = dataset.check(table, cache=cache)
    assert after.iloc[:2].tolist() == before.iloc[1::-1].tolist()
    assert len(set(before)) == len(before)


def test_an_old_file_is_remembered_and_a_young_one_read_again(tmp_path, rng, monkeypatch):
    machine_folder(tmp_path, rng)
    table, cache = dataset.scan(tmp_path), tmp_path / "cache.json"
    dataset.check(table, cache=cache)
    assert store.load(cache) == {}
    monkeypatch.setattr(dataset, "_SETTLED", 0)
    hashes, problems = dataset.check(table, cache=cache)
    monkeypatch.setattr(dataset, "_examine", None)
    again, same = dataset.check(table, cache=cache)
    assert (again == hashes).all()
    assert same == problems


def test_what_is_decoded_is_what_was_hashed(tmp_path, rng):
    machine_folder(tmp_path, rng)
    table = dataset.scan(tmp_path)
    hashes, _ = dataset.check(table)
    path, content = table["path"].iloc[0], hashes.iloc[0]
    np.testing.assert_array_equal(dataset.read(path, content=content), dataset.read(path))
    write_wav(Path(path), two_channels(rng))
    with pytest.raises(AsdError, match="has changed since it was checked"):
        dataset.read(path, content=content)
    assert len(list(dataset.read_all(table))) == len(table)  # nothing was promised
    with pytest.raises(AsdError, match="has changed since it was checked"):
        list(dataset.read_all(table.assign(hash=hashes)))


def test_another_rate_is_converted_on_request(tmp_path, rng):
    t = np.arange(48000) / 48000
    tone = np.stack([np.sin(2 * np.pi * 440 * t)] * 2, axis=1) / 2
    path = write_wav(tmp_path / "m/train/a.wav", tone, rate=48000)
    with pytest.raises(AsdError, match="sample rate 48000 Hz"):
        dataset.read(path)
    signal = dataset.read(path, Spectra(resample=True))
    assert signal.shape == (2, 16000)
    expected = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000) / 2
    assert np.abs(signal[0] - expected)[500:-500].max() < 1e-3


def test_twin_names_in_train_and_test_are_a_problem(tmp_path, rng):
    touch(tmp_path, "m/train/a.wav", "m/train/b.wav", "m/test/a.wav", rng=rng)
    _, problems = dataset.check(dataset.scan(tmp_path))
    assert problems == ["m: a.wav lies in train/ and test/; names must differ."]


def test_the_overview_counts_what_lies_there(tmp_path, rng):
    machine_folder(tmp_path, rng, "fan", train=3, test=1, seconds=1.0)
    machine_folder(tmp_path, rng, "fan", train=2, test=0, seconds=2.0)  # over the first two
    write_wav(tmp_path / "pump" / "train" / "own.wav", two_channels(rng, 0.5, 8000), 8000)
    table = provenance.overview(dataset.scan(tmp_path))
    assert table.reset_index().to_numpy().tolist() == [
        ["fan", "test", "source", "anomaly", 1, "1", "16000", "2"],
        ["fan", "test", "source", "normal", 1, "1", "16000", "2"],
        ["fan", "train", "source", "normal", 3, "1, 2", "16000", "2"],
        ["pump", "train", "source", "normal", 1, "0.5", "8000", "2"],
    ]


def test_real_recordings_can_be_used(real):
    table = dataset.scan(real / "mimii_two_mic")
    assert len(table) == 20
    assert dataset.check(table)[1] == []
    assert dataset.read(table["path"][0]).shape == (2, 160000)


def test_a_name_may_end_before_its_attributes_and_in_capitals():
    for name in (
        "section_00_source_test_normal_0000_.wav",
        "section_00_source_test_normal_0000.WAV",
    ):
        match = dataset.NAME.fullmatch(name)
        assert match
        assert not match["attributes"]
