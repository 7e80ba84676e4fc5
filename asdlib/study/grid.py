"""All units of a study: computed here or on a Dask cluster, and read back as one table.

Notebook: 04_seed_study.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from asdlib import frontends
from asdlib.clipstats import VIEWS
from asdlib.guard import PerClip
from asdlib.io import kept
from asdlib.io.files import content_digest, digest, resolve
from asdlib.io.keys import code_digest
from asdlib.noise import Floors
from asdlib.params import Params, load
from asdlib.runtime import hardware
from asdlib.runtime.process import bar as progressing
from asdlib.study import baseline, cluster, detectors, variants, views
from asdlib.study.recordings import Recordings, open_recordings
from asdlib.study.unit import Unit
from asdlib.study.views import View

Model = tuple[str, str, int]
"""Front-end, scorer and seed."""

_NAMED = 10  # units in a sentence
_CLIP = ["machine", "name", "split", "domain", "label"]


def units(params: Params, recordings: Recordings) -> list[Unit]:
    """Every machine with the baseline, if asked for, and every front-end that has to be trained."""
    detectors.check(params)
    found, params = [], views.trained(params)
    for machine in recordings.machines:
        clips = recordings.clips(machine)
        if params.baseline:
            found.append(Unit(baseline.official(params), machine, "near", clips, baseline.NAME))
        names = frontends.trained_front_ends(params.front_ends) if params.scorers else []
        found += [Unit(params, machine, name, clips) for name in names]
    return found


def run(
    params: Params | Mapping[str, Any] | str | Path,
    *,
    progress: bool = False,
    recordings: Recordings | None = None,
    label: str = "autoencoders",
) -> pd.DataFrame:
    """Compute what is missing and read everything back as one table.

    Parameters
    ----------
    params : parameters, a mapping, or the path of a parameter file.
    progress : show a bar with what is running and what is left.
    recordings : the checked recordings, where they are at hand.
    label : what the bar calls the trainings.

    Returns
    -------
    DataFrame with the columns machine, front_end, scorer, seed, split, domain, label, name,
    score: the standardised score z of every clip. Detectors without training have one row per clip,
    of seed 0; the scores of their training clips are held out. Combinations such as ``combo`` are
    means of their parts' scores, clip by clip and seed by seed.

    Raises
    ------
    AsdError
        For bad parameters or recordings, before any training.
    """
    params = load(params)
    recordings = recordings or open_recordings(params, progress=progress)
    tasks, untrained = units(params, recordings), views.views(params, recordings)
    _compute_all(params, [unit for unit in tasks if not unit.done], progress, label)
    _compute_views(untrained, progress)
    path = _table_file(params, recordings, tasks, untrained)
    return kept.made(
        path,
        kept.table,
        lambda: kept.write_table(_merged(params, recordings, tasks, untrained), path),
    )


def _table_file(
    params: Params, recordings: Recordings, tasks: Sequence[Unit], untrained: Sequence[View]
) -> Path:
    """Where the table of these scores is kept; named by what the scores' files hold.

    To merge the files of 60 units takes half a minute, and every chapter asks for their table.
    """
    parts: list[Unit | View] = [*tasks, *untrained]
    files = [part.scores_file for part in parts]
    key = digest(
        {
            "code": code_digest(
                "study.grid._merged", "study.unit.Unit.read", "study.views.View.read"
            ),
            "scores": [[f.parent.name, f.name, kept.read(f, _content)] for f in files],
            "front_ends": params.front_ends,
            "scoring": params.scoring.model_dump(),
            "clips": recordings.manifest[_CLIP].to_numpy().tolist(),
        }
    )
    return resolve(params.results) / "tables" / f"{key}.parquet"


def _content(file: Path) -> str:
    return content_digest(file.read_bytes())


def _merged(
    params: Params, recordings: Recordings, tasks: Sequence[Unit], untrained: Sequence[View]
) -> pd.DataFrame:
    """Scores of units and views as one table, with their combinations."""
    parts: dict[tuple[str, str], list[pd.DataFrame]] = {}
    for unit in tasks:
        parts.setdefault((unit.machine, unit.name), []).append(unit.read())
    for view in untrained:
        parts.setdefault((view.machine, view.front_end), []).append(view.read())
    tables = {key: pd.concat(own, ignore_index=True) for key, own in parts.items()}
    names = [*([baseline.NAME] if params.baseline else []), *params.front_ends]
    names += [name for name in dict.fromkeys(n for _, n in tables) if name not in names]
    found = []
    for machine in recordings.machines:
        for name in names:
            if name in frontends.COMBINATIONS:
                keys = [(machine, part) for part in frontends.COMBINATIONS[name]]
                if _in_common(tables, keys):
                    found.append(combination([tables[key] for key in keys], name))
            elif (machine, name) in tables:
                found.append(tables[machine, name])
    return pd.concat(found, ignore_index=True)


def _in_common(
    tables: Mapping[tuple[str, str], pd.DataFrame], keys: Sequence[tuple[str, str]]
) -> bool:
    """Whether these machines and front-ends have a scorer in common."""
    scorers = [set(tables[key]["scorer"]) if key in tables else set() for key in keys]
    return bool(set.intersection(*scorers))


def combination(members: list[pd.DataFrame], name: str) -> pd.DataFrame:
    """Mean of several systems' scores, clip by clip, seed by seed, scorer by scorer.

    Scorers that not all of them have are left out.

    Parameters
    ----------
    members : rows of :func:`run`, of the same clips, seeds and scorers.
    name : of the combination, in the column front_end.
    """
    keys = ["machine", "scorer", "seed"]
    groups = [dict(iter(m.groupby(keys, sort=False))) for m in members]
    parts = []
    for key in (key for key in groups[0] if all(key in group for group in groups)):
        aligned = [g[key].sort_values("name", ignore_index=True) for g in groups]
        scores = PerClip.combine([PerClip(m["score"], m["name"]) for m in aligned])
        values = [value for _, value in scores.items()]
        parts.append(aligned[0].assign(front_end=name, score=values))
    return pd.concat(parts, ignore_index=True)


def score_alone(
    params: Params, recordings: Recordings, machine: str
) -> Callable[[Model, str], float]:
    """Return a function that scores one test clip from its file and nothing else.

    Returns
    -------
    Function of a model (front-end, scorer and seed) and the clip's name, that gives z.
    """
    clips = recordings.clips(machine)
    files = {row["name"]: (row["path"], row["hash"]) for _, row in clips.iterrows()}
    own = views.trained(params)
    fitted = cache(lambda front_end: Unit(own, machine, front_end, clips).fitted())
    viewed = cache(lambda name, scorer: View(params, machine, name, scorer, clips).fitted())

    @cache
    def z(front_end: str, clip: str) -> dict[tuple[str, int], float]:
        return fitted(front_end)(*files[clip])

    @cache
    def score(model: Model, clip: str) -> float:
        front_end, scorer, seed = model
        parts = []
        for name in frontends.trained_front_ends([front_end]):
            if scorer in VIEWS:
                parts.append(viewed(name, scorer)(*files[clip]))
            else:
                parts.append(z(name, clip)[scorer, seed])
        return PerClip.combine([PerClip([part], [clip]) for part in parts]).item()

    return score


def remarks(params: Params, recordings: Recordings) -> list[str]:
    """Sentences about detectors without training whose scores mean little."""
    found = (view.remark() for view in views.views(params, recordings))
    return list(dict.fromkeys(sentence for sentence in found if sentence))


def floors(params: Params, recordings: Recordings) -> dict[str, Floors]:
    """Noise floors of every machine."""
    return {
        machine: Unit(params, machine, "near", recordings.clips(machine)).floors()
        for machine in recordings.machines
    }


def official_thresholds(params: Params, recordings: Recordings) -> pd.DataFrame:
    """Mean over seeds of :func:`asdlib.study.baseline.thresholds`, machine by machine."""
    tables = [
        baseline.thresholds(unit.raw(), params.scoring.quantile).assign(machine=unit.machine)
        for unit in units(params, recordings)
        if unit.system == baseline.NAME
    ]
    if not tables:
        return pd.DataFrame()
    shares = ["training", "normal", "anomaly"]
    return pd.concat(tables).groupby(["machine", "rule"], sort=False)[shares].mean().reset_index()


def made_elsewhere(params: Params, recordings: Recordings) -> str:
    """Hardware other than this that some unit was scored on; empty where there is none."""
    here = hardware.describe(params.device)
    return ", ".join(sorted({unit.made_on for unit in units(params, recordings)} - {here}))


def trained_apart(params: Params, recordings: Recordings) -> str:
    """One sentence where models were trained on different threads or hardware; empty otherwise.

    Those of all that a report computes are looked at, as far as they are there.
    """
    found: dict[str, dict[str, None]] = {}
    for own in (params, *variants.studies(params)):
        for unit in units(own, recordings):
            if unit.trained:
                found.setdefault(unit.told["trained_on"], {})[unit.folder.name] = None
    if len(found) < 2:
        return ""
    usual = max(found, key=lambda place: len(found[place]))
    others = [
        f"{place}: {', '.join(list(names)[:_NAMED])}"
        + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        for place, names in found.items()
        if place != usual
    ]
    return (
        f"Not all models were trained alike, which changes scores by about 1e-5 of their value; "
        f"with bfloat16, and those of the official baseline, by some per cent. Trained on {usual}: "
        f"{len(found[usual])} units. On {'; on '.join(others)}. With the same OMP_NUM_THREADS "
        "everywhere, threads are equal."
    )


def losses(params: Params, recordings: Recordings) -> pd.DataFrame:
    """Learning curves: machine, front_end, seed, epoch, loss; no rows where nothing is trained."""
    found = []
    for unit in units(params, recordings):
        values = np.array(unit.told["losses"])
        epoch, seed = np.indices(values.shape)
        columns = {
            "machine": unit.machine,
            "front_end": unit.name,
            "seed": np.array(params.seeds)[seed.ravel()],
            "epoch": epoch.ravel() + 1,
            "loss": values.ravel(),
        }
        found.append(pd.DataFrame(columns))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def inventory(params: Params, recordings: Recordings) -> pd.DataFrame:
    """The files of the study: unit, values per seed, megabytes, products' type, hardware."""
    rows = []
    for unit in units(params, recordings):
        values, told = unit.model().parameters_per_seed, unit.told  # may compute anew
        files = [file for file in unit.folder.iterdir() if file.suffix != kept.SET_ASIDE]
        rows.append(
            {
                "unit": unit.folder.name,
                "values per seed": values,
                "MB": sum(file.stat().st_size for file in files) / 1e6,
                "products": told["products"],
                "trained by": told["trained_on"],
                "scored by": unit.made_on,
            }
        )
    return pd.DataFrame(rows)


def _compute_all(params: Params, tasks: list[Unit], progress: bool, label: str) -> None:
    steps = params.training.epochs + 2
    with progressing(label, len(tasks) * steps, "step", progress=progress) as bar:
        if params.cluster is not None and tasks:
            cluster.compute(params.cluster, tasks, lambda done: bar.update(done - bar.n))
            return
        for number, unit in enumerate(tasks, start=1):
            where = f"unit {number}/{len(tasks)} {unit.machine} {unit.name}"

            def tick(what: str, where: str = where) -> None:
                bar.set_description(f"{where}: {what}", refresh=False)
                bar.update()

            bar.set_description(where)
            unit.compute(tick)
            bar.update(number * steps - bar.n)  # steps that a checkpoint had done already


def _compute_views(tasks: list[View], progress: bool) -> None:
    missing = [view for view in tasks if not view.done]
    with progressing("clip statistics", len(missing), "view", progress=progress) as bar:
        views.compute(missing, bar.update)
