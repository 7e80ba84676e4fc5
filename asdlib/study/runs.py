"""A study from its recordings to one table of scores, with its variants.

Notebooks: 02_seed_study, 05_variants.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from asdlib import frontends
from asdlib.clipstats import VIEWS
from asdlib.io import store
from asdlib.io.files import read_bytes, resolve
from asdlib.noise import Floors
from asdlib.params import Params, load
from asdlib.runtime.parallel import CAN_FORK, in_processes, threads
from asdlib.runtime.process import bar as progress_bar
from asdlib.study import baseline, cluster, detectors, scores, stages, variants
from asdlib.study.recordings import Recordings, open_recordings
from asdlib.study.scores import COLUMNS, grouped, scores_file
from asdlib.study.stages import Task

BESIDE = ("exposure", "trained_out")
"""Long studies of the folder ``studies`` that chapters show where they were run."""

Model = tuple[str, str, int]
"""Front-end, scorer and seed."""


def tasks(params: Params, recordings: Recordings) -> list[Task]:
    """Every machine with the baseline, if asked for, and every front-end that has to be trained."""
    detectors.check(params)
    found, params = [], detectors.trained(params)
    for machine in recordings.machines:
        clips = recordings.clips(machine)
        if params.baseline:
            found.append(Task(baseline.official(params), clips, "near", baseline.NAME))
        names = frontends.trained_front_ends(params.front_ends) if params.scorers else []
        found += [Task(params, clips, name) for name in names]
    return found


def all_views(params: Params, recordings: Recordings) -> list[Task]:
    """Every machine with every front-end and scorer that needs no training."""
    return [
        stages.untrained(params, recordings.clips(machine), front_end, scorer)
        for machine in recordings.machines
        for front_end, scorer in detectors.wanted(params)
    ]


def run(
    params: Params | Mapping[str, Any] | str | Path,
    *,
    progress: bool = False,
    recordings: Recordings | None = None,
) -> pd.DataFrame:
    """Compute what is missing and read everything back as one table.

    Parameters
    ----------
    params : parameters, a mapping, or the path of a parameter file.
    progress : show a bar with what is running and what is left.
    recordings : the checked recordings, where they are at hand.

    Returns
    -------
    DataFrame with the columns machine, front_end, scorer, seed, split, domain, label, name,
    score: the standardised score z of every clip. Words are stored as categories. Detectors without
    training have one row per clip, of seed 0; the scores of their training clips are held out.
    Combinations such as ``combo`` are means of their parts' scores, clip by clip and seed by seed.

    Raises
    ------
    AsdError
        For bad parameters or recordings, before any training.
    """
    params = load(params)
    recordings = recordings or open_recordings(params, progress=progress)
    return _read(params, files(recordings, params), progress)


def read(params: Params, recordings: Recordings) -> pd.DataFrame:
    """Read the scores that exist already, with the columns of :func:`run`; compute nothing.

    Returns
    -------
    Rows of the front-ends and scorers that every machine has; no rows where nothing is done.
    """
    done = {file: task for file, task in files(recordings, params).items() if store.is_there(file)}
    if not done:
        return pd.DataFrame(columns=COLUMNS)
    table = _read(params, done)
    machines = table.groupby(["front_end", "scorer"])["machine"].transform("nunique")
    return table[machines == len(recordings.machines)]


def by_condition(
    params: Params, recordings: Recordings, views: Collection[tuple[str, str]]
) -> pd.DataFrame:
    """Scores of some detectors without training against every condition of a machine.

    Returns
    -------
    DataFrame with the columns of :func:`asdlib.study.scores.by_condition`. A view that was not run
    has no rows.
    """
    own = [task for task in all_views(params, recordings) if (task.front_end, task.view) in views]
    parts = [pd.DataFrame(columns=[*COLUMNS, "condition"]), *map(scores.by_condition, own)]
    return pd.concat(parts[bool(own) :], ignore_index=True)


def everything(params: Params, recordings: Recordings, *, progress: bool = False) -> pd.DataFrame:
    """Compute all that the report needs: the study and its variants.

    Returns
    -------
    DataFrame of the study itself, as of :func:`run`.
    """
    studies = [params, *variants.studies(params)]
    each = [files(recordings, own) for own in studies]
    _compute(params, {f: task for own in each for f, task in own.items()}, progress)
    table, *_ = map(_read, studies, each)
    return table


def beside(params: Params, recordings: Recordings, name: str) -> pd.DataFrame:
    """Read what one of the long studies, :data:`BESIDE`, found on these recordings.

    Parameters
    ----------
    name : of the study, and of its folder below the results.

    Returns
    -------
    DataFrame as the study wrote it; none of its rows, and perhaps no column, where it was not run
    on these recordings.
    """
    found = store.load(resolve(params.results) / name / "table.parquet")
    return pd.DataFrame() if found is None else found[found["manifest"] == recordings.digest]


def files(recordings: Recordings, *studies: Params) -> dict[Path, Task]:
    """Every table of scores of some studies, and what it is the task of."""
    both = (tasks, all_views)
    return {scores_file(t): t for own in studies for of in both for t in of(own, recordings)}


def missing(files: Mapping[Path, Task]) -> dict[str, list[Task]]:
    """What is left to compute, by machine."""
    left = [task for file, task in files.items() if not store.is_there(file)]
    return grouped(left, lambda task: task.machine)


def untrained_models(tasks: Iterable[Task]) -> list[Task]:
    """One task of each model that is to be trained."""
    found = {stages.model_folder(task): task for task in tasks if not task.view}
    return [task for task in found.values() if not stages.trained(task)]


def at_a_time(left: Iterable[Sequence[Task]]) -> int:
    """Number of machines that are computed side by side, each by one thread, or 1.

    Threads that share a small training wait for each other most of the time: two take twice the
    processor time of one, and are done hardly earlier. A large training gets them all.

    Parameters
    ----------
    left : what is to be computed of every machine.
    """
    machines, most = list(left), threads()
    trained = [task for own in machines for task in own if not task.view]
    return most if CAN_FORK and len(machines) >= most and _are_small(trained) else 1


def _are_small(trained: Sequence[Task]) -> bool:
    if not trained:
        return True
    from asdlib.study import models  # brings torch

    return all(map(models.is_small, trained))


def _compute(params: Params, files: Mapping[Path, Task], progress: bool) -> None:
    """Compute what is missing, machine by machine."""
    left = missing(files)
    whole = [task for own in left.values() for task in own]
    steps = len(whole) + sum(task.params.training.epochs for task in untrained_models(whole))
    with progress_bar("study", steps, "step", progress=progress) as bar:

        def tick(what: str, steps: int) -> None:
            bar.set_description_str(what, refresh=False)
            bar.update(steps)

        trained = [task for task in whole if not task.view]
        if params.cluster is not None and trained:
            cluster.compute(params.cluster, trained, tick)
        if (workers := at_a_time(left.values())) > 1:
            in_processes(scores.compute, left.values(), tick, workers)
        else:
            for own in left.values():
                scores.compute(own, tick)


def _read(params: Params, files: Mapping[Path, Task], progress: bool = False) -> pd.DataFrame:
    """Read scores as one table; to read damaged ones may have removed others of the same models."""
    _compute(params, files, progress)
    by_machine = grouped(files.items(), lambda item: item[1].machine)
    return stacked(_of_machine(params, dict(own)) for own in by_machine.values())


def stacked(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Rows of several tables of scores, which may be read one after the other.

    Words become categories, so that a row takes some 18 bytes.
    """
    whole: dict[str, Any] = {}
    words: dict[str, dict[str, int]] = {}
    for table in tables:
        for name in table.columns:
            if name in ("seed", "score"):
                values = table[name].to_numpy()
            else:
                part, known = pd.Categorical(table[name]), words.setdefault(name, {})
                codes = [known.setdefault(word, len(known)) for word in part.categories]
                values = np.array(codes, np.min_scalar_type(-len(known)))[part.codes]
            whole[name] = _appended(whole.get(name, values[:0].copy()), values)
    for name, known in words.items():
        order = np.argsort(list(known)).argsort().astype(whole[name].dtype)
        kind = pd.CategoricalDtype(sorted(known))
        whole[name] = pd.Categorical.from_codes(order[whole[name]], dtype=kind)
    return pd.DataFrame(whole, copy=False)


def _appended(whole: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Append to an array where it lies, without a second one beside it."""
    count, whole = len(whole), whole.astype(np.promote_types(whole.dtype, own.dtype), copy=False)
    whole.resize(count + len(own), refcheck=False)
    whole[count:] = own
    return whole


def _of_machine(params: Params, files: Mapping[Path, Task]) -> pd.DataFrame:
    """Scores of one machine, which are kept: to merge its tables takes seconds."""
    sums, own = [file.with_name(f"{file.name}.sha256") for file in files], list(files.values())
    key = stages.key_of(
        "runs",
        scores=[[*s.parts[-2:], read_bytes(s).decode() if s.exists() else ""] for s in sums],
        front_ends=params.front_ends,
        scoring=params.scoring,
        clips=stages.contents(own[0].clips),
    )
    path = resolve(params.results) / "tables" / f"{own[0].machine}.{key}.parquet"
    found: pd.DataFrame = store.made(path, lambda: _merged(params, own))
    return found


def _merged(params: Params, own: Sequence[Task]) -> pd.DataFrame:
    """Scores of one machine by all detectors and their combinations."""
    tables = grouped(map(scores.read, own), lambda table: table["front_end"].iloc[0])
    whole = {name: pd.concat(parts) for name, parts in tables.items()}
    whole |= {
        name: combination([whole[part] for part in parts], name)
        for name, parts in frontends.COMBINATIONS.items()
        if name in params.front_ends and whole.keys() >= set(parts)
    }
    names = dict.fromkeys([baseline.NAME, *params.front_ends, *whole])
    seed = np.result_type(np.int16, np.min_scalar_type(max(params.seeds)))
    return stacked([whole[name].astype({"seed": seed}) for name in names if name in whole])


def combination(members: Sequence[pd.DataFrame], name: str) -> pd.DataFrame:
    """Mean of several systems' scores, clip by clip, seed by seed, scorer by scorer.

    Scorers that not all of them have are left out.

    Parameters
    ----------
    members : rows of :func:`run`, of the same clips, seeds and scorers.
    name : of the combination, in the column front_end.
    """
    keys, (first, *others) = ["machine", "scorer", "seed", "name"], members
    joined = first.assign(front_end=name)
    for other in others:
        own = other[[*keys, "score"]].rename(columns={"score": "other"})
        joined = joined.merge(own, on=keys, validate="one_to_one")
        joined["score"] += joined.pop("other")
    return joined.assign(score=joined["score"] / len(members))


def score_alone(
    params: Params, recordings: Recordings, machine: str
) -> Callable[[Model, str], float]:
    """Return a function that scores one test clip from its file and nothing else.

    Returns
    -------
    Function of a model (front-end, scorer and seed) and the clip's name, that gives z.
    """
    clips, own = recordings.clips(machine), detectors.trained(params)
    files = clips.set_index("name")[["path", "hash"]]
    fitted = cache(lambda front_end: scores.fitted(Task(own, clips, front_end)))
    viewed = cache(lambda *view: scores.fitted_view(stages.untrained(params, clips, *view)))
    z = cache(lambda front_end, clip: fitted(front_end)(*files.loc[clip]))

    @cache
    def score(model: Model, clip: str) -> float:
        front_end, scorer, seed = model
        parts = [
            viewed(name, scorer)(*files.loc[clip])
            if scorer in VIEWS
            else z(name, clip)[scorer, seed]
            for name in frontends.trained_front_ends([front_end])
        ]
        return sum(parts) / len(parts)

    return score


def remarks(params: Params, recordings: Recordings) -> list[str]:
    """Sentences about detectors without training whose scores mean little."""
    views = all_views(params, recordings)
    found = [(task.machine, scores.raw(task).attrs["remark"]) for task in views]
    return list(dict.fromkeys(f"{machine}: {remark}" for machine, remark in found if remark))


def floors(params: Params, recordings: Recordings) -> dict[str, Floors]:
    """Noise floors of every machine."""
    return {name: stages.floors(params, recordings.clips(name)) for name in recordings.machines}


def official_thresholds(params: Params, recordings: Recordings) -> pd.DataFrame:
    """Shares of :func:`asdlib.study.baseline.thresholds` with machine and rule; maybe no rows."""
    tables = {
        task.machine: baseline.thresholds(scores.raw(task), params.scoring.quantile)
        for task in tasks(params, recordings)
        if task.system == baseline.NAME
    }
    return pd.concat(tables, names=["machine"]).reset_index() if tables else pd.DataFrame()
