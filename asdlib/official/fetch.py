"""Fetch the official archives, check them, and unpack them into one folder per machine.

An archive that was cut off is continued where the server allows it, else it is fetched anew. What
is unpacked is remembered, so that a second call does nothing.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asdlib.io import kept, leftovers, owned
from asdlib.official import archives as official
from asdlib.official.archives import Archive
from asdlib.official.unpack import unpack
from asdlib.params import AsdError
from asdlib.runtime.progress import bar as progressing

PACKED = "archives"
"""Folder of archives that stay, below that of the data set; others are fetched beside the marks."""

_TRIES = 5  # of a file, after the first
_TIMEOUT = (20, 60)  # s to connect, and without a byte
_BLOCK = 2**16  # bytes that are lost at most where a connection is cut
_UNPACKED = 1.3  # bytes of recordings per byte of an archive, assumed: noise packs badly


def download(
    kind: str,
    out: Path,
    machines: Sequence[str] = (),
    *,
    mirror: str | None = None,
    keep: bool = False,
    progress: bool = True,
) -> Path:
    """Fetch a set of the official recordings, and unpack it.

    Parameters
    ----------
    kind : "development", "additional" (training clips of the evaluation machines) or "evaluation"
        (their test clips).
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
        For a server that does not deliver, an archive that is not the published one, too little
        space, or files of the same names that hold something else. What is whole stays.

    Examples
    --------
    >>> download("development", Path("recordings"), ["pump"])
    Traceback (most recent call last):
    asdlib.runtime.errors.AsdError: pump: no machine of the development set; ...
    """
    wanted = official.chosen(kind, machines)
    own, record = out / owned.MARK / PACKED, out / owned.MARK / "official.json"
    own.mkdir(parents=True, exist_ok=True)
    leftovers.sweep(out)
    leftovers.sweep(own)
    known: dict[str, Any] = kept.json_value(record) or {}
    missing = [archive for archive in wanted if not _is_there(out, archive, known)]
    if missing:
        print(official.LICENCE, file=sys.stderr)
        _check_space(out, [a for a in missing if not (out / PACKED / a.name).exists()], mirror)
    for archive in missing:
        stays = out / PACKED / archive.name
        if stays.exists():
            _check_sum(stays, archive)
            path = stays
        else:
            path = _fetched(archive, own, mirror, progress)
        files = unpack(path, archive.machine, out)
        known[archive.name] = {"md5": archive.md5, "files": files}
        kept.write_json(known, record)
        if keep and path != stays:
            stays.parent.mkdir(exist_ok=True)
            path.replace(stays)
        (own / archive.name).unlink(missing_ok=True)
    return out


def _is_there(out: Path, archive: Archive, known: Mapping[str, Any]) -> bool:
    """Whether this archive was unpacked here and its files are still there."""
    entry = known.get(archive.name, {})
    return entry.get("md5") == archive.md5 and all((out / name).exists() for name in entry["files"])


def _check_sum(path: Path, archive: Archive) -> None:
    """Refuse an archive of the user's that is not the published one."""
    import pooch

    if (found := pooch.file_hash(str(path), "md5")) != archive.md5:
        raise AsdError(
            f"{path}: not the published archive: its MD5 is {archive.md5}, found {found}; move it "
            "away to fetch that one."
        )


def _check_space(out: Path, archives: Sequence[Archive], mirror: str | None) -> None:
    """Refuse to begin what the disk cannot hold: all recordings, and one archive at a time."""
    import requests

    sizes = []
    for archive in archives:
        try:
            answer = requests.head(archive.url(mirror), allow_redirects=True, timeout=_TIMEOUT)
        except requests.RequestException as error:
            raise AsdError(f"{archive.url(mirror)}: cannot be reached ({_cause(error)}).") from None
        sizes.append(_length(answer) if answer.ok else 0)
    needed, free = _UNPACKED * sum(sizes) + max(sizes, default=0), shutil.disk_usage(out).free
    if needed > free:
        raise AsdError(
            f"{out}: {needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; make room, "
            "give another folder, or fetch fewer machines (--machine)."
        )


def _fetched(archive: Archive, folder: Path, mirror: str | None, progress: bool) -> Path:
    """The archive with the published MD5, fetched where it is not there yet."""
    import pooch
    import requests

    pooch.get_logger().setLevel("ERROR")
    url, path = archive.url(mirror), folder / archive.name
    if path.exists() and pooch.file_hash(str(path), "md5") == archive.md5:
        return path
    refused: list[str] = []

    def get(address: str, place: Any, _: Any) -> None:
        part = folder / f"{archive.name}.part"
        _continue(address, part, progress)
        if (found := pooch.file_hash(str(part), "md5")) != archive.md5:
            part.unlink()
            refused.append(found)
            if len(refused) == 1:  # perhaps put together from two files
                raise requests.RequestException("wrong MD5")
            raise AsdError(
                f"{url}: not the published archive: its MD5 is {archive.md5}, found {found}; try "
                "again later, or another --mirror."
            )
        part.replace(place)

    try:
        with leftovers.folder(str(folder)) as own:
            source = pooch.create(
                own,
                base_url="",
                registry={archive.name: f"md5:{archive.md5}"},
                urls={archive.name: url},
                retry_if_failed=_TRIES,
            )
            Path(source.fetch(archive.name, downloader=get)).replace(path)
        return path
    except requests.RequestException as error:
        raise AsdError(
            f"{url}: cannot be fetched ({_cause(error)}); what came stays, and the same command "
            "resumes."
        ) from None


def _continue(url: str, part: Path, progress: bool) -> None:
    """Fetch the rest of a file; all of it where the server does not serve parts."""
    import requests

    have = part.stat().st_size if part.exists() else 0
    asked = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=asked, stream=True, timeout=_TIMEOUT) as answer:
        if answer.status_code == 416 and have:  # no such part
            if answer.headers.get("Content-Range") != f"bytes */{have}":
                part.unlink()
                _continue(url, part, progress)
            return
        if 400 <= answer.status_code < 500 and answer.status_code not in (408, 429):
            raise AsdError(f"{url}: the server answers {answer.status_code} {answer.reason}.")
        answer.raise_for_status()
        resumed = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(
            f"bytes {have}-"
        )
        start = have if resumed else 0
        with (
            part.open("ab" if resumed else "wb") as file,
            progressing(part.stem, start + _length(answer), "B", progress=progress) as bar,
        ):
            bar.update(start)
            for block in answer.iter_content(_BLOCK):
                file.write(block)
                bar.update(len(block))


def _length(answer: Any) -> int:
    """Bytes that a server announces; 0 where it announces none."""
    told = answer.headers.get("Content-Length", "")
    return int(told) if told.isdigit() else 0


def _cause(error: Exception) -> str:
    """The innermost reason, in one line."""
    while error.__cause__ is not None or error.__context__ is not None:
        inner = error.__cause__ or error.__context__
        if not isinstance(inner, Exception):
            break
        error = inner
    return " ".join(str(error).split()) or type(error).__name__
