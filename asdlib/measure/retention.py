"""How much of the anomaly every front-end removes, band by band, where the truth is known.

The anomaly's own sound is ``fault`` of :class:`asdlib.simulate.scenes.Clip`, a difference: the
machine with its fault minus the same machine, turn for turn, without it. It holds what the fault
adds and, with the opposite sign, what the fault takes away (a worn valve strikes softer). A
front-end's gain is found on the recording and applied to that difference. The result is the
difference that the fault still makes after the front-end, as long as the gain itself is the same
with and without the fault. Notebook: 02_front_ends.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from asdlib.frontends import gain
from asdlib.measure.example import take
from asdlib.measure.removal import (
    ANOMALY,
    NOISE,
    Energies,
    Measured,
    measure,
    removed,
    totals,
)
from asdlib.measure.truth import truth_of
from asdlib.params import Params, Spectra
from asdlib.spectra import frequencies, istft, power, stft
from asdlib.study.recordings import Recordings

BANDS = 8  # of equal width on the mel scale
LEAST_SHARE = 1e-3  # of the fault's energy: a band with less of it holds no anomaly
MAIN_SHARE = 0.1  # of the fault's energy: a band with more of it is where the anomaly is
_QUIET = 10  # percent of a recording's cells are quieter than its quiet cells
WHOLE = "all"  # the row of all bands together
COLUMNS = ["machine", "front_end", "band", "noise", "anomaly", "share"]


def audit(params: Params, recordings: Recordings) -> pd.DataFrame:
    """How much of the noise and of the anomaly every front-end removes, per band.

    The noise is that of all clips with truth, as in :func:`asdlib.measure.removal.removal`; the
    anomaly is that of the clips that hold a fault.

    Returns
    -------
    DataFrame with machine, front_end, band (edges in kHz; first "all"), noise and anomaly (dB
    removed; NaN where there is nothing to remove: a band with less than a thousandth of the fault's
    energy has no anomaly) and share, of the fault's energy that lies in the band, 0 to 1; no rows
    where no truth was written or no clip with truth holds a fault.
    """
    rows = [
        [*key, *row]
        for key, energy in totals(params, recordings).items()
        if energy[0, ANOMALY].any()
        for row in _by_band(energy, params.spectra)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _band_edges(spectra: Spectra, count: int = BANDS) -> Float[np.ndarray, " edge"]:
    """Edges of bands of equal width on the Slaney mel scale, 0 to half the sample rate, in Hz."""
    import librosa  # seconds to import, needed nowhere else

    return librosa.mel_frequencies(count + 1, fmin=0, fmax=spectra.sample_rate / 2)


def _by_band(energy: Energies, spectra: Spectra) -> list[tuple[str, float, float, float]]:
    """Band, noise removed (dB), anomaly removed (dB) and share of the fault's energy.

    Parameters
    ----------
    energy : of :func:`asdlib.measure.removal.totals`, with some anomaly in it.

    Returns
    -------
    One row for all bands together, then one per band.
    """
    edges = _band_edges(spectra)
    place = np.digitize(frequencies(spectra), edges[1:-1])
    inside = {WHOLE: np.ones(len(place), bool)}
    for i, (low, high) in enumerate(itertools.pairwise(edges / 1000)):
        inside[f"{low:.2g}–{high:.2g}"] = place == i
    whole = energy[0, ANOMALY].sum()
    rows = []
    for band, chosen in inside.items():
        sums = energy[:, :, chosen].sum(axis=-1)
        decibels, share = removed(sums), sums[0, ANOMALY] / whole
        anomaly = decibels[ANOMALY] if share >= LEAST_SHARE else np.nan
        rows.append((band, float(decibels[NOISE]), float(anomaly), float(share)))
    return rows


def overall(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of :func:`audit` for all bands together, and the difference between the two numbers.

    Returns
    -------
    DataFrame with machine, front_end, noise, anomaly and difference: noise minus anomaly removed,
    in dB.
    """
    whole = table[table["band"] == WHOLE].drop(columns=["band", "share"])
    return whole.assign(difference=whole["noise"] - whole["anomaly"]).reset_index(drop=True)


def extremes(table: pd.DataFrame) -> list[pd.Series]:
    """Return the rows of :func:`audit` where the anomaly is kept worst and best.

    The measure is anomaly removed minus noise removed. Only bands that hold at least a tenth of the
    fault's energy count; without such a band there are no rows.
    """
    main = table[(table["band"] != WHOLE) & (table["share"] >= MAIN_SHARE)]
    order = (main["anomaly"] - main["noise"]).to_numpy().argsort(kind="stable")
    return [main.iloc[int(i)] for i in (order[-1], order[0])] if len(order) else []


@dataclass(frozen=True)
class Case:
    """One anomalous clip before and after one front-end, to listen to.

    Attributes
    ----------
    clip : its row of the manifest.
    noise, anomaly : removed from this clip, in dB.
    near, denoised : the recording at the near microphone, before and after.
    fault, left : the anomaly's own sound, before and after the same gain.
    """

    clip: pd.Series
    front_end: str
    noise: float
    anomaly: float
    near: Float[np.ndarray, " sample"]
    denoised: Float[np.ndarray, " sample"]
    fault: Float[np.ndarray, " sample"]
    left: Float[np.ndarray, " sample"]

    def tracks(self, called: str, spectra: Spectra) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Signal (sample,) and power (frequency, frame) of each sound, by the name to show.

        Powers are cut off 10 dB below the recording's quiet cells. Otherwise the silence of the
        truth would take most of a common colour scale.

        Parameters
        ----------
        called : name of the front-end to show.
        """
        sounds = {
            "near microphone": self.near,
            f"near after {called}": self.denoised,
            "the anomaly alone (truth)": self.fault,
            "what is left of the anomaly": self.left,
        }
        shown = {name: power(stft(x, spectra)) for name, x in sounds.items()}
        least = np.percentile(shown["near microphone"], _QUIET) / 10
        return {name: (x, np.maximum(shown[name], least)) for name, x in sounds.items()}


def examples(params: Params, recordings: Recordings, *, count: int = 3) -> list[Case]:
    """Return the clearest losses, worst first, and one clear success at the end.

    A loss is a clip and a front-end that removes much of the anomaly relative to the noise that it
    removes, over all frequencies. Every machine contributes one before any contributes a second.

    Parameters
    ----------
    count : losses; fewer where there are fewer clips and front-ends.

    Returns
    -------
    Up to ``count + 1`` cases, by falling anomaly minus noise removed. The success is the case
    with the smallest value of all; it is left out where that is not below 0.
    """

    def loss(one: Measured) -> float:
        noise, anomaly = _removed(one)
        return anomaly - noise

    faulty = (one for one in measure(params, recordings) if one.energy[0, ANOMALY].any())
    found = sorted(faulty, key=loss, reverse=True)
    success = [found.pop()] if found and loss(found[-1]) < 0 and len(found) > 1 else []
    first: dict[str, Measured] = {}
    for one in found:
        first.setdefault(one.clip["machine"], one)
    others = [one for one in found if first[one.clip["machine"]] is not one]
    losses = sorted([*first.values(), *others][:count], key=loss, reverse=True)
    return [_case(one, params, recordings) for one in [*losses, *success]]


def _removed(one: Measured) -> tuple[float, float]:
    """Noise and anomaly removed from one clip over all frequencies, in dB."""
    decibels = removed(one.energy.sum(axis=-1))
    return float(decibels[NOISE]), float(decibels[ANOMALY])


def _case(one: Measured, params: Params, recordings: Recordings) -> Case:
    """Render the sounds of a measured clip."""
    spectra = params.spectra
    clip = take(params, recordings, one.clip, [one.front_end])
    truth = truth_of(params, recordings, one.clip)
    assert truth is not None  # measured from it
    near, fault = clip.spectrum[0], stft(truth.fault[0].astype(np.float32), spectra)
    root = np.sqrt(gain(clip.denoised[one.front_end], power(near)))
    denoised, left = (istft(root * x, clip.signal.shape[1], spectra) for x in (near, fault))
    return Case(
        one.clip,
        one.front_end,
        *_removed(one),
        near=clip.signal[0],
        denoised=denoised,
        fault=truth.fault[0],
        left=left,
    )
