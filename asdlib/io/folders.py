"""Folders: which files of one count, under which name, and which folders are asd's own.

File managers and storage systems leave files of their own beside recordings, and a Mac writes
"ü" in names as two characters (NFD) where others write one (NFC). A folder with asd's mark was
written by asd and may be emptied; any other that holds something is refused before any work.
"""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath

import pandas as pd

from asdlib.io.files import named, part_of, sweep
from asdlib.runtime.errors import AsdError, plural

SPLITS = ("train", "test")
MARK = ".asd"
"""Folder of the mark, beside what asd wrote."""

_WHOLE = "all of this folder was written by asd"

_LEFT = {
    *("__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information"),
    *("thumbs.db", "desktop.ini", "lost+found"),
}
_WAV = (".wav",)
_REST = (".flac", ".mp3", ".m4a", ".aif", ".aiff", ".caf", ".ogg", ".opus", ".wma", ".w64", ".rf64")

# "default" and a name that merely has the letters "ng" say nothing, "fault-free" says normal, and
# a test clip of DCASE with a concealed label may be anything
_FAULTY = re.compile(
    r"(?i)(?<![a-z])(?:no|non|not|without)[-_ ]*(?:anomal|abnormal|fault|defe[ck]t|damage)[a-z]*"
    r"|(?:anomal|fault|defe[ck]t|damage)[a-z]*[-_ ]*free"
    r"|(anomal|abnormal|(?<!de)fault|defe[ck]t|(?<!un)(?:broken|damage)|not[-_ ]?ok(?![a-z])"
    r"|(?<![a-z])n(?:g|ok)(?![a-z])|異常|异常|不良|(?:^|/)section_\d\d_\d{4,}\.wav)"
)


def is_foreign(name: str) -> bool:
    """Tell whether a name is hidden, or of what an operating system or a storage leaves behind.

    >>> [is_foreign(name) for name in ("._a.wav", "@eaDir", "__MACOSX", "a.wav")]
    [True, True, True, False]
    """
    return name.startswith(".") or name.lower() in _LEFT


def composed(name: str) -> str:
    """Return a name in the form in which names are compared: NFC.

    >>> composed("Lu" + chr(0x308) + "fter") == "L" + chr(0xFC) + "fter"
    True
    """
    return unicodedata.normalize("NFC", name)


def says_faulty(name: str) -> bool:
    """Tell whether a name, or that of a folder in it, says that a recording may not be normal.

    >>> [says_faulty(name) for name in ("abnormal/1.wav", "pump_NG_1.wav", "long/default.wav")]
    [True, True, False]
    >>> [says_faulty(name) for name in ("no_fault/1.wav", "free/NOK.wav", "section_00_0001.wav")]
    [False, True, True]
    """
    return any(match[1] for match in _FAULTY.finditer(name))


def wavs(folder: Path) -> list[Path]:
    """List what is named as a WAV file in a folder, in the order of the names.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("b.WAV", "a.wav", "._a.wav", "notes.txt"):
    ...     (folder / name).touch()
    >>> [path.name for path in wavs(folder)]
    ['a.wav', 'b.WAV']
    """
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if _counts(p.name, _WAV))


def below(
    folder: Path,
    onerror: Callable[[OSError], object] | None = None,
    *,
    endings: tuple[str, ...] = _WAV,
) -> list[Path]:
    """List what is named as a WAV file in and below a folder, in the order of the names.

    A folder is walked once, however many links lead to it, and under its own name where it lies
    below ``folder``. Links that lead above ``folder`` are left out.

    Parameters
    ----------
    onerror : gets the error of every folder that cannot be listed.
    endings : of the names, in lower case.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("monday/a.wav", "@eaDir/a.wav"):
    ...     (folder / name).parent.mkdir()
    ...     (folder / name).touch()
    >>> (folder / "latest").symlink_to("monday")
    >>> [path.parent.name for path in below(folder)]
    ['monday']
    """
    found, places = list[Path](), [str(folder)]
    seen = {_identity(above) for above in Path(os.path.realpath(folder)).parents}
    for link in places:  # those that are met on the way are walked at the end
        for place, folders, files in os.walk(link, onerror=onerror):
            own = _identity(place)
            folders[:] = [name for name in folders if not is_foreign(name) and own not in seen]
            if own not in seen:
                seen.add(own)
                found += [Path(place, n) for n in (*folders, *files) if _counts(n, endings)]
                inner = (os.path.join(place, name) for name in folders)
                places += sorted(path for path in inner if os.path.islink(path))
    return sorted(found)


def some_below(folder: Path) -> list[Path]:
    """As :func:`below`, of a folder that can be listed and holds a WAV file.

    Raises
    ------
    AsdError
        For any other.

    Examples
    --------
    >>> some_below(Path("nowhere"))
    Traceback (most recent call last):
    asdlib.runtime.errors.AsdError: nowhere: no such folder.
    """

    def refuse(error: OSError) -> None:
        raise error

    if not folder.is_dir():
        raise AsdError(f"{folder}: no such folder.")
    with named(folder):
        found = below(folder, refuse)
    if not found:
        none = f"{folder}: found no WAV file, here or in subfolders; only WAV is read."
        raise AsdError("\n".join([none, *unread(folder)]))
    return found


def unread(root: Path) -> list[str]:
    """Return a sentence that counts recordings of other kinds than WAV, if there are some.

    >>> unread(Path("nowhere"))
    []
    """
    kinds = Counter(path.suffix.lower() for path in below(root, endings=_REST))
    which = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    how = "only WAV is; 'ffmpeg -i OLD NEW.wav' converts one"
    told = f"{root}: {plural(kinds.total(), 'recording')} of other kinds not read ({which}): {how}."
    return [told] if kinds else []


def twins(paths: Iterable[PurePath]) -> list[str]:
    """Return a sentence for every path that differs from another one only in the form of letters.

    >>> twins([PurePath("m/u" + chr(0x308) + ".wav"), PurePath("m/" + chr(0xFC) + ".wav")])[0][-21:]
    'rename or remove one.'
    """
    known: dict[str, PurePath] = {}
    forms = "they differ only in how their letters are written (Unicode NFC and NFD)"
    told = []
    for path in paths:
        if known.setdefault(composed(str(path)), path) != path:
            told.append(f"{path}: there are two of this name; {forms}, rename or remove one.")
    return told


def not_text(path: PurePath) -> str:
    """Say that a name is not UTF-8, as of a zip from a computer with another encoding, or nothing.

    >>> not_text(PurePath("train/a.wav"))
    ''
    >>> not_text(PurePath("train/" + os.fsdecode(bytes([0x83])) + ".wav")).partition(": ")[2]
    "the name is not UTF-8; rename it, as 'convmv' does for many."
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return f"{path}: the name is not UTF-8; rename it, as 'convmv' does for many."
    return ""


def is_machine(folder: Path) -> bool:
    """Tell whether a folder is that of a machine: one with ``train/`` or ``test/``.

    >>> is_machine(Path("nowhere"))
    False
    """
    return not is_foreign(folder.name) and any((folder / split).is_dir() for split in SPLITS)


def is_one_machines(root: Path) -> bool:
    """Tell whether a folder holds recordings of one machine for ``asd fit``, and no data set.

    The recordings lie in it or in subfolders, which are sessions and have other names than
    ``train`` and ``test``.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "monday").mkdir()
    >>> (root / "monday" / "a.wav").touch()
    >>> is_one_machines(root)
    True
    """
    parts = [path.relative_to(root).parts[:-1] for path in below(root)]
    return bool(parts) and not any(part.lower() in SPLITS for own in parts for part in own)


def misplaced(root: Path, machines: Collection[str]) -> list[str]:
    """Return a sentence for everything in a data set's folder that seems to be a machine unread.

    Parameters
    ----------
    machines : names of the folders that are read.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "dev_fan.zip").touch()
    >>> misplaced(root, ["valve"])[0].partition(": ")[2]
    'still packed; unzip it, or move it out of this folder.'
    >>> misplaced(root, ["fan"])
    []
    """
    told = []
    for path in sorted([*root.glob("*.zip"), *root.glob("*/"), *root.glob("*/*/")]):
        if any(map(is_foreign, path.relative_to(root).parts)):
            continue
        if path.suffix == ".zip":
            if not any(name.lower() in path.stem.lower() for name in machines):
                told.append(f"{path}: still packed; unzip it, or move it out of this folder.")
        elif path.name.lower() in SPLITS and path.name not in SPLITS:
            told.append(f"{path}: rename it to {path.name.lower()}; it is not read so.")
        elif path.parent != root and is_machine(path) and not is_machine(path.parent):
            move = f"move it to {root / path.name}"
            told.append(f"{path}: lies one folder too deep and is not read; {move}.")
    return told if machines else told + unread(root)


def remarks(manifest: pd.DataFrame, root: Path) -> list[str]:
    """Return what is worth a look in a data set that can be read, in one sentence each.

    Parameters
    ----------
    manifest : of :func:`asdlib.dataset.scan`, with the ``hash`` of every clip.
    root : the folder of the data set.

    Examples
    --------
    >>> clip = {"machine": "fan", "split": "train", "name": "a.wav", "hash": "0f"}
    >>> for told in remarks(pd.DataFrame([clip, clip | {"name": "b.wav"}]), Path("nowhere")):
    ...     print(told)
    fan: no clip in test/; the machine can be learnt, and nothing is scored.
    fan: 2 clips without a DCASE name; they are normal in train/, without a label in test/.
    fan: 1 clip with the content of another one.
    """
    told = unread(root)
    for machine, clips in manifest.groupby("machine"):
        if not (clips["split"] == "test").any():
            what = "no clip in test/; the machine can be learnt, and nothing is scored"
            told.append(f"{machine}: {what}.")
        if own := int((~clips["name"].str.startswith("section_")).sum()):
            what = "they are normal in train/, without a label in test/"
            told.append(f"{machine}: {plural(own, 'clip')} without a DCASE name; {what}.")
        if copies := int(clips.duplicated("hash").sum()):
            told.append(f"{machine}: {plural(copies, 'clip')} with the content of another one.")
    return told


def managed(path: Path, hint: str) -> Path:
    """Make a folder for this package alone, or find it again.

    Parameters
    ----------
    hint : how another folder is given, for the sentence.

    Raises
    ------
    AsdError
        For a folder that holds something and has no mark, or something else of that name.

    Examples
    --------
    >>> import tempfile
    >>> own = managed(Path(tempfile.mkdtemp()) / "source", "--out")
    >>> _ = (own / "page.html").write_text("")
    >>> managed(own, "--out") == own
    True
    """
    mark = path / MARK / _WHOLE
    with named(path, "written"):
        others = path.iterdir() if path.exists() else ()
        if not mark.exists() and any(other.name != MARK for other in others):
            found = f"{path}: holds files that asd did not write, and they would be lost"
            raise AsdError(f"{found}; move them, or give another folder ({hint}).")
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    for place in (path, path.parent):
        sweep(place)
    return path


def emptied(path: Path, hint: str) -> Path:
    """As :func:`managed`, with nothing in it.

    >>> import tempfile
    >>> own = managed(Path(tempfile.mkdtemp()) / "source", "--out")
    >>> _ = (own / "page.html").write_text("")
    >>> [file.name for file in emptied(own, "--out").iterdir()]
    ['.asd']
    """
    with named(path, "written"):
        for own in managed(path, hint).iterdir():
            if own.name == MARK:  # stays to the end: what is left after an error is still marked
                continue
            if own.is_dir() and not own.is_symlink():
                shutil.rmtree(own)
            else:
                own.unlink()
    return path


@contextmanager
def replacing_folder(path: Path, hint: str) -> Iterator[Path]:
    """Give a folder to write to, which takes the place of ``path`` once it is whole.

    After an error ``path`` is as it was. A link and the root of a disk are written in place.

    Raises
    ------
    AsdError
        See :func:`managed`.

    Examples
    --------
    >>> import tempfile
    >>> own = managed(Path(tempfile.mkdtemp()) / "html", "--out")
    >>> _ = (own / "old.html").write_text("")
    >>> with replacing_folder(own, "--out") as part:
    ...     _ = (part / "new.html").write_text("")
    >>> sorted(file.name for file in own.iterdir())
    ['.asd', 'new.html']
    """
    new = not path.exists()
    managed(path, hint)
    if path.is_symlink() or os.path.ismount(path):
        yield path
        return
    part, old = part_of(path), part_of(path)
    with named(path, "written"):
        try:
            yield managed(part, hint)
            os.replace(path, old)
            os.replace(part, path)
            new = False
        finally:
            if not path.exists():  # also after Ctrl-C between the two
                os.replace(old, path)
            for left in (part, old, *([path] if new else [])):
                shutil.rmtree(left, ignore_errors=True)


def _counts(name: str, endings: tuple[str, ...]) -> bool:
    return name.lower().endswith(endings) and not is_foreign(name)


def _identity(folder: Path | str) -> tuple[int, int] | None:
    """Number of a folder on its disk, whatever its name; none where it has just gone."""
    with suppress(OSError):
        status = os.stat(folder)
        return status.st_dev, status.st_ino
    return None
