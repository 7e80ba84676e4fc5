"""What the chapters measure about noise transfer and front-ends, with the truth where it is known.

Notebooks: 01_noise_floor, 02_front_ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Complex, Float

from asdlib import dataset
from asdlib.frontends import parts
from asdlib.noise import Floors, noise_transfer
from asdlib.params import Params
from asdlib.simulate import scenes
from asdlib.simulate.machines import RATE
from asdlib.spectra import istft, power, stft
from asdlib.study.recordings import Recordings
from asdlib.study.unit import Unit

_SENSITIVITY_CLIPS = 40  # training clips per machine, spread evenly over both domains


def overview(manifest: pd.DataFrame) -> pd.DataFrame:
    """Clips, seconds, sample rates and channels per machine, split, domain and label."""
    groups = manifest.groupby(["machine", "split", "domain", "label"])

    def distinct(values: pd.Series) -> str:
        return ", ".join(f"{value:g}" for value in sorted(values.unique())[:4])

    return groups.agg(
        clips=("name", "size"),
        seconds=("seconds", distinct),
        sample_rate=("sample_rate", distinct),
        channels=("channels", distinct),
    )


def levels(params: Params, recordings: Recordings, *, clips_per_machine: int = 10) -> pd.DataFrame:
    """Near/far sanity per machine, from a few training clips.

    Returns
    -------
    DataFrame with the levels of both channels in dB of full scale, the median of G_m, and a
    remark where the channels cannot serve as near and far.
    """
    rows = []
    for machine in recordings.machines:
        clips = recordings.clips(machine, "train").head(clips_per_machine)
        signals = list(dataset.read_all(clips, params.spectra))
        near, far = _db(np.mean([np.mean(x**2, axis=-1) for x in signals], axis=0))
        fitted = Floors.fit((stft(x, params.spectra) for x in signals), params.denoising)
        same = all(np.array_equal(*x) for x in signals)
        rows.append(
            {
                "machine": machine,
                "near (dB)": round(float(near), 1),
                "far (dB)": round(float(far), 1),
                "median G": round(float(np.median(fitted.transfer)), 3),
                "remark": "both channels are the same signal: no noise reference" if same else "",
            }
        )
    return pd.DataFrame(rows).set_index("machine")


def frequencies(params: Params) -> Float[np.ndarray, " frequency"]:
    """Centre frequencies of the bins, in Hz."""
    return np.fft.rfftfreq(params.spectra.n_fft, 1 / params.spectra.sample_rate)


def true_transfers(
    params: Params, recordings: Recordings
) -> dict[str, Float[np.ndarray, " frequency"]]:
    """G_m(k) from the noise alone, on this study's bins, where the truth was written."""
    found = {m: scenes.read_transfer(recordings.root, m) for m in recordings.machines}
    bins = frequencies(params)
    return {
        m: 10 ** np.interp(bins, t["frequency"], np.log10(t["noise_transfer"]))
        for m, t in found.items()
        if t is not None
    }


def transfer_table(
    estimated: dict[str, Floors], true: dict[str, Float[np.ndarray, " frequency"]]
) -> pd.DataFrame:
    """Median G_m over frequency of every machine, estimated and true, and the error in dB."""
    rows = []
    for machine, own in estimated.items():
        truth = true.get(machine)
        error = np.nan if truth is None else np.median(np.abs(_db(own.transfer) - _db(truth)))
        rows.append(
            {
                "machine": machine,
                "median G": np.median(own.transfer),
                "true median G": np.nan if truth is None else np.median(truth),
                "median error (dB)": error,
            }
        )
    return pd.DataFrame(rows)


def percentile_sensitivity(
    params: Params, recordings: Recordings, percentiles: Sequence[float]
) -> pd.DataFrame:
    """How the median of G_m moves with the percentile of the floors.

    Returns
    -------
    DataFrame with machine, percentile, offset and ``what`` the offset is: dB against the true
    transfer where it is known, else against the chosen percentile.
    """
    true = true_transfers(params, recordings)
    wanted = sorted({*percentiles, params.denoising.percentile})
    rows = []
    for machine in recordings.machines:
        train = recordings.clips(machine, "train")
        spread = np.linspace(0, len(train) - 1, min(len(train), _SENSITIVITY_CLIPS)).round()
        clips = train.iloc[spread.astype(int)]
        quiet = [
            np.percentile(power(stft(signal, params.spectra)), wanted, axis=-1)
            for signal in dataset.read_all(clips, params.spectra)
        ]
        levels = {
            q: _db(noise_transfer(*both, far_bound=params.denoising.far_bound))
            for q, both in zip(wanted, np.mean(quiet, axis=0), strict=True)
        }
        against = _db(true[machine]) if machine in true else levels[params.denoising.percentile]
        name = "true" if machine in true else f"P{params.denoising.percentile:g}"
        for q in wanted:
            rows.append(
                {
                    "machine": machine,
                    "percentile": q,
                    "offset": float(np.median(levels[q] - against)),
                    "what": f"$G_m$ against {name} (dB, median over $k$)",
                }
            )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Example:
    """One clip with everything a figure or a player needs.

    Attributes
    ----------
    clip : its row of the manifest.
    signal : (2, sample).
    spectrum : (2, frequency, frame).
    denoised : power out of every front-end, by name.
    """

    clip: pd.Series
    signal: Float[np.ndarray, "channel=2 sample"]
    spectrum: Complex[np.ndarray, "channel=2 frequency frame"]
    denoised: dict[str, Float[np.ndarray, "frequency frame"]]

    def sound(self, front_end: str, params: Params) -> Float[np.ndarray, " sample"]:
        """Denoised sound: the front-end's gain on the near spectrum, with the near phase."""
        near = self.spectrum[0]
        level = power(near)
        out = self.denoised[front_end]
        gain = np.sqrt(np.divide(out, level, out=np.zeros_like(level), where=level > 0))
        return istft(gain * near, self.signal.shape[1], params.spectra)

    def powers(self) -> dict[str, Float[np.ndarray, "frequency frame"]]:
        """Both microphones and every denoised spectrum, for one figure."""
        near, far = power(self.spectrum)
        rest = {name: out for name, out in self.denoised.items() if name not in ("near", "far")}
        return {"near": near, "far": far, **rest}

    def tracks(
        self, params: Params, truth: scenes.Clip | None = None
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Both microphones, every denoised sound and, where known, the machine alone.

        Returns
        -------
        Mapping of near, far, front-end names and truth to the sound (sample,) and the power
        spectrum (frequency, frame) that belongs to it.
        """
        powers = self.powers()
        sounds = {"near": self.signal[0], "far": self.signal[1]}
        sounds |= {name: self.sound(name, params) for name in powers if name not in sounds}
        found = {name: (sound, powers[name]) for name, sound in sounds.items()}
        if truth is None:
            return found
        machine = np.asarray(truth.machine[0], np.float32)
        return found | {"truth": (machine, power(stft(machine, params.spectra)))}


def example(params: Params, recordings: Recordings, machine: str) -> Example:
    """Take the first anomalous test clip (else the first test clip) through every front-end."""
    clips = recordings.clips(machine)
    test = clips[clips["split"] == "test"]
    anomalous = test[test["label"] == "anomaly"]
    clip = (anomalous if len(anomalous) else test if len(test) else clips).iloc[0]
    return take(params, recordings, clip, parts(params.front_ends))


def named(
    params: Params, recordings: Recordings, machine: str, name: str, front_ends: Sequence[str]
) -> Example:
    """Take the clip of this name through the named front-ends."""
    clips = recordings.clips(machine)
    return take(params, recordings, clips[clips["name"] == name].iloc[0], front_ends)


def take(params: Params, recordings: Recordings, clip: pd.Series, names: Sequence[str]) -> Example:
    """Take one clip, a row of the manifest, through the named front-ends."""
    clips = recordings.clips(clip["machine"])
    signal = dataset.read(clip["path"], params.spectra)
    spectrum = stft(signal, params.spectra)
    denoised = {
        name: Unit(params, clip["machine"], name, clips).denoiser()(spectrum) for name in names
    }
    return Example(clip, signal, spectrum, denoised)


def attenuation(
    params: Params, recordings: Recordings, *, clips_per_machine: int = 10
) -> pd.DataFrame:
    """Attenuation of every front-end against the local SNR, over all machines.

    Returns
    -------
    DataFrame with front_end, snr (bin centre, dB), mean, low and high (10 and 90 %), in dB.
    """
    edges = np.arange(-20, 31, 2.5)
    names = [name for name in parts(params.front_ends) if name not in ("near", "far")]
    found: dict[str, list[np.ndarray]] = {name: [] for name in names}
    snrs = []
    for machine in recordings.machines:
        clips = recordings.clips(machine)
        transfer = Unit(params, machine, "near", clips).floors().transfer[:, None]
        denoisers = {n: Unit(params, machine, n, clips).denoiser() for n in names}
        test = clips[clips["split"] == "test"].head(clips_per_machine)
        for signal in dataset.read_all(test, params.spectra):
            spectrum = stft(signal, params.spectra)
            near, far = power(spectrum)
            snrs.append(_db(near / np.maximum(transfer * far, 1e-20)).ravel())
            for name, denoise in denoisers.items():
                ratio = denoise(spectrum) / np.maximum(near, 1e-20)
                found[name].append(_db(ratio).ravel().astype(np.float32))
    if not snrs:
        return pd.DataFrame(columns=["front_end", "snr", "mean", "low", "high"])
    place = np.digitize(np.concatenate(snrs), edges)
    rows = []
    for name, gains in found.items():
        gain = np.concatenate(gains)
        for i in range(1, len(edges)):
            inside = gain[place == i]
            if len(inside) >= 50:
                low, high = np.percentile(inside, [10, 90])
                centre = (edges[i - 1] + edges[i]) / 2
                rows.append([name, centre, float(inside.mean()), float(low), float(high)])
    return pd.DataFrame(rows, columns=["front_end", "snr", "mean", "low", "high"])


def strength(
    params: Params, recordings: Recordings, *, clips_per_machine: int = 10
) -> pd.DataFrame:
    """How much power every front-end takes away from test clips, over all machines.

    Returns
    -------
    DataFrame with front_end and attenuation: minus the mean of 10 log10(out / P_n) over clips, in
    dB, both powers summed over the clip; no rows without test clips.
    """
    names = [name for name in parts(params.front_ends) if name != "far"]
    found: dict[str, list[float]] = {name: [] for name in names}
    for machine in recordings.machines:
        clips = recordings.clips(machine)
        denoisers = {n: Unit(params, machine, n, clips).denoiser() for n in names}
        test = clips[clips["split"] == "test"].head(clips_per_machine)
        for signal in dataset.read_all(test, params.spectra):
            spectrum = stft(signal, params.spectra)
            near = power(spectrum[0]).sum()
            for name, denoise in denoisers.items():
                found[name].append(-10 * float(np.log10(denoise(spectrum).sum() / near)))
    rows = [(name, np.mean(values)) for name, values in found.items() if values]
    return pd.DataFrame(rows, columns=["front_end", "attenuation"])


def removal(params: Params, recordings: Recordings) -> pd.DataFrame:
    """How much noise and how much machine sound every front-end takes away, from known truth.

    The front-end's gain, found on the mixture, is applied to the true noise and the true machine
    sound at the near microphone.

    Returns
    -------
    DataFrame with machine, front_end, noise and machine_sound: dB removed; no rows where no
    truth was written.
    """
    rows = []
    names = [name for name in parts(params.front_ends) if name not in ("near", "far")]
    for machine in recordings.machines:
        clips = recordings.clips(machine)
        denoisers = {n: Unit(params, machine, n, clips).denoiser() for n in names}
        kept = {n: np.zeros(2) for n in names}
        there = np.zeros(2)
        for clip, truth in truths(params, recordings, machine):
            spectrum = stft(dataset.read(clip["path"], params.spectra), params.spectra)
            near = power(spectrum[0])
            parts_near = np.stack([truth.noise[0], truth.machine[0]]).astype(np.float32)
            components = power(stft(parts_near, params.spectra))
            there += components.sum(axis=(1, 2))
            for name, denoise in denoisers.items():
                gain = denoise(spectrum) / np.maximum(near, 1e-20)
                kept[name] += (gain * components).sum(axis=(1, 2))
        if there.all():
            for name in names:
                noise, sound = -_db(kept[name] / there)
                rows.append([machine, name, noise, sound])
    return pd.DataFrame(rows, columns=["machine", "front_end", "noise", "machine_sound"])


def true_snr(params: Params, recordings: Recordings) -> pd.DataFrame:
    """Machine over noise at both microphones, in dB, from known truth: mean power over clips.

    Returns
    -------
    DataFrame with machine, SNR near (dB) and SNR far (dB); no rows where no truth was written.
    """
    rows = []
    for machine in recordings.machines:
        energy = [
            [np.sum(part**2, axis=-1) for part in (truth.machine, truth.noise)]
            for _, truth in truths(params, recordings, machine)
        ]
        if energy:
            sound, noise = np.sum(energy, axis=0)
            rows.append([machine, *_db(sound / noise)])
    return pd.DataFrame(rows, columns=["machine", "SNR near (dB)", "SNR far (dB)"])


def truths(
    params: Params, recordings: Recordings, machine: str
) -> Iterator[tuple[pd.Series, scenes.Clip]]:
    """Every clip of a machine whose ground truth lies beside it, with that truth."""
    for _, clip in recordings.clips(machine).iterrows():
        truth = truth_of(params, recordings, clip)
        if truth is not None:
            yield clip, truth


def truth_of(params: Params, recordings: Recordings, clip: pd.Series) -> scenes.Clip | None:
    """Ground truth of one clip at the study's sample rate, where it was written."""
    stem = clip["name"].removesuffix(".wav")
    truth = scenes.read_truth(recordings.root, clip["machine"], stem)
    return None if truth is None else at_rate(truth, params)


def at_rate(truth: scenes.Clip, params: Params) -> scenes.Clip:
    """A simulated clip at the study's sample rate."""
    if params.spectra.sample_rate == RATE:
        return truth
    import soxr

    whole = (truth.machine, truth.noise, truth.fault)
    return scenes.Clip(*(soxr.resample(x.T, RATE, params.spectra.sample_rate).T for x in whole))


def _db(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, 1e-16))
