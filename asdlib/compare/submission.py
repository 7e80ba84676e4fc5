"""Submission packages of DCASE 2026 Task 2: written, zipped, and read as the evaluator reads them.

The evaluator sorts both columns by name and aligns them by position; it skips a whole system when
one file is missing, and says nothing. :func:`validate` does. Notebook: 05_submission.
"""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import yaml

from asdlib.autoencoder import SeedAutoencoder
from asdlib.compare.systems import SYSTEMS, Results, System
from asdlib.frontends import COMBINATIONS
from asdlib.guard import PerClip
from asdlib.params import AsdError, Params

MOST_SYSTEMS = 4
_LABEL = re.compile(r"[A-Za-z]+_[A-Za-z0-9]{1,10}_task2_[1-4]")
_FILE = re.compile(r"(anomaly_score|decision_result)_(.+)_section_00_test\.csv")
_DESCRIPTION = (
    "input_sampling_rate", "data_augmentation", "front_end", "acoustic_features", "embeddings",
    "machine_learning_method", "aggregation_method", "domain_adaptation_method",
    "domain_generalization_method", "ensemble_method_subsystem_count", "decision_making",
    "attribute_usage", "external_data_usage", "development_data_usage",
)  # fmt: skip
_KEYS = {
    "submission": {"label", "name", "abbreviation", "authors"},
    "system": {"description", "complexity", "external_datasets", "source_code"},
    "results": {"development_dataset"},
}
_AUTHOR = {
    "firstname": None, "lastname": None, "email": None, "corresponding": True,
    "affiliation": {"institution": None, "department": None, "location": None},
}  # fmt: skip


def meta(
    label: str,
    *,
    name: str,
    abbreviation: str,
    description: Mapping[str, Any],
    total_parameters: int,
    results: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Describe a system with the keys of the 2026 meta file; what is not known stays null.

    Parameters
    ----------
    label : ``Name_INST_task2_N``, institute at most 10 characters, N from 1 to 4.
    description : values for the keys of ``system.description``; others stay null.
    results : table of :func:`asdlib.metrics.evaluate`; given in percent with two decimals.

    Raises
    ------
    AsdError
        For a label of another form, or an unknown key of the description.
    """
    _check_label(label)
    unknown = set(description) - set(_DESCRIPTION)
    if unknown:
        raise AsdError(f"Unknown description key {min(unknown)!r}; known: {_DESCRIPTION}.")
    development = {}
    for machine, row in (results if results is not None else pd.DataFrame()).iterrows():
        values = row[["auc_source", "auc_target", "pauc"]]
        if values.notna().all():
            development[str(machine)] = {k: round(100 * float(v), 2) for k, v in values.items()}
    return {
        "submission": {
            "label": label,
            "name": name,
            "abbreviation": abbreviation,
            "authors": [dict(_AUTHOR, affiliation=dict(_AUTHOR["affiliation"]))],  # type: ignore[arg-type]
        },
        "system": {
            "description": {key: description.get(key) for key in _DESCRIPTION},
            "complexity": {"total_parameters": total_parameters},
            "external_datasets": [{"name": None, "url": None}],
            "source_code": None,
        },
        "results": {"development_dataset": development},
    }


def write_system(
    folder: Path,
    label: str,
    scores: Mapping[str, Any],
    decisions: Mapping[str, Any],
    description: Mapping[str, Any],
) -> Path:
    """Write one system into ``<folder>/task2/<label>/``: two files per machine and the meta file.

    Parameters
    ----------
    scores, decisions : machine to guarded values, named by file; decisions are yes or no.
    description : of :func:`meta`.

    Returns
    -------
    The system's folder.
    """
    _check_label(label)
    target = Path(folder) / "task2" / label
    target.mkdir(parents=True, exist_ok=True)
    for kind, values in (("anomaly_score", scores), ("decision_result", decisions)):
        for machine, clips in values.items():
            if not isinstance(clips, PerClip):
                raise AsdError(
                    f"{label}, {machine}: found {type(clips).__name__}; only PerClip can be "
                    "submitted."
                )
            number = repr if kind == "anomaly_score" else lambda value: str(int(value))
            lines = [f"{name},{number(value)}\n" for name, value in sorted(clips.items())]
            _write(target / f"{kind}_{machine}_section_00_test.csv", "".join(lines))
    dumped = yaml.dump(description, Dumper=_NullDumper, sort_keys=False, allow_unicode=True)
    _write(target / f"{label}.meta.yaml", dumped.replace(_NULL, "!!null"))
    return target


def write_all(folder: Path, results: Results, machines: Collection[str], params: Params) -> Path:
    """Write every system that could be chosen, for these machines, and the zip of them all.

    Parameters
    ----------
    results : :class:`asdlib.compare.systems.Applied` by system.
    machines : those whose test clips are submitted.

    Returns
    -------
    Path of ``task2.zip``.
    """
    shutil.rmtree(Path(folder) / "task2", ignore_errors=True)
    for system in SYSTEMS:
        applied = results[system.name]
        if not applied.members:
            continue
        label = label_of(system, params)
        description = meta(
            label,
            name=system.title,
            abbreviation=system.name,
            description=_describe(system, applied.members, params),
            total_parameters=_total_parameters(applied.members, params),
            results=applied.evaluate(),
        )
        chosen = {m: applied.scored[m] for m in machines if m in applied.scored}
        scores = {m: s.scores for m, s in chosen.items()}
        write_system(
            folder, label, scores, {m: s.decisions for m, s in chosen.items()}, description
        )
    return pack(folder)


def read_scores(package: Path, label: str, machine: str) -> PerClip:
    """Read the anomaly scores that a written package holds."""
    path = Path(package) / "task2" / label / f"anomaly_score_{machine}_section_00_test.csv"
    rows = [line.rsplit(",", 1) for line in path.read_text(encoding="utf-8").splitlines()]
    return PerClip([float(value) for _, value in rows], [name for name, _ in rows])


def label_of(system: System, params: Params) -> str:
    """Return the label of a system in this team's package."""
    return f"{params.team.author}_{params.team.institute}_task2_{SYSTEMS.index(system) + 1}"


def pack(folder: Path) -> Path:
    """Zip ``<folder>/task2``; the same files give the same bytes."""
    folder = Path(folder)
    files = sorted(p for p in (folder / "task2").rglob("*") if p.is_file())
    beside, path = folder / ".task2.zip.part", folder / "task2.zip"
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())
    os.replace(beside, path)
    return path


def validate(package: Path, expected: Mapping[str, Collection[str]] | None = None) -> list[str]:
    """Say everything that the evaluator would skip or misalign without a word.

    Parameters
    ----------
    package : a zip, or a folder: that of one system, ``task2``, or the one above it.
    expected : machine to the file names of its test clips; without it the systems and their score
        and decision files are held against each other.

    Returns
    -------
    One sentence per problem; none for a good package.
    """
    package = Path(package)
    files, problems = _read_package(package)
    systems: dict[str, dict[str, bytes]] = {}
    for path, content in files.items():
        parent = PurePosixPath(path).parent.name or package.resolve().name
        systems.setdefault(parent, {})[PurePosixPath(path).name] = content
    systems = {
        name: own for name, own in systems.items()
        if any(_FILE.fullmatch(f) or f.endswith(".meta.yaml") for f in own)
    }  # fmt: skip
    if not systems:
        return problems or [f"{package}: holds no system (task2/<label>/ with CSV files)."]
    if len(systems) > MOST_SYSTEMS:
        problems.append(f"{package}: {len(systems)} systems; at most {MOST_SYSTEMS} are allowed.")
    machines = set(expected or ()) | {
        match[2] for own in systems.values() for f in own if (match := _FILE.fullmatch(f))
    }
    reference: dict[str, set[str]] = {m: set(names) for m, names in (expected or {}).items()}
    for label, own in sorted(systems.items()):
        problems += _check_meta(label, own)
        for stray in sorted(own):
            if not _FILE.fullmatch(stray) and stray != f"{label}.meta.yaml":
                problems.append(f"{label}/{stray}: not a file of a submission.")
        for machine in sorted(machines):
            for kind in ("anomaly_score", "decision_result"):
                file = f"{kind}_{machine}_section_00_test.csv"
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


def _compare(file: str, names: set[str], reference: set[str]) -> list[str]:
    missing, extra = sorted(reference - names), sorted(names - reference)
    problems = []
    if missing:
        problems.append(f"{file}: {len(missing)} clip(s) missing, such as {missing[0]}.")
    if extra:
        problems.append(f"{file}: {len(extra)} clip(s) too many, such as {extra[0]}.")
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
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    names: set[str] = set()
    for number, line in enumerate(lines, start=1):
        where = f"{file}, line {number}"
        cells = line.split(",")
        if not line.strip():
            problems.append(f"{where}: blank line.")
        elif len(cells) != 2:
            problems.append(f"{where}: {len(cells)} column(s); 2 are needed: file.wav,value.")
        elif not cells[0].endswith(".wav"):
            what = "a header" if number == 1 else "not a wav name"
            problems.append(
                f"{where}: {what} ({cells[0]!r}); only file.wav,value lines belong here."
            )
        else:
            name, value = cells
            if "/" in name or "\\" in name:
                problems.append(f"{where}: {name!r} has a path; only the file name belongs here.")
            if name in names:
                problems.append(f"{where}: {name} stands there more than once.")
            names.add(name)
            problems += _check_value(where, value, kind)
    return names, problems


def _check_value(where: str, value: str, kind: str) -> list[str]:
    if kind == "decision_result":
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
        _check_label(label)
    except AsdError as error:
        problems.append(str(error))
    if f"{label}.meta.yaml" not in own:
        return [*problems, f"{file}: missing."]
    try:
        content = yaml.safe_load(own[f"{label}.meta.yaml"].decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return [*problems, f"{file}: cannot be read ({' '.join(str(error).split())})."]
    if not isinstance(content, dict):
        return [*problems, f"{file}: holds no keys."]
    for group, keys in _KEYS.items():
        section = content.get(group)
        if not isinstance(section, dict) or keys - set(section):
            lacking = keys - set(section if isinstance(section, dict) else ())
            problems.append(f"{file}: {group} lacks {', '.join(sorted(lacking))}.")
    stated = (content.get("submission") or {}).get("label")
    if stated != label:
        problems.append(f"{file}: label {stated!r} differs from its folder's name.")
    return problems


def _check_label(label: str) -> None:
    if not _LABEL.fullmatch(label):
        raise AsdError(
            f"{label}: not a label of the form Name_INST_task2_N (institute at most 10 "
            "characters, N from 1 to 4)."
        )


def _read_package(package: Path) -> tuple[dict[str, bytes], list[str]]:
    if package.is_dir():
        paths = sorted(p for p in package.rglob("*") if p.is_file())
        outside = [p for p in paths if p.suffix in (".zip", ".part")]
        kept = (p for p in paths if p not in outside)
        return {p.relative_to(package).as_posix(): p.read_bytes() for p in kept}, []
    try:
        with zipfile.ZipFile(package) as archive:
            entries = [e for e in archive.infolist() if not e.is_dir()]
            unsafe = [
                e.filename for e in entries
                if e.filename.startswith("/") or ".." in PurePosixPath(e.filename).parts
            ]  # fmt: skip
            if unsafe:
                return {}, [f"{package}: {unsafe[0]!r} points out of the package."]
            counts = Counter(e.filename for e in entries)
            twice = sorted(name for name, count in counts.items() if count > 1)
            problems = [f"{package}: {name} is in the zip more than once." for name in twice]
            return {e.filename: archive.read(e) for e in entries}, problems
    except FileNotFoundError:
        raise AsdError(f"{package}: no such folder or zip.") from None
    except (zipfile.BadZipFile, OSError, RuntimeError) as error:
        return {}, [f"{package}: not a readable zip ({error})."]


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text, encoding="utf-8", newline="\n")
    os.replace(beside, path)


class _NullDumper(yaml.SafeDumper):
    """Marks nulls, which YAML writers leave out, so that they can be written as ``!!null``."""


_NULL = "__null__"
_NullDumper.add_representer(
    type(None), lambda dumper, _: dumper.represent_scalar("tag:yaml.org,2002:str", _NULL)
)


def _describe(
    system: System, members: Collection[tuple[str, int]], params: Params
) -> dict[str, Any]:
    by_domain = system.scorer == "s1"
    return {
        "input_sampling_rate": f"{params.spectra.sample_rate / 1000:g} kHz",
        "front_end": " and ".join(system.front_ends),
        "acoustic_features": "log-mel energies",
        "machine_learning_method": "AE",
        "aggregation_method": "average",
        "domain_generalization_method": "residual statistics by domain" if by_domain else None,
        "ensemble_method_subsystem_count": _networks(members),
        "decision_making": f"{params.scoring.quantile:g} quantile of training-normal scores",
        "development_data_usage": "selection of models" if system.selected else None,
    }


def _total_parameters(members: Collection[tuple[str, int]], params: Params) -> int:
    """Trainable values of all networks of an ensemble."""
    values = params.spectra.stack * params.spectra.n_mels
    one = SeedAutoencoder(values, [0], params.autoencoder).parameters_per_seed
    return one * _networks(members)


def _networks(members: Collection[tuple[str, int]]) -> int:
    """Networks of an ensemble; a combination counts its parts."""
    return sum(len(COMBINATIONS.get(name, (name,))) for name, _ in members)
