"""How much noise a complex filter of the far channel removes, and how much machine sound it costs.

The filter is fitted on the mixture, as in the front-ends, and applied to the true noise and to the
true machine sound separately. Noise removed and machine sound lost are those of
:func:`asdlib.measure.removal.removed`. Notebook: 04_phase.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from types import MappingProxyType

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
Parts = Iterable[tuple[Spectrum, Spectrum]]
FITS = MappingProxyType({"plain": far_filter, "gated": gated_filter})
_BAND = 8  # bins
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
        (sums,) = _sums(_recorded(params, recordings, machine), [fit])
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
    fits: Mapping[str, Callable[..., Filter]] = MappingProxyType({"": far_filter}),
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
    fits : each maps the spectrum of a mixture and the constants to a filter.

    Returns
    -------
    DataFrame with machine, noise and machine_sound (dB over all bins; the names of several fits
    stand before them), and what is varied. No rows where no truth was written; of rendered scenes,
    no rows for recordings that are not embedded scenes. With measured impulse responses, which fix
    distance and reverberation, only noise_sources has rows.
    """

    def rows(machine: str) -> list[list]:
        recorded = [] if vary in _ROOMS else list(_recorded(params, recordings, machine))
        return [row(machine, value, recorded) for value in values]

    def row(machine: str, value: float, parts: Parts) -> list:
        constants = params.denoising
        if vary in _ROOMS:
            parts = _rendered(params, params.scenes.model_copy(update={vary: value}), machine)
        elif vary == "context":
            constants = constants.model_copy(update={"context": value})
        elif vary == "seconds":
            frames = round(value * params.spectra.sample_rate / params.spectra.hop_length)
            parts = ((n[..., : max(frames, 2)], x[..., : max(frames, 2)]) for n, x in parts)
        else:
            parts = ((n, np.stack([x[0], 10 ** (value / 20) * x[1]])) for n, x in parts)
        of_value = [partial(fit, constants=constants) for fit in fits.values()]
        return [machine, *_removed(parts, of_value), value]

    fixed = params.scenes.impulse_response_folder is not None and vary != "noise_sources"
    known = vary not in _ROOMS or (recordings.embedded and not fixed)
    of_machines = clip_by_clip(rows, recordings.machines if known else ())
    found = [f"{name} {part}".strip() for name in fits for part in ("noise", "machine_sound")]
    by_value = chain.from_iterable(zip(*of_machines, strict=True))
    table = pd.DataFrame(by_value, columns=["machine", *found, vary])
    return table.dropna(how="all", subset=found, ignore_index=True)


def gates(params: Params, recordings: Recordings, near: pd.DataFrame) -> pd.DataFrame:
    """Noise removed and machine sound lost by plain least squares and by the fit with two gates.

    Parameters
    ----------
    near : of :func:`sweep`, by ``FITS``, over far_distance.

    Returns
    -------
    DataFrame with machine, case ("as recorded", or the distance), ``plain noise`` and
    ``plain machine_sound``, ``gated noise`` and ``gated machine_sound``, dB over all bins.
    """
    here = sweep(params, recordings, "context", [params.denoising.context], fits=FITS)
    here.insert(1, "case", "as recorded")
    near = near.assign(case=near["far_distance"].map("far microphone at {:g} m".format))
    return pd.concat([here, near], ignore_index=True)[[c for c in here if c != "context"]]


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
        rows.append([machine, *_removed(_recorded(params, recordings, machine), fits)])
    columns = ["own noise", "own machine_sound", "train noise", "train machine_sound"]
    table = pd.DataFrame(rows, columns=["machine", *columns])
    return table.dropna(how="all", subset=columns, ignore_index=True)


def _removed(parts: Parts, fits: Sequence[Callable[[Spectrum], Filter]]) -> list[float]:
    """Noise removed and machine sound lost over all bins by every fit, in dB; NaN without clips."""
    return [value for sums in _sums(parts, fits) for value in removed(sums.sum(-1))]


def _sums(
    parts: Parts, fits: Sequence[Callable[[Spectrum], Filter]]
) -> Float[np.ndarray, "fit state=2 part=2 frequency"]:
    """Energies of noise and machine sound before and after each filter, summed over clips.

    Parameters
    ----------
    fits : each maps the spectrum of a mixture to its filter.

    Returns
    -------
    Zeros at one frequency without clips.
    """
    total = np.zeros((len(fits), 2, 2, 1))
    for clip in parts:
        before, mixture = [power(part[0]) for part in clip], clip[0] + clip[1]
        after = [
            [power(subtract(part, own)) for part in clip] for own in (f(mixture) for f in fits)
        ]
        total = total + [energies(before, left) for left in after]
    return total


def _recorded(params: Params, recordings: Recordings, machine: str) -> Parts:
    """Spectra of the noise and of the machine of every test clip with truth."""
    for clip, truth in truths(params, recordings, machine):
        if clip["split"] == "test":
            yield _spectra(params, truth)


def _rendered(params: Params, own: Scenes, machine: str) -> Parts:
    """Spectra of the noise and of the machine of clips that are rendered here, not read."""
    for domain in ("source", "target"):
        clip = scenes.render(machine, "test", domain, "normal", 0, own)
        yield _spectra(params, at_rate(clip, params))


def _spectra(params: Params, clip: scenes.Clip) -> tuple[Spectrum, Spectrum]:
    """Spectra of the noise and of the machine of one clip."""
    noise, sound = (stft(x.astype(np.float32), params.spectra) for x in (clip.noise, clip.machine))
    return noise, sound
