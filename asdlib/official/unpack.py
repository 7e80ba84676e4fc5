"""Unpack an archive of recordings into the folder of its machine, and touch nothing else."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from asdlib.io import leftovers
from asdlib.io.listing import is_foreign
from asdlib.params import AsdError

_BLOCK = 2**20  # bytes


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
        For an archive that is damaged or encrypted, a name that leads elsewhere, a link, too little
        space, or a file that is there and holds something else.

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
        with zipfile.ZipFile(archive) as packed:
            members = _members(archive, packed, machine)
            _refuse_other(archive, members, out)
            with leftovers.folder(str(out)) as own:
                for name, info in members.items():
                    _extract(packed, info, own / name)
                for name in members:
                    (out / name).parent.mkdir(parents=True, exist_ok=True)
                    (own / name).replace(out / name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise AsdError(f"{archive}: not a zip file that can be read ({error}).") from None
    return list(members)


def _members(archive: Path, packed: zipfile.ZipFile, machine: str) -> dict[str, zipfile.ZipInfo]:
    """The files of an archive by their place, if every one of them may be written."""
    found = {}
    for info in packed.infolist():
        path = PurePosixPath(info.filename.replace("\\", "/"))
        if any(is_foreign(part) and part != ".." for part in path.parts):
            continue  # of the system that packed it
        kind = stat.S_IFMT(info.external_attr >> 16)
        if path.is_absolute() or ".." in path.parts or ":" in info.filename:
            raise AsdError(f"{archive}: {info.filename!r} leads out of the folder; not unpacked.")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise AsdError(f"{archive}: {info.filename!r} is no file but a link; not unpacked.")
        if path.parts[:1] != (machine,):
            raise AsdError(
                f"{archive}: {info.filename!r} does not lie in {machine}/, as all its files must."
            )
        if info.flag_bits & 1:
            raise AsdError(f"{archive}: {info.filename!r} is encrypted.")
        if not info.is_dir():
            found[str(path)] = info
    if not found:
        raise AsdError(f"{archive}: holds no file.")
    return found


def _refuse_other(archive: Path, members: Mapping[str, zipfile.ZipInfo], out: Path) -> None:
    """Refuse to replace what holds something else: a user's own, or an older release."""
    for name, info in members.items():
        place = out / name
        if place.exists() and not _is_same(place, info):
            raise AsdError(
                f"{place}: there already, and not as in {archive.name}; move "
                f"{out / name.split('/')[0]} away (an older release?), or give another folder."
            )


def _is_same(place: Path, info: zipfile.ZipInfo) -> bool:
    if not place.is_file() or place.stat().st_size != info.file_size:
        return False
    crc = 0
    with place.open("rb") as file:
        while block := file.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return crc == info.CRC


def _extract(packed: zipfile.ZipFile, info: zipfile.ZipInfo, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with packed.open(info) as source, place.open("wb") as target:
        while block := source.read(_BLOCK):
            target.write(block)
