"""Detectors without training of one machine: statistics of its clips, and z.

A view is what one scorer looks at behind one front-end. Statistics and z have a key and a file.
Notebook: 05_without_training.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int

from asdlib import calibration, clipstats, pipeline
from asdlib.clipstats import VIEWS
from asdlib.io import store
from asdlib.io.files import resolve
from asdlib.params import Params
from asdlib.study import walk
from asdlib.study.walk import Branch, Setting, contents, of_split

COLUMNS = ["machine", "front_end", "scorer", "seed", "split", "domain", "label", "name", "score"]
SEED = 0
"""In the table of a study, of detectors that draw nothing: they have one row per clip."""


class View(NamedTuple):
    """A detector without training of one machine: a scorer behind a front-end."""

    params: Params
    clips: pd.DataFrame
    front_end: str
    scorer: str

    @property
    def machine(self) -> str:
        """Name of the machine."""
        return str(self.clips["machine"].iloc[0])


def branch_of(view: View) -> Branch:
    """Return the statistics that a detector without training looks at."""
    params, kind = view.params, VIEWS[view.scorer].kind
    spectra = walk.sizes_of(params.spectra)
    own = clipstats.sizes(kind, spectra)
    context = -(-params.denoising.context * spectra.hop_length // own.hop_length)
    denoising = params.denoising.model_copy(update={"context": context})  # as many seconds
    return Branch(Setting(view.front_end, own, denoising), kind, spectra, params.statistics)


def values_file(view: View) -> Path:
    """Where the statistics of every clip are that views of one kind look at."""
    branch = branch_of(view)
    key = walk.key_of(
        "views",
        clips=contents(view.clips, "split"),
        spectra=branch.spectra.model_dump(),
        denoising=branch.setting.denoising.model_dump(),
        statistics=branch.statistics.model_dump(exclude={"folds"}),
    )
    folder = resolve(view.params.results) / "statistics"
    return folder / f"{view.machine}.{view.front_end}.{branch.kind}.{key}.safetensors"


def values(view: View) -> Float[np.ndarray, "clip value"]:
    """What a view looks at, of every clip of its machine."""

    def make() -> dict[str, torch.Tensor]:
        rows = walk.walk(view.params, [branch_of(view)], view.clips)
        return stacked(row[0] for row in rows)

    found = store.made(values_file(view), make)["values"].numpy()
    return clipstats.chosen(found, VIEWS[view.scorer].statistics)


def stacked(rows: Iterable[np.ndarray]) -> dict[str, torch.Tensor]:
    """Return what the file of statistics holds.

    Parameters
    ----------
    rows : statistics of every clip.
    """
    return {"values": torch.from_numpy(np.stack(list(rows)))}


def scores_file(view: View) -> Path:
    """Where z of every clip by a detector without training is."""
    measured = values_file(view)
    key = walk.key_of(
        "views",
        values=measured.name,
        clips=contents(of_split(view.clips, "train"), "domain", "attributes"),
        folds=view.params.statistics.folds,
    )
    return measured.with_name(f"{view.machine}.{view.front_end}.{view.scorer}.{key}.parquet")


def folds(params: Params, train: pd.DataFrame) -> Int[np.ndarray, " clip"]:
    """Fold of every training clip of a machine, in which its scores are held out."""
    names, domains, groups = (train[c].tolist() for c in ("name", "domain", "attributes"))
    return calibration.folds(names, domains, groups, params.statistics.folds)


def table(view: View) -> pd.DataFrame:
    """Z of every clip by a view; of training clips by the model that has not seen their fold."""

    def make() -> pd.DataFrame:
        normal, train = _normal(view), (view.clips["split"] == "train").to_numpy()
        z = np.empty(len(train))
        z[train] = normal.held_out.z
        z[~train] = normal.z(values(view)[~train])
        found = pd.DataFrame({"name": view.clips["name"].to_numpy(), "score": z})
        found.attrs["remark"] = normal.remark
        return found

    found: pd.DataFrame = store.made(scores_file(view), make)
    return found


def read(view: View) -> pd.DataFrame:
    """Z of every clip, with the columns of :func:`asdlib.study.run`."""
    kinds = view.clips[["machine", "name", "split", "domain", "label"]]
    merged = table(view).merge(kinds, on="name", validate="one_to_one")
    return merged.assign(front_end=view.front_end, scorer=view.scorer, seed=SEED)[COLUMNS]


def fitted(view: View) -> pipeline.FittedView:
    """All that a view has learnt, to score files with."""
    params, setting = view.params, branch_of(view).setting
    denoise = walk.fitted_of(params, [setting], view.clips)[setting]
    normal = _normal(view)
    return pipeline.FittedView(view.scorer, denoise, normal, params.spectra, params.statistics)


def _normal(view: View) -> clipstats.Normal:
    """Statistics of the training-normal clips that a view looks at, with held-out distances."""
    train = of_split(view.clips, "train")
    own = values(view)[(view.clips["split"] == "train").to_numpy()]
    return clipstats.Normal.fit(own, train["domain"].tolist(), folds(view.params, train))
