"""The official recordings of DCASE 2026 Task 2: fetched, checked, unpacked, and what is missing.

An archive that was cut off is continued where the server allows it, else it is fetched anew. What
is unpacked is remembered, so that a second call does nothing. The records on Zenodo: development
19336329, additional training 20151556, evaluation 20437238.
"""

from __future__ import annotations

import filecmp
import hashlib
import sys
import time
import zipfile
import zlib
from collections.abc import Sequence
from itertools import product
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from asdlib.io import store
from asdlib.io.files import named, sweep, temporary_folder
from asdlib.io.folders import MARK, is_foreign
from asdlib.runtime.errors import AsdError, plural
from asdlib.runtime.process import bar

_LICENCE = "The recordings are under the licence CC BY-NC-SA 4.0: share alike, no commercial use."
KEPT = "archives"
"""Folder of archives that stay, below that of the data set; others are fetched beside the marks."""

_TRIES = 5  # of a file, after the first
_PAUSE = 1.0  # s before the second try; longer before every further one
_TIMEOUT = (20, 60)  # s to connect, and without a byte
_BLOCK = 2**16  # bytes that are lost at most where a connection is cut


class Archive(NamedTuple):
    """One zip file of the official data set.

    Attributes
    ----------
    kind : of the set: "development", "additional" (training clips of the evaluation machines) or
        "evaluation" (their test clips).
    machine : the folder that it unpacks to.
    name : of the file.
    md5 : of the file, hexadecimal.
    record : number of the record on Zenodo.
    """

    kind: str
    machine: str
    name: str
    md5: str
    record: int

    def url(self, mirror: str = "") -> str:
        """Return where the file is; ``mirror`` is the address of a folder with all archives.

        >>> (car,) = chosen("development", ["ToyCar"])
        >>> car.url()
        'https://zenodo.org/records/19336329/files/dev_ToyCar_r2.zip?download=1'
        >>> car.url("http://127.0.0.1:8000/dcase/")
        'http://127.0.0.1:8000/dcase/dev_ToyCar_r2.zip'
        """
        if mirror:
            return f"{mirror.rstrip('/')}/{self.name}"
        return f"https://zenodo.org/records/{self.record}/files/{self.name}?download=1"


ARCHIVES = [Archive(*row) for row in pd.read_csv(Path(__file__).with_suffix(".csv")).to_numpy()]
_TRAINING = {("train", "source", "normal"): 990, ("train", "target", "normal"): 10}
_TESTED = [(domain, label) for domain in ("source", "target") for label in ("normal", "anomaly")]
COUNTS: dict[str, dict[tuple[str, str, str], int]] = {
    "development": {("test", *cell): 50 for cell in _TESTED} | _TRAINING,
    "additional": _TRAINING,
    "evaluation": {("test", "unknown", "unknown"): 200},
}
"""Clips of a machine in each set, by split, domain and label."""


def download(
    kind: str, out: Path, machines: Sequence[str] = (), *, mirror: str = "", keep: bool = False
) -> Path:
    """Fetch a set of the official recordings, and unpack it.

    Parameters
    ----------
    kind : of :class:`Archive`.
    out : folder of the data set; all sets may share one.
    machines : the only ones to fetch; none: all.
    mirror : address of a folder that holds the archives, in place of the public record.
    keep : whether the archives stay, in a folder ``archives``.

    Returns
    -------
    The folder of the data set.

    Raises
    ------
    AsdError
        For a server that does not deliver, an archive that is not the published one, a full disk,
        or files of the same names that hold something else. What is whole stays.

    Examples
    --------
    >>> download("development", Path("recordings"), ["pump"])
    Traceback (most recent call last):
    asdlib.runtime.errors.AsdError: pump: no machine of the development set; ...
    """
    wanted = chosen(kind, machines)
    own, record = out / MARK / "archives", out / MARK / "official.json"
    with named(own, "written"):
        own.mkdir(parents=True, exist_ok=True)
        sweep(out)
        known: dict[str, list[str]] = store.load(record) or {}
        there = {md5 for md5, names in known.items() if all((out / n).exists() for n in names)}
        missing = [archive for archive in wanted if archive.md5 not in there]
        if missing:
            print(_LICENCE, file=sys.stderr)
        for archive in missing:
            stays = out / KEPT / archive.name
            path = stays if stays.exists() else _fetched(archive, own, mirror)
            if (found := _md5(path)) != archive.md5:
                raise AsdError(f"{path}: not the published archive (MD5 {found}); move it away.")
            known[archive.md5] = unpack(path, archive.machine, out)
            store.save(known, record)
            if keep and path != stays:
                stays.parent.mkdir(exist_ok=True)
                path.replace(stays)
            (own / archive.name).unlink(missing_ok=True)
    return out


def chosen(kind: str, machines: Sequence[str] = ()) -> list[Archive]:
    """Return the archives of a set, or those of some machines of it.

    Raises
    ------
    AsdError
        For a machine that the set does not have.

    Examples
    --------
    >>> [archive.name for archive in chosen("development", ["ToyCar"])]
    ['dev_ToyCar_r2.zip']
    """
    archives = [archive for archive in ARCHIVES if archive.kind == kind]
    known = [archive.machine for archive in archives]
    if strange := [machine for machine in machines if machine not in known]:
        names = ", ".join(known)
        raise AsdError(f"{strange[0]}: no machine of the {kind} set; its machines are {names}.")
    return [archive for archive in archives if not machines or archive.machine in machines]


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _fetched(archive: Archive, folder: Path, mirror: str) -> Path:
    """The archive with the published MD5; what is there of it is not fetched again."""
    import requests

    url, path, reason = archive.url(mirror), folder / archive.name, ""
    for attempt in range(1 + _TRIES):
        time.sleep(_PAUSE * attempt)
        whole = not path.exists()
        try:
            _resume(url, path)
        except requests.RequestException as error:
            inner: BaseException = error
            while deeper := inner.__cause__ or inner.__context__:
                inner = deeper
            reason = " ".join(str(inner).split()) or type(inner).__name__
            continue
        if (found := _md5(path)) == archive.md5:
            return path
        path.unlink()
        reason = f"not the published archive: its MD5 is {archive.md5}, found {found}"
        if whole:  # else it may mix two versions of the archive: fetched once more
            break
    raise AsdError(
        f"{url}: cannot be fetched ({reason}). The same command resumes, from another --mirror too."
    )


def _resume(url: str, path: Path) -> None:
    """Fetch the rest of a file; all of it where the server does not serve parts."""
    import requests

    have = path.stat().st_size if path.exists() else 0
    asked = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=asked, stream=True, timeout=_TIMEOUT) as answer:
        if answer.status_code == 416 and have:  # nothing lies behind what is there: its MD5 decides
            return
        if 400 <= answer.status_code < 500 and answer.status_code not in (408, 429):
            raise AsdError(f"{url}: the server answers {answer.status_code} {answer.reason}.")
        answer.raise_for_status()
        start = have if answer.status_code == 206 else 0  # it serves parts
        length = start + int(answer.headers.get("Content-Length", 0))
        with path.open("ab" if start else "wb") as file, bar(path.name, length, "B") as shown:
            shown.update(start)
            for block in answer.iter_content(_BLOCK):
                file.write(block)
                shown.update(len(block))


def unpack(archive: Path, machine: str, out: Path) -> list[str]:
    """Unpack an archive whose every file lies below one folder, the machine's.

    All names are looked at before anything is written. Files that are there already have to be the
    same.

    Returns
    -------
    Names of the files, relative to ``out``.

    Raises
    ------
    AsdError
        For an archive that is damaged or encrypted, a name that leads elsewhere, or a file that is
        there and holds something else.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with zipfile.ZipFile(folder / "fan.zip", "w") as packed:
    ...     packed.writestr("fan/train/a.wav", b"RIFF")
    >>> unpack(folder / "fan.zip", "fan", folder)
    ['fan/train/a.wav']
    """
    try:
        with zipfile.ZipFile(archive) as packed, temporary_folder(str(out)) as own:
            members = _members(archive, packed, machine)
            packed.extractall(own, members.values())
            for name in members:
                if (out / name).exists() and not filecmp.cmp(out / name, own / name, shallow=False):
                    how = f"move {out / machine} away (an older release?), or give another folder"
                    raise AsdError(f"{out / name}: there already, not as in {archive.name}; {how}.")
            for name in members:
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                (own / name).replace(out / name)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise AsdError(f"{archive}: not a zip file that can be read ({error}).") from None
    return list(members)


def _members(archive: Path, packed: zipfile.ZipFile, machine: str) -> dict[str, zipfile.ZipInfo]:
    """The files of an archive by their place, if every one of them may be written."""
    found = {}
    for info in packed.infolist():
        path = PurePosixPath(info.filename)
        if any(is_foreign(part) and part != ".." for part in path.parts):
            continue  # of the system that packed it
        if path.parts[:1] != (machine,) or ".." in path.parts:
            outside = f"{info.filename!r} does not lie in {machine}/, as all its files must"
            raise AsdError(f"{archive}: {outside}.")
        if not info.is_dir():
            found[str(path)] = info
    if not found:
        raise AsdError(f"{archive}: holds no file.")
    return found


def lacking(manifest: pd.DataFrame, root: Path) -> list[str]:
    """Return one sentence for everything that is missing or too much, set by set.

    A set counts as wanted where one of its machines is there. Recordings of one's own are none.

    Parameters
    ----------
    manifest : of :func:`asdlib.dataset.scan`.
    root : the folder of the data set.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"machine": "fan", "split": "train", "domain": "source", "label": "normal"}
    >>> for told in lacking(pd.DataFrame([row] * 990), Path("nowhere"))[:2]:
    ...     print(told)
    fan: no test clip (source, normal); the development set has 50.
    fan: no test clip (source, anomaly); the development set has 50.
    """
    counts = manifest.groupby(["machine", "split", "domain", "label"]).size().to_dict()
    there = set(manifest["machine"])
    older = root / "dev_ToyCar.zip"
    new = "dev_ToyCar_r2.zip replaces it (asd download development)"
    told = [f"{older}: an older release; {new}."] if older.exists() else []
    for kind, cells in COUNTS.items():
        machines = [archive.machine for archive in chosen(kind)]
        present = [name for name in machines if name in there]
        for machine, (split, domain, label) in product(present, cells):
            expected = cells[split, domain, label]
            if (found := counts.get((machine, split, domain, label), 0)) != expected:
                clips = f"{plural(found, f'{split} clip')} ({domain}, {label})"
                told.append(f"{machine}: {clips}; the {kind} set has {expected}.")
        if present and (missing := [name for name in machines if name not in there]):
            lost = ", ".join(missing)
            told.append(f"The {kind} set has {len(machines)} machines; not here: {lost}.")
    return told
