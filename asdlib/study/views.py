"""Views: detectors without training, one machine behind one front-end each.

The statistics of all clips are measured in one pass over the files of a machine, kept, and compared
with those of the training-normal clips. Files are named by everything that they depend on.
Notebook: 05_without_training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from asdlib import calibration, clipstats, dataset, frontends, pipeline
from asdlib.clipstats import VIEWS
from asdlib.io import kept
from asdlib.io.files import digest, resolve
from asdlib.io.keys import code_digest
from asdlib.params import AsdError, Params
from asdlib.runtime.parallel import clip_by_clip
from asdlib.spectra import Spectrum, stft
from asdlib.study.recordings import Recordings
from asdlib.study.unit import COLUMNS, Unit

SEED = 0
"""In the table of a study: nothing is drawn, so there is one row per clip."""


@dataclass(frozen=True)
class View:
    """One machine behind one front-end, as one detector without training sees it.

    Attributes
    ----------
    params : of the study.
    machine, front_end : names.
    scorer : name in :data:`asdlib.clipstats.VIEWS`.
    clips : the machine's rows of the manifest, with content hashes.
    """

    params: Params
    machine: str
    front_end: str
    scorer: str
    clips: pd.DataFrame

    @property
    def kind(self) -> str:
        """What its statistics are made of; views of one kind share a file."""
        return VIEWS[self.scorer].kind

    @property
    def train(self) -> pd.DataFrame:
        """Training-normal clips."""
        return self.clips[self.clips["split"] == "train"]

    @cached_property
    def unit(self) -> Unit:
        """The unit that the front-end is fitted by: it has spectra of the view's sizes."""
        p = self.params
        spectra = clipstats.sizes(self.kind, p.spectra)
        context = -(-p.denoising.context * p.spectra.hop_length // spectra.hop_length)
        denoising = p.denoising.model_copy(update={"context": context})  # as many seconds
        own = p.model_copy(update={"spectra": spectra, "denoising": denoising})
        return Unit(own, self.machine, self.front_end, self.clips)

    @cached_property
    def values_file(self) -> Path:
        """Statistics of every clip."""
        p = self.params
        key = digest(
            {
                "code": code_digest("study.views.measure", "frontends.FRONT_ENDS"),
                "clips": self.clips[["name", "split", "domain", "hash"]].to_numpy().tolist(),
                "spectra": self.unit.params.spectra.model_dump(),
                "denoising": self.unit.params.denoising.model_dump(),
                "statistics": p.statistics.model_dump(exclude={"folds"}),
            }
        )
        return self._folder / f"{self.machine}.{self.front_end}.{self.kind}.{key}.safetensors"

    @cached_property
    def scores_file(self) -> Path:
        """The table of z for every clip."""
        key = digest(
            {
                "code": code_digest("study.views.View.score"),
                "values": self.values_file.name,
                "attributes": self.train["attributes"].tolist(),
                "folds": self.params.statistics.folds,
            }
        )
        return self._folder / f"{self.machine}.{self.front_end}.{self.scorer}.{key}.parquet"

    @property
    def _folder(self) -> Path:
        return resolve(self.params.results) / "statistics"

    @property
    def done(self) -> bool:
        """Whether the scores are there."""
        return self.scores_file.exists()

    def values(self) -> Float[np.ndarray, "clip value"]:
        """What this view looks at, of every clip."""
        tensors, _ = kept.made(self.values_file, kept.tensors, lambda: measure([self]))
        return clipstats.chosen(tensors["values"].numpy(), VIEWS[self.scorer].statistics)

    def normal(self) -> clipstats.Normal:
        """The training-normal clips' statistics, with their held-out distances."""
        train = (self.clips["split"] == "train").to_numpy()
        names, domains, groups = (self.train[c].tolist() for c in ("name", "domain", "attributes"))
        folds = calibration.folds(names, domains, groups, self.params.statistics.folds)
        return clipstats.Normal.fit(self.values()[train], domains, folds)

    def score(self) -> None:
        """Score every clip; training clips by the model that has not seen their fold."""
        if self.done:
            return
        normal = self.normal()
        train = (self.clips["split"] == "train").to_numpy()
        z = np.empty(len(train))
        z[train] = normal.held_out.z
        z[~train] = normal.z(self.values()[~train])
        table = pd.DataFrame({"name": self.clips["name"].to_numpy(), "score": z})
        table.attrs["remark"] = normal.remark
        kept.write_table(table, self.scores_file)

    def _scores(self) -> pd.DataFrame:
        return kept.made(self.scores_file, kept.table, self.score)

    def read(self) -> pd.DataFrame:
        """Scores of every clip, see :func:`asdlib.study.run`."""
        kinds = self.clips[["name", "split", "domain", "label"]]
        table = self._scores().merge(kinds, on="name", validate="one_to_one")
        own = {"machine": self.machine, "front_end": self.front_end, "scorer": self.scorer}
        return table.assign(**own, seed=SEED)[COLUMNS]

    def remark(self) -> str:
        """One sentence where the scores mean little; empty otherwise."""
        said = str(self._scores().attrs["remark"])
        return f"{self.machine}: {said}" if said else ""

    def fitted(self) -> pipeline.FittedView:
        """All that the view has learnt, to score files with."""
        p = self.params
        front_end = self.unit.denoiser()
        return pipeline.FittedView(self.scorer, front_end, self.normal(), p.spectra, p.statistics)


def trained(params: Params) -> Params:
    """Return the same study with only the scorers that need an autoencoder; maybe none."""
    names = tuple(name for name in params.scorers if name.rpartition("/")[2] not in VIEWS)
    return params.model_copy(update={"scorers": names})


def wanted(params: Params) -> list[tuple[str, str]]:
    """Front-end and scorer of every view of a study.

    A scorer such as ``pmsd`` belongs to every front-end of the study, one such as ``adals/pmsd`` to
    the front-end that it names.

    Raises
    ------
    AsdError
        For a front-end that is not known.
    """
    found: dict[tuple[str, str], None] = {}
    for name in params.scorers:
        front_end, _, scorer = name.rpartition("/")
        if scorer in VIEWS:
            names = frontends.trained_front_ends([front_end] if front_end else params.front_ends)
            found.update(dict.fromkeys((own, scorer) for own in names))
        elif front_end:
            raise AsdError(
                f"Unknown scorer {name!r}: a front-end may be named before {', '.join(VIEWS)} only."
            )
    return list(found)


def views(params: Params, recordings: Recordings) -> list[View]:
    """Every machine with every front-end and scorer that needs no training."""
    return [
        View(params, machine, front_end, scorer, recordings.clips(machine))
        for machine in recordings.machines
        for front_end, scorer in wanted(params)
    ]


def compute(views: Sequence[View], tick: Callable[[], object] = lambda: None) -> None:
    """Measure and score what is missing; ``tick`` is called after every view."""
    missing = [view for view in views if not view.done]
    for machine in dict.fromkeys(view.machine for view in missing):
        own = [view for view in missing if view.machine == machine]
        measure([view for view in own if not view.values_file.exists()])
        for _ in clip_by_clip(View.score, own):
            tick()


def measure(views: Sequence[View]) -> None:
    """Measure the statistics of one machine's clips, each file read once, and keep them."""
    of_file = {view.values_file: view for view in views}
    if not of_file:
        return
    front_ends = [view.unit.denoiser() for view in of_file.values()]
    spectra, constants = views[0].params.spectra, views[0].params.statistics

    def one(clip: tuple[str, str]) -> list[np.ndarray]:
        path, content = clip
        signal = dataset.read(path, spectra, content=content)
        shared: dict[int, Spectrum] = {}
        found = []
        for view, front_end in zip(of_file.values(), front_ends, strict=True):
            own = clipstats.sizes(view.kind, spectra)
            if own.n_fft not in shared:
                shared[own.n_fft] = stft(signal, own)
            found.append(
                pipeline.statistics(
                    signal, view.kind, front_end, spectra, constants, shared[own.n_fft]
                )
            )
        return found

    clips = views[0].clips
    rows = list(clip_by_clip(one, zip(clips["path"], clips["hash"], strict=True)))
    for column, path in enumerate(of_file):
        values = np.stack([row[column] for row in rows])
        kept.write_tensors({"values": torch.from_numpy(values)}, path)
