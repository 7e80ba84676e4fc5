"""The result that a chapter or a figure opens with: one plain sentence, computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from asdlib.compare.alarms import HELD_OUT, PAPER
from asdlib.guard import PerClip
from asdlib.report.style import NAMES, system_name
from asdlib.report.tables import escape, of, percent
from asdlib.report.text import interval
from asdlib.runtime.errors import AsdError, plural

_CLAIMS = {
    "far": ("Subtracting the far microphone", "helps", "harms"),
    "champion": ("The paper's re-scoring", "helps", "harms"),
    "untrained": ("Training nothing", "beats the autoencoder", "loses to the autoencoder"),
    "phase": ("The phase of the far microphone", "helps further", "harms"),
}
"""Question to its claim: subject, what it does if it wins or loses."""
_RULES = {PAPER: "the paper's threshold", HELD_OUT: "held-out p values"}


def claim(compared: pd.DataFrame, question: str) -> str:
    """Return the answer to a question: who wins, both values of Omega, how sure.

    Parameters
    ----------
    compared : of :func:`asdlib.compare.findings.compared`.
    question : one of its index.
    """
    if question not in compared.index:
        return "These recordings or this study do not answer the question."
    row: Any = compared.loc[question]
    subject, wins, loses = _CLAIMS[question]
    does = {"helps": wins, "harms": loses}.get(row["verdict"])
    asked = f"{subject[0].lower()}{subject[1:]}"
    head = f"{subject} {does}" if does else f"It is not shown that {asked} {wins}"
    return (
        f"{head}: Ω is {row['omega']:.3f} with {system_name(*row['system'])} and "
        f"{row['omega_against']:.3f} with {system_name(*row['against'])} "
        f"({'no' if row['seedless'] else 'mean over'} seeds; {interval(row)})."
    )


def alarms(found: pd.DataFrame, rate: float) -> str:
    """Return whether the rules keep what they promise, and how many false alarms each raises.

    Parameters
    ----------
    found : of :func:`asdlib.compare.alarms.by_domain`.
    """
    normal = found[found["label"] == "normal"] if len(found) else found
    if normal.empty:
        return "No false alarm can be counted: there is no labelled normal test clip."
    said = []
    for (system, rule), rows in normal.groupby(["system", "rule"], sort=False):
        shares = rows[["share", "domain"]].to_numpy()
        found_in = [f"{percent(share)} in the {domain} domain" for share, domain in shares]
        said.append(f"{system} with {_RULES[str(rule)]} has {' and '.join(found_in)}")
    broken = normal["low"] > rate
    kept = "No rule is shown to break"
    if broken.any():
        kept = "No rule keeps" if broken.all() else "Not every rule keeps"
    return f"{kept} the promised {percent(rate)} of false alarms ({'; '.join(said)})."


def ideas(compared: pd.DataFrame) -> str:
    """Return what became of the ideas that the paper lists as negative results.

    Parameters
    ----------
    compared : of :func:`asdlib.compare.negative.against_champion`.
    """
    tried = compared[compared["idea"] != "the champion"]
    run = tried[tried["mean"].notna()]
    if run.empty:
        return "No idea of the paper was run here (`params/full_demo.yaml` runs them)."
    said = f"{len(run)} of {len(tried)} ideas of the paper were run:"
    for kind in ("helps", "harms"):
        own = run.loc[run["verdict"] == kind, "idea"].tolist()
        said += f" {len(own) or 'none'} {kind}{' (' * bool(own)}{'; '.join(own)}{')' * bool(own)},"
    return f"{said[:-1]}; for the others there is no robust difference to the champion."


def gates(table: pd.DataFrame, most: float = 1.0) -> str:
    """Return whether the gated fit costs too much anywhere among some cases.

    Parameters
    ----------
    table : of :func:`asdlib.measure.phase.gates`, with at least one row.
    most : noise that it may remove less, and machine sound that it may lose more, in dB.
    """
    noise = table["gated noise"] - table["plain noise"]
    sound = table["gated machine_sound"] - table["plain machine_sound"]
    cost = pd.concat([-noise, sound], axis=1).max(axis=1)
    worst = table.iloc[int(cost.to_numpy().argmax())]
    holds = f"Nowhere here do they cost more than {most:g} dB: the condition holds."
    if cost.max() > most:
        holds = (
            f"They cost more than {most:g} dB for {escape(str(worst['machine']))}, "
            f"{worst['case']}: the condition does not hold here."
        )
    return (
        f"The gates change the noise that is removed by {noise.min():+.1f} to {noise.max():+.1f} "
        f"dB and the machine sound that is lost by {sound.min():+.1f} to {sound.max():+.1f} dB. "
        f"{holds}"
    )


def guarded(scores: PerClip) -> list[str]:
    """Try on guarded scores what needs a second clip, and return what the guard answers.

    Parameters
    ----------
    scores : of one system and machine.

    Returns
    -------
    One item of a list for every attempt.
    """
    attempts: dict[str, Callable[[], object]] = {
        "the mean over clips": lambda: np.mean(scores),
        "a rank": lambda: np.argsort(scores),
        "a normalisation": lambda: scores - scores.max(),
        "a comparison of two clips": lambda: scores < scores[::-1],
    }
    said = []
    for what, attempt in attempts.items():
        answer = "allowed"
        try:
            attempt()
        except AsdError as error:
            answer = f"refused. *{error}*"
        said.append(f"- {what}: {answer}")
    return said


def extremes(head: str, values: pd.Series, form: Any = "{:.2f}".format) -> str:
    """Return the lowest and the highest of some values, and where they are.

    Parameters
    ----------
    head : what they are.
    values : by the names of their places; without one there is no sentence.
    form : makes text of a value.

    >>> extremes("The gain", pd.Series({"a": 3, "b": 1}))
    'The gain lies between 1.00 (b) and 3.00 (a).'
    """
    ends = _ordered(values, form)
    if len(ends) < 2:
        return f"{head} is {ends[0]}." if ends else ""
    return f"{head} lies between {ends[0]} and {ends[-1]}."


def _ordered(values: pd.Series, form: Any) -> list[str]:
    """Return values with the names of their places, the lowest first."""
    found = values.dropna().sort_values()
    return [f"{form(value)} ({escape(str(name))})" for name, value in found.items()]


def removed(table: pd.DataFrame, front_end: str) -> str:
    """Return what a front-end removes of the noise and of the machine, by machine.

    Parameters
    ----------
    table : of :func:`asdlib.measure.removal.removal`.
    """
    own = table[table["front_end"] == front_end]
    if own.empty:
        return ""
    by_machine = own.set_index("machine")
    noise, sound = (_ordered(by_machine[c], "{:.1f} dB".format) for c in ("noise", "machine_sound"))
    told = f"{noise[0]} to {noise[-1]} of the noise and {sound[0]} to {sound[-1]}"
    return f"{NAMES[front_end]} removes {told} of the machine's sound."


def worst(table: pd.DataFrame, column: str, head: str) -> str:
    """Return where most machine sound is lost, and how much noise is removed there.

    Parameters
    ----------
    table : of :func:`asdlib.measure.phase.sweep`; without rows there is no sentence.
    column : the quantity that changes.
    head : what it is, with a place for its value.
    """
    if not len(table):
        return ""
    row: Any = table.sort_values("machine_sound").iloc[-1]
    lost = f"{row['machine_sound']:.1f} dB of {escape(row['machine'])} are lost"
    return f"{head.format(row[column])}: {lost}, and {row['noise']:.1f} dB of the noise."


def checked(table: pd.DataFrame) -> str:
    """Return for which machines the far microphone is no noise reference.

    Parameters
    ----------
    table : of :func:`asdlib.measure.truth.transfer_table`; without rows there is no sentence.
    """
    if table.empty:
        return ""
    close = [escape(name) for name in table["machine"][~table["reference"]]]
    followed = f"{table['follows'].min():.2f} to {table['follows'].max():.2f} dB per dB"
    told = f"From clip to clip, the near level follows the far one by {followed}"
    if not close:
        return f"{told}: the far microphone is a noise reference for every machine."
    return f"{told}. S5 does without the far microphone for {' and '.join(close)}."


def monitored(found: pd.DataFrame, machine: str, rate: float) -> str:
    """Return what the monitor of a machine finds, and its false alarms.

    Parameters
    ----------
    found : of :func:`asdlib.compare.alarms.by_domain`, with rows of the domain "all".
    """
    if found.empty:
        return f"{escape(machine)} has no labelled test clip, so its alarms cannot be judged."
    counts = found[found["domain"] == "all"].set_index("label")[["alarms", "clips"]]
    told = {"anomaly": "finds {} anomalies", "normal": "raises an alarm for {} normal clips"}
    said = [told[str(own)].format(of(*row)) for own, row in counts.astype(int).iterrows()]
    return f"The monitor of {escape(machine)} {' and '.join(said)}; {percent(rate)} were wanted."


def by_condition(found: pd.DataFrame, decisions: Mapping[str, Any]) -> str:
    """Return what a monitor's recordings say about each condition, and its false alarms.

    Parameters
    ----------
    found : counts of alarms, see :func:`monitored`.
    decisions : of :attr:`asdlib.monitor.Monitor.decisions`; of one condition there is no sentence.
    """
    normal = found[found["label"] == "normal"].set_index("domain") if len(found) else found
    said = ["A condition with few recordings may have a higher rate."]
    for name, own in decisions.items():
        count, most = plural(len(own.held_out), "recording"), percent(own.interval[1])
        said.append(f"In the {name} domain, {count} allow a true rate of up to {most}.")
        if name in normal.index:
            counts = normal.loc[name, ["alarms", "clips"]].astype(int)
            said.append(f"There, {of(*counts)} normal test clips are alarms.")
    return " ".join(said) if len(decisions) > 1 else ""
