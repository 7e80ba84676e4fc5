"""What the live explorer reads and computes: floors, trained models, decisions, one clip's arrays.

Nothing is trained here. Notebook: 00_explore.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from typing import Any

import numpy as np
import pandas as pd
import scipy.interpolate
import scipy.stats
from jaxtyping import Float

from asdlib import dataset, pipeline, study
from asdlib.calibration import Calibration
from asdlib.compare import statistics, systems
from asdlib.frontends import FRONT_ENDS, gain
from asdlib.guard import PerClip
from asdlib.measure.truth import truth_of
from asdlib.noise import Floors, expected_noise
from asdlib.params import AsdError, Denoising, Params
from asdlib.runtime.errors import plural
from asdlib.runtime.parallel import clip_by_clip, one_thread
from asdlib.simulate import scenes
from asdlib.simulate.sounds import RATE
from asdlib.spectra import decibels, istft, power, stft
from asdlib.study import detectors, scores, stages, views, walk
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
    scorer : its name; eq. 1 where the study has it.
    gammas : one per seed, where z comes from a gamma distribution.
    training : (clip,), ensemble z of the training clips.
    threshold : on the ensemble z.
    """

    fitted: pipeline.Fitted
    scorer: str
    gammas: Sequence[Calibration]
    training: Float[np.ndarray, " clip"]
    threshold: float

    @classmethod
    def load(cls, task: stages.Task) -> Trained | None:
        """Read the models of a task back; none where they were not trained."""
        known = [name for name in task.params.scorers if name in detectors.EQ1]
        if not (known and scores.done(task) and stages.trained(task)):
            return None
        scorer = "eq1" if "eq1" in known else min(known)
        fitted, table = scores.fitted(task, [scorer]), scores.read(task)
        normal = table[(table["scorer"] == scorer) & (table["split"] == "train")]
        training = statistics.ensemble(normal)["score"].to_numpy()
        threshold = float(np.quantile(training, task.params.scoring.quantile))
        own = [fitted.gammas[scorer, seed] for seed in task.params.seeds]
        gammas = [g for g in own if isinstance(g, Calibration) and g.mode == "gamma_z"]
        return cls(fitted, scorer, gammas, training, threshold)

    def score(
        self, frames: Float[np.ndarray, "frame value"]
    ) -> tuple[Float[np.ndarray, "seed vector"], Float[np.ndarray, " seed"]]:
        """Residual energy ||e_i||^2 and z of one clip's log-mel frames (dB), per seed."""
        detector = detectors.eq1(self.fitted.detectors)
        with one_thread():  # as the study does: the same bytes
            residuals = detector.residual(self.fitted.vectors(frames))
            z = self.fitted.z(detector.from_residuals(residuals))
        return residuals.square().sum(2).cpu().numpy(), np.array(list(z.values()))

    def density(self, z: Float[np.ndarray, " point"]) -> Float[np.ndarray, " point"]:
        """Density of z: mean over seeds of the standardised gamma one, else the normal one."""
        if not self.gammas:
            return scipy.stats.norm.pdf(z)
        roots = np.sqrt([gamma.shape for gamma in self.gammas])
        return np.mean([scipy.stats.gamma.pdf(z, r**2, loc=-r, scale=1 / r) for r in roots], axis=0)


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

    def _trained(self, machine: str, front_end: str) -> Trained | None:
        """Trained models; none where the study has none."""
        self._say(f"loading the models of {machine}")
        own = detectors.trained(self.params)
        return Trained.load(stages.Task(own, self.recordings.clips(machine), front_end))

    def _sounds(self, clip: Any) -> tuple[Signal, Sound | None]:
        """Signal of a clip, and the machine alone at the near microphone where it is known."""
        row = self.recordings.manifest.loc[clip]
        return self._read(row["path"]), machine_sound(self.params, self.recordings, row)

    def _read(self, path: str) -> Signal:
        signal = dataset.read(path, self.params.spectra)
        if not (signal.size and np.isfinite(signal).all()):
            raise AsdError(f"{path}: has no samples, or some that are NaN or infinite.")
        return signal

    def floors(self, machine: str, front_end: str, constants: Denoising) -> tuple[Floors, str]:
        """Floors at the constants' percentile, and a sentence where they are not the study's."""
        p, clips = self.params, self.recordings.clips(machine)
        train = walk.of_split(clips, "train")
        setting = walk.Setting(front_end, walk.sizes_of(p.spectra), p.denoising)
        known = walk.floors_file(p, setting, train).exists()
        if known and constants.percentile == p.denoising.percentile:
            return walk.floors(p, clips, front_end), ""
        own = FRONT_ENDS[front_end].uses_own_floors
        quiet, count = self._quiet(machine, front_end if own else "near")
        near, far = scipy.interpolate.interp1d(_PERCENTILES, quiet, axis=0)(constants.percentile)
        remark = f"Floors from {plural(count, 'training clip')}." if count < len(train) else ""
        if not count:
            remark = f"{machine}: no usable training clip, so G_m is 0: nothing is subtracted."
        return Floors(near, far, constants.far_bound), remark

    def _quiet_powers(
        self, machine: str, front_end: str
    ) -> tuple[Float[np.ndarray, "percentile channel=2 frequency"], int]:
        """Power at every whole percentile over time: mean of evenly spread clips, their number."""
        self._say(f"loading training clips of {machine}")
        paths = self.recordings.clips(machine, "train")["path"]
        chosen = paths.iloc[:: max(math.ceil(len(paths) / MOST_CLIPS), 1)]
        inputs = FRONT_ENDS[front_end](self.params.denoising).floor_inputs

        def one(path: str) -> np.ndarray | None:
            try:
                levels = power(inputs(stft(self._read(path), self.params.spectra)))
            except AsdError:
                return None
            return np.percentile(levels, _PERCENTILES, axis=-1)

        usable = [own for own in clip_by_clip(one, chosen) if own is not None]
        nothing = np.zeros((len(_PERCENTILES), 2, self.params.spectra.n_fft // 2 + 1))
        return np.mean(usable or [nothing], axis=0), len(usable)

    def scorers(self, machine: str, front_end: str) -> list[str]:
        """Detectors without training that the study has computed, in its order."""
        clips = self.recordings.clips(machine)
        return [
            scorer
            for name, scorer in detectors.wanted(self.params)
            if name == front_end
            and views.values_file(views.View(self.params, clips, front_end, scorer)).exists()
        ]

    def _explained(self, clip: Any, front_end: str, scorer: str) -> tuple[pd.DataFrame, float]:
        """Shares of a clip's squared distance, and z, by a detector without training."""
        clips = self.recordings.clips(self.recordings.manifest.loc[clip, "machine"])
        fitted = views.fitted(views.View(self.params, clips, front_end, scorer))
        signal, _ = self.sounds(clip)
        return fitted.explain(signal), float(fitted.z(signal))

    @cached_property
    def decisions(self) -> pd.DataFrame:
        """Decisions on test clips, by the systems that what is done of the study can form."""
        self._say("loading the study's decisions")
        table = study.read(self.params, self.recordings)
        needed = [view for system in systems.SYSTEMS for view in system.views]
        results = statistics.Results(table[statistics.among(table, needed)])
        return systems.decisions(systems.apply_all(results, self.params.scoring.quantile))


def machine_sound(params: Params, recordings: Recordings, clip: pd.Series) -> Sound | None:
    """The machine alone at the near microphone: as written, or an embedded scene rendered again."""
    truth = truth_of(params, recordings, clip)
    if truth is None and recordings.embedded and params.spectra.sample_rate == RATE:
        names = {name: cell for cell, name in scenes.cells(clip["machine"], params.scenes)}
        cell = names[clip["name"].removesuffix(".wav")]
        where = (cell.machine, cell.split, cell.domain, cell.label, cell.index)
        truth = scenes.render(*where, params.scenes)
    return None if truth is None else truth.machine[0].astype(np.float32)


@dataclass(frozen=True)
class ClipPicture:
    """One clip after one front-end, with all that the explorer draws and plays.

    Attributes
    ----------
    near, far, denoised : P_n, P_f and the front-end's power out.
    floors : that G_m comes from.
    snr : local SNR 10 log10 P_n / (G_m P_f), dB; NaN where there is no noise or no sound.
    gain : 10 log10 out / P_n, dB; NaN where P_n is 0.
    sound : the near signal after the front-end.
    energy : mean over seeds of ||e_i||^2, one per stacked vector; none without a model.
    quantile : the percentile of ``energy`` over the vectors that the clip score takes.
    seed_z : z of every seed's model.
    z : their mean.
    note : why energy and z are missing; empty where they are there.
    """

    near: Image
    far: Image
    denoised: Image
    floors: Floors
    snr: Image
    gain: Image
    sound: Sound
    energy: Float[np.ndarray, " vector"] | None = None
    quantile: float = np.nan
    seed_z: Float[np.ndarray, " seed"] | None = None
    z: float = np.nan
    note: str = ""


def clip_picture(
    signal: Signal,
    constants: Denoising,
    *,
    front_end: str,
    params: Params,
    floors: Floors,
    trained: Trained | None = None,
) -> ClipPicture:
    """Take one clip through a front-end and, where there are some, trained models.

    Parameters
    ----------
    signal : full scale is 1, at least one sample.
    constants : of the front-end; the models are those of the study.
    front_end : a name of ``asdlib.frontends.FRONT_ENDS``.
    params : of the study.
    floors : of the machine at the constants' percentile.
    """
    spectrum = stft(signal, params.spectra)
    near, far = power(spectrum)
    denoised = FRONT_ENDS[front_end](constants, floors=floors)(spectrum)
    amplitude = np.sqrt(gain(denoised, near))
    picture = ClipPicture(
        near=near,
        far=far,
        denoised=denoised,
        floors=floors,
        snr=_ratio_db(near, expected_noise(far, floors.transfer)),
        gain=_ratio_db(denoised, near),
        sound=istft(amplitude * spectrum[0], signal.shape[1], params.spectra),
    )
    if trained is None:
        return replace(picture, note="no trained model: run asd study")
    transfer = floors.transfer if params.training.objective == "denoise" else None
    frames = pipeline.frames(spectrum, lambda _: denoised, params.spectra, transfer)
    if len(frames) < params.spectra.stack:
        short = f"too short for one vector: it needs {params.spectra.stack} frames"
        return replace(picture, note=f"{short}, and the clip has {len(frames)}")
    energy, seed_z = trained.score(frames)
    mean = energy.mean(0)
    return replace(
        picture,
        energy=mean,
        quantile=float(np.percentile(mean, params.scoring.percentile)),
        seed_z=seed_z,
        z=PerClip.combine([PerClip([value], ["clip"]) for value in seed_z]).item(),
    )


def _ratio_db(above: Image, below: Image) -> Image:
    heard = (above > 0) & (below > 0)
    return np.where(heard, decibels(above) - decibels(below), np.nan)
