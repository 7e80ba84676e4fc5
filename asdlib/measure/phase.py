"""How much noise a complex filter of the far channel removes, and how much machine sound it costs.

The filter is fitted on the mixture, as in the front-ends, and applied to the true noise and to the
true machine sound separately. Noise removed and machine sound lost are those of
:func:`asdlib.measure.removal.removed`. Notebook: 03_phase.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
from jaxtyping import Complex, Float

from asdlib import pipeline
from asdlib.complexls import correlations, far_filter, gated_filter, solve_filter, subtract
from asdlib.measure.removal import energies, removed
from asdlib.measure.truth import at_rate, truths
from asdlib.params import Params
from asdlib.runtime.parallel import clip_by_clip
from asdlib.simulate import scenes
from asdlib.spectra import frequencies, power, stft
from asdlib.study.recordings import Recordings

Spectrum = Complex[np.ndarray, "channel=2 frequency frame"]
Filter = Complex[np.ndarray, "frequency context"]
Fit = Callable[[Spectrum], Filter]
Parts = Iterable[tuple[Spectrum, Spectrum]]
_BAND = 8  # bins
_RENDERED = 2  # clips per domain in every room of its own
_COLUMNS = ["machine", "noise", "machine_sound"]


def bounds(params: Params, recordings: Recordings) -> pd.DataFrame:
    """Noise that one complex weight per bin and clip removes, and its bound, over frequency.

    The bound is -10 log10(1 - MSC), with the coherence of the noise alone over all training clips,
    weighted by the noise power of the bins in a band. A clip's own filter can exceed it by chance,
    and where the noise is more coherent within a clip than from clip to clip.

    Returns
    -------
    DataFrame with machine, frequency (Hz, middle of a band of eight bins), bound, noise (removed)
    and machine_sound (lost), in dB; no rows where no truth was written.
    """
    bins, parts = frequencies(params.spectra), []
    edges = np.arange(0, len(bins) - _BAND + 1, _BAND)
    fit = partial(far_filter, constants=params.denoising.model_copy(update={"context": 1}))
    for machine in recordings.machines:
        true = scenes.read_transfer(recordings.root, machine)
        sums = _sums(_parts(params, recordings, machine), fit)
        if true is None or sums is None:
            continue
        msc = np.interp(bins, true["frequency"], true["msc"])
        before = sums[0, 0]
        least = np.stack([before, before * (1 - np.minimum(msc, 1 - 1e-9))])
        noise, sound = removed(np.add.reduceat(sums, edges, axis=-1))
        columns = {
            "machine": machine,
            "frequency": bins[edges] + bins[_BAND // 2],
            "bound": removed(np.add.reduceat(least, edges, axis=-1)),
            "noise": noise,
            "machine_sound": sound,
        }
        parts.append(pd.DataFrame(columns))
    names = ["machine", "frequency", "bound", "noise", "machine_sound"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=names)


def contexts(params: Params, recordings: Recordings, frames: Sequence[int]) -> pd.DataFrame:
    """Noise removed and machine sound lost against the frames of far context, K.

    Returns
    -------
    DataFrame with machine, context, noise and machine_sound, dB over all bins.
    """
    rows = []
    for count in frames:
        fit = partial(far_filter, constants=params.denoising.model_copy(update={"context": count}))
        rows.append(_overall(params, recordings, fit).assign(context=count))
    return pd.concat(rows, ignore_index=True)


def lengths(params: Params, recordings: Recordings, seconds: Sequence[float]) -> pd.DataFrame:
    """Noise removed and machine sound lost against the length of the clip that a filter sees.

    Parameters
    ----------
    seconds : every clip is cut to its first so many seconds, at least two frames.

    Returns
    -------
    DataFrame with machine, seconds, noise and machine_sound, dB over all bins.
    """
    rate = params.spectra.sample_rate / params.spectra.hop_length
    rows = []
    for length in seconds:
        frames = max(round(length * rate), 2)
        fit = partial(far_filter, constants=params.denoising)
        rows.append(_overall(params, recordings, fit, frames=frames).assign(seconds=length))
    return pd.concat(rows, ignore_index=True)


def leaks(params: Params, recordings: Recordings, levels: Sequence[float]) -> pd.DataFrame:
    """Noise removed and machine sound lost against the machine's level at the far microphone.

    Only the machine's part of the far channel is scaled, in place of moving the microphone.

    Parameters
    ----------
    levels : dB relative to the scene.

    Returns
    -------
    DataFrame with machine, level, noise and machine_sound, dB over all bins.
    """
    rows = []
    fit = partial(far_filter, constants=params.denoising)
    for level in levels:
        table = _overall(params, recordings, fit, leak=10 ** (level / 20))
        rows.append(table.assign(level=level))
    return pd.concat(rows, ignore_index=True)


def rooms(
    params: Params,
    recordings: Recordings,
    knob: str,
    values: Sequence[float] | Sequence[int],
    *,
    fit: Fit | None = None,
) -> pd.DataFrame:
    """Noise removed and machine sound lost in newly rendered scenes that differ in one setting.

    The noise at the near microphone keeps its power. Machines and their sounds are those of the
    embedded scenes, normal clips of both domains.

    Parameters
    ----------
    knob : far_distance (m), reverberation (s) or noise_sources, of
        :class:`asdlib.params.Scenes`.
    values : of the knob.
    fit : maps the spectrum of a mixture to its filter; plain least squares by default.

    Returns
    -------
    DataFrame with machine, noise and machine_sound (dB over all bins), and the knob. No rows for
    recordings that are not embedded scenes; with measured impulse responses, which fix distance and
    reverberation, rows for noise_sources only.
    """
    measured = params.scenes.impulse_response_folder is not None
    chosen = fit or partial(far_filter, constants=params.denoising)

    def row(case: tuple[float, str]) -> list:
        value, machine = case
        own = params.model_copy(update={"scenes": params.scenes.model_copy(update={knob: value})})
        return [machine, *_whole(_rendered(own, machine), chosen), value]

    known = recordings.embedded and (knob == "noise_sources" or not measured)
    cases = product(values, recordings.machines) if known else []
    return pd.DataFrame(clip_by_clip(row, cases), columns=[*_COLUMNS, knob])


def gates(params: Params, recordings: Recordings, distances: Sequence[float]) -> pd.DataFrame:
    """Noise removed and machine sound lost by plain least squares and by the fit with two gates.

    Parameters
    ----------
    distances : of the far microphone from the machine, in m: scenes that are rendered here.

    Returns
    -------
    DataFrame with machine, case ("as recorded", or the distance), ``plain noise`` and
    ``plain machine_sound``, ``gated noise`` and ``gated machine_sound``, dB over all bins.
    """
    fits = {"plain": far_filter, "gated": gated_filter}
    tables = []
    for name, fit in fits.items():
        own = partial(fit, constants=params.denoising)
        near = rooms(params, recordings, "far_distance", distances, fit=own)
        near["case"] = [f"far microphone at {value:g} m" for value in near.pop("far_distance")]
        here = _overall(params, recordings, own).assign(case="as recorded")
        both = pd.concat([here, near], ignore_index=True).set_index(["machine", "case"])
        tables.append(both.add_prefix(f"{name} "))
    return pd.concat(tables, axis=1).reset_index()


def fixed(params: Params, recordings: Recordings) -> pd.DataFrame:
    """Noise removed and machine sound lost by a filter per clip and by a fixed one per machine.

    The fixed filter is fitted on all training-normal clips of the machine.

    Returns
    -------
    DataFrame with machine, ``own noise`` and ``own machine_sound`` of the clips' own filters, and
    ``train noise`` and ``train machine_sound`` of the fixed one, dB over all bins.
    """
    own = _overall(params, recordings, partial(far_filter, constants=params.denoising))
    one = [
        _overall(params, recordings, _fixed_filter(params, recordings, machine), [machine])
        for machine in recordings.machines
    ]
    wide = own.merge(pd.concat(one), on="machine", suffixes=(" own", " train"))
    return wide.rename(columns=lambda name: " ".join(reversed(name.split(" "))))


def _fixed_filter(params: Params, recordings: Recordings, machine: str) -> Fit:
    """Return a function that returns one filter for every clip: that of all training clips."""
    constants, gram, cross = params.denoising, np.zeros(1), np.zeros(1)
    for _, clip in recordings.clips(machine, "train").iterrows():
        own = correlations(pipeline.spectrum(clip["path"], params.spectra, clip["hash"]), constants)
        gram, cross = gram + own[0], cross + own[1]
    one = solve_filter(gram, cross, constants)
    return lambda spectrum: one


def _overall(
    params: Params,
    recordings: Recordings,
    fit: Fit,
    machines: Sequence[str] | None = None,
    *,
    frames: int | None = None,
    leak: float = 1.0,
) -> pd.DataFrame:
    """Noise removed and machine sound lost over all bins, per machine with truth."""
    rows = []
    for machine in machines or recordings.machines:
        if whole := _whole(_parts(params, recordings, machine, frames), fit, leak):
            rows.append([machine, *whole])
    return pd.DataFrame(rows, columns=_COLUMNS)


def _whole(parts: Parts, fit: Fit, leak: float = 1.0) -> list[float]:
    """Noise removed and machine sound lost over all bins, in dB; empty without clips."""
    sums = _sums(parts, fit, leak)
    return [] if sums is None else removed(sums.sum(-1)).tolist()


def _sums(
    parts: Parts, fit: Fit, leak: float = 1.0
) -> Float[np.ndarray, "state=2 part=2 frequency"] | None:
    """Energies of noise and machine sound before and after the filter, summed over clips.

    Parameters
    ----------
    fit : maps the spectrum of a mixture to its filter.
    leak : factor on the machine's amplitude at the far microphone.

    Returns
    -------
    None without clips.
    """
    total = None
    for noise, sound in parts:
        sound = np.stack([sound[0], leak * sound[1]]).astype(noise.dtype)
        own = energies((noise, sound), partial(_filtered, fit=fit(noise + sound)))
        total = own if total is None else total + own
    return total


def _filtered(part: Spectrum, fit: Filter) -> Float[np.ndarray, "frequency frame"]:
    """Power of a part at the near microphone after a filter of its far channel."""
    return power(subtract(part, fit))


def _parts(
    params: Params, recordings: Recordings, machine: str, frames: int | None = None
) -> Iterator[tuple[Spectrum, Spectrum]]:
    """Spectra of the noise and of the machine of every test clip with truth."""
    for clip, truth in truths(params, recordings, machine):
        if clip["split"] == "test":
            noise, sound = _spectra(params, truth)
            yield noise[:, :, :frames], sound[:, :, :frames]


def _rendered(params: Params, machine: str) -> Iterator[tuple[Spectrum, Spectrum]]:
    """Spectra of the noise and of the machine of clips that are rendered here, not read."""
    for domain, index in product(("source", "target"), range(_RENDERED)):
        clip = scenes.render(machine, "test", domain, "normal", index, params.scenes)
        yield _spectra(params, at_rate(clip, params))


def _spectra(params: Params, clip: scenes.Clip) -> tuple[Spectrum, Spectrum]:
    """Spectra of the noise and of the machine of one clip."""
    noise, sound = (stft(x.astype(np.float32), params.spectra) for x in (clip.noise, clip.machine))
    return noise, sound
