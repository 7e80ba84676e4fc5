"""Submission packages of DCASE 2026 Task 2: the form that they must have, and a check of it.

The official evaluator sorts both columns by name and aligns them by position. It skips a whole
system when one file is missing, without a message. Notebook: 08_submission.
"""

from __future__ import annotations

import csv
import io
import lzma
import os
import re
import reprlib
import textwrap
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from asdlib.io.files import read_bytes
from asdlib.io.folders import composed, is_foreign, twins
from asdlib.io.wav import content_of
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
    files, problems = _read_package(package)
    systems, misplaced = _in_systems(files, os.path.basename(os.path.abspath(package)))
    problems += misplaced
    if not systems:
        return problems or [f"{package}: holds no system (task2/<label>/ with CSV files)."]
    if len(systems) > MOST_SYSTEMS:
        problems.append(f"{package}: {len(systems)} systems; at most {MOST_SYSTEMS} are allowed.")
    machines = set(expected or ()) | {
        match[2] for own in systems.values() for f in own if (match := _FILE.fullmatch(f))
    }
    reference = {m: set(map(composed, names)) for m, names in (expected or {}).items()}
    for label, own in sorted(systems.items()):
        problems += _check_meta(label, own)
        for stray in sorted(own):
            if not _FILE.fullmatch(stray) and stray != f"{label}.meta.yaml":
                problems.append(f"{label}/{stray}: not a file of a submission.")
        for machine in sorted(machines):
            for kind in KINDS:
                file = file_name(kind, machine)
                if file not in own:
                    problems.append(
                        f"{label}/{file}: missing; the evaluator would skip the whole system."
                    )
                    continue
                if expected is not None and machine not in expected:
                    problems.append(f"{label}/{file}: {machine} is not an expected machine.")
                names, found = _check_csv(f"{label}/{file}", own[file], kind)
                problems += found
                problems += _compare(f"{label}/{file}", names, reference.setdefault(machine, names))
    return problems


def _in_systems(
    files: Mapping[str, bytes], name: str
) -> tuple[dict[str, dict[str, bytes]], list[str]]:
    """Files by the system in whose folder they lie, and a sentence for every other file.

    A folder with a ``task2`` of its own is another package, and none of this one's.
    """
    paths = {PurePosixPath(path): content for path, content in files.items()}
    parts = [path.parts for path in paths]
    if any(own[0] == "task2" and len(own) > 1 for own in parts):
        above: tuple[str, ...] = ("task2",)
    else:  # task2 itself is given, or one system
        above = ()
        if all(len(own) == 1 for own in parts):
            paths = {PurePosixPath(name, path): content for path, content in paths.items()}
    others = {own[0] for own in parts if own[1:2] == ("task2",)}
    systems: dict[str, dict[str, bytes]] = {}
    problems = []
    for path, content in paths.items():
        *folders, file = path.parts
        if path.parts[0] in others:
            continue
        if len(folders) == len(above) + 1 and tuple(folders[:-1]) == above:
            systems.setdefault(folders[-1], {})[file] = content
        else:
            problems.append(f"{path}: lies elsewhere; a system's files lie in task2/<label>/.")
    return systems, problems


def _compare(file: str, names: set[str], reference: set[str]) -> list[str]:
    missing, extra = sorted(reference - names), sorted(names - reference)
    problems = []
    if missing:
        problems.append(f"{file}: {plural(len(missing), 'clip')} missing, such as {missing[0]}.")
    if extra:
        problems.append(f"{file}: {plural(len(extra), 'clip')} too many, such as {extra[0]}.")
    return problems


def _check_csv(file: str, content: bytes, kind: str) -> tuple[set[str], list[str]]:
    problems: list[str] = []
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        return set(), [f"{file}: not UTF-8 text (byte {error.start})."]
    if text.startswith("\ufeff"):
        problems.append(f"{file}: begins with a byte order mark; the first name would not match.")
        text = text[1:]
    if not text:
        return set(), [*problems, f"{file}: empty."]
    names: set[str] = set()
    try:
        lines = list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        return set(), [*problems, f"{file}: not a table ({error})."]
    for number, cells in enumerate(lines, start=1):
        where = f"{file}, line {number}"
        if not any(cell.strip() for cell in cells):
            problems.append(f"{where}: blank line.")
        elif len(cells) != 2:
            problems.append(
                f"{where}: {plural(len(cells), 'column')}; 2 are needed: file.wav,value."
            )
        elif not cells[0].lower().endswith(".wav"):
            what = "a header" if number == 1 else "not a wav name"
            problems.append(
                f"{where}: {what} ({cells[0]!r}); only file.wav,value lines belong here."
            )
        else:
            name, value = composed(cells[0]), cells[1]
            if "/" in name or "\\" in name:
                problems.append(f"{where}: {name!r} has a path; only the file name belongs here.")
            if name in names:
                problems.append(f"{where}: {name} is listed more than once.")
            names.add(name)
            problems += _check_value(where, value, kind)
    return names, problems


def _check_value(where: str, value: str, kind: str) -> list[str]:
    if kind == DECISIONS:
        return [] if value in ("0", "1") else [f"{where}: decision {value!r}; allowed are 0 and 1."]
    try:
        finite = np.isfinite(float(value))
    except ValueError:
        return [f"{where}: score {value!r} is not a number."]
    return [] if finite else [f"{where}: score {value!r} is not finite."]


def _check_meta(label: str, own: Mapping[str, bytes]) -> list[str]:
    problems = []
    file = f"{label}/{label}.meta.yaml"
    try:
        check_label(label)
    except AsdError as error:
        problems.append(str(error))
    if f"{label}.meta.yaml" not in own:
        return [*problems, f"{file}: missing."]
    try:
        content = parse_yaml(own[f"{label}.meta.yaml"].decode("utf-8"), aliases=True)
    except ValueError as error:
        return [*problems, f"{file}: cannot be read ({error})."]
    if not isinstance(content, dict):
        return [*problems, f"{file}: holds no keys."]
    for group, keys in _KEYS.items():
        section = content.get(group)
        if not isinstance(section, dict) or keys - set(section):
            lacking = keys - set(section if isinstance(section, dict) else ())
            problems.append(f"{file}: {group} lacks {', '.join(sorted(lacking))}.")
    about = content.get("submission")
    stated = about.get("label") if isinstance(about, dict) else None
    if stated != label:
        shown = reprlib.repr(stated)
        problems.append(f"{file}: label {shown} differs from its folder's name.")
    return problems


def _read_package(package: Path) -> tuple[dict[str, bytes], list[str]]:
    """Contents of the files by their names in NFC, and what is wrong with the package as such."""
    if package.is_dir():
        paths = sorted(p for p in package.rglob("*") if p.is_file())
        kept = [p for p in paths if p.suffix not in (".zip", ".part")]
        found = {p.relative_to(package).as_posix(): p for p in kept}
        shown = {name: p for name, p in found.items() if not _foreign(name)}
        if sum(p.stat().st_size for p in shown.values()) > _MOST_BYTES:
            return {}, [f"{package}: holds more than {_MOST_BYTES:,} bytes; no package does."]
        contents = {composed(name): content_of(p) for name, p in shown.items()}
        return contents, twins(map(PurePosixPath, shown))
    try:
        content = read_bytes(package, _MOST_BYTES)
    except FileNotFoundError:
        raise AsdError(f"{package}: no such folder or zip.") from None
    except OSError as error:
        raise AsdError(f"{package}: cannot be read ({error.strerror}).") from None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [e for e in archive.infolist() if not e.filename.endswith("/")]
            own = [e for e in entries if not _foreign(e.filename)]
            if sum(e.file_size for e in own) > _MOST_BYTES:
                return {}, [f"{package}: unpacks to more than {_MOST_BYTES:,} bytes."]
            unsafe = [e.filename for e in entries if not _is_inside(PurePosixPath(e.filename))]
            if unsafe:
                return {}, [f"{package}: {unsafe[0]!r} points out of the package, or nowhere."]
            counts = Counter(e.filename for e in entries)
            twice = sorted(name for name, count in counts.items() if count > 1)
            problems = [f"{package}: {name} is in the zip more than once." for name in twice]
            problems += twins(PurePosixPath(e.filename) for e in own)
            return {composed(e.filename): archive.read(e) for e in own}, problems
    except _BROKEN_ZIP as error:
        reason = textwrap.shorten(str(error), 200, placeholder="...")  # it may hold a whole header
        return {}, [f"{package}: not a readable zip ({reason})."]


def _is_inside(path: PurePosixPath) -> bool:
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _foreign(name: str) -> bool:
    """Tell whether file managers or this package left a file there, unasked."""
    return any(is_foreign(part) for part in PurePosixPath(name).parts)
