"""A monitor: what normal recordings of one machine have taught, and the score of a new one.

It joins the views of the submission without training (chapter 03), which are statistics of single
bins after AdaSub and of mel bands after AdaLS, with a detector of new lines. Where the far
microphone is no noise reference, the views look at the near one as it is. Thresholds come from
held-out scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from asdlib import clipstats
from asdlib.calibration import Alarm, HeldOut
from asdlib.lines import Lines
from asdlib.monitor import health, model_file, recordings
from asdlib.monitor.decision import Decision
from asdlib.monitor.reasons import Reading, ReadingEvidence, joined
from asdlib.monitor.recordings import Paths, Recording, Skip
from asdlib.monitor.reference import MachineReference
from asdlib.monitor.signs import UsualLines
from asdlib.monitor.views import Row, Tables, examined, judged, unfitted
from asdlib.params import AsdError, Spectra
from asdlib.pipeline import FittedView
from asdlib.runtime.errors import plural
from asdlib.runtime.parallel import keep_memory, one_thread


@dataclass(frozen=True)
class Monitor:
    """One machine's detectors without training, and the alarm that they allow.

    Attributes
    ----------
    views : fitted detectors, in the order of :data:`asdlib.clipstats.S5`.
    lines : what the lines of the training recordings look like.
    values : of the training recordings, one array (recording, value) per view and of the lines.
    known : a row per training recording, of :func:`asdlib.monitor.recordings.known`.
    reference : what the training recordings look like.
    faulty : sentences about training recordings that are not sound themselves.
    false_alarms : wanted share of alarms among normal recordings.
    warnings : wanted share of warnings and alarms together; none: no warnings.
    condition : the one that recordings are known to be of, a domain of the training recordings;
        none: an alarm needs a small p value for every one.

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
    lines: Lines
    values: Tables
    known: pd.DataFrame
    reference: MachineReference
    faulty: tuple[str, ...] = ()
    false_alarms: float = 0.1
    warnings: float | None = None
    condition: str | None = None

    @classmethod
    def fit(
        cls,
        normal: Paths,
        false_alarms: float = 0.1,
        *,
        resample: bool = False,
        mono: bool = False,
        skip: Skip = None,
    ) -> Monitor:
        """Learn what is normal.

        Parameters
        ----------
        normal : folder of normal recordings of one machine, or paths of such recordings; two
            channels, near and far.
        false_alarms : wanted share of alarms among normal recordings; above 0 and below 1.
        resample : convert other sample rates than 16 kHz instead of refusing them.
        mono : recordings of one microphone. No noise is subtracted.
        skip : gets a sentence for each recording that cannot be used; none: that is an error.

        Raises
        ------
        AsdError
            For a wrong rate, fewer than two different recordings, or recordings that cannot be
            used.
        """
        Decision(np.zeros(0), false_alarms)  # refuses a rate out of range, before any work
        spectra = Spectra(resample=resample, mono=mono)
        table = recordings.collect(normal, spectra, skip)
        if len(table) < 2:
            raise AsdError(f"{plural(len(table), 'different recording')} found; 2 are needed.")
        views = unfitted(table, spectra)
        values, found = examined(views, table)
        reference = MachineReference.fit(found)
        faulty = health.summary(table["name"], found, reference, mono=mono)
        known = recordings.known(table, found, values[-2])
        views, lines = _learnt(views, values, known)
        return cls(views, lines, values, known, reference, faulty, false_alarms)

    def save(self, path: str | Path) -> None:
        """Write the model file: the same bytes for the same recordings of the same days.

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
        lines = {"usual": self.lines.usual, "scatter": self.lines.scatter}
        lines |= {"held_out": self.lines.held_out.scores, "values": self.values[-1]}
        parts = {"usual": vars(self.reference), "lines": lines}
        for number, view in enumerate(self.views):
            parts[str(number)] = model_file.tensors_of(view) | {"values": self.values[number]}
        named = {f"{part}.{name}": v for part, own in parts.items() for name, v in own.items()}
        about = {
            "views": clipstats.S5,
            "false_alarms": self.false_alarms,
            "known": self.known.to_dict("list"),
            "faulty": self.faulty,
            "spectra": self.spectra.model_dump(),
            "statistics": self.views[0].constants.model_dump(),
            "denoising": [view.front_end.constants.model_dump() for view in self.views],
        }
        return named, about

    @classmethod
    def load(cls, path: str | Path) -> Monitor:
        """Read a model file.

        Raises
        ------
        AsdError
            For a file that is missing, cut, changed, of another kind or of another version.
        """
        tensors, about = model_file.read(Path(path))
        keep_memory()  # every recording needs the same blocks again
        numbers = range(len(about["views"]))
        lines = model_file.part(tensors, "lines")
        return cls(
            tuple(model_file.view_of(tensors, about, number) for number in numbers),
            Lines(lines["usual"], lines["scatter"], HeldOut(lines["held_out"])),
            (*(tensors[f"{number}.values"] for number in numbers), lines["values"]),
            pd.DataFrame(about["known"]),
            MachineReference(**model_file.part(tensors, "usual")),
            tuple(about["faulty"]),
            about["false_alarms"],
        )

    @cached_property
    def usual_lines(self) -> UsualLines:
        """The lines that the training recordings share."""
        return UsualLines.fit(self.values[-1])

    @cached_property
    def decision(self) -> Decision:
        """The decision on scores, and what it promises."""
        z = [*(own.normal.held_out.z for own in self.views), self.lines.held_out.z]
        sessions, folds = (self.known[column].tolist() for column in ("session", "fold"))
        return Decision(joined(z), self.false_alarms, self.warnings, sessions, folds)

    @cached_property
    def decisions(self) -> dict[str, Decision]:
        """The decision on scores against each condition that a recording may be of.

        Raises
        ------
        AsdError
            For a condition that no training recording is of.
        """
        z = [view.normal.held_out.standardise(view.normal.to_own) for view in self.views]
        scores = pd.Series(joined([*z, self.lines.held_out.z]))
        found = {
            str(name): Decision(own.to_numpy(), self.false_alarms, self.warnings)
            for name, own in scores.groupby(self.known["domain"].to_numpy())
        }
        if self.condition not in (None, *found):
            known = " and ".join(found)
            raise AsdError(f"No recording is of condition {self.condition!r}; there is {known}.")
        return found if self.condition is None else {self.condition: found[self.condition]}

    def z(self, values: Sequence[Row]) -> Float[np.ndarray, "detector condition"]:
        """Score of each detector against each condition, from what it looks at of one recording.

        The conditions are in the order of their names. A line is new for all of them or for none.
        """
        *of_views, prominence = values
        pairs = zip(self.views, of_views, strict=True)
        z = [
            v.normal.held_out.standardise(v.normal.log_distances(own[None])[0]) for v, own in pairs
        ]
        return np.stack([*z, np.full_like(z[0], self.lines.z(prominence[None])[0])])

    def p_value(self, z: Float[np.ndarray, "detector condition"], windows: int = 1) -> float:
        """Share of normal recordings of any condition, at most, that are as strange.

        Parameters
        ----------
        z : of one recording, see :meth:`z`.
        windows : see :meth:`asdlib.monitor.decision.Decision.p_value`.

        References
        ----------
        A normal recording of condition d has max over conditions of p <= q in a share q of cases at
        most, whatever d is: its own p value is one of those that the maximum is taken over.
        """
        of = dict(zip(sorted(set(self.known["domain"])), joined(z), strict=True))
        return max(own.p_value(of[name], windows) for name, own in self.decisions.items())

    @property
    def alarm(self) -> Alarm:
        """The alarm by the wanted rate."""
        return self.decision

    @property
    def remark(self) -> str:
        """One sentence where a condition has too few recordings for any alarm; empty otherwise."""
        for name, decision in self.decisions.items():
            if told := decision.remark:
                of = f"Condition {name}: " * (len(self.decisions) > 1)
                return f"{of}{told}"
        return ""

    @property
    def promise(self) -> str:
        """What the alarm promises, or else what keeps it from doing so; a sentence a line."""
        remarks = [self.remark, *(view.normal.remark for view in self.views)]
        told = [*dict.fromkeys(filter(None, remarks))] or [self.decision.promise]
        floors = self.views[0].front_end.floors
        if self.spectra.mono:
            told.append(
                "One microphone: no noise is subtracted, and a change of the surroundings counts "
                "as one of the machine."
            )
        elif floors and not floors.far_is_reference:
            told.append(
                "The far microphone hears all that the near one hears, so it is no noise "
                "reference: the near one alone is used."
            )
        if len(self.decisions) > 1:
            counts = self.known["domain"].value_counts()
            of = ", ".join(f"{name} ({count} recordings)" for name, count in counts.items())
            told.append(f"An alarm needs p <= {self.false_alarms:g} for every condition: {of}.")
        return "\n".join(told)

    @property
    def spectra(self) -> Spectra:
        """Sizes of spectra and frames, and the sample rate."""
        return self.views[0].spectra

    def score(self, recording: Recording, rate: int | None = None, *, name: str = "") -> Reading:
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
        self, recording: Recording, rate: int | None = None, *, name: str = ""
    ) -> ReadingEvidence:
        """Score one recording alone, with what a picture of the reading shows.

        Parameters and errors are those of :meth:`score`.
        """
        signal = recordings.signal(recording, rate, self.spectra)
        if isinstance(recording, str | Path):
            name = name or Path(recording).name
        with one_thread():
            return judged(self, signal, name)

    def refit(self, more: Paths) -> Monitor:
        """Return a monitor that knows more normal recordings, behind the same front-ends.

        Recordings that it knows already are left out. The noise floors stay those of the first
        fit: fit again on all recordings where the surroundings have changed.
        """
        table = recordings.collect(more, self.spectra, more=True)
        table = table[~table["hash"].isin(self.known["hash"])]
        if table.empty:
            raise AsdError("The monitor knows all of these recordings already.")
        new, found = examined(self.views, table)
        values = tuple(np.vstack(pair) for pair in zip(self.values, new, strict=True))
        faulty = health.summary(table["name"], found, self.reference, mono=self.spectra.mono)
        own = recordings.known(table, found, new[-2])
        of_day = self.known[self.known["session"] != ""].groupby("session")["fold"].first()
        further = own["fold"] + self.known["fold"].max() + 1
        own["fold"] = own["session"].map(of_day).fillna(further).astype(int)  # a day stays together
        wider = self.on(values, pd.concat([self.known, own], ignore_index=True))
        reference = self.reference.widened(found)
        return replace(wider, reference=reference, faulty=self.faulty + faulty)

    def on(self, values: Tables, known: pd.DataFrame) -> Monitor:
        """Return a monitor on other recordings, behind the same front-ends.

        The parameters are the attributes of the same names.
        """
        views, lines = _learnt(self.views, values, known)
        return replace(self, views=views, lines=lines, values=values, known=known)


def _learnt(
    views: Sequence[FittedView], values: Tables, known: pd.DataFrame
) -> tuple[tuple[FittedView, ...], Lines]:
    """The detectors, with what is normal for them behind their front-ends."""
    domains, folds = known["domain"].tolist(), known["fold"].to_numpy()
    normals = (clipstats.Normal.fit(own, domains, folds) for own in values[:-1])
    pairs = zip(views, normals, strict=True)
    return tuple(replace(view, normal=own) for view, own in pairs), Lines.fit(values[-1], folds)
