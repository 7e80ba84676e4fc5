"""One machine with one front-end: its files, and what they are named by.

A unit's files are named by everything that they depend on, the code included, and are written
beside their place and renamed. A run can be killed at any moment, and the same command resumes.
Notebook: 04_seed_study.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch

from asdlib import calibration, frontends, pipeline, training
from asdlib.autoencoder import SeedAutoencoder
from asdlib.calibration import Calibration, HeldOut
from asdlib.io import kept
from asdlib.io.files import digest, resolve
from asdlib.io.keys import code_digest
from asdlib.noise import Floors
from asdlib.params import AsdError, Params
from asdlib.runtime import hardware
from asdlib.runtime.parallel import clip_by_clip
from asdlib.spectra import Frames, Standardiser
from asdlib.study import detectors

COLUMNS = ["machine", "front_end", "scorer", "seed", "split", "domain", "label", "name", "score"]

Result = TypeVar("Result")
Tick = Callable[[str], None]


def _silent(step: str) -> None:
    """Take no notice of a finished step."""


@dataclass(frozen=True)
class Unit:
    """One machine with one front-end: its noise floors, its models, its scores.

    Attributes
    ----------
    params : of the study.
    machine, front_end : names.
    clips : the machine's rows of the manifest, with content hashes.
    system : what its rows are called, where that is not the front-end.
    """

    params: Params
    machine: str
    front_end: str
    clips: pd.DataFrame
    system: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out cached keys: a worker of a cluster makes its own, from its own code."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def name(self) -> str:
        """What its rows are called: the front-end, or the system."""
        return self.system or self.front_end

    @property
    def train(self) -> pd.DataFrame:
        """Training-normal clips."""
        return self.clips[self.clips["split"] == "train"]

    @cached_property
    def folder(self) -> Path:
        """Where the unit's files are; the name holds the key of the trained models."""
        p = self.params
        key = self._key(
            ("study.unit.Unit.training_frames", "study.unit.Unit.train_models"),
            front_end=self.front_end,
            denoising=p.denoising.model_dump(),
            autoencoder=p.autoencoder.model_dump(),
            training=p.training.model_dump(exclude={"checkpoint_seconds", "compiled"}),
            seeds=p.seeds,
        )
        return resolve(p.results) / "units" / f"{self.machine}.{self.name}.{key}"

    @cached_property
    def scores_file(self) -> Path:
        """The table of A(x) for every clip, seed and scorer."""
        p = self.params
        key = digest(
            {
                "code": code_digest("study.unit.Unit.compute"),
                "clips": list(zip(self.clips["name"], self.clips["hash"], strict=True)),
                "scoring": p.scoring.model_dump(exclude={"quantile", "standardise"}),
                "scorers": p.scorers,
                "detectors": detectors.constants(p),
            }
            | ({"held_out": p.statistics.folds} if self._holds_out else {})
        )
        return self.folder / f"scores.{key}.parquet"

    def _key(self, code: tuple[str, ...], **values: Any) -> str:
        """Name what was learnt from the training clips by some code with some values."""
        train = self.train
        always = {
            "code": code_digest(*code),
            "machine": self.machine,
            "clips": list(zip(train["name"], train["domain"], train["hash"], strict=True)),
            "spectra": self.params.spectra.model_dump(),
        }
        return digest(always | values)

    @property
    def done(self) -> bool:
        """Whether the scores are there."""
        return self.scores_file.exists()

    @property
    def trained(self) -> bool:
        """Whether the models are there."""
        return self._model_file.exists()

    @property
    def _model_file(self) -> Path:
        return self.folder / "model.safetensors"

    def floors(self) -> Floors:
        """Noise floors of the machine's microphones: computed once, shared by its front-ends."""
        return self._floors(frontends.RefSub(self.params.denoising))

    def own_floors(self) -> Floors:
        """Noise floors that the front-end uses: for some, not those of the microphones."""
        kind, constants = frontends.FRONT_ENDS[self.front_end], self.params.denoising
        if not kind.uses_own_floors:
            return self.floors()
        return self._floors(kind(constants), [self.front_end, constants.model_dump()])

    def _floors(self, front_end: frontends.FrontEnd, also: Any = None) -> Floors:
        constants = self.params.denoising
        code = ("study.unit.Unit._floors", "frontends.FRONT_ENDS")
        key = self._key(code, percentile=constants.percentile, also=also)
        path = resolve(self.params.results) / "floors" / f"{self.machine}.{key}.safetensors"

        def make() -> None:
            floors = Floors.average(self._each(front_end.quiet_power, self.train), constants)
            tensors = {"near": torch.from_numpy(floors.near), "far": torch.from_numpy(floors.far)}
            kept.write_tensors(tensors, path)

        tensors, _ = kept.made(path, kept.tensors, make)
        return Floors(tensors["near"].numpy(), tensors["far"].numpy(), constants.far_bound)

    def denoiser(self) -> frontends.FrontEnd:
        """The front-end, fitted on the machine's training-normal clips."""
        kind, constants = frontends.FRONT_ENDS[self.front_end], self.params.denoising
        if kind.needs_floors:
            return kind(constants, floors=self.own_floors())
        return kind(constants).fit(self._each(lambda spectrum: spectrum, self.train))

    @property
    def _transfer(self) -> np.ndarray | None:
        """G_m where the objective adds the expected noise to its input."""
        return self.floors().transfer if self.params.training.objective == "denoise" else None

    def _each(
        self, function: Callable[[np.ndarray], Result], clips: pd.DataFrame
    ) -> Iterator[Result]:
        """Apply a function to the spectra of every clip."""

        def one(clip: tuple[str, str]) -> Result:
            path, content = clip
            return function(pipeline.spectrum(path, self.params.spectra, content))

        return clip_by_clip(one, zip(clips["path"], clips["hash"], strict=True))

    def frames(self, clips: pd.DataFrame) -> Iterator[np.ndarray]:
        """Log-mel frames (frame, value) in dB behind the front-end, clip after clip."""
        front_end, spectra, transfer = self.denoiser(), self.params.spectra, self._transfer
        return self._each(lambda s: pipeline.frames(s, front_end, spectra, transfer), clips)

    def training_frames(self) -> tuple[Frames, Standardiser]:
        """Standardised frames of the training clips, and their standardisation."""
        spectra = self.params.spectra
        raw = Frames.join(list(self.frames(self.train)), spectra.stack)
        standardise = Standardiser.fit(raw, spectra.standardise)
        return Frames(standardise(raw.values, out=raw.values), raw.offsets, raw.stack), standardise

    def train_models(self, frames: Frames, standardise: Standardiser, tick: Tick = _silent) -> None:
        """Train the autoencoders of all seeds and keep their weights."""
        p = self.params
        device = hardware.choose_device(p.device)
        checkpoint = self.folder / "checkpoint.safetensors"
        ran_on = training.ran_on(checkpoint, device)
        try:
            model, losses = training.train(
                frames,
                seeds=p.seeds,
                autoencoder=p.autoencoder,
                training=p.training,
                device=device,
                checkpoint=checkpoint,
                on_epoch=lambda epoch: (
                    tick(f"epoch {epoch}/{p.training.epochs}") if epoch else None
                ),
            )
        except AsdError as error:
            raise AsdError(f"{self.machine} with {self.name}: {error}") from None
        tensors = dict(model.state_dict())
        tensors["standardise.mean"] = torch.from_numpy(standardise.mean)
        tensors["standardise.std"] = torch.from_numpy(standardise.std)
        dtype = hardware.precision(p.training.precision, device)
        told = {"losses": losses.tolist(), "products": str(dtype).removeprefix("torch.")}
        kept.write_tensors(tensors, self._model_file, **told, trained_on=", then ".join(ran_on))
        checkpoint.unlink(missing_ok=True)

    def _train_again(self) -> None:
        """Train in place of models that are lost, with the scores that belong to those."""
        for scores in self.folder.glob("scores.*.parquet"):
            scores.unlink(missing_ok=True)
        self.train_models(*self.training_frames())

    def model(self, device: str = "cpu") -> SeedAutoencoder:
        """The trained autoencoders, in evaluation mode."""
        p = self.params
        layers = 2 if p.training.objective == "denoise" else 1
        vector = torch.zeros(1, p.spectra.stack * p.spectra.n_mels * layers)
        sizes = [x.shape[1] for x in training.views(vector, p.training.objective, p.spectra.stack)]
        model = SeedAutoencoder(sizes[0], p.seeds, p.autoencoder, sizes[1])
        tensors, _ = kept.made(self._model_file, kept.tensors, self._train_again)
        model.load_state_dict({name: tensors[name] for name in model.state_dict()})
        return model.to(device).eval()

    def compute(self, tick: Tick = _silent) -> None:
        """Train and score what is missing; ``tick`` is called after every finished step."""
        if self.done:
            return
        p = self.params
        frames, standardise = self.training_frames()
        tick("features")
        if not self.trained:
            self.train_models(frames, standardise, tick)
        fitted = self._fitted(frames, standardise, p.scorers)
        test = self.clips[self.clips["split"] == "test"]
        vectors = itertools.chain(
            map(frames.clip, range(len(frames))), map(fitted.vectors, self.frames(test))
        )
        workers = detectors.workers(p)
        rows = list(clip_by_clip(fitted.a, vectors, workers=workers))
        names = [*self.train["name"], *test["name"]]
        columns = {
            "name": np.repeat(names, len(p.scorers) * len(p.seeds)),
            "scorer": np.tile(np.repeat(p.scorers, len(p.seeds)), len(names)),
            "seed": np.tile(p.seeds, len(names) * len(p.scorers)),
            "A": np.concatenate([row[s] for row in rows for s in p.scorers]),
        }
        table = pd.DataFrame(columns)
        if self._holds_out:
            held = self._held_out(frames, fitted)
            own = [held[i].get(s, rows[i][s]) for i in range(len(held)) for s in p.scorers]
            apart = np.concatenate(own) if own else np.zeros(0)
            table["held_out"] = np.concatenate([apart, np.full(len(table) - len(apart), np.nan)])
        table.attrs["made_on"] = hardware.describe(p.device)
        table.attrs |= detectors.remarks(fitted.detectors)
        kept.write_table(table, self.scores_file)
        tick("scores")

    @property
    def _holds_out(self) -> bool:
        """Whether scores are standardised by those of held-out training clips."""
        return self.params.scoring.standardise == "held_out"

    def _held_out(self, frames: Frames, fitted: pipeline.Fitted) -> list[dict[str, np.ndarray]]:
        """A of the training clips under eq. 1, by residual statistics without their fold."""
        train, p = self.train, self.params
        names, domains, groups = (train[c].tolist() for c in ("name", "domain", "attributes"))
        folds = calibration.folds(names, domains, groups, p.statistics.folds).tolist()
        if not any(name in detectors.EQ1 for name in p.scorers):
            return [{} for _ in names]
        detector, workers = detectors.eq1(fitted.detectors), detectors.workers(p)
        return detector.held_out(frames.clip, domains, folds, workers=workers)

    def fitted(self, scorers: Sequence[str] | None = None) -> pipeline.Fitted:
        """All that the unit has learnt, to score files with, from files that are there.

        Parameters
        ----------
        scorers : those of the study by default.
        """
        frames, standardise = self.training_frames()
        return self._fitted(
            frames, standardise, self.params.scorers if scorers is None else scorers, self.gammas()
        )

    def _fitted(
        self,
        frames: Frames,
        standardise: Standardiser,
        scorers: Sequence[str],
        gammas: dict[tuple[str, int], Calibration | HeldOut] | None = None,
    ) -> pipeline.Fitted:
        p = self.params
        device = hardware.choose_device(p.device)
        found = detectors.fit(self.model(device), frames, self.train["domain"], p, scorers, device)
        front_end, transfer = self.denoiser(), self._transfer
        return pipeline.Fitted(front_end, p.spectra, transfer, standardise, found, gammas or {})

    def _scores(self) -> pd.DataFrame:
        return kept.made(self.scores_file, kept.table, lambda: self.compute())

    def raw(self) -> pd.DataFrame:
        """A of every clip by scorer and seed, with the clip's split, domain and label."""
        kinds = self.clips[["name", "split", "domain", "label"]]
        scores = self._scores()
        table = scores.merge(kinds, on="name", validate="many_to_one")
        table.attrs = scores.attrs
        return table

    def _raw_by_model(self) -> Iterator[tuple[tuple[str, int], pd.DataFrame]]:
        for (scorer, seed), rows in self.raw().groupby(["scorer", "seed"], sort=False):
            yield (str(scorer), int(str(seed))), rows

    def _calibrate(self, rows: pd.DataFrame) -> Calibration | HeldOut:
        train, constants = rows[rows["split"] == "train"], self.params.scoring
        try:
            if self._holds_out:
                return HeldOut.fit(train["held_out"].to_numpy())
            a = train["A"].to_numpy()
            return Calibration.fit(a, constants.quantile, constants.standardise)
        except AsdError as error:
            of = rows.iloc[0]
            raise AsdError(
                f"{self.machine} with {self.name}, {of['scorer']}, seed {of['seed']}: {error}"
            ) from None

    def gammas(self) -> dict[tuple[str, int], Calibration | HeldOut]:
        """Gamma distribution of the training-normal clips' A, by scorer and seed."""
        return {model: self._calibrate(rows) for model, rows in self._raw_by_model()}

    def read(self) -> pd.DataFrame:
        """Standardised scores of every clip, as of :func:`asdlib.study.run`."""
        tables = []
        for _, rows in self._raw_by_model():
            a = rows["held_out"].fillna(rows["A"]) if self._holds_out else rows["A"]
            tables.append(rows.assign(score=self._calibrate(rows).standardise(a.to_numpy())))
        table = pd.concat(tables, ignore_index=True)
        return table.assign(machine=self.machine, front_end=self.name)[COLUMNS]

    @property
    def made_on(self) -> str:
        """Hardware that the scores were computed on; on another one, last bits may differ."""
        return str(self._scores().attrs["made_on"])

    @property
    def told(self) -> dict[str, Any]:
        """What training kept beside the weights: losses, the products' data type, hardware."""
        return kept.made(self._model_file, kept.told, self._train_again)
