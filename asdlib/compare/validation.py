"""Submission packages of DCASE 2026 Task 2: the form that they must have, and a check of it.

The official evaluator sorts both columns by name and aligns them by position. It skips a whole
system when one file is missing, without a message. Notebook: 08_submission.
"""

from __future__ import annotations

import codecs
import io
import lzma
import os
import re
import reprlib
import textwrap
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from asdlib.compare.score_files import csv_lines
from asdlib.io.files import read_bytes
from asdlib.io.folders import composed, is_foreign, twins
from asdlib.params import AsdError, parse_yaml
from asdlib.runtime.errors import plural

MOST_SYSTEMS = 4
SCORES, DECISIONS = KINDS = ("anomaly_score", "decision_result")
"""A system has a file of either kind for every machine."""

_MOST_BYTES = 2**28  # of a package; one of ten machines has less than a megabyte
_BROKEN_ZIP = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError),
    *(RuntimeError, ValueError, MemoryError),  # encrypted, of an unknown kind, of absurd sizes
)
_LABEL = re.compile(r"[A-Za-z]+_[A-Za-z0-9]{1,10}_task2_[1-4]")
_FILE = re.compile(r"(anomaly_score|decision_result)_(.+)_section_00_test\.csv")
_KEYS = {
    "submission": {"label", "name", "abbreviation", "authors"},
    "system": {"description", "complexity", "external_datasets", "source_code"},
    "results": {"development_dataset"},
}


def file_name(kind: str, machine: str) -> str:
    """Name of a machine's score or decision file; ``kind`` is one of :data:`KINDS`."""
    return f"{kind}_{machine}_section_00_test.csv"


def check_label(label: str) -> None:
    """Refuse a label that is not ``Name_INST_task2_N``.

    Raises
    ------
    AsdError
        For an institute of more than 10 characters, or an N that is not from 1 to 4.
    """
    if not _LABEL.fullmatch(label):
        raise AsdError(
            f"{label}: not a label of the form Name_INST_task2_N (institute at most 10 "
            "characters, N from 1 to 4)."
        )


def expected_clips(clips: pd.DataFrame) -> dict[str, set[str]]:
    """Names of the test clips that a package must cover, by machine.

    Parameters
    ----------
    clips : of :func:`asdlib.dataset.scan`. Where some test clips are concealed, these are meant.
    """
    test = clips[clips["split"] == "test"]
    concealed = test[test["label"] == "unknown"]
    chosen = concealed if len(concealed) else test
    return {str(machine): set(rows["name"]) for machine, rows in chosen.groupby("machine")}


def validate(package: Path, expected: Mapping[str, Collection[str]] | None = None) -> list[str]:
    """List everything that the official evaluator would silently skip or misalign.

    Parameters
    ----------
    package : a zip, or a folder: that of one system, ``task2``, or the one above it.
    expected : machine to the file names of its test clips. Without it, the systems and their score
        and decision files are compared with each other.

    Returns
    -------
    One sentence per problem; no sentence for a good package.
    """
    package = Path(package)
    files, problems = _contents(package)
    systems, misplaced = _by_system(files, os.path.basename(os.path.abspath(package)))
    problems += misplaced
    if not systems:
        return problems or [f"{package}: holds no system (task2/<label>/ with CSV files)."]
    if len(systems) > MOST_SYSTEMS:
        problems.append(f"{package}: {len(systems)} systems; at most {MOST_SYSTEMS} are allowed.")
    machines = {match[2] for own in systems.values() for f in own if (match := _FILE.fullmatch(f))}
    reference = {m: set(map(composed, names)) for m, names in (expected or {}).items()}
    for label, own in sorted(systems.items()):
        problems += _check_meta(label, own)
        for stray in sorted(own):
            if not _FILE.fullmatch(stray) and stray != f"{label}.meta.yaml":
                problems.append(f"{label}/{stray}: not a file of a submission.")
        for machine in sorted(machines | reference.keys()):
            for kind in KINDS:
                file = file_name(kind, machine)
                where = f"{label}/{file}"
                if file not in own:
                    problems.append(f"{where}: missing; the evaluator would skip the whole system.")
                    continue
                if expected is not None and machine not in expected:
                    problems.append(f"{where}: {machine} is not an expected machine.")
                names, found = _check_csv(where, own[file], kind)
                problems += found
                problems += _check_clips(where, names, reference.setdefault(machine, names))
    return problems


def _contents(package: Path) -> tuple[dict[PurePosixPath, bytes], list[str]]:
    """Contents of the files by their names in NFC, and what is wrong with the package as such."""
    try:
        files = list(_files(package))
        for path, *_ in files:
            if not path.parts or path.is_absolute() or ".." in path.parts:
                return {}, [f"{package}: {str(path)!r} points out of the package, or nowhere."]
        files = [file for file in files if not any(map(is_foreign, file[0].parts))]
        if sum(size for _, size, _ in files) > _MOST_BYTES:
            return {}, [f"{package}: holds more than {_MOST_BYTES:,} bytes; no package does."]
        counts = Counter(path for path, *_ in files)
        twice = sorted(str(path) for path, count in counts.items() if count > 1)
        problems = [f"{package}: {path} is in the zip more than once." for path in twice]
        found = {PurePosixPath(composed(str(path))): read() for path, _, read in files}
        return found, [*problems, *twins(counts)]
    except AsdError:
        raise
    except _BROKEN_ZIP as error:
        reason = textwrap.shorten(str(error), 200, placeholder="...")  # it may hold a whole header
        return {}, [f"{package}: not a readable zip ({reason})."]


def _files(package: Path) -> Iterator[tuple[PurePosixPath, int, Callable[[], bytes]]]:
    """Name, size and reader of every file of a folder or zip, in a folder without its zips."""
    if package.is_dir():
        for path in sorted(package.rglob("*")):
            if path.is_file() and path.suffix != ".zip":
                name = PurePosixPath(path.relative_to(package).as_posix())
                yield name, path.stat().st_size, partial(read_bytes, path)
        return
    archive = zipfile.ZipFile(io.BytesIO(read_bytes(package, _MOST_BYTES)))
    for entry in archive.infolist():
        if not entry.filename.endswith("/"):
            yield PurePosixPath(entry.filename), entry.file_size, partial(archive.read, entry)


def _by_system(
    files: Mapping[PurePosixPath, bytes], name: str
) -> tuple[dict[str, dict[str, bytes]], list[str]]:
    """Files by the system in whose folder they lie, and a sentence for every other file.

    A folder with a ``task2`` of its own is another package, and none of this one's.

    Parameters
    ----------
    name : of the system where its folder alone is given.
    """
    if any(path.parts[0] == "task2" and len(path.parts) > 1 for path in files):
        above: tuple[str, ...] = ("task2",)
    else:  # task2 itself is given, or one system
        above = ()
        if all(len(path.parts) == 1 for path in files):
            files = {PurePosixPath(name, path): content for path, content in files.items()}
    others = {path.parts[0] for path in files if path.parts[1:2] == ("task2",)}
    systems: dict[str, dict[str, bytes]] = {}
    problems = []
    for path, content in files.items():
        *folders, file = path.parts
        if path.parts[0] in others:
            continue
        if folders and tuple(folders[:-1]) == above:
            systems.setdefault(folders[-1], {})[file] = content
        else:
            problems.append(f"{path}: lies elsewhere; a system's files lie in task2/<label>/.")
    return systems, problems


def _check_clips(file: str, names: set[str], reference: set[str]) -> Iterator[str]:
    for clips, what in ((reference - names, "missing"), (names - reference, "too many")):
        if clips:
            yield f"{file}: {plural(len(clips), 'clip')} {what}, such as {min(clips)}."


def _check_csv(file: str, content: bytes, kind: str) -> tuple[set[str], list[str]]:
    """Names of the clips, and what is wrong with the lines."""
    problems: list[str] = []
    if content.startswith(codecs.BOM_UTF8):
        problems.append(f"{file}: begins with a byte order mark; the first name would not match.")
    try:
        lines = csv_lines(content, file)
    except AsdError as error:
        return set(), [*problems, str(error)]
    if not lines:
        problems.append(f"{file}: empty.")
    names: set[str] = set()
    for number, cells in enumerate(lines, start=1):
        where = f"{file}, line {number}"
        if not any(cell.strip() for cell in cells):
            problems.append(f"{where}: blank line.")
        elif len(cells) != 2:
            count = plural(len(cells), "column")
            problems.append(f"{where}: {count}; 2 are needed: file.wav,value.")
        elif not cells[0].lower().endswith(".wav"):
            what = f"{'a header' if number == 1 else 'not a wav name'} ({cells[0]!r})"
            problems.append(f"{where}: {what}; only file.wav,value lines belong here.")
        else:
            name = composed(cells[0])
            if "/" in name or "\\" in name:
                problems.append(f"{where}: {name!r} has a path; only the file name belongs here.")
            if name in names:
                problems.append(f"{where}: {name} is listed more than once.")
            names.add(name)
            problems += _check_value(where, cells[1], kind)
    return names, problems


def _check_value(where: str, value: str, kind: str) -> Iterator[str]:
    if kind == DECISIONS:
        if value not in ("0", "1"):
            yield f"{where}: decision {value!r}; allowed are 0 and 1."
        return
    try:
        if not np.isfinite(float(value)):
            yield f"{where}: score {value!r} is not finite."
    except ValueError:
        yield f"{where}: score {value!r} is not a number."


def _check_meta(label: str, own: Mapping[str, bytes]) -> Iterator[str]:
    file = f"{label}/{label}.meta.yaml"
    try:
        check_label(label)
    except AsdError as error:
        yield str(error)
    if f"{label}.meta.yaml" not in own:
        yield f"{file}: missing."
        return
    try:
        content = parse_yaml(own[f"{label}.meta.yaml"].decode("utf-8"), aliases=True)
    except ValueError as error:
        yield f"{file}: cannot be read ({error})."
        return
    if not isinstance(content, dict):
        yield f"{file}: holds no keys."
        return
    for group, keys in _KEYS.items():
        section = content[group] if isinstance(content.get(group), dict) else {}
        if missing := keys - set(section):
            yield f"{file}: {group} lacks {', '.join(sorted(missing))}."
    about = content.get("submission")
    stated = about.get("label") if isinstance(about, dict) else None
    if stated != label:
        yield f"{file}: label {reprlib.repr(stated)} differs from its folder's name."
