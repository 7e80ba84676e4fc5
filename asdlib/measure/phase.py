"""How much noise a complex filter of the far channel removes, and how much machine sound it costs.

The filter is fitted on the mixture, as in the front-ends, and applied to the true noise and to the
true machine sound separately. Noise removed and machine sound lost are those of
:func:`asdlib.measure.removal.removed`. Notebook: 03_phase.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
from jaxtyping import Complex, Float

from asdlib import pipeline
from asdlib.complexls import correlations, far_filter, gated_filter, solve_filter, subtract
from asdlib.measure.removal import energies, removed
from asdlib.measure.truth import at_rate, truths
from asdlib.params import Params, Scenes
from asdlib.runtime.parallel import clip_by_clip
from asdlib.simulate import scenes
from asdlib.spectra import frequencies, power, stft
from asdlib.study.recordings import Recordings

Spectrum = Complex[np.ndarray, "channel=2 frequency frame"]
Filter = Complex[np.ndarray, "frequency context"]
Fit = Callable[..., Filter]
Parts = Iterator[tuple[Spectrum, Spectrum]]
_BAND = 8  # bins
_RENDERED = 2  # clips per domain in every room of its own
_ROOMS = ("far_distance", "reverberation", "noise_sources")


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
    bins, rows = frequencies(params.spectra), []
    edges = np.arange(0, len(bins) - _BAND + 1, _BAND)
    centres = bins[edges] + bins[_BAND // 2]
    fit = partial(far_filter, constants=params.denoising.model_copy(update={"context": 1}))
    for machine in recordings.machines:
        true = scenes.read_transfer(recordings.root, machine)
        sums = _sums(_recorded(params, recordings, machine), fit)
        if true is None or not sums.any():
            continue
        msc = np.interp(bins, true["frequency"], true["msc"])
        before = sums[0, 0]
        least = np.stack([before, before * (1 - np.minimum(msc, 1 - 1e-9))])
        bound = removed(np.add.reduceat(least, edges, axis=-1))
        both = removed(np.add.reduceat(sums, edges, axis=-1))
        rows += [[machine, *row] for row in zip(centres, bound, *both, strict=True)]
    return pd.DataFrame(rows, columns=["machine", "frequency", "bound", "noise", "machine_sound"])


def sweep(
    params: Params,
    recordings: Recordings,
    vary: str,
    values: Sequence[float] | Sequence[int],
    *,
    fit: Fit = far_filter,
) -> pd.DataFrame:
    """Noise removed and machine sound lost against one thing that is varied.

    Parameters
    ----------
    vary : ``context``, the frames of far context, K; ``seconds`` from the beginning of a clip that
        the filter sees; ``level`` of the machine's part at the far microphone alone, in dB relative
        to the scene; or far_distance (m), reverberation (s) or noise_sources of
        :class:`asdlib.params.Scenes`, for which scenes are rendered: normal clips of both domains,
        whose noise keeps its power at the near microphone.
    values : of what is varied.
    fit : maps the spectrum of a mixture and the constants to a filter.

    Returns
    -------
    DataFrame with machine, noise and machine_sound (dB over all bins), and what is varied. No rows
    where no truth was written; of rendered scenes, no rows for recordings that are not embedded
    scenes. With measured impulse responses, which fix distance and reverberation, only
    noise_sources has rows.
    """

    def row(case: tuple[float, str]) -> list:
        value, machine = case
        constants, parts = params.denoising, _recorded(params, recordings, machine)
        if vary in _ROOMS:
            parts = _rendered(params, params.scenes.model_copy(update={vary: value}), machine)
        elif vary == "context":
            constants = constants.model_copy(update={"context": value})
        elif vary == "seconds":
            frames = round(value * params.spectra.sample_rate / params.spectra.hop_length)
            parts = ((n[..., : max(frames, 2)], x[..., : max(frames, 2)]) for n, x in parts)
        else:
            parts = ((n, np.stack([x[0], 10 ** (value / 20) * x[1]])) for n, x in parts)
        return [machine, *_whole(parts, partial(fit, constants=constants)), value]

    fixed = params.scenes.impulse_response_folder is not None and vary != "noise_sources"
    known = vary not in _ROOMS or (recordings.embedded and not fixed)
    rows = clip_by_clip(row, product(values, recordings.machines) if known else ())
    table = pd.DataFrame(rows, columns=["machine", "noise", "machine_sound", vary])
    return table.dropna(how="all", subset=["noise", "machine_sound"], ignore_index=True)


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
    tables = []
    for name, fit in {"plain": far_filter, "gated": gated_filter}.items():
        here = sweep(params, recordings, "context", [params.denoising.context], fit=fit)
        near = sweep(params, recordings, "far_distance", distances, fit=fit)
        near["case"] = [f"far microphone at {value:g} m" for value in near.pop("far_distance")]
        here = here.drop(columns="context").assign(case="as recorded")
        both = pd.concat([here, near], ignore_index=True).set_index(["machine", "case"])
        tables.append(both.add_prefix(f"{name} "))
    return pd.concat(tables, axis=1).reset_index()


def fixed(params: Params, recordings: Recordings) -> pd.DataFrame:
    """Noise removed and machine sound lost by a filter per clip and by a fixed one per machine.

    The fixed filter is fitted on all training-normal clips of the machine.

    Returns
    -------
    DataFrame with machine, ``own noise`` and ``own machine_sound`` of the clips' own filters, and
    ``train noise`` and ``train machine_sound`` of the fixed one, dB over all bins; no rows where no
    truth was written.
    """
    constants, rows = params.denoising, []
    for machine in recordings.machines:
        gram, cross = np.zeros(1), np.zeros(1)
        for _, clip in recordings.clips(machine, "train").iterrows():
            spectrum = pipeline.spectrum(clip["path"], params.spectra, clip["hash"])
            own = correlations(spectrum, constants)
            gram, cross = gram + own[0], cross + own[1]
        one = solve_filter(gram, cross, constants)
        fits = (partial(far_filter, constants=constants), lambda spectrum, one=one: one)
        found = [_whole(_recorded(params, recordings, machine), fit) for fit in fits]
        rows.append([machine, *found[0], *found[1]])
    columns = ["own noise", "own machine_sound", "train noise", "train machine_sound"]
    table = pd.DataFrame(rows, columns=["machine", *columns])
    return table.dropna(how="all", subset=columns, ignore_index=True)


def _whole(parts: Parts, fit: Callable[[Spectrum], Filter]) -> list[float]:
    """Noise removed and machine sound lost over all bins, in dB; NaN without clips."""
    return removed(_sums(parts, fit).sum(-1)).tolist()


def _sums(
    parts: Parts, fit: Callable[[Spectrum], Filter]
) -> Float[np.ndarray, "state=2 part=2 frequency"]:
    """Energies of noise and machine sound before and after the filter, summed over clips.

    Parameters
    ----------
    fit : maps the spectrum of a mixture to its filter.

    Returns
    -------
    Zeros at one frequency without clips.
    """
    total = np.zeros((2, 2, 1))
    for clip in parts:
        own = fit(clip[0] + clip[1])
        left = [power(subtract(part, own)) for part in clip]
        total = total + energies([power(part[0]) for part in clip], left)
    return total


def _recorded(params: Params, recordings: Recordings, machine: str) -> Parts:
    """Spectra of the noise and of the machine of every test clip with truth."""
    for clip, truth in truths(params, recordings, machine):
        if clip["split"] == "test":
            yield _spectra(params, truth)


def _rendered(params: Params, own: Scenes, machine: str) -> Parts:
    """Spectra of the noise and of the machine of clips that are rendered here, not read."""
    for domain, index in product(("source", "target"), range(_RENDERED)):
        clip = scenes.render(machine, "test", domain, "normal", index, own)
        yield _spectra(params, at_rate(clip, params))


def _spectra(params: Params, clip: scenes.Clip) -> tuple[Spectrum, Spectrum]:
    """Spectra of the noise and of the machine of one clip."""
    noise, sound = (stft(x.astype(np.float32), params.spectra) for x in (clip.noise, clip.machine))
    return noise, sound
