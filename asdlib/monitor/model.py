"""A monitor: what normal recordings of one machine have taught, and the score of a new one.

It joins the views of the submission without training (chapter 05): statistics of single bins of the
near microphone and after AdaSub, and statistics of mel bands after AdaLS. Thresholds come from
held-out scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from asdlib import clipstats, dataset, pipeline
from asdlib.calibration import Alarm, HeldOut
from asdlib.frontends import FRONT_ENDS, FrontEnd
from asdlib.monitor import health, model_file, reasons, recordings
from asdlib.monitor.quantities import RecordingQuantities, measure
from asdlib.monitor.reasons import Reading, ReadingEvidence
from asdlib.monitor.reference import Reference
from asdlib.noise import Floors
from asdlib.params import AsdError, Denoising, Spectra, Statistics
from asdlib.runtime.errors import plural
from asdlib.runtime.hardware import keep_memory
from asdlib.runtime.parallel import clip_by_clip, one_thread
from asdlib.spectra import Spectrum, problem_of, resampled, stft

_LEAST = 2  # normal recordings
_OF_NORMAL = ("mean", "std", "centres", "whitening")  # arrays of clipstats.Normal


@dataclass(frozen=True)
class Monitor:
    """One machine's detectors without training, and the alarm that they allow.

    Attributes
    ----------
    views : fitted detectors, in the order of :data:`asdlib.clipstats.S5`.
    values : of the training recordings, one array (recording, value) per view.
    domains : of the training recordings.
    folds : number of the block in which each training recording was held out.
    contents : hash of each training recording.
    reference : what the training recordings look like.
    faulty : sentences about training recordings that are not sound themselves.
    false_alarms : wanted share of alarms among normal recordings.

    Examples
    --------
    >>> import tempfile, soundfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> rng = np.random.default_rng(0)
    >>> for i in range(12):
    ...     soundfile.write(folder / f"{i:02d}.wav", 0.1 * rng.normal(size=(16000, 2)), 16000)
    >>> monitor = Monitor.fit(folder)
    >>> monitor.save(folder / "fan.safetensors")
    >>> loud = 0.4 * rng.normal(size=(2, 16000)).astype(np.float32)
    >>> reading = Monitor.load(folder / "fan.safetensors").score(loud, 16000)
    >>> reading.alarm, round(reading.p_value, 3), reading.reasons[0].split(":")[0]
    (True, 0.077, 'louder than normal')
    """

    views: tuple[pipeline.FittedView, ...]
    values: tuple[Float[np.ndarray, "recording _"], ...]
    domains: tuple[str, ...]
    folds: Int[np.ndarray, " recording"]
    contents: tuple[str, ...]
    reference: Reference
    faulty: tuple[str, ...] = ()
    false_alarms: float = 0.1

    @classmethod
    def fit(
        cls,
        normal: str | Path | Iterable[str | Path],
        false_alarms: float = 0.1,
        *,
        resample: bool = False,
    ) -> Monitor:
        """Learn what is normal.

        Parameters
        ----------
        normal : folder of normal recordings of one machine, or paths of such recordings; two
            channels, near and far.
        false_alarms : wanted share of alarms among normal recordings; above 0 and below 1.
        resample : convert other sample rates than 16 kHz instead of refusing them.

        Raises
        ------
        AsdError
            For a wrong rate, fewer than two different recordings, or recordings that cannot be
            used.
        """
        _check_rate(false_alarms)
        spectra = Spectra(resample=resample)
        table = recordings.collect(normal, spectra)
        if len(table) < _LEAST:
            raise AsdError(
                f"{plural(len(table), 'different normal recording')} found; at least {_LEAST} are "
                "needed."
            )
        front_ends = [_front_end(name, kind, table, spectra) for name, kind in _KINDS]
        constants = Statistics()

        def examine(signal: np.ndarray) -> tuple[list[np.ndarray], RecordingQuantities]:
            shared = _transformed(signal, spectra)
            own = [
                pipeline.statistics(signal, kind, front_end, spectra, constants, shared[kind])
                for (_, kind), front_end in zip(_KINDS, front_ends, strict=True)
            ]
            return own, measure(signal, spectra)

        statistics, found = zip(*recordings.each(examine, table, spectra), strict=True)
        views, values = [], []
        domains, folds = table["domain"].tolist(), recordings.folds(table, constants.folds)
        for number, (_, scorer) in enumerate(clipstats.S5):
            whole = np.stack([own[number] for own in statistics])
            values.append(clipstats.chosen(whole, clipstats.VIEWS[scorer].statistics))
            known = clipstats.Normal.fit(values[number], domains, folds)
            views.append(pipeline.FittedView(scorer, front_ends[number], known, spectra))
        reference = Reference.fit(found)
        return cls(
            tuple(views),
            tuple(values),
            tuple(domains),
            folds,
            tuple(table["hash"]),
            reference,
            tuple(health.summary(table["name"].tolist(), found, reference)),
            false_alarms,
        )

    def save(self, path: str | Path) -> None:
        """Write the model file: the same bytes for the same recordings.

        Raises
        ------
        AsdError
            Where it cannot be written, or another file would be lost.
        """
        model_file.write(*self._packed(), Path(path))

    @cached_property
    def identity(self) -> str:
        """Sixteen hexadecimal digits that name the model by all that it holds."""
        return model_file.digest(*self._packed())

    def _packed(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Tensors of the model file, and what stands beside them."""
        tensors = {"folds": self.folds, **model_file.named("usual", vars(self.reference))}
        for number, (view, values) in enumerate(zip(self.views, self.values, strict=True)):
            normal, floors = view.normal, view.front_end.floors
            own = {name: getattr(normal, name) for name in _OF_NORMAL}
            own |= {"values": values, "held_out": normal.held_out.scores}
            if floors is not None:  # the near microphone as it is needs none
                own |= {"floor_near": floors.near, "floor_far": floors.far}
            tensors |= model_file.named(number, own)
        about = {
            "views": clipstats.S5,
            "false_alarms": self.false_alarms,
            "domains": self.domains,
            "contents": self.contents,
            "faulty": self.faulty,
            "spectra": self.views[0].spectra.model_dump(),
            "statistics": self.views[0].constants.model_dump(),
            "denoising": [view.front_end.constants.model_dump() for view in self.views],
        }
        return tensors, about

    @classmethod
    def load(cls, path: str | Path) -> Monitor:
        """Read a model file.

        Raises
        ------
        AsdError
            For a file that is missing, cut, changed, of another kind or of a newer version.
        """
        tensors, about = model_file.read(Path(path))
        keep_memory()  # every recording needs the same blocks again
        try:
            numbers = range(len(about["views"]))
            return cls(
                tuple(_view(tensors, about, number) for number in numbers),
                tuple(tensors[f"{number}.values"] for number in numbers),
                tuple(about["domains"]),
                tensors["folds"],
                tuple(about["contents"]),
                Reference(**model_file.part(tensors, "usual")),
                tuple(about["faulty"]),
                about["false_alarms"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise AsdError(f"{path}: an incomplete model file ({error}); fit again.") from None

    @property
    def alarm(self) -> Alarm:
        """The decision on scores."""
        held_out = [view.normal.held_out.z for view in self.views]
        return Alarm(np.mean(held_out, axis=0), self.false_alarms)

    @property
    def remarks(self) -> list[str]:
        """Sentences about what the monitor cannot promise; none where all is well."""
        told = [self.alarm.remark] if self.alarm.remark else []
        return told + list(dict.fromkeys(v.normal.remark for v in self.views if v.normal.remark))

    @property
    def promise(self) -> str:
        """What the alarm promises, in one or two sentences."""
        alarm, n = self.alarm, len(self.contents)
        if alarm.remark:
            return alarm.remark
        low, high = alarm.interval
        told = (
            f"Alarm at p <= {self.false_alarms:g}: at most {self.false_alarms:.0%} of normal "
            f"recordings like the {n} given ones. With {n} recordings, the true rate is between "
            f"{low:.1%} and {high:.1%} (95 % interval)."
        )
        counts = pd.Series(self.domains).value_counts()
        if len(counts) > 1:
            told += f" Recordings by domain: {', '.join(f'{k} {v}' for k, v in counts.items())}."
        return told

    def score(
        self,
        recording: str | Path | Float[np.ndarray, "channel sample"],
        rate: int | None = None,
        *,
        name: str | None = None,
    ) -> Reading:
        """Score one recording alone.

        Parameters
        ----------
        recording : file, or array (2, sample) with its sample rate beside it.
        rate : of the array, in Hz; 16000 by default.
        name : of the recording; that of the file by default.

        Raises
        ------
        AsdError
            For a recording that cannot be used.
        """
        return self._score(self._signal(recording, rate), _name(recording, name))[0]

    def evidence(
        self,
        recording: str | Path | Float[np.ndarray, "channel sample"],
        rate: int | None = None,
        *,
        name: str | None = None,
    ) -> ReadingEvidence:
        """Score one recording alone, with what a picture of the reading shows.

        Parameters and errors are those of :meth:`score`.
        """
        signal = self._signal(recording, rate)
        reading, strongest, values = self._score(signal, _name(recording, name))
        mel, view = self.views[-1], self.views[strongest]
        with one_thread():
            spectrum = stft(signal, mel.spectra)
            levels = pipeline.frames(spectrum, mel.front_end, mel.spectra)
            deviation, table = reasons.deviation(levels, mel), view.explained(values)
        return ReadingEvidence(
            reading,
            levels,
            deviation,
            clipstats.centres(mel.scorer, mel.spectra),
            mel.spectra.hop_length / mel.spectra.sample_rate,
            *clipstats.S5[strongest],
            table,
        )

    def _signal(
        self,
        recording: str | Path | Float[np.ndarray, "channel sample"],
        rate: int | None,
        content: str | None = None,
    ) -> Float[np.ndarray, "channel=2 _"]:
        """Both channels at the sample rate of the detectors."""
        spectra = self.views[0].spectra
        if isinstance(recording, str | Path):
            signal = dataset.read(recording, spectra, content=content)
            where, rate = f"{recording}: ", spectra.sample_rate
        else:
            where, rate = "", spectra.sample_rate if rate is None else rate
            signal = np.asarray(recording, np.float32)
            if signal.ndim != 2:
                raise AsdError(
                    f"an array of shape {signal.shape}; (2, samples) is needed, near and far."
                )
        shortest = 2 * spectra.n_fft  # two frames of the longer window
        if wrong := problem_of(signal, rate, spectra, shortest):
            raise AsdError(f"{where}{wrong}")
        return resampled(signal, rate, spectra)

    def _score(
        self, signal: Float[np.ndarray, "channel=2 sample"], name: str
    ) -> tuple[Reading, int, Float[np.ndarray, " value"]]:
        """The reading, and the detector with the highest score: its number and its values."""
        with one_thread():
            spectra = _transformed(signal, self.views[0].spectra)
            values = self._values(signal, spectra)
            z = self._z(values)
            strongest = int(np.argmax(z))
            why = reasons.of(self.views[strongest], values[strongest], self.views[-1], spectra)
            found = measure(signal, self.views[0].spectra)
        alarm, score = self.alarm, np.array(np.mean(z))
        reading = Reading(
            score=float(score),
            p_value=float(alarm.p_values(score)),
            alarm=bool(alarm(score)),
            reasons=why,
            health=health.problems(found, self.reference),
            name=name,
            decided=not alarm.remark,
        )
        return reading, strongest, values[strongest]

    def values_of(
        self, recording: str | Path, content: str | None = None
    ) -> list[Float[np.ndarray, " _"]]:
        """What the detectors look at of one recording, one array per view.

        Parameters
        ----------
        content : hash that the file must have, see :func:`asdlib.dataset.read`.
        """
        signal = self._signal(recording, None, content)
        with one_thread():
            return self._values(signal, _transformed(signal, self.views[0].spectra))

    def score_of(self, values: Sequence[Float[np.ndarray, " _"]]) -> float:
        """Score of a recording whose values are at hand, see :meth:`values_of`."""
        with one_thread():
            return float(np.mean(self._z(values)))

    def _values(
        self, signal: Float[np.ndarray, "channel=2 sample"], spectra: dict[str, Spectrum]
    ) -> list[Float[np.ndarray, " _"]]:
        return [view.values(signal, spectra[_kind(view.scorer)]) for view in self.views]

    def _z(self, values: Sequence[Float[np.ndarray, " _"]]) -> list[float]:
        return [
            float(view.normal.z(own[None])[0]) for view, own in zip(self.views, values, strict=True)
        ]

    def refit(self, more: str | Path | Iterable[str | Path]) -> Monitor:
        """Return a monitor that knows more normal recordings, behind the same front-ends.

        Recordings that it knows already are left out. The noise floors stay those of the first
        fit: fit again on all recordings where the surroundings have changed.
        """
        spectra = self.views[0].spectra
        table = recordings.collect(more, spectra)
        table = table[~table["hash"].isin(self.contents)]
        if table.empty:
            raise AsdError("The monitor knows all of these recordings already.")
        files = zip(table["path"], table["hash"], strict=True)
        new = list(clip_by_clip(lambda file: self.values_of(*file), files))
        values = tuple(
            np.vstack([known, *(own[number][None] for own in new)])
            for number, known in enumerate(self.values)
        )
        folds = np.concatenate([self.folds, recordings.folds(table, self.views[0].constants.folds)])
        domains, contents = (*self.domains, *table["domain"]), (*self.contents, *table["hash"])
        found = recordings.measured(table, spectra)
        faulty = health.summary(table["name"].tolist(), found, self.reference)
        return replace(
            self.on(values, domains, folds, contents),
            reference=self.reference.widened(found),
            faulty=(*self.faulty, *faulty),
        )

    def on(
        self,
        values: tuple[Float[np.ndarray, "recording _"], ...],
        domains: tuple[str, ...],
        folds: Int[np.ndarray, " recording"],
        contents: tuple[str, ...],
    ) -> Monitor:
        """Return a monitor on other recordings, behind the same front-ends.

        The parameters are the attributes of the same names.
        """
        views = tuple(
            replace(view, normal=clipstats.Normal.fit(own, domains, folds))
            for view, own in zip(self.views, values, strict=True)
        )
        return replace(
            self, views=views, values=values, domains=domains, folds=folds, contents=contents
        )

    def with_false_alarms(self, false_alarms: float) -> Monitor:
        """Return the same monitor with another wanted rate."""
        _check_rate(false_alarms)
        return replace(self, false_alarms=false_alarms)


def _kind(scorer: str) -> str:
    return clipstats.VIEWS[scorer].kind


_KINDS = [(front_end, _kind(scorer)) for front_end, scorer in clipstats.S5]


def _transformed(
    signal: Float[np.ndarray, "channel=2 sample"], spectra: Spectra
) -> dict[str, Spectrum]:
    """Complex spectra by the kind of view that they are for."""
    return {kind: stft(signal, clipstats.sizes(kind, spectra)) for kind in ("fine", "mel")}


def _front_end(name: str, kind: str, table: pd.DataFrame, spectra: Spectra) -> FrontEnd:
    """A front-end for one kind of view, fitted on normal recordings."""
    sizes = clipstats.sizes(kind, spectra)
    context = -(-Denoising().context * spectra.hop_length // sizes.hop_length)  # as many seconds
    front_end = FRONT_ENDS[name](Denoising(context=context))
    if front_end.needs_floors:

        def quiet(signal: np.ndarray) -> np.ndarray:
            return front_end.quiet_power(stft(signal, sizes))

        levels = recordings.each(quiet, table, spectra)
        front_end.floors = Floors.average(levels, front_end.constants)
    return front_end


def _view(tensors: model_file.Tensors, about: dict[str, Any], number: int) -> pipeline.FittedView:
    """One detector of a model file, by its number among them."""
    name, scorer = about["views"][number]
    own, kind = model_file.part(tensors, number), FRONT_ENDS[name]
    constants = Denoising(**about["denoising"][number])
    floors = None
    if kind.needs_floors:
        floors = Floors(own["floor_near"], own["floor_far"], constants.far_bound)
    arrays = {name: own[name] for name in _OF_NORMAL}
    normal = clipstats.Normal(**arrays, held_out=HeldOut(own["held_out"]))
    sizes, statistics = Spectra(**about["spectra"]), Statistics(**about["statistics"])
    return pipeline.FittedView(scorer, kind(constants, floors=floors), normal, sizes, statistics)


def _name(recording: object, given: str | None) -> str:
    if given is not None:
        return given
    return Path(recording).name if isinstance(recording, str | Path) else ""


def _check_rate(rate: float) -> None:
    if not 0 < rate < 1:
        raise AsdError(f"A false-alarm rate of {rate:g} was given; it must lie between 0 and 1.")
