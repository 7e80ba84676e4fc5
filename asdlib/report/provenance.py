"""What made a report: parameters, versions, machine, what it costs there, and the paper's figures.

The figures of the paper (``params/reported.yaml``) are never mixed with measured ones.
Notebook: 99_provenance.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

import asdlib
from asdlib import dataset, study
from asdlib.io import folders, official, store
from asdlib.io.files import digest, project_root, resolve, shipped
from asdlib.measure import truth
from asdlib.monitor.recordings import faults
from asdlib.params import Params
from asdlib.study import forecast, scores, stages, tasks, variants
from asdlib.study.recordings import Recordings, open_recordings

_PACKAGES = (
    *("numpy", "scipy", "pandas", "torch", "scikit-learn", "pyroomacoustics"),
    *("papermill", "sphinx", "myst-nb"),
)
_AFTER = ("pages", "chapters", "chapter index", "chapter 99_provenance")


def reported(loader: type = yaml.SafeLoader) -> dict[str, Any]:
    """Read the paper's figures; all are for DCASE 2026 Task 2 development data."""
    text = shipped("params", "reported.yaml").read_text(encoding="utf-8")
    return dict(yaml.load(text, loader))


def reported_table(name: str) -> pd.DataFrame:
    """Return one of the paper's tables as text, with the digits that it prints."""
    return pd.DataFrame(reported(yaml.BaseLoader)[name])


def reported_baseline(machines: Sequence[str]) -> float | None:
    """Omega of the reported baseline, where the machines are the paper's; else none."""
    values = reported()
    theirs = values["table_3"].keys() - {"system", "overall"}
    return values["baseline"]["mahala"] if set(machines) == theirs else None


def parameters(params: Params) -> pd.DataFrame:
    """Every parameter with its value, nested names dotted."""
    flat = pd.json_normalize(params.model_dump(mode="json", exclude={"figures", "results", "data"}))
    return pd.DataFrame({"parameter": flat.columns, "value": flat.iloc[0].map(str).tolist()})


def versions() -> pd.DataFrame:
    """Versions of the package, of its revision, of the libraries, and the machine."""
    rows = {
        "asdlib": asdlib.__version__,
        "revision": revision(),
        "Python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
        "system": platform.system(),
        "processor": f"{platform.machine()}, {os.cpu_count()} cores",
        "defaults": digest(Params()),
    }
    return pd.DataFrame({"what": rows.keys(), "version": rows.values()})


def seconds(params: Params) -> pd.DataFrame:
    """How long each stage and chapter took, when it was last computed on this machine.

    Returns
    -------
    DataFrame with stage and seconds; without the pages and the chapter that shows it, which are
    made after it.
    """
    found = study.stage_seconds(resolve(params.results) / params.name)
    rows = [(stage, own) for stage, own in found.items() if stage not in _AFTER]
    return pd.DataFrame(rows, columns=["stage", "seconds"])


def made(params: Params, recordings: Recordings) -> str:
    """Return when, from what and how long this report was made, and what was trained for it."""
    from asdlib.report.tables import escape  # pages alone need what draws

    models = _models(params, recordings)
    took = sum(seconds(params)["seconds"]) / 60

    source = escape(f"{recordings.describe()}, by params/{params.name}.yaml")
    return (
        f"Made on {date.today()} by revision {revision()} from {source}. "
        f"Autoencoders that were trained: {sum(models.values())}. All processes took "
        f"{took:.1f} min before this page ({{doc}}`/notebooks/99_provenance`)."
    )


def _models(params: Params, recordings: Recordings) -> dict[Path, int]:
    """Folder and number of the autoencoders of every unit that a report computes."""
    own = (params, *variants.studies(params))
    found = ((task, len(one.seeds)) for one in own for task in tasks(one, recordings))
    return {stages.model_folder(task): count for task, count in found}


def revision() -> str:
    """Short git revision of the project, with a mark for uncommitted changes."""
    git = shutil.which("git")
    if git is None or not (project_root() / ".git").exists():
        return "unknown"
    command = [git, "-C", str(project_root()), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def overview(manifest: pd.DataFrame) -> pd.DataFrame:
    """Clips, seconds, sample rates and channels per machine, split, domain and label.

    Parameters
    ----------
    manifest : from :func:`asdlib.dataset.scan`.

    Returns
    -------
    DataFrame indexed by machine, split, domain and label; up to four different lengths and rates.

    Examples
    --------
    >>> clip = {"machine": "fan", "split": "train", "domain": "source", "label": "normal"}
    >>> one = clip | {"name": "0.wav", "seconds": 10.0, "sample_rate": 16000, "channels": 2}
    >>> table = overview(pd.DataFrame([one, one | {"name": "1.wav", "seconds": 12.0}]))
    >>> table[["clips", "seconds"]].to_numpy().tolist()
    [[2, '10, 12']]
    """
    groups = manifest.groupby(["machine", "split", "domain", "label"])

    def distinct(values: pd.Series) -> str:
        return ", ".join(f"{value:g}" for value in sorted(values.unique())[:4])

    told = {column: (column, distinct) for column in ("seconds", "sample_rate", "channels")}
    return groups.agg(clips=("name", "size"), **told)


def before_work(params: Params, *, cost: bool = True) -> Iterator[str]:
    """Yield what is known of the recordings before any work: clips, levels, remarks.

    Parameters
    ----------
    cost : also what a study takes, which is found by a short trial.

    Raises
    ------
    asdlib.dataset.Problems
        One sentence per clip that cannot be used.
    """
    recordings = open_recordings(params, progress=True, strict=False)
    clips = recordings.manifest
    yield overview(clips).to_string()
    if recordings.problems:
        raise dataset.Problems(list(recordings.problems))
    yield f"\nManifest {recordings.digest}: all {len(clips)} clips can be read.\n"
    yield truth.levels(params, recordings).to_string()
    yield from folders.remarks(clips, recordings.root) + official.lacking(clips, recordings.root)
    for machine in recordings.machines:
        for fault in faults(recordings.clips(machine), params.spectra):
            yield f"{machine}: {fault}"
    if cost:
        yield f"\nWith these parameters: {forecast(params, recordings)}"


def made_elsewhere(params: Params, recordings: Recordings) -> str:
    """Name the other hardware that scores were computed on; empty if there is none."""
    found = {str(scores.raw(task).attrs["made_on"]) for task in tasks(params, recordings)}
    if not found:
        return ""
    from asdlib.runtime import hardware  # brings torch

    return ", ".join(sorted(found - {hardware.describe(params.device)}))


def losses(params: Params, recordings: Recordings) -> pd.DataFrame:
    """Learning curves: machine, front_end, seed, epoch, loss; no rows where nothing is trained."""
    if not (own := tasks(params, recordings)):
        return pd.DataFrame()
    from asdlib.study import models  # brings torch

    found = []
    for task in own:
        losses = models.about(task)["losses"]
        epochs = pd.RangeIndex(1, len(losses) + 1, name="epoch")
        curves = pd.DataFrame(losses, index=epochs, columns=params.seeds)
        long = curves.melt(var_name="seed", value_name="loss", ignore_index=False).reset_index()
        found.append(long.assign(machine=task.machine, front_end=task.name))
    return pd.concat(found, ignore_index=True)


def inventory(params: Params, recordings: Recordings) -> pd.DataFrame:
    """The files of the study: unit, values per seed, megabytes, products' type, hardware."""
    if not (own := tasks(params, recordings)):
        return pd.DataFrame()
    from asdlib.study import models  # brings torch

    rows = []
    for task in own:
        about, folder = models.about(task), stages.model_folder(task)
        files = [file for file in folder.iterdir() if file.suffix != store.DAMAGED]
        rows.append(
            {
                "unit": folder.name,
                "values per seed": models.network(task).parameters_per_seed,
                "MB": sum(file.stat().st_size for file in files) / 1e6,
                "products": about["products"],
                "trained by": about["trained_on"],
                "scored by": scores.raw(task).attrs["made_on"],
            }
        )
    return pd.DataFrame(rows)


def trained_apart(params: Params, recordings: Recordings) -> str:
    """One sentence where models were trained on different threads or hardware; empty otherwise.

    Those of all that a report computes are looked at, as far as they are there.
    """
    found: dict[str, list[str]] = {}
    for folder in _models(params, recordings):
        if (about := store.load(folder / "training.json")) is not None:
            found.setdefault(about["trained_on"], []).append(folder.name)
    if len(found) < 2:
        return ""
    units = [f"{len(names)} on {place}, such as {min(names)}" for place, names in found.items()]
    return (
        "Not all models were trained alike, which changes scores by about 1e-5 of their value; "
        "with bfloat16, and those of the official baseline, by some per cent. Units trained: "
        f"{'; '.join(units)}. With the same OMP_NUM_THREADS everywhere, threads are equal."
    )
