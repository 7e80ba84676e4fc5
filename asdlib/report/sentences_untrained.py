"""Sentences about the detectors without training: data in, MyST text out.

Notebook: 05_without_training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from asdlib.report.tables import escape
from asdlib.runtime.errors import form, plural


def without_training(
    compared: pd.DataFrame, name: Callable[..., str], fused: str, lacking: str
) -> str:
    """Return which detectors without training win and lose against the autoencoder.

    Parameters
    ----------
    compared : of :func:`asdlib.compare.untrained.against_autoencoders`.
    name : of a system, given its front-end and scorer.
    fused : name of the submission without training.
    lacking : why that one cannot be formed; empty where it can.
    """
    if compared.empty:
        return "No detector without training was scored on test clips here."
    own = compared[~compared["trained"]].set_index("system")
    if own["omega"].isna().all():
        return "Ω cannot be computed from these labels."
    said = ["The autoencoder on AdaSub under eq. 1 was not run, so nothing is compared with it."]
    if own["mean"].notna().any():
        robust = {kind: own.index[own["verdict"] == kind] for kind in ("helps", "harms")}
        others = own.index[~own["verdict"].isin(list(robust))]
        said = [
            "In place of the autoencoder on AdaSub under eq. 1, "
            f"{len(robust['helps']) or 'none'} of {plural(len(own), 'detector')} without training "
            f"{form(len(robust['helps']), 'helps', 'help')}, and "
            f"{_which(robust['harms'], name)} {form(len(robust['harms']), 'harms', 'harm')}."
        ]
        if len(others):
            said.append(f"No robust difference: {_which(others, name)}.")
        said += [
            f"{fused} changes Ω by {row['mean']:+.3f}: {row['verdict']}."
            for system, (_, row) in zip(own.index, own.iterrows(), strict=True)
            if system[0] == fused
        ]
    best, worst = (own.index[int(i)] for i in (own["omega"].argmax(), own["omega"].argmin()))
    if best != worst:
        said.append(
            f"Of the detectors without training, {name(*best)} has the highest Ω "
            f"({own['omega'].max():.3f}) and {name(*worst)} the lowest ({own['omega'].min():.3f})."
        )
    if lacking:
        said.append(f"{fused} is not in the table. {lacking}")
    return " ".join(said)


def _which(systems: pd.Index, name: Callable[..., str]) -> str:
    return ", ".join(name(*system) for system in systems) or "none"


def level(table: pd.DataFrame) -> str:
    """Return for which machine the clip's level counts most and least.

    Parameters
    ----------
    table : of :func:`asdlib.compare.untrained.by_level`.
    """
    known = table.drop(index="overall").dropna()
    loss = (known["with level"] - known["level-free"]).sort_values()
    most, least = loss.index[-1], loss.index[0]
    words, mean = _over_all(table)
    text = (
        f"{words}, Ω is {mean['with level']:.3f} with the level, {mean['level-free']:.3f} without "
        f"it, and {mean['level alone']:.3f} from the level alone. "
        f"Without the level, {escape(str(most))} changes by {-loss[most]:+.3f}"
    )
    if most != least:
        text += f" and {escape(str(least))} by {-loss[least]:+.3f}"
    return f"{text}."


def carriers(table: pd.DataFrame, singles: Sequence[str]) -> str:
    """Return the best single statistic of every machine, and the best set over all.

    Parameters
    ----------
    table : of :func:`asdlib.compare.untrained.by_statistic`.
    singles : names of its columns with one statistic.
    """
    known = table.drop(index="overall").dropna()
    best = known[list(singles)].idxmax(axis=1)
    listed = [
        f"${letter}$ for {', '.join(escape(str(m)) for m in best.index[best == letter])}"
        for letter in singles
        if (best == letter).any()
    ]
    words, mean = _over_all(table)
    alone = mean[list(singles)]
    return (
        f"The best single statistic, by test labels, is {'; '.join(listed)}. {words}, the best of "
        f"all is `{mean.idxmax()}` ({mean.max():.3f}), and the best single statistic is "
        f"${alone.idxmax()}$ ({alone.max():.3f})."
    )


def _over_all(table: pd.DataFrame) -> tuple[str, pd.Series]:
    """Return the official scores of a table by machine; means of what is known where they lack."""
    official: pd.Series = table.T["overall"]
    if official.notna().all():
        return "Over all machines", official
    return "On average over the machines with an Ω", table.drop(index="overall").mean()


def needed_clips(curve: pd.DataFrame, close: float = 0.01) -> str:
    """Return Omega with few and with all training clips, and how many clips come close to all.

    Parameters
    ----------
    curve : of :func:`asdlib.compare.untrained.learning_curve`.
    close : a difference of Omega that counts as close.
    """
    omegas = curve["overall"].dropna()
    if omegas.empty:
        return "Ω over all machines cannot be computed from these labels."
    first, last = omegas.index[0], omegas.index[-1]
    far = np.flatnonzero(omegas < omegas[last] - close)
    enough = omegas.index[far[-1] + 1 if len(far) else 0]
    return (
        f"With {first} source clips Ω is {omegas[first]:.3f}, with all {last} it is "
        f"{omegas[last]:.3f}. From {enough} clips on, Ω is never more than {close:g} below the "
        "value with all clips."
    )


def gain_cost(table: pd.DataFrame) -> str:
    """Return what a change of level costs with and without the clips' level.

    Parameters
    ----------
    table : of :func:`asdlib.compare.untrained.by_gain`.
    """
    own = table[table["scorer"] == "pmsd"]
    gains = [column for column in own.columns if column not in ("scorer", "level_free")]
    whole, free = (own.loc[own["level_free"] == kind, gains].iloc[0] for kind in (False, True))
    changes = [f"{whole[g] - whole[0.0]:+.3f} at {g:+g} dB" for g in gains if g]
    return (
        f"The gain changes Ω of `pmsd` by {' and '.join(changes)}. The level-free form changes Ω "
        f"by {free[0.0] - whole[0.0]:+.3f} at 0 dB and does not depend on the gain."
    )


def autoencoder_gain(table: pd.DataFrame, name: Callable[..., str]) -> str:
    """Return for which machines the best autoencoder is above the best detector without training.

    Parameters
    ----------
    table : of :func:`asdlib.compare.untrained.autoencoder_gain`.
    name : of a system, given its front-end and scorer.
    """
    if table.empty:
        return "There is no autoencoder whose Ω could be compared here."
    trained, untrained = (name(*table[c].iloc[0]) for c in ("autoencoder", "untrained"))
    above, below = (
        ", ".join(
            f"{escape(str(m))} ({g:+.3f})"
            for m, g in zip(rows["machine"], rows["gain"], strict=True)
        )
        for rows in (table[table["gain"] > 0], table[table["gain"] <= 0])
    )
    told = [
        f"The best autoencoder ({trained}) is compared with the best detector without training "
        f"({untrained}), both chosen over all machines by test labels.",
        f"The autoencoder has the higher Ω for {above or 'no machine'}.",
    ]
    if below:
        told.append(f"It does not have it for {below}.")
    return " ".join(told)
