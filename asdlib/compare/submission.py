"""Submission packages of DCASE 2026 Task 2: written and zipped.

:mod:`asdlib.compare.validation` reads them as the official evaluator does.
Notebook: 08_submission.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
import zipfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from asdlib.autoencoder import SeedAutoencoder
from asdlib.clipstats import VIEWS
from asdlib.compare.score_files import csv_lines
from asdlib.compare.systems import PAPER, Applied, System
from asdlib.compare.validation import DECISIONS, SCORES, check_label, file_name
from asdlib.compare.validation import validate as validate
from asdlib.frontends import COMBINATIONS
from asdlib.guard import PerClip
from asdlib.io import folders
from asdlib.io.files import read_bytes, replacing, write_text
from asdlib.params import AsdError, Params
from asdlib.study.runs import Model

_DESCRIPTION = (
    *("input_sampling_rate", "data_augmentation", "front_end", "acoustic_features", "embeddings"),
    *("machine_learning_method", "aggregation_method", "domain_adaptation_method"),
    *("domain_generalization_method", "ensemble_method_subsystem_count", "decision_making"),
    *("attribute_usage", "external_data_usage", "development_data_usage"),
)
_NULL = re.compile(r"(?<=: )null$", re.MULTILINE)  # PyYAML quotes a text that reads so


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
    description : values for the keys of ``system.description``; others stay null.
    results : table of :func:`asdlib.metrics.evaluate`; given in percent with two decimals.
    """
    development = {}
    for machine, row in (results if results is not None else pd.DataFrame()).iterrows():
        values = row[["auc_source", "auc_target", "pauc"]]
        if values.notna().all():
            development[str(machine)] = {k: round(100 * float(v), 2) for k, v in values.items()}
    return {
        "submission": {"label": label, "name": name, "abbreviation": abbreviation}
        | {"authors": [_author()]},
        "system": {
            "description": {key: description.get(key) for key in _DESCRIPTION},
            "complexity": {"total_parameters": total_parameters},
            "external_datasets": [{"name": None, "url": None}],
            "source_code": None,
        },
        "results": {"development_dataset": development},
    }


def _author() -> dict[str, Any]:
    """To be filled in by hand."""
    who = dict.fromkeys(("firstname", "lastname", "email"))
    place = dict.fromkeys(("institution", "department", "location"))
    return {**who, "corresponding": True, "affiliation": place}


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
    check_label(label)
    target = Path(folder) / "task2" / label
    target.mkdir(parents=True, exist_ok=True)
    for kind, values in ((SCORES, scores), (DECISIONS, decisions)):
        for machine, clips in values.items():
            if not isinstance(clips, PerClip):
                found = type(clips).__name__
                raise AsdError(f"{label}, {machine}: found {found}; only PerClip can be submitted.")
            number = repr if kind == SCORES else lambda value: str(int(value))
            lines = io.StringIO(newline="")
            rows = csv.writer(lines, lineterminator="\n")  # a name may hold a comma
            rows.writerows((name, number(value)) for name, value in sorted(clips.items()))
            write_text(lines.getvalue(), target / file_name(kind, machine))
    dumped = yaml.safe_dump(description, sort_keys=False, allow_unicode=True)
    write_text(_NULL.sub("!!null", dumped), target / f"{label}.meta.yaml")
    return target


def write_all(
    folder: Path,
    applied: Applied,
    machines: Collection[str],
    params: Params,
    systems: Sequence[System] = PAPER,
) -> Path:
    """Write every system that could be formed, for these machines, and the zip of them all.

    Parameters
    ----------
    applied : of :func:`asdlib.compare.systems.apply_all`.
    machines : those whose test clips are submitted.
    systems : at most four, the most that one team may submit.

    Returns
    -------
    Path of ``task2.zip``.
    """
    folders.managed(Path(folder), "the parameter results or name")
    if (written := Path(folder) / "task2").exists():
        shutil.rmtree(written)  # a system of an earlier run must not stay in the zip
    for system in systems:
        own = applied[system.name]
        if not own.members:
            continue
        label = label_of(system, params)
        description = meta(
            label,
            name=system.title,
            abbreviation=system.name,
            description=_describe(system, own.members, params),
            total_parameters=_total_parameters(own.members, params),
            results=own.evaluate(),
        )
        chosen = {m: own.scored[m] for m in machines if m in own.scored}
        scores = {machine: one.scores for machine, one in chosen.items()}
        decisions = {machine: one.decisions for machine, one in chosen.items()}
        write_system(folder, label, scores, decisions, description)
    return pack(folder)


def read_scores(package: Path, label: str, machine: str) -> PerClip:
    """Read the anomaly scores that a written package holds."""
    path = Path(package) / "task2" / label / file_name(SCORES, machine)
    rows = csv_lines(read_bytes(path), path)
    return PerClip([float(value) for _, value in rows], [name for name, _ in rows])


def label_of(system: System, params: Params) -> str:
    """Return the label of a system in this team's package; S5 is alone in a package of its own."""
    number = PAPER.index(system) + 1 if system in PAPER else 1
    return f"{params.team.author}_{params.team.institute}_task2_{number}"


def pack(folder: Path) -> Path:
    """Zip ``<folder>/task2``; the same files give the same bytes."""
    folder = Path(folder)
    files = sorted(p for p in (folder / "task2").rglob("*") if p.is_file())
    path = folder / "task2.zip"
    with replacing(path) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())
    return path


def _describe(system: System, members: Collection[Model], params: Params) -> dict[str, Any]:
    by_domain = any(scorer == "s1" for _, scorer in system.views)
    generalisation = "residual statistics by domain" if by_domain else None
    return {
        "input_sampling_rate": f"{params.spectra.sample_rate / 1000:g} kHz",
        "front_end": " and ".join(system.front_ends),
        "acoustic_features": "log-mel energies" if system.trained else "clip statistics",
        "machine_learning_method": "AE" if system.trained else "Mahalanobis distance",
        "aggregation_method": "average" if system.fusion == "mean" else system.fusion,
        "domain_generalization_method": generalisation if system.trained else "centre per domain",
        "ensemble_method_subsystem_count": _subsystems(members),
        "decision_making": f"{params.scoring.quantile:g} quantile of training-normal scores"
        if system.trained
        else f"p value by held-out scores at most {1 - params.scoring.quantile:g}",
        "development_data_usage": "selection of models" if system.selected else None,
    }


def _total_parameters(members: Collection[Model], params: Params) -> int:
    """Trainable values of all networks of an ensemble; 0 without training."""
    values = params.spectra.stack * params.spectra.n_mels
    one = SeedAutoencoder(values, [0], params.autoencoder).parameters_per_seed
    return one * _subsystems([model for model in members if model[1] not in VIEWS])


def _subsystems(members: Collection[Model]) -> int:
    """Models of an ensemble; a combination counts its parts."""
    return sum(len(COMBINATIONS.get(name, (name,))) for name, _, _ in members)
