"""What a front-end leaves of the anomaly itself, band by band, where the truth is known.

The anomaly's own sound is ``fault`` of :class:`asdlib.simulate.scenes.Clip`, a difference: the
machine with its fault minus the same machine, turn for turn, without it. It holds what the fault
adds and, with the opposite sign, what the fault takes away (a worn valve strikes softer). A
front-end's gain is found on the recording and applied to that difference. What comes out is the
difference that the fault still makes behind the front-end, as long as the gain itself is the same
with and without the fault. Notebook: 02_front_ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Complex, Float

from asdlib import dataset
from asdlib.frontends import parts
from asdlib.measure import analysis
from asdlib.params import Params, Spectra
from asdlib.simulate.scenes import Clip
from asdlib.spectra import istft, power, stft
from asdlib.study.recordings import Recordings
from asdlib.study.unit import Unit

BANDS = 8  # of equal width on the mel scale
LEAST_SHARE = 1e-3  # of the fault's energy: a band with less of it holds no anomaly
MAIN_SHARE = 0.1  # of the fault's energy: a band with more of it is where the anomaly is
_QUIET = 10  # percent of a recording's cells are quieter than its quiet cells
WHOLE = "all"  # the row of all bands together
COLUMNS = ["machine", "front_end", "band", "noise", "anomaly", "share"]


class Measured(NamedTuple):
    """Energy of one clip's parts at the near microphone before and after one front-end's gain.

    Attributes
    ----------
    clip : its row of the manifest.
    there, kept : of noise and fault, summed over time.
    """

    clip: pd.Series
    front_end: str
    there: Float[np.ndarray, "part=2 frequency"]
    kept: Float[np.ndarray, "part=2 frequency"]

    def removed(self) -> tuple[float, float]:
        """Noise and anomaly removed over all frequencies, in dB."""
        noise, anomaly = map(_removed, self.there.sum(axis=1), self.kept.sum(axis=1))
        return noise, anomaly


def measure(params: Params, recordings: Recordings) -> Iterator[Measured]:
    """Apply every front-end's gain, found on the mixture, to the true noise and the true fault.

    The gain is out / P_n, in power.

    Yields
    ------
    Measured, for every front-end but near and far and every clip whose truth lies beside it and
    holds a fault; labels are not asked, so that machines with concealed labels count too.
    """
    names = [name for name in parts(params.front_ends) if name not in ("near", "far")]
    for machine in recordings.machines:
        clips = recordings.clips(machine)
        denoisers = {n: Unit(params, machine, n, clips).denoiser() for n in names}
        for clip, truth in analysis.truths(params, recordings, machine):
            if not truth.fault[0].any():
                continue
            spectrum = stft(dataset.read(clip["path"], params.spectra), params.spectra)
            components = power(_spectra_of(truth, params.spectra))
            there = components.sum(axis=-1, dtype=np.float64)
            for name, denoise in denoisers.items():
                gain = _gain(denoise(spectrum), spectrum)
                kept = (gain * components).sum(axis=-1, dtype=np.float64)
                yield Measured(clip, name, there, kept)


def audit(params: Params, recordings: Recordings) -> pd.DataFrame:
    """How much of the noise and of the anomaly every front-end takes away, per band.

    Energies of :func:`measure` are summed over clips before they are compared.

    Returns
    -------
    DataFrame with machine, front_end, band (edges in kHz; first "all"), noise and anomaly (dB
    removed; NaN where there is nothing to remove: a band with less than a thousandth of the fault's
    energy has no anomaly) and share, of the fault's energy that lies in the band, 0 to 1; no rows
    where no truth was written.
    """
    sums: dict[tuple[str, str], np.ndarray] = {}
    for one in measure(params, recordings):
        key = (one.clip["machine"], one.front_end)
        sums[key] = sums.get(key, 0) + np.stack([one.there, one.kept])
    rows = [[*key, *row] for key, (a, b) in sums.items() for row in by_band(a, b, params.spectra)]
    return pd.DataFrame(rows, columns=COLUMNS)


def band_edges(spectra: Spectra, count: int = BANDS) -> Float[np.ndarray, " edge"]:
    """Edges of bands of equal width on the Slaney mel scale, 0 to half the sample rate, in Hz."""
    import librosa  # seconds to import, needed nowhere else

    return librosa.mel_frequencies(count + 1, fmin=0, fmax=spectra.sample_rate / 2)


def by_band(
    there: Float[np.ndarray, "part=2 frequency"],
    kept: Float[np.ndarray, "part=2 frequency"],
    spectra: Spectra,
) -> list[tuple[str, float, float, float]]:
    """Band, noise removed (dB), anomaly removed (dB) and share of the fault's energy.

    Parameters
    ----------
    there, kept : energy of noise and fault before and after.

    Returns
    -------
    One row for all bands together, then one per band.
    """
    bins = np.fft.rfftfreq(spectra.n_fft, 1 / spectra.sample_rate)
    edges = band_edges(spectra)
    place = np.digitize(bins, edges[1:-1])
    inside = {WHOLE: np.ones(len(bins), bool)}
    for i, (low, high) in enumerate(zip(edges / 1000, edges[1:] / 1000, strict=False)):
        inside[f"{low:.2g}–{high:.2g}"] = place == i
    rows = []
    for band, chosen in inside.items():
        (noise, fault), left = there[:, chosen].sum(axis=1), kept[:, chosen].sum(axis=1)
        share = fault / there[1].sum()
        anomaly = _removed(fault, left[1]) if share >= LEAST_SHARE else np.nan
        rows.append((band, _removed(noise, left[0]), anomaly, share))
    return rows


def overall(table: pd.DataFrame) -> pd.DataFrame:
    """All bands together, of :func:`audit`, with difference: noise minus anomaly removed, in dB."""
    whole = table[table["band"] == WHOLE].drop(columns=["band", "share"])
    return whole.assign(difference=whole["noise"] - whole["anomaly"]).reset_index(drop=True)


def extremes(table: pd.DataFrame) -> list[pd.Series]:
    """Rows of :func:`audit` with most anomaly and with most noise removed beyond the other.

    Only bands count that hold at least a tenth of the fault's energy. No rows of no rows.
    """
    main = table[(table["band"] != WHOLE) & (table["share"] >= MAIN_SHARE)]
    order = (main["anomaly"] - main["noise"]).to_numpy().argsort(kind="stable")
    return [main.iloc[int(i)] for i in (order[-1], order[0])] if len(order) else []


@dataclass(frozen=True)
class Case:
    """One anomalous clip behind one front-end, to listen to.

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

    @property
    def loss(self) -> float:
        """Anomaly removed minus noise removed, in dB: above 0 it costs more than it brings."""
        return self.anomaly - self.noise

    def tracks(self, called: str, spectra: Spectra) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Signal (sample,) and power (frequency, frame) of each sound, by what it is.

        Powers are shown down to 10 dB under the recording's quiet cells: the truth's silence would
        take most of a common colour scale.

        Parameters
        ----------
        called : name of the front-end.
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
    removes, over all frequencies. Each is of another machine while there is one.

    Parameters
    ----------
    count : losses; fewer where there are fewer clips and front-ends.

    Returns
    -------
    Up to ``count + 1`` cases, by falling :attr:`Case.loss`. The success is the smallest loss of
    all, left out where it is not below 0.
    """

    def loss(one: Measured) -> float:
        noise, anomaly = one.removed()
        return anomaly - noise

    found = sorted(measure(params, recordings), key=loss, reverse=True)
    success = [found.pop()] if found and loss(found[-1]) < 0 and len(found) > 1 else []
    first: dict[str, Measured] = {}
    for one in found:
        first.setdefault(one.clip["machine"], one)
    others = [one for one in found if first[one.clip["machine"]] is not one]
    losses = sorted([*first.values(), *others][:count], key=loss, reverse=True)
    return [_case(one, params, recordings) for one in [*losses, *success]]


def _case(one: Measured, params: Params, recordings: Recordings) -> Case:
    """Render the sounds of a measured clip."""
    clips, spectra = recordings.clips(one.clip["machine"]), params.spectra
    signal = dataset.read(one.clip["path"], spectra)
    spectrum = stft(signal, spectra)
    denoise = Unit(params, one.clip["machine"], one.front_end, clips).denoiser()
    truth = analysis.truth_of(params, recordings, one.clip)
    assert truth is not None  # measured from it
    fault = _spectra_of(truth, spectra)[1]
    root = np.sqrt(_gain(denoise(spectrum), spectrum))
    denoised, left = (istft(root * x, signal.shape[1], spectra) for x in (spectrum[0], fault))
    return Case(one.clip, one.front_end, *one.removed(), signal[0], denoised, truth.fault[0], left)


def _spectra_of(truth: Clip, spectra: Spectra) -> Complex[np.ndarray, "part=2 frequency frame"]:
    """Noise and fault at the near microphone."""
    return stft(np.stack([truth.noise[0], truth.fault[0]]).astype(np.float32), spectra)


def _gain(
    out: Float[np.ndarray, "frequency frame"],
    spectrum: Complex[np.ndarray, "channel=2 frequency frame"],
) -> Float[np.ndarray, "frequency frame"]:
    """Gain in power: out / P_n, 0 where the near microphone is silent."""
    return out / np.maximum(power(spectrum[0]), 1e-20)


def _removed(there: float, kept: float) -> float:
    """-10 log10(kept / there), in dB; NaN where there is nothing."""
    return float(-10 * np.log10(max(kept / there, 1e-16))) if there > 0 else np.nan
