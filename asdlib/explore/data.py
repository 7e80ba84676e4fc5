"""What the live explorer reads and computes: floors, trained models, decisions, one clip's arrays.

Nothing is trained here. Notebook: 00_explore.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass, field, replace
from functools import cache, cached_property, lru_cache, partial
from typing import Any

import numpy as np
import pandas as pd
import scipy.interpolate
import scipy.stats
from jaxtyping import Float

from asdlib import dataset, pipeline, study
from asdlib.calibration import Calibration
from asdlib.clipstats import S5
from asdlib.compare import statistics, systems
from asdlib.frontends import FRONT_ENDS, gain
from asdlib.measure.truth import truth_of
from asdlib.noise import Floors, expected_noise, following
from asdlib.params import AsdError, Denoising, Params
from asdlib.runtime.errors import plural
from asdlib.runtime.parallel import clip_by_clip, one_thread
from asdlib.simulate import scenes
from asdlib.simulate.sounds import RATE
from asdlib.spectra import decibels, istft, power, stft
from asdlib.study import detectors, scores, stages
from asdlib.study.recordings import Recordings

MOST_CLIPS = 40  # training clips that floors at other percentiles are taken from
_PERCENTILES = np.arange(101.0)

Image = Float[np.ndarray, "frequency frame"]
Signal = Float[np.ndarray, "channel=2 sample"]
Sound = Float[np.ndarray, " sample"]


@dataclass(frozen=True)
class Trained:
    """Trained models of one machine and front-end, ready to score one clip by one scorer.

    Attributes
    ----------
    fitted : what was learnt, with the detector of this scorer only.
    scorer : its name; eq. 1 of the paper where the study has it.
    training : (clip,), ensemble z of the training clips.
    threshold : on the ensemble z.
    """

    fitted: pipeline.Fitted
    scorer: str
    training: Float[np.ndarray, " clip"]
    threshold: float

    @classmethod
    def load(cls, task: stages.Task) -> Trained | None:
        """Read the models of a task back; none where they were not trained."""
        known = [name for name in task.params.scorers if name in detectors.EQ1]
        if not (known and scores.scores_file(task).exists() and stages.trained(task)):
            return None
        scorer = "eq1" if "eq1" in known else min(known)
        table = scores.read(task)
        normal = table[(table["scorer"] == scorer) & (table["split"] == "train")]
        training = statistics.ensemble(normal)["score"].to_numpy()
        threshold = float(np.quantile(training, task.params.scoring.quantile))
        return cls(scores.fitted(task, [scorer]), scorer, training, threshold)

    def score(
        self, frames: Float[np.ndarray, "frame value"]
    ) -> tuple[Float[np.ndarray, "seed vector"], Float[np.ndarray, " seed"]]:
        """Residual energy ||e_i||^2 and z of one clip's log-mel frames (dB), per seed."""
        from asdlib.study import autoencoders

        detector = autoencoders.eq1(self.fitted.detectors)
        with one_thread():  # as the study does: the same bytes
            residuals = detector.residual(self.fitted.vectors(frames))
            z = self.fitted.z(detector.from_residuals(residuals))
        return residuals.square().sum(2).cpu().numpy(), np.array(list(z.values()))

    def density(self, z: Float[np.ndarray, " point"]) -> Float[np.ndarray, " point"]:
        """Density of z: mean over seeds of the standardised gamma one, else the normal one."""
        own = [fit for (scorer, _), fit in self.fitted.gammas.items() if scorer == self.scorer]
        gammas = [fit for fit in own if isinstance(fit, Calibration) and fit.mode == "gamma_z"]
        if not gammas:
            return scipy.stats.norm.pdf(z)
        roots = np.sqrt([gamma.shape for gamma in gammas])
        return np.mean([scipy.stats.gamma.pdf(z, r**2, loc=-r, scale=1 / r) for r in roots], axis=0)


@dataclass(frozen=True)
class ClipPicture:
    """One clip after one front-end, with all that the explorer draws and plays.

    Attributes
    ----------
    near, far, denoised : P_n, P_f and the front-end's power out.
    floors : that G_m comes from.
    sounds : near, far, the machine alone as truth (None where it is not known), and denoised.
    notes : sentences for the reader; some may be empty.
    trained : models that made what follows; none: it is empty.
    energy : mean over seeds of ||e_i||^2, one per stacked vector.
    quantile : the percentile of ``energy`` over the vectors that the clip score takes.
    seed_z : z of every seed's model.
    z : their mean.
    """

    near: Image
    far: Image
    denoised: Image
    floors: Floors
    sounds: dict[str, Sound | None]
    notes: tuple[str, ...]
    trained: Trained | None = None
    energy: Float[np.ndarray, " vector"] = field(default_factory=lambda: np.zeros(0))
    quantile: float = np.nan
    seed_z: Float[np.ndarray, " seed"] = field(default_factory=lambda: np.zeros(0))
    z: float = np.nan

    @property
    def snr(self) -> Image:
        """Local SNR 10 log10 P_n / (G_m P_f), dB; NaN where there is no noise or no sound."""
        return _ratio_db(self.near, expected_noise(self.far, self.floors.transfer))

    @property
    def gain(self) -> Image:
        """10 log10 out / P_n, dB; NaN where either is 0."""
        return _ratio_db(self.denoised, self.near)


def _ratio_db(above: Image, below: Image) -> Image:
    heard = (above > 0) & (below > 0)
    return np.where(heard, decibels(above) - decibels(below), np.nan)


class StudyReader:
    """What the explorer reads of a study and its recordings, each thing once.

    Parameters
    ----------
    say : called with a sentence before what takes seconds.
    """

    def __init__(self, params: Params, recordings: Recordings, say: Callable[[str], None]):
        self.params, self.recordings, self._say = params, recordings, say
        self.trained = cache(self._trained)
        self.sounds = lru_cache(1)(self._sounds)
        self.explained = lru_cache(1)(self._explained)
        self._quiet = cache(self._quiet_powers)

    def picture(self, clip: Any, front_end: str, constants: Denoising) -> ClipPicture:
        """Take one clip through a front-end and, where there are some, trained models.

        Parameters
        ----------
        clip : its index in the manifest.
        constants : of the front-end; the models are those of the study.

        Raises
        ------
        AsdError
            For a clip without samples, or with some that are no numbers.
        """
        p, machine = self.params, self.recordings.manifest.loc[clip, "machine"]
        signal, truth = self.sounds(clip)
        floors, remark = self.floors(machine, front_end, constants)
        spectrum = stft(signal, p.spectra)
        near, far = power(spectrum)
        denoised = FRONT_ENDS[front_end](constants, floors=floors)(spectrum)
        sound = istft(np.sqrt(gain(denoised, near)) * spectrum[0], signal.shape[1], p.spectra)
        sounds = {"near": signal[0], "far": signal[1], "truth": truth, "denoised": sound}
        picture = ClipPicture(near, far, denoised, floors, sounds, (remark,))
        trained = self.trained(machine, front_end)
        if trained is None:
            return replace(picture, notes=(remark, "no trained model: run asd study"))
        transfer = floors.transfer if p.training.objective == "denoise" else None
        frames = pipeline.frames(spectrum, lambda _: denoised, p.spectra, transfer)
        if len(frames) < p.spectra.stack:
            note = f"too short for a score: {len(frames)} frames, {p.spectra.stack} are needed"
            return replace(picture, notes=(remark, note))
        energy, seed_z = trained.score(frames)
        mean, z = energy.mean(0), float(seed_z.mean())
        quantile = float(np.percentile(mean, p.scoring.percentile))
        return replace(picture, trained=trained, energy=mean, quantile=quantile, seed_z=seed_z, z=z)

    def _trained(self, machine: str, front_end: str) -> Trained | None:
        """Trained models; none where the study has none."""
        self._say(f"loading the models of {machine}")
        own = detectors.trained(self.params)
        return Trained.load(stages.Task(own, self.recordings.clips(machine), front_end))

    def _sounds(self, clip: Any) -> tuple[Signal, Sound | None]:
        """Signal of a clip, and the machine alone at the near microphone where it is known.

        That is as it was written, or of an embedded scene rendered again.
        """
        p, row = self.params, self.recordings.manifest.loc[clip]
        signal, truth = self._read(row["path"]), truth_of(p, self.recordings, row)
        if truth is None and self.recordings.embedded and p.spectra.sample_rate == RATE:
            cells = {f"{stem}.wav": cell for cell, stem in scenes.cells(row["machine"], p.scenes)}
            machine, split, domain, label, index = astuple(cells[row["name"]])
            truth = scenes.render(machine, split, domain, label, index, p.scenes)
        return signal, None if truth is None else truth.machine[0].astype(np.float32)

    def _read(self, path: str) -> Signal:
        signal = dataset.read(path, self.params.spectra)
        if not (signal.size and np.isfinite(signal).all()):
            raise AsdError(f"{path}: has no samples, or some that are NaN or infinite.")
        return signal

    def floors(self, machine: str, front_end: str, constants: Denoising) -> tuple[Floors, str]:
        """Floors at the constants' percentile, and a sentence where they are not the study's."""
        p, clips = self.params, self.recordings.clips(machine)
        train = stages.of_split(clips, "train")
        known = stages.floors_file(p, stages.setting_of(p, front_end), clips).exists()
        if known and constants.percentile == p.denoising.percentile:
            return stages.floors(p, clips, front_end), ""
        own = FRONT_ENDS[front_end].uses_own_floors
        quiet, follows, count = self._quiet(machine, front_end if own else "near")
        near, far = scipy.interpolate.interp1d(_PERCENTILES, quiet, axis=0)(constants.percentile)
        remark = f"Floors from {plural(count, 'training clip')}." if count < len(train) else ""
        if not count:
            remark = f"{machine}: no usable training clip, so G_m is 0: nothing is subtracted."
        return Floors(near, far, constants.far_bound, follows), remark

    def _quiet_powers(
        self, machine: str, front_end: str
    ) -> tuple[Float[np.ndarray, "percentile channel=2 frequency"], float, int]:
        """Power at every whole percentile over time: mean of evenly spread clips.

        Also how the near level follows the far one in these clips, and their number.
        """
        self._say(f"loading training clips of {machine}")
        paths = self.recordings.clips(machine, "train")["path"]
        chosen = paths.iloc[:: max(math.ceil(len(paths) / MOST_CLIPS), 1)]
        inputs = FRONT_ENDS[front_end](self.params.denoising).floor_inputs

        def one(path: str) -> np.ndarray | None:
            try:
                levels = power(inputs(stft(self._read(path), self.params.spectra)))
            except AsdError:
                return None
            quiet = np.percentile(levels, _PERCENTILES, axis=-1)
            return np.concatenate([quiet, levels.mean(axis=-1, dtype=np.float64)[None]])

        usable = [own for own in clip_by_clip(one, chosen) if own is not None]
        nothing = np.zeros((len(_PERCENTILES) + 1, 2, self.params.spectra.n_fft // 2 + 1))
        found = np.stack(usable or [nothing])
        return found[:, :-1].mean(axis=0), following(found[:, -1]), len(usable)

    def scorers(self, machine: str, front_end: str) -> list[str]:
        """Detectors without training that the study has computed, in its order."""
        p, clips = self.params, self.recordings.clips(machine)
        names = [scorer for name, scorer in detectors.wanted(p) if name == front_end]
        files = [stages.values_file(stages.untrained(p, clips, front_end, name)) for name in names]
        return [name for name, file in zip(names, files, strict=True) if file.exists()]

    def _explained(self, clip: Any, front_end: str, scorer: str) -> tuple[pd.DataFrame, float]:
        """Shares of a clip's squared distance, and z, by a detector without training."""
        clips = self.recordings.clips(self.recordings.manifest.loc[clip, "machine"])
        fitted = scores.fitted_view(stages.untrained(self.params, clips, front_end, scorer))
        values = fitted.values(self.sounds(clip)[0])
        return fitted.explained(values), float(fitted.normal.z(values[None])[0])

    @cached_property
    def decisions(self) -> pd.DataFrame:
        """Decisions on test clips, by the systems that what is done of the study can form."""
        self._say("loading the study's decisions")
        table = study.read(self.params, self.recordings)
        needed = [view for system in systems.SYSTEMS for view in system.views]
        by_condition = partial(study.by_condition, self.params, self.recordings, S5)
        table = table[statistics.among(table, needed)]
        results = statistics.Results(table, by_condition=by_condition)
        return systems.decisions(results, self.params.scoring.quantile)
