"""What the live explorer reads and computes: floors, trained models, decisions, one clip's arrays.

Nothing is trained here, and what cannot be used becomes a sentence. Notebook: 00_explore.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy.stats
from jaxtyping import Float

from asdlib import dataset, noise, pipeline, study
from asdlib.calibration import Calibration
from asdlib.clipstats import VIEWS
from asdlib.compare import statistics, systems
from asdlib.frontends import FRONT_ENDS
from asdlib.guard import PerClip
from asdlib.measure.truth import Example, truth_of
from asdlib.noise import Floors
from asdlib.params import AsdError, Denoising, Params
from asdlib.runtime.errors import form, plural
from asdlib.runtime.parallel import clip_by_clip, one_thread
from asdlib.simulate import scenes
from asdlib.simulate.sounds import RATE
from asdlib.spectra import power, stft
from asdlib.study import detectors, scores, stages, views
from asdlib.study.recordings import Recordings

MOST_CLIPS = 40  # training clips kept in memory for floors at other percentiles
Sentences = tuple[str, ...]


def open_folder(params: Params, *, progress: bool = False) -> tuple[Recordings, Sentences]:
    """Open the recordings of a study; what is wrong is returned beside the clips, not raised.

    Raises
    ------
    AsdError
        Where there is no clip at all, or where the embedded scenes have a fault.
    """
    recordings = study.open_recordings(params, progress=progress, strict=False)
    return recordings, recordings.problems


@dataclass(frozen=True)
class QuietPowers:
    """Training clips' powers sorted over time: a percentile is an interpolated row.

    Attributes
    ----------
    clips : one (frame, channel, frequency) array per training clip, float32.
    """

    clips: Sequence[Float[np.ndarray, "_ channel=2 frequency"]]

    @classmethod
    def read(cls, params: Params, clips: pd.DataFrame, front_end: str = "near") -> QuietPowers:
        """Take at most ``MOST_CLIPS`` evenly spread clips; unusable ones are left out."""
        heard = FRONT_ENDS[front_end](params.denoising).floor_inputs
        place = np.linspace(0, len(clips) - 1, min(len(clips), MOST_CLIPS)).round().astype(int)

        def one(path: str) -> np.ndarray | None:
            try:
                signal = dataset.read(path, params.spectra)
            except AsdError:
                return None
            if not (signal.size and np.isfinite(signal).all()):
                return None
            levels = power(heard(stft(signal, params.spectra)))
            return np.ascontiguousarray(np.sort(levels, axis=-1).transpose(2, 0, 1))

        found = clip_by_clip(one, clips["path"].iloc[place])
        return cls([levels for levels in found if levels is not None])

    def floors(self, constants: Denoising) -> Floors | None:
        """Both floors as of :class:`asdlib.noise.Floors`; none without a usable training clip."""
        if not self.clips:
            return None
        quiet = []
        for levels in self.clips:
            row = (len(levels) - 1) * constants.percentile / 100
            low = int(row)
            high = min(low + 1, len(levels) - 1)
            quiet.append(levels[low] + (row - low) * (levels[high].astype(float) - levels[low]))
        near, far = np.mean(quiet, axis=0)
        return Floors(near, far, constants.far_bound)


@dataclass(frozen=True)
class Trained:
    """A trained unit, ready to score one clip by one scorer.

    Attributes
    ----------
    fitted : what the unit has learnt, with the detector of this scorer only.
    scorer : its name; eq. 1 where the study has it.
    gammas : one per seed, fitted to the training clips' scores; none where scores are held out.
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
        """Read a unit back; none where it was not trained, and nothing is trained here."""
        known = [name for name in task.params.scorers if name in detectors.EQ1]
        if not (known and scores.done(task) and stages.trained(task)):
            return None
        scorer = "eq1" if "eq1" in known else min(known)
        fitted, table = scores.fitted(task, [scorer]), scores.read(task)
        normal = table[(table["scorer"] == scorer) & (table["split"] == "train")]
        training = statistics.ensemble(normal)["score"].to_numpy()
        threshold = float(np.quantile(training, task.params.scoring.quantile))
        own = [fitted.gammas[scorer, seed] for seed in task.params.seeds]
        gammas = [gamma for gamma in own if isinstance(gamma, Calibration)]
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

    def density(self, z: Float[np.ndarray, " point"]) -> Float[np.ndarray, "seed point"]:
        """Density of the standardised score: each seed's fitted gamma, or else the normal one."""
        if not self.gammas or self.gammas[0].mode == "gamma_normal":
            return np.tile(scipy.stats.norm.pdf(z), (max(len(self.gammas), 1), 1))
        curves = []
        for gamma in self.gammas:
            std = np.sqrt(gamma.shape) * gamma.scale
            a = gamma.shape * gamma.scale + z * std
            curves.append(scipy.stats.gamma.pdf(a, gamma.shape, scale=gamma.scale) * std)
        return np.array(curves)


def machine_sound(
    params: Params, recordings: Recordings, clip: pd.Series
) -> Float[np.ndarray, " sample"] | None:
    """The machine alone at the near microphone: as written, or an embedded scene rendered again."""
    truth = truth_of(params, recordings, clip)
    if truth is None and recordings.embedded and params.spectra.sample_rate == RATE:
        stem = clip["name"].removesuffix(".wav")
        for cell, name in scenes.cells(clip["machine"], params.scenes):
            if name == stem:
                where = (cell.machine, cell.split, cell.domain, cell.label, cell.index)
                truth = scenes.render(*where, params.scenes)
                break
    return None if truth is None else truth.machine[0].astype(np.float32)


def viewed(
    params: Params, recordings: Recordings, machine: str, front_end: str
) -> dict[str, views.View]:
    """Detectors without training that the study has computed for a machine and a front-end.

    Returns
    -------
    Mapping of the scorer to its view, in the order of the study.
    """
    clips = recordings.clips(machine)
    found = {
        scorer: (params, clips, name, scorer)
        for name, scorer in detectors.wanted(params)
        if name == front_end
    }
    return {name: view for name, view in found.items() if _measured(view)}


def apply_systems(params: Params, recordings: Recordings) -> systems.Applied:
    """Apply the systems that the study can form; empty where it has not run.

    Autoencoders and detectors without training are left out apart, each where they lack files:
    nothing is trained or measured here.
    """
    needed = dict.fromkeys(view for s in systems.SYSTEMS for view in s.views)
    trained = detectors.trained(params)
    seen: list[str] = []
    names = dict.fromkeys(name for name, scorer in needed if scorer not in VIEWS)
    wanted = tuple(name for name in names if name in params.front_ends)
    own = trained.model_copy(update={"front_ends": wanted, "baseline": False})
    if not (own.scorers and wanted and all(map(scores.done, study.tasks(own, recordings)))):
        own = own.model_copy(update={"scorers": ()})
    for front_end, scorer in detectors.wanted(params):
        one = params.model_copy(update={"scorers": (f"{front_end}/{scorer}",)})
        if (front_end, scorer) in needed and all(map(_measured, study.all_views(one, recordings))):
            seen += one.scorers
    own = own.model_copy(update={"scorers": (*own.scorers, *seen)})
    if not own.scorers:
        return {}
    table = study.run(own, recordings=recordings)  # reads back: nothing is missing
    models = pd.MultiIndex.from_frame(table[["front_end", "scorer"]])
    table = table[models.isin(list(needed))]
    return systems.apply_all(statistics.Results(table), params.scoring.quantile)


def _measured(view: views.View) -> bool:
    """Whether the scores and the statistics of a detector without training are there."""
    return views.scores_file(*view).exists() and views.values_file(*view).exists()


def describe_decisions(results: systems.Applied, clip: pd.Series) -> str:
    """Ensemble z of the first system, and which ones miss the clip or raise a false alarm on it."""
    machine, name = clip["machine"], clip["name"]
    if not any(len(applied.clips) for applied in results.values()):
        return "not decided: the study has not been run"
    own = systems.default_system(results).name
    z = results[own].clips.set_index(["machine", "name"])["score"][machine, name]
    text = f"{own}: z = {z:.2f}"
    if machine in results[own].scored:
        text += f", threshold {results[own].scored[machine].threshold:.2f}"
    if clip["split"] == "train":
        return f"{text}; a training clip"
    said = {
        system: dict(applied.scored[machine].decisions.items())[name]
        for system, applied in results.items()
        if machine in applied.scored
    }
    alarms = ", ".join(system for system, decision in said.items() if decision) or "none"
    silent = ", ".join(system for system, decision in said.items() if not decision) or "none"
    if clip["label"] == "unknown":
        return f"{text}; label unknown, anomalous by {alarms}"
    if clip["label"] == "anomaly":
        return f"{text}; missed by {silent}"
    return f"{text}; false alarm by {alarms}"


@dataclass(frozen=True)
class ClipPicture:
    """One clip after one front-end, with all that the explorer draws and plays.

    Attributes
    ----------
    near, far, denoised : P_n, P_f and the front-end's power out.
    floors : that G_m comes from.
    snr : local SNR 10 log10 P_n / (G_m P_f), dB; NaN where there is no noise or no sound.
    gain : 10 log10 out / P_n, dB; NaN where P_n is 0.
    sound : (sample,), the near signal after the front-end.
    energy : mean over seeds of ||e_i||^2, one per stacked vector; none without a model.
    quantile : the percentile of ``energy`` over the vectors that the clip score takes.
    seed_z : z of every seed's model.
    z : their mean.
    note : why energy and z are missing; empty where they are there.
    """

    near: Float[np.ndarray, "frequency frame"]
    far: Float[np.ndarray, "frequency frame"]
    denoised: Float[np.ndarray, "frequency frame"]
    floors: Floors
    snr: Float[np.ndarray, "frequency frame"]
    gain: Float[np.ndarray, "frequency frame"]
    sound: Float[np.ndarray, " sample"]
    energy: Float[np.ndarray, " vector"] | None = None
    quantile: float = np.nan
    seed_z: Float[np.ndarray, " seed"] | None = None
    z: float = np.nan
    note: str = ""


def clip_picture(
    signal: Float[np.ndarray, "channel=2 sample"],
    constants: Denoising,
    *,
    front_end: str,
    params: Params,
    floors: Floors | None = None,
    trained: Trained | None = None,
) -> ClipPicture:
    """Take one clip through a front-end and, where there is one, a trained unit.

    Parameters
    ----------
    signal : full scale is 1, at least one sample.
    constants : of the front-end; the unit keeps the models that it was trained with.
    front_end : a name of ``asdlib.frontends.FRONT_ENDS``.
    params : of the study.
    floors : of the machine at the constants' percentile; none: nothing is subtracted.
    trained : from :meth:`Trained.load`.
    """
    spectrum = stft(signal, params.spectra)
    near, far = power(spectrum)
    floors = floors or Floors(np.zeros(len(near)), np.zeros(len(near)), constants.far_bound)
    denoised = FRONT_ENDS[front_end](constants, floors=floors)(spectrum)
    expected = noise.expected_noise(far, floors.transfer)
    example = Example(pd.Series(dtype=object), signal, spectrum, {front_end: denoised})
    picture = ClipPicture(
        near=near,
        far=far,
        denoised=denoised,
        floors=floors,
        snr=_ratio_db(near, expected),
        gain=_ratio_db(denoised, near),
        sound=example.sound(front_end, params),
    )
    if trained is None:
        return replace(picture, note="no trained model: run asd study")
    transfer = floors.transfer if params.training.objective == "denoise" else None
    frames = pipeline.frames(spectrum, lambda _: denoised, params.spectra, transfer)
    if len(frames) < params.spectra.stack:
        return replace(
            picture,
            note=f"{plural(len(frames), 'frame')} {form(len(frames), 'is', 'are')} too few: one "
            f"vector needs {params.spectra.stack}",
        )
    energy, seed_z = trained.score(frames)
    mean = energy.mean(0)
    return replace(
        picture,
        energy=mean,
        quantile=float(np.percentile(mean, params.scoring.percentile)),
        seed_z=seed_z,
        z=PerClip.combine([PerClip([value], ["clip"]) for value in seed_z]).item(),
    )


def _ratio_db(
    above: Float[np.ndarray, "frequency frame"], below: Float[np.ndarray, "frequency frame"]
) -> Float[np.ndarray, "frequency frame"]:
    heard = (above > 0) & (below > 0)
    levels = [np.log10(x, out=np.full_like(x, np.nan), where=heard) for x in (above, below)]
    return 10 * (levels[0] - levels[1])
