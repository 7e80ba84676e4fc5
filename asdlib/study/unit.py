"""One machine with one front-end: its recordings, features, models and scores, as files.

A unit's files are keyed by everything they depend on, and written beside their place and renamed
into it, so that a run can be killed at any moment and goes on where it was.
Notebook: 03_seed_study.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import safetensors
import torch

from asdlib import dataset, frontends, hardware, noise, scoring, training
from asdlib.autoencoder import SeedAutoencoder
from asdlib.calibration import Calibration
from asdlib.noise import Floors
from asdlib.parallel import clip_by_clip, one_thread
from asdlib.params import (
    BOTTLENECK_SCORERS,
    OFFICIAL_SCORERS,
    AsdError,
    Params,
    code_digest,
    digest,
    resolve,
)
from asdlib.spectra import Frames, Standardiser, log_mel, stft
from asdlib.study import baseline, bottleneck

COLUMNS = [
    "machine", "front_end", "scorer", "seed", "split", "domain", "label", "name", "score"
]  # fmt: skip


Result = TypeVar("Result")
Detector = scoring.Detector | baseline.OfficialDetector | bottleneck.BottleneckDetector


class Fitted(NamedTuple):
    """What a trained unit has learnt from training-normal clips.

    Attributes
    ----------
    detectors : each from a clip's stacked vectors to A(x) per scorer and seed.
    standardise : of log-mel values.
    frames : standardised training frames.
    """

    detectors: list[Detector]
    standardise: Standardiser
    frames: Frames

    def vectors(self, values: np.ndarray) -> np.ndarray:
        """Stacked vectors of one clip's log-mel frames."""
        return Frames.join([self.standardise(values)], self.frames.stack).clip(0)

    def score(self, vectors: np.ndarray) -> dict[str, np.ndarray]:
        """A(x) of one clip by all detectors, per scorer and seed."""
        return {k: v for detector in self.detectors for k, v in detector(vectors).items()}


@dataclass(frozen=True)
class Unit:
    """One machine with one front-end: its features, its models, its scores.

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

    @cached_property
    def _train_key(self) -> dict[str, Any]:
        train = self.train
        return {
            "method": code_digest(
                "spectra",
                "noise",
                "filters",
                "complexls",
                "frontends",
                "autoencoder",
                "training",
                "hardware",
            ),
            "machine": self.machine,
            "clips": list(zip(train["name"], train["domain"], train["hash"], strict=True)),
            "spectra": self.params.spectra.model_dump(),
        }

    @cached_property
    def folder(self) -> Path:
        """Where the unit's files lie; the name holds the key of the trained models."""
        p = self.params
        key = digest(
            self._train_key
            | {
                "front_end": self.front_end,
                "denoising": p.denoising.model_dump(),
                "autoencoder": p.autoencoder.model_dump(),
                "training": p.training.model_dump(exclude={"checkpoint_seconds", "compiled"}),
                "seeds": p.seeds,
            }
        )
        return resolve(p.results) / "units" / f"{self.machine}.{self.name}.{key}"

    @property
    def name(self) -> str:
        """What its rows are called: the front-end, or the system."""
        return self.system or self.front_end

    @property
    def train(self) -> pd.DataFrame:
        """Training-normal clips."""
        return self.clips[self.clips["split"] == "train"]

    @cached_property
    def scores_file(self) -> Path:
        """The table of A(x) for every clip, seed and scorer."""
        p = self.params
        contents: dict[str, Any] = {
            "clips": list(zip(self.clips["name"], self.clips["hash"], strict=True)),
            "scoring": p.scoring.model_dump(exclude={"quantile", "standardise"}),
            "scorers": p.scorers,
            "method": code_digest("scoring", "study/baseline"),
        }
        if set(p.scorers) & set(BOTTLENECK_SCORERS):
            contents["bottleneck"] = [p.bottleneck.model_dump(), code_digest("study/bottleneck")]
        return self.folder / f"scores.{digest(contents)}.parquet"

    @property
    def done(self) -> bool:
        """Whether the scores are there."""
        return self.scores_file.exists()

    def floors(self) -> Floors:
        """Noise floors of the machine's microphones: computed once, shared by its front-ends."""
        return self._floors(frontends.RefSub(self.params.denoising), {})

    def _floors(self, front_end: frontends.FrontEnd, also: dict[str, Any]) -> Floors:
        constants = self.params.denoising
        key = digest(self._train_key | {"percentile": constants.percentile} | also)
        path = resolve(self.params.results) / "floors" / f"{self.machine}.{key}.safetensors"
        if not path.exists():
            floors = Floors.average(self._each(front_end.levels, self.train), constants)
            tensors = {"near": torch.from_numpy(floors.near), "far": torch.from_numpy(floors.far)}
            training.save_tensors(path, tensors)
        with safetensors.safe_open(path, framework="np") as file:
            return Floors(file.get_tensor("near"), file.get_tensor("far"), constants.far_bound)

    def own_floors(self) -> Floors:
        """Noise floors that the front-end uses: for some, not those of the microphones."""
        kind, constants = frontends.FRONT_ENDS[self.front_end], self.params.denoising
        if not kind.own_floors:
            return self.floors()
        also = {"front_end": self.front_end, "denoising": constants.model_dump()}
        return self._floors(kind(constants), also)

    def denoiser(self) -> frontends.FrontEnd:
        """The front-end, fitted on the machine's training-normal clips."""
        kind, constants = frontends.FRONT_ENDS[self.front_end], self.params.denoising
        if kind.needs_floors:
            return kind(constants, floors=self.own_floors())
        return kind(constants).fit(self._each(lambda spectrum: spectrum, self.train))

    def _each(
        self, function: Callable[[np.ndarray], Result], clips: pd.DataFrame
    ) -> Iterator[Result]:
        """Apply a function to the spectra of every clip."""
        constants = self.params.spectra
        return clip_by_clip(
            lambda path: function(stft(dataset.read(path, constants), constants)), clips["path"]
        )

    def frames(self, clips: pd.DataFrame) -> Iterator[np.ndarray]:
        """Log-mel frames (frame, value) in dB, clip after clip."""
        return self._each(self.features(), clips)

    def features(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return the way from a clip's two spectra to its log-mel frames, denoised.

        With the objective ``denoise``, every frame also holds the bands of a noisier one: the near
        power with the noise that the far channel tells of, G_m P_f, added once more.
        """
        denoise, constants = self.denoiser(), self.params.spectra
        if self.params.training.objective != "denoise":
            return lambda spectrum: log_mel(denoise(spectrum), constants)
        transfer = self.floors().transfer

        def both(spectrum: np.ndarray) -> np.ndarray:
            powers = (denoise(spectrum), noise.noisier(spectrum, transfer))
            return np.hstack([log_mel(power, constants) for power in powers])

        return both

    def compute(self, tick: Callable[[str], None] = lambda what: None) -> None:
        """Train and score what is missing; ``tick`` hears of every finished step."""
        if self.done:
            return
        p = self.params
        fitted = self._fit(tick)
        test = self.clips[self.clips["split"] == "test"]
        vectors = itertools.chain(
            map(fitted.frames.clip, range(len(fitted.frames))),
            map(fitted.vectors, self.frames(test)),
        )
        rows = list(clip_by_clip(fitted.score, vectors, workers=self._workers))
        names = [*self.train["name"], *test["name"]]
        columns = {
            "name": np.repeat(names, len(p.scorers) * len(p.seeds)),
            "scorer": np.tile(np.repeat(p.scorers, len(p.seeds)), len(names)),
            "seed": np.tile(p.seeds, len(names) * len(p.scorers)),
            "A": np.concatenate([row[s] for row in rows for s in p.scorers]),
        }
        table = pd.DataFrame(columns)
        table.attrs["made_on"] = hardware.describe(p.device)
        for detector in fitted.detectors:
            if isinstance(detector, baseline.OfficialDetector):
                table.attrs["batch_losses"] = detector.batch_losses.tolist()
        write_table(table, self.scores_file)
        tick("scores")

    @property
    def made_on(self) -> str:
        """Hardware that the scores were computed on; on another one, last bits may differ."""
        return str(pd.read_parquet(self.scores_file, columns=["seed"]).attrs["made_on"])

    def score_alone(self) -> Callable[[Path], dict[str, np.ndarray]]:
        """Return the way from one file alone to its A(x), per scorer and seed."""
        fitted = self.fitted()
        features, constants = self.features(), self.params.spectra

        def score(path: Path) -> dict[str, np.ndarray]:
            with one_thread():
                values = features(stft(dataset.read(path, constants), constants))
                return fitted.score(fitted.vectors(values))

        return score

    def fitted(self) -> Fitted:
        """What the unit has learnt, from its files; it is trained where they are missing."""
        return self._fit(lambda what: None)

    @property
    def _workers(self) -> int | None:
        """Clips scored at a time: as many as there are threads, one on a GPU."""
        return None if hardware.choose_device(self.params.device) == "cpu" else 1

    def _fit(self, tick: Callable[[str], None]) -> Fitted:
        """Train, unless the weights are there, and take the residual statistics."""
        p = self.params
        device = hardware.choose_device(p.device)
        train = Frames.join(list(self.frames(self.train)), p.spectra.stack)
        standardise = Standardiser.fit(train, p.spectra.standardise)
        frames = Frames(standardise(train.values, out=train.values), train.offsets, train.stack)
        tick("features")
        if not (self.folder / "model.safetensors").exists():
            self._train(frames, standardise, device, tick)
        model = self.model(device)

        def residual(vectors: np.ndarray) -> torch.Tensor:
            stacked = torch.from_numpy(np.array(vectors)).to(device)
            x, y = training.views(stacked, p.training.objective, p.spectra.stack)
            with torch.inference_mode():
                return y - model(x.expand(len(p.seeds), -1, -1))

        def latent(vectors: np.ndarray) -> torch.Tensor:
            stacked = torch.from_numpy(np.array(vectors)).to(device)
            x, _ = training.views(stacked, p.training.objective, p.spectra.stack)
            with torch.inference_mode():
                return model.encoder(x.expand(len(p.seeds), -1, -1))

        domains = self.train["domain"].tolist()
        detectors: list[Detector] = []
        if chosen := chosen_scorers(p):
            clips = ((domain, frames.clip(c)) for c, domain in enumerate(domains))
            detectors.append(
                scoring.Detector.fit(
                    residual, clips, scorers=chosen, constants=p.scoring, workers=self._workers
                )
            )
        with one_thread():
            if set(p.scorers) & set(OFFICIAL_SCORERS):
                size = p.training.batch_size
                official = baseline.OfficialDetector.fit(residual, frames, domains, batch_size=size)
                detectors.append(official)
            if set(p.scorers) & set(BOTTLENECK_SCORERS):
                beside = bottleneck.BottleneckDetector.fit(
                    latent,
                    frames,
                    p.seeds,
                    constants=p.bottleneck,
                    percentile=p.scoring.percentile,
                )
                detectors.append(beside)
        return Fitted(detectors, standardise, frames)

    def _train(
        self,
        frames: Frames,
        standardise: Standardiser,
        device: str,
        tick: Callable[[str], None],
    ) -> None:
        p = self.params
        checkpoint = self.folder / "checkpoint.safetensors"
        epochs = p.training.epochs
        model, losses = training.train(
            frames,
            seeds=p.seeds,
            autoencoder=p.autoencoder,
            training=p.training,
            device=device,
            checkpoint=checkpoint,
            on_epoch=lambda epoch: tick(f"epoch {epoch}/{epochs}") if epoch else None,
        )
        tensors = dict(model.state_dict())
        tensors["standardise.mean"] = torch.from_numpy(standardise.mean)
        tensors["standardise.std"] = torch.from_numpy(standardise.std)
        dtype = hardware.precision(p.training.precision, device)
        # one entry: the order of several is not the same in every file
        told = {"losses": losses.tolist(), "products": str(dtype).removeprefix("torch.")}
        training.save_tensors(self.folder / "model.safetensors", tensors, told=json.dumps(told))
        checkpoint.unlink(missing_ok=True)

    def model(self, device: str = "cpu") -> SeedAutoencoder:
        """The trained autoencoders, in evaluation mode."""
        p = self.params
        layers = 2 if p.training.objective == "denoise" else 1
        vector = torch.zeros(1, p.spectra.stack * p.spectra.n_mels * layers)
        sizes = [x.shape[1] for x in training.views(vector, p.training.objective, p.spectra.stack)]
        model = SeedAutoencoder(sizes[0], p.seeds, p.autoencoder, sizes[1])
        with safetensors.safe_open(self.folder / "model.safetensors", framework="pt") as file:
            model.load_state_dict({name: file.get_tensor(name) for name in model.state_dict()})
        return model.to(device).eval()

    @property
    def _told(self) -> dict[str, Any]:
        """What training left beside the weights: losses, and the products' data type."""
        with safetensors.safe_open(self.folder / "model.safetensors", framework="np") as file:
            return dict(json.loads(file.metadata()["told"]))

    @property
    def products(self) -> str:
        """Data type of the matrix products that the models were trained with."""
        return str(self._told["products"])

    def losses(self) -> pd.DataFrame:
        """Training loss: machine, front_end, seed, epoch, loss."""
        losses = np.array(self._told["losses"])
        epoch, seed = np.indices(losses.shape)
        return pd.DataFrame(
            {
                "machine": self.machine,
                "front_end": self.name,
                "seed": np.array(self.params.seeds)[seed.ravel()],
                "epoch": epoch.ravel() + 1,
                "loss": losses.ravel(),
            }
        )

    def official_thresholds(self) -> pd.DataFrame:
        """Thresholds on the mean squared error by the official rule and by clip scores.

        Returns
        -------
        DataFrame with machine, seed, rule and threshold, and the share of clips above it: training,
        normal and anomaly (labelled test clips).
        """
        scores = pd.read_parquet(self.scores_file)
        kinds = self.clips[["name", "split", "label"]]
        raw = scores[scores["scorer"] == "mse"].merge(kinds, on="name", validate="many_to_one")
        rows = []
        for seed, losses in zip(self.params.seeds, scores.attrs["batch_losses"], strict=True):
            own = raw[raw["seed"] == seed]
            train = own[own["split"] == "train"]
            test = own[own["split"] == "test"].groupby("label")["A"]
            rules = {"minibatch losses": np.array(losses), "clip scores": train["A"].to_numpy()}
            for rule, values in rules.items():
                limit = Calibration.fit(values, self.params.scoring.quantile).raw_threshold
                above = {label: float((a > limit).mean()) for label, a in test}
                rows.append(
                    {
                        "machine": self.machine, "seed": seed, "rule": rule, "threshold": limit,
                        "training": (train["A"] > limit).mean(),
                        "normal": above.get("normal", np.nan),
                        "anomaly": above.get("anomaly", np.nan),
                    }
                )  # fmt: skip
        return pd.DataFrame(rows)

    def read(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Standardised scores of every clip, and the calibration of each scorer and seed."""
        raw = pd.read_parquet(self.scores_file).merge(
            self.clips[["name", "split", "domain", "label"]], on="name", validate="many_to_one"
        )
        tables, calibrations = [], []
        for (scorer, seed), rows in raw.groupby(["scorer", "seed"], sort=False):
            normal = rows.loc[rows["split"] == "train", "A"].to_numpy()
            constants = self.params.scoring
            gamma = Calibration.fit(normal, constants.quantile, constants.standardise)
            tables.append(rows.assign(score=gamma.standardise(rows["A"].to_numpy())))
            calibrations.append(
                {
                    "scorer": scorer, "seed": seed, "shape": gamma.shape, "scale": gamma.scale,
                    "threshold": gamma.threshold,
                }
            )  # fmt: skip
        names = {"machine": self.machine, "front_end": self.name}
        table = pd.concat(tables, ignore_index=True).assign(**names)
        return table[COLUMNS], pd.DataFrame(calibrations).assign(**names)


def chosen_scorers(params: Params) -> dict[str, scoring.Scorer]:
    """Scorers of eq. 1 that the parameters name; those of other detectors are not among them."""
    known = {**scoring.SCORERS, **scoring.VARIANTS}
    names = [*known, *OFFICIAL_SCORERS, *BOTTLENECK_SCORERS]
    for name in params.scorers:
        if name not in names:
            raise AsdError(f"Unknown scorer {name!r}; known are {', '.join(names)}.")
        if name in OFFICIAL_SCORERS and params.training.objective != "reconstruct":
            raise AsdError(
                f"scorer {name!r} looks at whole vectors and training.objective is "
                f"{params.training.objective!r}; it needs 'reconstruct'."
            )
    return {name: known[name] for name in params.scorers if name in known}


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write parquet or CSV, by the name's ending, beside its place and rename it into it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    if path.suffix == ".csv":
        table.to_csv(beside, index=False)
    else:
        table.to_parquet(beside, index=False)
    os.replace(beside, path)
