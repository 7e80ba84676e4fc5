"""Sentences with measured values: the findings of the first page, and what no table can say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from asdlib.clipstats import VIEWS
from asdlib.compare.alarms import HELD_OUT, PAPER
from asdlib.compare.findings import Submission
from asdlib.guard import PerClip
from asdlib.params import Params
from asdlib.report.style import system_name
from asdlib.report.tables import escape
from asdlib.runtime.errors import AsdError, form, plural

_CHAMPION, _UNTRAINED = "the paper's champion", "a detector that trains nothing"
_CLAIMS = {
    "far": ("04_seed_study", "subtracting the far microphone", "helps", "harms", ""),
    "champion": ("06_rescoring", _CHAMPION, "beats", "loses to", " plain AdaSub"),
    "untrained": ("05_without_training", _UNTRAINED, "beats", "loses to", " the autoencoder"),
    "phase": ("03_phase", "the phase of the far microphone", "helps further", "harms", ""),
}
"""Question to its chapter, and the claim: subject, what it does if it wins or loses, to what."""
_RULES = {PAPER: "the paper's threshold", HELD_OUT: "held-out p values"}
NO_LABELS = (
    "Ω needs labelled test clips, normal and anomalous, of both domains. These recordings do not "
    "have them, so nothing here says which system is better."
)


def comparisons(compared: pd.DataFrame) -> list[str]:
    """Return a finding for every question that has an answer.

    Parameters
    ----------
    compared : of :func:`asdlib.compare.findings.compared`.

    Returns
    -------
    MyST sentences: the answer in bold, the numbers, a link.
    """
    found = []
    for question, (chapter, subject, wins, loses, rival) in _CLAIMS.items():
        if question not in compared.index:
            continue
        row: Any = compared.loc[question]
        does = {"helps": wins, "harms": loses}.get(row["verdict"])
        head = f"{subject[0].upper()}{subject[1:]} {does}{rival}."
        if does is None:
            head = f"It is not shown that {subject} {wins}{rival}."
        pair = f"{system_name(*row['system'])} in place of {system_name(*row['against'])}"
        said = f"**{head}** {pair} changes Ω by {_numbers(row)}."
        if question == "untrained" and "untrained_champion" in compared.index:
            champion = compared.loc["untrained_champion"]
            said += f" In place of the champion, S5 changes it by {_numbers(champion)}."
        found.append(f"{said} {_link(chapter)}")
    return found


def highest(found: Mapping[str, Any] | None, submitted: str) -> list[str]:
    """Return what scores higher than the submitted system here, if anything does.

    Parameters
    ----------
    found : of :func:`asdlib.compare.findings.highest`.
    submitted : name of the system that is submitted.

    Examples
    --------
    >>> pair = {"mean": 0.002, "low": -0.01, "high": 0.02, "verdict": "no robust difference"}
    >>> found = {"system": ("near", "fine"), "omega": 0.878, **pair}
    >>> highest(found, "S5")[0]  # doctest: +ELLIPSIS
    '**Near fine statistics has the highest Ω here, 0.878,** chosen by test labels. In place of...
    >>> highest({"system": ("S5", "fused"), "omega": 0.83}, "S5")
    []
    """
    if found is None or "mean" not in found:
        return []
    return [
        f"**{system_name(*found['system'])} has the highest Ω here, {found['omega']:.3f},** chosen "
        f"by test labels. In place of {submitted} it changes Ω by {_numbers(found)}."
    ]


def submission(chosen: Submission, packages: Mapping[Any, str]) -> str:
    """Return which system to submit, and how sure that is.

    Parameters
    ----------
    chosen : of :func:`asdlib.compare.findings.submission`.
    packages : where the package of each system lies.
    """
    where = _link("08_submission")
    if not chosen.name:
        return f"{NO_LABELS} All systems that could be formed are written as packages. {where}"
    omega = f"{chosen.omega:.3f}"
    said = f"**Submit {chosen.name}.** It has the highest Ω of the systems here, {omega}"
    if chosen.against.empty:
        said = f"{chosen.name} is the only system that could be formed here; its Ω is {omega}"
    for name, row in chosen.against.iterrows():
        said += f"; in place of {name} it changes Ω by {_numbers(row)}"
    return f"{said}. Its package: {escape(packages[chosen.name])}. {where}"


def alarms(found: pd.DataFrame, rate: float) -> list[str]:
    """Return how many false alarms every rule raises where ``rate`` was wanted.

    Parameters
    ----------
    found : of :func:`asdlib.compare.alarms.by_domain`.
    """
    normal = found[found["label"] == "normal"] if len(found) else found
    if normal.empty:
        return []
    said = [
        f"{system} with {_RULES[str(rule)]} gives "
        + " and ".join(f"{row.share:.0%} in the {row.domain} domain" for row in rows.itertuples())
        for (system, rule), rows in normal.groupby(["system", "rule"], sort=False)
    ]
    broken = (normal["low"] > rate).any()
    head = "Not every alarm means what it says." if broken else "The alarms mean what they say."
    limits = f"The limits are set for {rate:.0%} false alarms."
    return [f"**{head}** {limits} {'; '.join(said)}. {_link('08_submission')}"]


def promise(promised: pd.DataFrame, rate: float) -> list[str]:
    """Return what a threshold from these recordings promises, by machine.

    Parameters
    ----------
    promised : of :func:`asdlib.compare.alarms.promised`.
    """
    whole = promised[promised["domain"] == "all"]
    groups: Any = whole.groupby(["clips", "low", "high"], sort=False)
    return [
        f"**{_listed(rows['machine'])}:** a threshold for {rate:.0%} false alarms from "
        f"{plural(count, 'normal recording')} has a true rate between {low:.0%} and "
        f"{high:.0%}. {_link('09_own_machine')}"
        for (count, low, high), rows in groups
    ]


def health(faulty: Mapping[str, Sequence[str]]) -> list[str]:
    r"""Return the faults of the normal recordings, by machine; those without one together.

    Parameters
    ----------
    faulty : of :func:`asdlib.monitor.evaluation.faulty`.

    Examples
    --------
    >>> found = health({"pump": [], "fan": ["clipped: 2 of 40 recordings."], "valve": []})
    >>> print(*found, sep="\n")
    **fan:** clipped: 2 of 40 recordings.
    **pump, valve:** no fault was found in the normal recordings.
    """
    said = [
        f"**{escape(machine)}:** {' '.join(map(escape, found))}"
        for machine, found in faulty.items()
        if found
    ]
    if whole := [machine for machine, found in faulty.items() if not found]:
        said.append(f"**{_listed(whole)}:** no fault was found in the normal recordings.")
    return said


def ideas(compared: pd.DataFrame) -> str:
    """Return what became of the ideas that the paper lists as negative results.

    Parameters
    ----------
    compared : of :func:`asdlib.compare.negative.against_champion`.
    """
    tried = compared[compared["idea"] != "the champion"]
    run = tried[tried["mean"].notna()]
    where = _link("07_negative_results")
    if run.empty:
        runs = "(`params/full_demo.yaml` runs them)"
        return f"No other idea that the paper tried was run here {runs}. {where}"
    said = [f"Of {plural(len(tried), 'other idea')} that the paper tried, {len(run)} ran here."]
    for kind, more in (("helps", "help"), ("harms", "harm")):
        own = run.loc[run["verdict"] == kind, "idea"].tolist()
        listed = ": " + "; ".join(f"“{idea}”" for idea in own) if own else ""
        does = form(len(own), kind, more)
        said.append(f"{len(own) or 'None'} {does} in place of the champion{listed}.")
    return f"{' '.join(said)} {where}"


def cost(units: int, seeds: int) -> str:
    """Return what was trained.

    Parameters
    ----------
    units : pairs of machine and front-end with autoencoders.

    Examples
    --------
    >>> cost(0, 1)
    'No autoencoder was trained. {doc}`→ </notebooks/98_performance>`'
    """
    count = plural(units * seeds, "autoencoder").capitalize()
    rest = " S5 needs none of them." if units else ""
    does = form(units * seeds, "was", "were")
    return f"{count} {does} trained.{rest} {_link('98_performance')}"


def seeds(params: Params, scorer: str) -> str:
    """Return how many seeds a scorer's values are taken over.

    >>> seeds(Params(seeds=(0, 1)), "eq1"), seeds(Params(), "pmsd")
    ('2 seeds', 'no seed')
    """
    return "no seed" if scorer in VIEWS else plural(len(params.seeds), "seed")


def training(params: Params) -> str:
    """Return the size of the autoencoders and of their training.

    >>> training(Params())
    'width 512, 4 residual blocks, 100 epochs, batches of 256, 10 seeds'
    """
    a, t = params.autoencoder, params.training
    return (
        f"width {a.width}, {plural(a.blocks, 'residual block')}, {plural(t.epochs, 'epoch')}, "
        f"batches of {t.batch_size}, {seeds(params, 'eq1')}"
    )


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


def _numbers(row: Any) -> str:
    return f"{row['mean']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f}, *{row['verdict']}*)"


def _listed(machines: Iterable[str]) -> str:
    return ", ".join(escape(str(machine)) for machine in machines)


def _link(chapter: str) -> str:
    return f"{{doc}}`→ </notebooks/{chapter}>`"
