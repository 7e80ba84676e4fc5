"""Submission packages of DCASE 2026 Task 2: written and zipped.

:mod:`asdlib.compare.validation` reads them as the official evaluator does.
Notebook: 06_decisions.
"""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from asdlib import metrics
from asdlib.compare.statistics import PARTS, Results
from asdlib.compare.systems import PAPER, System, decisions, guarded
from asdlib.compare.validation import DECISIONS, META, SCORES, file_name, label_problem
from asdlib.frontends import COMBINATIONS
from asdlib.guard import PerClip
from asdlib.io import folders
from asdlib.io.files import cells_of, read_bytes, replacing, write_text
from asdlib.params import AsdError, Params

_NULL = re.compile(r"(?<=: )null$", re.MULTILINE)  # PyYAML quotes a text that reads so


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
    description : of :func:`describe`.

    Returns
    -------
    The system's folder.
    """
    if problem := label_problem(label):
        raise AsdError(problem)
    target = Path(folder) / "task2" / label
    target.mkdir(parents=True, exist_ok=True)
    for kind, values in ((SCORES, scores), (DECISIONS, decisions)):
        for machine, clips in values.items():
            if not isinstance(clips, PerClip):
                found = type(clips).__name__
                raise AsdError(f"{label}, {machine}: found {found}; only PerClip can be submitted.")
            number: Callable[[float], str | int] = repr if kind == SCORES else int
            lines = pd.Series({name: number(value) for name, value in sorted(clips.items())})
            written = lines.to_csv(header=False, lineterminator="\n")
            write_text(written, target / file_name(kind, machine))
    dumped = yaml.safe_dump(description, sort_keys=False, allow_unicode=True)
    write_text(_NULL.sub("!!null", dumped), target / f"{label}.meta.yaml")
    return target


def write_all(
    folder: Path,
    results: Results,
    machines: Collection[str],
    params: Params,
    systems: Sequence[System] = PAPER,
) -> Path:
    """Write every system that can be formed, for these machines, and the zip of them all.

    Parameters
    ----------
    machines : those whose test clips are submitted.
    systems : at most four, the most that one team may submit.

    Returns
    -------
    Path of ``task2.zip``.
    """
    folders.managed(Path(folder), "the parameter results or name")
    if (written := Path(folder) / "task2").exists():
        shutil.rmtree(written)  # a system of an earlier run must not stay in the zip
    decided = decisions(results, params.scoring.quantile, systems)
    decided = decided[decided["machine"].isin(list(machines))]
    for system in systems:
        if not system.members(results.per_seed):
            continue
        own = decided.loc[decided["system"] == system.name, "machine"].unique()
        scores, alarms = (
            {machine: guarded(decided, system.name, machine, column) for machine in own}
            for column in ("score", "decision")
        )
        label = label_of(system, params)
        write_system(folder, label, scores, alarms, describe(system, results, label, params))
    return pack(folder)


def read_scores(package: Path, label: str, machine: str) -> PerClip:
    """Read the anomaly scores that a written package holds."""
    path = Path(package) / "task2" / label / file_name(SCORES, machine)
    rows = cells_of(read_bytes(path), path)
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


def describe(system: System, results: Results, label: str, params: Params) -> dict[str, Any]:
    """Fill in the meta file of a system with the keys of 2026; what is not known stays null.

    A combination counts as many models as it has parts. Values are given in percent with two
    decimals.
    """
    members = system.members(results.per_seed)
    models = sum(len(COMBINATIONS.get(name, (name,))) for name, _, _ in members)
    description = {
        "input_sampling_rate": f"{params.spectra.sample_rate / 1000:g} kHz",
        "front_end": " and ".join(dict.fromkeys(front_end for front_end, _ in system.views)),
        "aggregation_method": "average" if system.fusion == "mean" else system.fusion,
        "ensemble_method_subsystem_count": models,
        "development_data_usage": "selection of models" if system.selected else None,
    }
    by_domain, q = any(scorer == "s1" for _, scorer in system.views), params.scoring.quantile
    p_value = f"p value by held-out scores at most {1 - q:g}"
    limit = f"{q:g} quantile of training-normal scores"
    domains = "residual statistics by domain" if by_domain else None
    method = {  # without training, and with it
        "acoustic_features": ("clip statistics", "log-mel energies"),
        "machine_learning_method": ("Mahalanobis distance", "AE"),
        "domain_generalization_method": ("centre per domain", domains),
        "decision_making": (p_value, limit),
    }
    description |= {key: either[system.trained] for key, either in method.items()}
    known, found = metrics.labelled(system.scores(results)), {}
    if len(known):
        found = metrics.evaluate(known)[PARTS].dropna().mul(100).round(2).to_dict("index")
    about: dict[str, dict[str, Any]] = {
        "submission": {"label": label, "name": system.title, "abbreviation": system.name},
        "system": {
            "description": META["system"]["description"] | description,
            "complexity": {"total_parameters": models * _size(params) if system.trained else 0},
        },
        "results": {"development_dataset": found},
    }
    return {group: META[group] | own for group, own in about.items()}


def _size(params: Params) -> int:
    """Number of values of one seed's autoencoder."""
    from asdlib.autoencoder import SeedAutoencoder  # brings torch

    values = params.spectra.stack * params.spectra.n_mels
    return SeedAutoencoder(values, [0], params.autoencoder).parameters_per_seed
