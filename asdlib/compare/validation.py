"""Submission packages of DCASE 2026 Task 2: the form that they must have, and a check of it.

The official evaluator sorts both columns by name and aligns them by position. It skips a whole
system when one file is missing, without a message. Notebook: 06_decisions.
"""

from __future__ import annotations

import codecs
import io
import lzma
import re
import reprlib
import textwrap
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from asdlib import dataset
from asdlib.io.files import cells_of, parse_yaml, read_bytes
from asdlib.io.folders import composed, is_foreign, twins
from asdlib.runtime.errors import AsdError, plural

MOST_SYSTEMS = 4
SCORES, DECISIONS = KINDS = ("anomaly_score", "decision_result")
"""A system has a file of either kind for every machine."""
_AUTHOR = dict.fromkeys(("firstname", "lastname", "email"), None) | {
    "corresponding": True,
    "affiliation": dict.fromkeys(("institution", "department", "location")),
}
_DESCRIPTION = (
    *("input_sampling_rate", "data_augmentation", "front_end", "acoustic_features", "embeddings"),
    *("machine_learning_method", "aggregation_method", "domain_adaptation_method"),
    *("domain_generalization_method", "ensemble_method_subsystem_count", "decision_making"),
    *("attribute_usage", "external_data_usage", "development_data_usage"),
)
META: dict[str, dict[str, Any]] = {
    "submission": {"label": None, "name": None, "abbreviation": None, "authors": [_AUTHOR]},
    "system": {
        "description": dict.fromkeys(_DESCRIPTION),
        "complexity": {"total_parameters": None},
        "external_datasets": [{"name": None, "url": None}],
        "source_code": None,
    },
    "results": {"development_dataset": {}},
}
"""The meta file of 2026, with all its keys. The authors are filled in by hand."""

_MOST_BYTES = 2**28  # of a package; one of ten machines has less than a megabyte
_BROKEN_ZIP = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError),
    *(RuntimeError, ValueError, MemoryError),  # encrypted, of an unknown kind, of absurd sizes
)
_LABEL = re.compile(r"[A-Za-z]+_[A-Za-z0-9]{1,10}_task2_[1-4]")
_FILE = re.compile(rf"({SCORES}|{DECISIONS})_(.+)_section_00_test\.csv")


def file_name(kind: str, machine: str) -> str:
    """Name of a machine's score or decision file; ``kind`` is one of :data:`KINDS`."""
    return f"{kind}_{machine}_section_00_test.csv"


def label_problem(label: str) -> str:
    """Say that a label is not ``Name_INST_task2_N``; empty where it is.

    >>> label_problem("Doe_Uni_task2_4"), label_problem("Doe_Uni_task2_5")[:28]
    ('', 'Doe_Uni_task2_5: not a label')
    """
    form = "Name_INST_task2_N (institute at most 10 characters, N from 1 to 4)"
    return "" if _LABEL.fullmatch(label) else f"{label}: not a label of the form {form}."


def expected_clips(data: str | Path) -> dict[str, set[str]]:
    """Names of the test clips that a package must cover, by machine.

    Parameters
    ----------
    data : folder of the recordings. Where some test clips are concealed, these are meant.
    """
    clips = dataset.scan(data)
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

    Raises
    ------
    AsdError
        For what cannot be read as a package at all.
    """
    package = Path(package)
    contents = _contents(package)
    counts = Counter(path for path, _ in contents)
    twice = [path for path, count in counts.items() if count > 1]
    problems = [f"{package}: {path} is in the zip more than once." for path in twice]
    files = {PurePosixPath(composed(str(path))): content for path, content in contents}
    systems, misplaced = _by_system(files, package.resolve().name)
    problems += [*twins(counts), *misplaced]
    if not systems:
        return problems or [f"{package}: holds no system (task2/<label>/ with CSV files)."]
    if len(systems) > MOST_SYSTEMS:
        problems.append(f"{package}: {len(systems)} systems; at most {MOST_SYSTEMS} are allowed.")
    machines = {match[2] for own in systems.values() for f in own if (match := _FILE.fullmatch(f))}
    clips = {machine: set(map(composed, names)) for machine, names in (expected or {}).items()}
    if expected is not None:
        unknown = sorted(machines - clips.keys())
        problems += [f"{package}: {machine} is not an expected machine." for machine in unknown]
    places = list(product(sorted(machines | clips.keys()), KINDS))
    for label, own in sorted(systems.items()):
        problems += filter(None, [label_problem(label)])
        checks = {f"{label}.meta.yaml": partial(_check_meta, label)}
        checks |= {file_name(kind, m): partial(_check_csv, kind, m, clips) for m, kind in places}
        for stray in sorted(own.keys() - checks.keys()):
            problems.append(f"{label}/{stray}: not a file of a submission.")
        for file, check in checks.items():
            if file in own:
                problems += check(f"{label}/{file}", own[file])
            else:
                why = "; the evaluator would skip the whole system" * file.endswith(".csv")
                problems.append(f"{label}/{file}: missing{why}.")
    return problems


def _contents(package: Path) -> list[tuple[PurePosixPath, bytes]]:
    """Files of a folder or zip, but for what file managers leave there."""
    try:
        files = [own for own in _files(package) if not any(map(is_foreign, own[0].parts))]
        if sum(size for _, size, _ in files) > _MOST_BYTES:
            raise AsdError(f"{package}: holds more than {_MOST_BYTES:,} bytes; no package does.")
        return [(path, read()) for path, _, read in files]
    except AsdError:
        raise
    except _BROKEN_ZIP as error:
        reason = textwrap.shorten(str(error), 200, placeholder="...")  # it may hold a whole header
        raise AsdError(f"{package}: not a readable zip ({reason}).") from None


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
    if not any(path.parts[:1] == ("task2",) and len(path.parts) > 1 for path in files):
        alone = all(len(path.parts) == 1 for path in files)
        above = PurePosixPath("task2", *([name] if alone else []))
        files = {above / path: content for path, content in files.items()}
    others = {path.parts[0] for path in files if path.parts[1:2] == ("task2",)}
    systems: dict[str, dict[str, bytes]] = {}
    problems = []
    for path, content in files.items():
        if path.parts[0] == "task2" and len(path.parts) == 3:
            systems.setdefault(path.parts[1], {})[path.name] = content
        elif path.parts[0] not in others:
            problems.append(f"{path}: lies elsewhere; a system's files lie in task2/<label>/.")
    return systems, problems


def _check_csv(
    kind: str, machine: str, clips: dict[str, set[str]], file: str, content: bytes
) -> Iterator[str]:
    """Check the lines of one file; the first file of a machine tells the clips of the others."""
    if content.startswith(codecs.BOM_UTF8):
        yield f"{file}: begins with a byte order mark; the first name would not match."
    try:
        lines = cells_of(content, file, ",")
    except AsdError as error:
        yield str(error)
        return
    if not lines:
        yield f"{file}: empty."
    for number, cells in enumerate(lines, start=1):
        if problem := _problem_of(cells, kind):
            yield f"{file}, line {number}: {problem}."
    counts = Counter(composed(cells[0]) for cells in lines if len(cells) == 2)
    yield from (f"{file}: {name} is listed more than once." for name in counts if counts[name] > 1)
    names, reference = set(counts), clips.setdefault(machine, set(counts))
    for others, what in ((reference - names, "missing"), (names - reference, "too many")):
        if others:
            yield f"{file}: {plural(len(others), 'clip')} {what}, such as {min(others)}."


def _problem_of(cells: list[str], kind: str) -> str:
    """What is wrong with a line; empty where it is good."""
    if not any(cell.strip() for cell in cells):
        return "blank line"
    if len(cells) != 2:
        return f"{plural(len(cells), 'column')}; 2 are needed: file.wav,value"
    name, value = cells
    if not name.lower().endswith(".wav"):
        return f"{name!r} is not a wav name; only file.wav,value lines belong here, no header"
    if "/" in name or "\\" in name:
        return f"{name!r} has a path; only the file name belongs here"
    if kind == DECISIONS and value not in ("0", "1"):
        return f"decision {value!r}; allowed are 0 and 1"
    if not np.isfinite(pd.to_numeric(value, errors="coerce")):
        return f"score {value!r} is not a finite number"
    return ""


def _check_meta(label: str, file: str, content: bytes) -> Iterator[str]:
    """Check the keys of a meta file."""
    try:
        found = parse_yaml(content, aliases=True)
    except ValueError as error:
        yield f"{file}: cannot be read ({error})."
        return
    sections = found if isinstance(found, dict) else {}
    for group, keys in META.items():
        own: Any = sections.get(group)
        if missing := sorted(keys.keys() - (own if isinstance(own, dict) else {})):
            yield f"{file}: {group} lacks {', '.join(missing)}."
        elif group == "submission" and own["label"] != label:
            stated = reprlib.repr(own["label"])
            yield f"{file}: label {stated} differs from its folder's name."
