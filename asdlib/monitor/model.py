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
from asdlib.calibration import Alarm
from asdlib.io import files
from asdlib.monitor import health, reasons, recordings, stored
from asdlib.monitor.quantities import measure
from asdlib.monitor.reasons import Reading, ReadingEvidence
from asdlib.monitor.reference import Reference
from asdlib.params import AsdError, Params, Spectra
from asdlib.runtime.errors import plural
from asdlib.runtime.hardware import keep_memory
from asdlib.runtime.parallel import clip_by_clip, one_thread
from asdlib.spectra import Spectrum, problem_of, resampled, stft
from asdlib.study import views

_LEAST = 2  # normal recordings


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
    usual : what the training recordings look like, see :mod:`asdlib.monitor.health`.
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
    usual: Reference
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
        with files.temporary_folder() as folder:
            scorers = tuple("/".join(view) for view in clipstats.S5)
            params = Params(spectra=spectra, results=str(folder), scorers=scorers)
            own = [views.View(params, "machine", *view, table) for view in clipstats.S5]
            views.measure(own)
            values = tuple(view.values() for view in own)
            front_ends = [view.unit.denoiser() for view in own]
        domains = table["domain"].tolist()
        folds = recordings.folds(table, params.statistics.folds)
        fitted = tuple(
            pipeline.FittedView(
                scorer, front_end, clipstats.Normal.fit(found, domains, folds), spectra
            )
            for (_, scorer), front_end, found in zip(clipstats.S5, front_ends, values, strict=True)
        )
        found = recordings.measured(table, spectra)
        usual, contents = Reference.fit(found), tuple(table["hash"])
        faulty = tuple(health.summary(table["name"].tolist(), found, usual))
        return cls(fitted, values, tuple(domains), folds, contents, usual, faulty, false_alarms)

    def save(self, path: str | Path) -> None:
        """Write the model file: the same bytes for the same recordings.

        Raises
        ------
        AsdError
            Where it cannot be written, or another file would be lost.
        """
        stored.write(*self._packed(), Path(path))

    @cached_property
    def identity(self) -> str:
        """Sixteen hexadecimal digits that name the model by all that it holds."""
        return stored.digest(*self._packed())

    def _packed(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Tensors of the model file, and what stands beside them."""
        tensors: dict[str, np.ndarray] = {"folds": self.folds}
        for number, (view, values) in enumerate(zip(self.views, self.values, strict=True)):
            own = stored.tensors_of(view, values)
            tensors |= {f"{number}.{name}": value for name, value in own.items()}
        tensors |= {f"usual.{name}": value for name, value in vars(self.usual).items()}
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
        tensors, about = stored.read(Path(path))
        keep_memory()  # every recording needs the same blocks again
        try:
            views = tuple(
                stored.view_of(tensors, about, number) for number in range(len(about["views"]))
            )
            values = tuple(tensors[f"{number}.values"] for number in range(len(views)))
            return cls(
                views,
                values,
                tuple(about["domains"]),
                tensors["folds"],
                tuple(about["contents"]),
                Reference(**stored.part(tensors, "usual")),
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
            spectra = self._spectra(signal)
            values = self._values(signal, spectra)
            z = self._z(values)
            alarm, score = self.alarm, np.array(np.mean(z))
            strongest = int(np.argmax(z))
            told = reasons.of(self.views[strongest], values[strongest], self.views[-1], spectra)
            measured = measure(signal, self.views[0].spectra)
        p_value, raised = float(alarm.p_values(score)), bool(alarm(score))
        sound = health.problems(measured, self.usual)
        decided = not alarm.remark
        reading = Reading(float(score), p_value, raised, told, sound, name, decided)
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
            return self._values(signal, self._spectra(signal))

    def score_of(self, values: Sequence[Float[np.ndarray, " _"]]) -> float:
        """Score of a recording whose values are at hand, see :meth:`values_of`."""
        with one_thread():
            return float(np.mean(self._z(values)))

    def _spectra(self, signal: Float[np.ndarray, "channel=2 sample"]) -> dict[str, Spectrum]:
        """Complex spectra by the kind of view that they are for."""
        sizes = {kind: clipstats.sizes(kind, self.views[0].spectra) for kind in ("fine", "mel")}
        return {kind: stft(signal, own) for kind, own in sizes.items()}

    def _values(
        self, signal: Float[np.ndarray, "channel=2 sample"], spectra: dict[str, Spectrum]
    ) -> list[Float[np.ndarray, " _"]]:
        kinds = [clipstats.VIEWS[view.scorer].kind for view in self.views]
        return [
            view.values(signal, spectra[kind]) for view, kind in zip(self.views, kinds, strict=True)
        ]

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
        domains = (*self.domains, *table["domain"])
        folds = np.concatenate([self.folds, recordings.folds(table, self.views[0].constants.folds)])
        views = tuple(
            replace(view, normal=clipstats.Normal.fit(found, domains, folds))
            for view, found in zip(self.views, values, strict=True)
        )
        contents = (*self.contents, *table["hash"])
        found = recordings.measured(table, spectra)
        told = health.summary(table["name"].tolist(), found, self.usual)
        usual, faulty = self.usual.widened(found), (*self.faulty, *told)
        return Monitor(views, values, domains, folds, contents, usual, faulty, self.false_alarms)

    def with_false_alarms(self, false_alarms: float) -> Monitor:
        """Return the same monitor with another wanted rate."""
        _check_rate(false_alarms)
        return replace(self, false_alarms=false_alarms)


def _name(recording: object, given: str | None) -> str:
    if given is not None:
        return given
    return Path(recording).name if isinstance(recording, str | Path) else ""


def _check_rate(rate: float) -> None:
    if not 0 < rate < 1:
        raise AsdError(f"A false-alarm rate of {rate:g} was given; it must lie between 0 and 1.")
