"""Which files and folders of a data set count, and under which name.

File managers and storage systems leave files of their own beside recordings, and a Mac writes
"ü" in names as two characters (NFD) where others write one (NFC).
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePath

_LEFT = {
    *("__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information"),
    *("thumbs.db", "desktop.ini", "lost+found"),
}
_FORMATS = (".wav",)


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
    return sorted(p for p in folder.iterdir() if _is_wav(p.name))


def wavs_below(folder: Path) -> list[Path]:
    """List what is named as a WAV file in and below a folder, in the order of the names.

    Folders behind links are left out.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("monday/a.wav", "@eaDir/a.wav"):
    ...     (folder / name).parent.mkdir()
    ...     (folder / name).touch()
    >>> [path.parent.name for path in wavs_below(folder)]
    ['monday']
    """
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not is_foreign(name)]
        found += [Path(place, name) for name in (*folders, *files) if _is_wav(name)]
    return sorted(found)


def twins(paths: Iterable[PurePath]) -> list[str]:
    """Return a sentence for every path that differs from another one only in the form of letters.

    >>> twins([PurePath("m/u" + chr(0x308) + ".wav"), PurePath("m/" + chr(0xFC) + ".wav")])[0][-29:]
    'rename or remove one of them.'
    """
    known: dict[str, PurePath] = {}
    told = []
    for path in paths:
        other = known.setdefault(composed(str(path)), path)
        if other != path:
            told.append(
                f"{path}: there are two of this name; they differ only in how their letters are "
                "written (Unicode NFC and NFD), rename or remove one of them."
            )
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


def _is_wav(name: str) -> bool:
    return name.lower().endswith(_FORMATS) and not is_foreign(name)
