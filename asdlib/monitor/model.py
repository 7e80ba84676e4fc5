"""A monitor: what normal recordings of one machine have taught, and the score of a new one.

It joins the views of the submission without training (chapter 03): statistics of single bins of the
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
from jaxtyping import Float

from asdlib import clipstats, pipeline
from asdlib.calibration import Alarm, surprise
from asdlib.monitor import health, model_file, reasons, recordings
from asdlib.monitor.quantities import measure
from asdlib.monitor.reasons import Reading, ReadingEvidence
from asdlib.monitor.reference import MachineReference
from asdlib.monitor.views import Row, Tables, examined, unfitted, values_of
from asdlib.params import AsdError, Spectra
from asdlib.pipeline import FittedView
from asdlib.runtime.errors import plural
from asdlib.runtime.hardware import keep_memory
from asdlib.runtime.parallel import one_thread

Recording = str | Path | Float[np.ndarray, "channel sample"]


@dataclass(frozen=True)
class Monitor:
    """One machine's detectors without training, and the alarm that they allow.

    Attributes
    ----------
    views : fitted detectors, in the order of :data:`asdlib.clipstats.S5`.
    values : of the training recordings, one array (recording, value) per view.
    known : a row per training recording: domain, fold (block in which it was held out) and hash.
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

    views: tuple[FittedView, ...]
    values: Tables
    known: pd.DataFrame
    reference: MachineReference
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
        if not 0 < false_alarms < 1:
            raise AsdError(
                f"A false-alarm rate of {false_alarms:g} was given; it must lie between 0 and 1."
            )
        spectra = Spectra(resample=resample)
        table = recordings.collect(normal, spectra)
        if len(table) < 2:
            raise AsdError(f"{plural(len(table), 'different recording')} found; 2 are needed.")
        views = unfitted(table, spectra)
        values, found = examined(views, table)
        reference = MachineReference.fit(found)
        faulty = tuple(health.summary(table["name"].tolist(), found, reference))
        none_yet = cls(views, (), table[:0], reference, faulty, false_alarms)
        return none_yet.on(values, recordings.known(table))

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
        parts = {"usual": vars(self.reference)}
        for number, (view, values) in enumerate(zip(self.views, self.values, strict=True)):
            parts[str(number)] = {**model_file.tensors_of(view), "values": values}
        named = {f"{part}.{name}": v for part, own in parts.items() for name, v in own.items()}
        tensors = {"folds": self.known["fold"].to_numpy(), **named}
        about = {
            "views": clipstats.S5,
            "false_alarms": self.false_alarms,
            "domains": self.known["domain"].tolist(),
            "contents": self.known["hash"].tolist(),
            "faulty": self.faulty,
            "spectra": self.spectra.model_dump(),
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
        numbers = range(len(about["views"]))
        known = {"domain": about["domains"], "hash": about["contents"]}
        return cls(
            tuple(model_file.view_of(tensors, about, number) for number in numbers),
            tuple(tensors[f"{number}.values"] for number in numbers),
            pd.DataFrame(known | {"fold": tensors["folds"]}),
            MachineReference(**model_file.part(tensors, "usual")),
            tuple(about["faulty"]),
            about["false_alarms"],
        )

    @property
    def alarm(self) -> Alarm:
        """The decision on scores."""
        return Alarm(joined([own.normal.held_out.z for own in self.views]), self.false_alarms)

    @property
    def promise(self) -> str:
        """What the alarm promises in one or two sentences, or else what keeps it from doing so."""
        alarm, n = self.alarm, len(self.known)
        remarks = [alarm.remark, *(view.normal.remark for view in self.views)]
        if any(remarks):
            return "\n".join(dict.fromkeys(filter(None, remarks)))
        low, high = alarm.interval
        told = (
            f"Alarm at p <= {self.false_alarms:g}: at most {self.false_alarms:.0%} of normal "
            f"recordings like the {n} given ones. With {n} recordings, the true rate is between "
            f"{low:.1%} and {high:.1%} (95 % interval)."
        )
        counts = self.known["domain"].value_counts()
        if len(counts) > 1:
            told += f" Recordings by domain: {', '.join(f'{k} {v}' for k, v in counts.items())}."
        return told

    @property
    def spectra(self) -> Spectra:
        """Sizes of spectra and frames, and the sample rate."""
        return self.views[0].spectra

    def score(
        self, recording: Recording, rate: int | None = None, *, name: str | None = None
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
        return self.evidence(recording, rate, name=name).reading

    def evidence(
        self, recording: Recording, rate: int | None = None, *, name: str | None = None
    ) -> ReadingEvidence:
        """Score one recording alone, with what a picture of the reading shows.

        Parameters and errors are those of :meth:`score`.
        """
        signal = recordings.signal(recording, rate, self.spectra)
        if name is None:
            name = Path(recording).name if isinstance(recording, str | Path) else ""
        mel = self.views[-1]
        with one_thread():
            values, spectra = values_of(self.views, signal)
            z = self.z(values)
            strongest = int(np.argmax(z))
            table = self.views[strongest].explained(values[strongest])
            levels = pipeline.frames(spectra["mel"], mel.front_end, mel.spectra)
            deviation = reasons.deviation(levels, mel.normal)
            centres = clipstats.centres(mel.scorer, mel.spectra)
            found = measure(signal, self.spectra)
        alarm, score = self.alarm, np.array(joined(z))
        reading = Reading(
            score=float(score),
            p_value=float(alarm.p_values(score)),
            alarm=bool(alarm(score)),
            reasons=reasons.of(table, deviation, centres, spectra["fine"], self.spectra),
            health=tuple(fault.sentence for fault in health.faults(found, self.reference)),
            name=name,
            decided=not alarm.remark,
        )
        hop = mel.spectra.hop_length / mel.spectra.sample_rate
        names = clipstats.S5[strongest]
        return ReadingEvidence(reading, levels, deviation, centres, hop, *names, table)

    def z(self, values: Sequence[Row]) -> list[float]:
        """Score of each detector, from what it looks at of one recording."""
        pairs = zip(self.views, values, strict=True)
        return [float(view.normal.z(own[None])[0]) for view, own in pairs]

    def refit(self, more: str | Path | Iterable[str | Path]) -> Monitor:
        """Return a monitor that knows more normal recordings, behind the same front-ends.

        Recordings that it knows already are left out. The noise floors stay those of the first
        fit: fit again on all recordings where the surroundings have changed.
        """
        table = recordings.collect(more, self.spectra)
        table = table[~table["hash"].isin(self.known["hash"])]
        if table.empty:
            raise AsdError("The monitor knows all of these recordings already.")
        new, found = examined(self.views, table)
        values = tuple(np.vstack(pair) for pair in zip(self.values, new, strict=True))
        faulty = health.summary(table["name"].tolist(), found, self.reference)
        return replace(
            self.on(values, pd.concat([self.known, recordings.known(table)], ignore_index=True)),
            reference=self.reference.widened(found),
            faulty=(*self.faulty, *faulty),
        )

    def on(self, values: Tables, known: pd.DataFrame) -> Monitor:
        """Return a monitor on other recordings, behind the same front-ends.

        The parameters are the attributes of the same names.
        """
        domains, folds = known["domain"].tolist(), known["fold"].to_numpy()
        views = tuple(
            replace(view, normal=clipstats.Normal.fit(own, domains, folds))
            for view, own in zip(self.views, values, strict=True)
        )
        return replace(self, views=views, values=values, known=known)


def joined(z: Sequence[Any]) -> Any:
    """Join the scores of the detectors, each a number or an array, by Fisher's sum."""
    return sum(map(surprise, z))
