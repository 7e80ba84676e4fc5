"""Detectors without training of one machine: statistics of its clips, and z.

A view is what one scorer looks at behind one front-end. Statistics and z have a key and a file.
Notebook: 05_without_training.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from asdlib import calibration, clipstats, frontends, pipeline
from asdlib.clipstats import VIEWS
from asdlib.io import store
from asdlib.io.files import resolve
from asdlib.params import Params
from asdlib.study import walk
from asdlib.study.walk import Branch, Setting, contents, of_split

View = tuple[Params, pd.DataFrame, str, str]
"""Parameters, clips of one machine, front-end and scorer of a detector without training."""

COLUMNS = ["machine", "front_end", "scorer", "seed", "split", "domain", "label", "name", "score"]
SEED = 0
"""In the table of a study, of detectors that draw nothing: they have one row per clip."""


def branch_of(params: Params, clips: pd.DataFrame, front_end: str, scorer: str) -> Branch:
    """Return the statistics that a detector without training looks at."""
    kind, spectra = VIEWS[scorer].kind, walk.sizes_of(params.spectra)
    own = clipstats.sizes(kind, spectra)
    context = -(-params.denoising.context * spectra.hop_length // own.hop_length)
    denoising = params.denoising.model_copy(update={"context": context})  # as many seconds
    return Branch(Setting(front_end, own, denoising), kind, spectra, params.statistics)


def front_end(*view: Any) -> frontends.FrontEnd:
    """Return the front-end of a :data:`View`, which has spectra of the view's sizes."""
    params, clips, *_ = view
    setting = branch_of(*view).setting
    return walk.fitted_of(params, [setting], clips)[setting]


def values_file(*view: Any) -> Path:
    """Where the statistics of every clip are that views of one kind look at."""
    params, clips, front_end, scorer = view
    branch = branch_of(*view)
    key = walk.key_of(
        "views",
        clips=contents(clips, "split"),
        spectra=branch.spectra.model_dump(),
        denoising=branch.setting.denoising.model_dump(),
        statistics=branch.statistics.model_dump(exclude={"folds"}),
    )
    machine, kind = clips["machine"].iloc[0], VIEWS[scorer].kind
    folder = resolve(params.results) / "statistics"
    return folder / f"{machine}.{front_end}.{kind}.{key}.safetensors"


def values(*view: Any) -> Float[np.ndarray, "clip value"]:
    """What a view looks at, of every clip of its machine."""
    file = values_file(*view)
    found = store.load(file)
    if found is None:
        measure([view])  # type: ignore[list-item]
        found = store.load(file)
    return clipstats.chosen(found["values"].numpy(), VIEWS[view[3]].statistics)


def measure(views: Sequence[View]) -> None:
    """Measure the statistics of one machine's clips for several views, each clip read once."""
    of_file = {values_file(*view): branch_of(*view) for view in views}
    params, clips, *_ = views[0]
    keep(of_file, list(walk.walk(params, list(of_file.values()), clips)))


def keep(files: Iterable[Path], rows: Sequence[Sequence[np.ndarray]]) -> None:
    """Keep the statistics of every clip, whose columns belong to the files in their order."""
    for column, file in enumerate(files):
        store.save({"values": torch.from_numpy(np.stack([row[column] for row in rows]))}, file)


def scores_file(*view: Any) -> Path:
    """Where z of every clip by a detector without training is."""
    params, clips, front_end, scorer = view
    measured = values_file(*view)
    key = walk.key_of(
        "views",
        values=measured.name,
        clips=contents(of_split(clips, "train"), "domain", "attributes"),
        folds=params.statistics.folds,
    )
    return measured.with_name(f"{clips['machine'].iloc[0]}.{front_end}.{scorer}.{key}.parquet")


def normal_of(*view: Any) -> clipstats.Normal:
    """Statistics of the training-normal clips that a view looks at, with held-out distances."""
    params, clips, *_ = view
    train = of_split(clips, "train")
    names, domains, groups = (train[c].tolist() for c in ("name", "domain", "attributes"))
    folds = calibration.folds(names, domains, groups, params.statistics.folds)
    own = values(*view)[(clips["split"] == "train").to_numpy()]
    return clipstats.Normal.fit(own, domains, folds)


def table(*view: Any) -> pd.DataFrame:
    """Z of every clip by a view; of training clips by the model that has not seen their fold."""
    clips = view[1]

    def make() -> pd.DataFrame:
        normal, train = normal_of(*view), (clips["split"] == "train").to_numpy()
        z = np.empty(len(train))
        z[train] = normal.held_out.z
        z[~train] = normal.z(values(*view)[~train])
        found = pd.DataFrame({"name": clips["name"].to_numpy(), "score": z})
        found.attrs["remark"] = normal.remark
        return found

    found: pd.DataFrame = store.made(scores_file(*view), make)
    return found


def read(*view: Any) -> pd.DataFrame:
    """Z of every clip, with the columns of :func:`asdlib.study.run`."""
    _, clips, name, scorer = view
    kinds = clips[["machine", "name", "split", "domain", "label"]]
    merged = table(*view).merge(kinds, on="name", validate="one_to_one")
    return merged.assign(front_end=name, scorer=scorer, seed=SEED)[COLUMNS]


def fitted(*view: Any) -> pipeline.FittedView:
    """All that a view has learnt, to score files with."""
    params, _, _, scorer = view
    denoise, normal = front_end(*view), normal_of(*view)
    return pipeline.FittedView(scorer, denoise, normal, params.spectra, params.statistics)
