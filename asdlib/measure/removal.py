"""How much every front-end removes: from a cell, from a clip, and from the parts of a clip.

The parts are the true noise, the true machine sound and the true anomaly at the near microphone.
"Removed" has one definition, :func:`energies` and :func:`removed`: the energy of a part before and
after a processing that was fitted on the mixture. Energies are summed over clips before they are
compared.

The anomaly's own sound is ``fault`` of :class:`asdlib.simulate.scenes.Clip`, a difference: the
machine with its fault minus the same machine, turn for turn, without it. It holds what the fault
adds and, with the opposite sign, what the fault takes away (a worn valve strikes softer). A
front-end's gain is found on the recording and applied to that difference. The result is the
difference that the fault still makes after the front-end, as long as the gain itself is the same
with and without the fault. Notebooks: 01_far_microphone, 04_phase.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from asdlib import pipeline
from asdlib.frontends import gain, trained_front_ends
from asdlib.measure.truth import denoisers, take, truth_of, truths
from asdlib.params import Params
from asdlib.spectra import Power, decibels, frequencies, istft, mel_frequencies, power, stft
from asdlib.study.recordings import Recordings
from asdlib.study.scores import grouped

NOISE, MACHINE_SOUND, ANOMALY = range(3)  # order of the parts in Measured.energy

BANDS = 8  # of equal width on the mel scale
LEAST_SHARE = 1e-3  # of the fault's energy: a band with less of it holds no anomaly
_QUIET = 10  # percent of a recording's cells are quieter than its quiet cells
WHOLE = "all"  # the row of all bands together
COLUMNS = ["machine", "front_end", "band", "noise", "anomaly", "share"]

Energies = Float[np.ndarray, "state=2 part=3 frequency"]


def energies(
    before: Iterable[Power], after: Iterable[Power]
) -> Float[np.ndarray, "state=2 part frequency"]:
    """Energy of every part of a clip, before and after a processing.

    Parameters
    ----------
    before, after : powers (frequency, frame) of the parts at the near microphone.

    Returns
    -------
    (2, part, frequency) : powers summed over time in float64, before and after.
    """
    return np.array([[x.sum(axis=-1, dtype=np.float64) for x in own] for own in (before, after)])


def removed(energy: Float[np.ndarray, "state=2 *parts"]) -> Float[np.ndarray, "*parts"]:
    """Return -10 log10(after / before) in dB, at most 160 dB; NaN where there was nothing before.

    Parameters
    ----------
    energy : of :func:`energies`, before and after.

    >>> removed(np.array([[4.0, 1.0], [2.0, 0.5]])).round(2).tolist()
    [3.01, 3.01]
    """
    before, after = energy
    ratio = np.divide(after, before, out=np.full_like(before, np.nan), where=before > 0)
    return -decibels(ratio)


class ClipEnergies(NamedTuple):
    """Energy of one clip's parts at the near microphone, before and after one front-end's gain.

    Attributes
    ----------
    clip : its row of the manifest.
    front_end : its name.
    energy : of noise, machine sound and anomaly, summed over time.
    """

    clip: pd.Series
    front_end: str
    energy: Energies

    @property
    def removed(self) -> Float[np.ndarray, "part=3"]:
        """Of every part over all frequencies, in dB."""
        return removed(self.energy.sum(axis=-1))

    @property
    def loss(self) -> float:
        """Anomaly minus noise removed, over all frequencies, in dB."""
        return float(self.removed[ANOMALY] - self.removed[NOISE])


def clip_energies(params: Params, recordings: Recordings) -> list[ClipEnergies]:
    """Apply every front-end's gain, found on the mixture, to the true parts of every clip.

    Returns
    -------
    Energies, for every front-end but near and far and every clip whose truth lies beside it.
    Labels are not read, so clips with concealed labels count too.
    """
    names = [own for own in trained_front_ends(params.front_ends) if own not in ("near", "far")]
    found = []
    for machine in recordings.machines:
        fitted = denoisers(params, recordings, machine, names)
        for clip, truth in truths(params, recordings, machine):
            spectrum = pipeline.spectrum(clip["path"], params.spectra, clip["hash"])
            near = power(spectrum[0])
            sounds = np.stack([truth.noise[:1], truth.machine[:1], truth.fault[:1]])
            parts = [power(x[0]) for x in stft(sounds.astype(np.float32), params.spectra)]
            for name, denoise in fitted.items():
                kept = gain(denoise(spectrum), near)
                own = energies(parts, [kept * part for part in parts])
                found.append(ClipEnergies(clip, name, own))
    return found


def totals(measured: Iterable[ClipEnergies]) -> dict[tuple[str, str], Energies]:
    """Energies summed over clips, per machine and front-end."""
    groups = grouped(measured, lambda one: (one.clip["machine"], one.front_end))
    return {key: sum(one.energy for one in own) for key, own in groups.items()}


def removal(measured: Iterable[ClipEnergies]) -> pd.DataFrame:
    """How much noise and how much machine sound every front-end removes, from known truth.

    Parameters
    ----------
    measured : of :func:`clip_energies`.

    Returns
    -------
    DataFrame with machine, front_end, noise and machine_sound: dB removed, over all clips whose
    truth lies beside them; no rows where no truth was written.
    """
    columns = ["machine", "front_end", "noise", "machine_sound"]
    parts = {key: removed(energy.sum(axis=-1)) for key, energy in totals(measured).items()}
    rows = [[*key, own[NOISE], own[MACHINE_SOUND]] for key, own in parts.items()]
    return pd.DataFrame(rows, columns=columns).dropna(ignore_index=True)


def audit(measured: Iterable[ClipEnergies], params: Params) -> pd.DataFrame:
    """How much of the noise and of the anomaly every front-end removes, per band.

    The noise is that of all clips with truth, as in :func:`asdlib.measure.removal.removal`; the
    anomaly is that of the clips that hold a fault.

    Parameters
    ----------
    measured : of :func:`clip_energies`.

    Returns
    -------
    DataFrame with machine, front_end, band (edges in kHz; first "all"), noise and anomaly (dB
    removed; NaN where there is nothing to remove: a band with less than a thousandth of the fault's
    energy has no anomaly) and share, of the fault's energy that lies in the band, 0 to 1; no rows
    where no truth was written or no clip with truth holds a fault.
    """
    edges = mel_frequencies(BANDS + 1, params.spectra.sample_rate / 2)
    place = np.digitize(frequencies(params.spectra), edges[1:-1])
    inside = {WHOLE: np.ones(len(place), bool)}
    for i, (low, high) in enumerate(pairwise(edges / 1000)):
        inside[f"{low:.2g}–{high:.2g}"] = place == i
    rows = []
    for key, energy in totals(measured).items():
        whole = energy[0, ANOMALY].sum()
        for band, chosen in inside.items() if whole else ():
            sums = energy[:, :, chosen].sum(axis=-1)
            noise, _, anomaly = map(float, removed(sums))
            share = float(sums[0, ANOMALY] / whole)
            rows.append([*key, band, noise, anomaly if share >= LEAST_SHARE else np.nan, share])
    return pd.DataFrame(rows, columns=COLUMNS)


def overall(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of :func:`audit` for all bands together, and the difference between the two numbers.

    Returns
    -------
    DataFrame with machine, front_end, noise, anomaly and difference: noise minus anomaly removed,
    in dB.
    """
    whole = table[table["band"] == WHOLE].drop(columns=["band", "share"])
    return whole.assign(difference=whole["noise"] - whole["anomaly"]).reset_index(drop=True)


def examples(measured: Iterable[ClipEnergies], *, count: int = 3) -> list[ClipEnergies]:
    """Return the clearest losses, worst first, and one clear success at the end.

    A loss is a clip and a front-end that removes much of the anomaly relative to the noise that it
    removes, over all frequencies. Every machine contributes one before any contributes a second.

    Parameters
    ----------
    measured : of :func:`clip_energies`.
    count : losses; fewer where there are fewer clips and front-ends.

    Returns
    -------
    Up to ``count + 1``, by falling anomaly minus noise removed. The success is the one with the
    smallest value of all; it is left out where that is not below 0.
    """
    faulty = (one for one in measured if one.energy[0, ANOMALY].any())
    found = sorted(faulty, key=lambda one: one.loss, reverse=True)
    success = [found.pop()] if len(found) > 1 and found[-1].loss < 0 else []
    repeated = pd.Series([one.clip["machine"] for one in found]).duplicated().tolist()
    first = sorted(range(len(found)), key=repeated.__getitem__)
    return [*(found[i] for i in sorted(first[:count])), *success]


def tracks(
    one: ClipEnergies, params: Params, recordings: Recordings
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Render the sounds of an anomalous clip before and after a front-end, to listen to.

    Returns
    -------
    Signal (sample,) and power (frequency, frame) by the name to show: the near microphone before
    and after the front-end, and the anomaly's own sound before and after the same gain. Powers are
    cut off 10 dB below the recording's quiet cells. Otherwise the silence of the truth would take
    most of a common colour scale.
    """
    clip = take(params, recordings, one.clip, [one.front_end])
    truth = truth_of(params, recordings, one.clip)
    assert truth is not None  # measured from it
    near, fault = clip.spectrum[0], stft(truth.fault[0].astype(np.float32), params.spectra)
    root = np.sqrt(gain(clip.denoised[one.front_end], power(near)))
    denoised, left = (istft(root * x, clip.signal.shape[1], params.spectra) for x in (near, fault))
    sounds = {
        "near microphone": clip.signal[0],
        "after the front-end": denoised,
        "the anomaly alone (truth)": truth.fault[0],
        "what is left of the anomaly": left,
    }
    shown = {name: power(stft(x, params.spectra)) for name, x in sounds.items()}
    least = np.percentile(shown["near microphone"], _QUIET) / 10
    return {name: (x, np.maximum(shown[name], least)) for name, x in sounds.items()}
