import numpy as np
import pytest

from asdlib import complexls
from asdlib.complexls import far_filter, subtract
from asdlib.frontends import FRONT_ENDS
from asdlib.measure.removal import energies, removed
from asdlib.params import Denoising
from asdlib.spectra import power

BINS, FRAMES = 32, 300
NEAR, LEAK = 2.0, 0.6  # amplitude of the machine at the near and the far microphone
TRANSFER = 0.5j  # of the noise, from the far to the near microphone
FITS = (far_filter, complexls.gated_filter)


def gaussian(rng, *shape):
    draws = rng.standard_normal((2, *shape))
    return (draws[0] + 1j * draws[1]).astype(np.complex64)


def line(rng, level=1.0):
    """A tone in every bin, each of its own frequency and phase, beside a little noise."""
    phase = rng.uniform(0, 2 * np.pi, (2, BINS, 1))
    tone = np.exp(1j * (phase[0] + phase[1] * np.arange(FRAMES)))
    return (level * tone + 0.1 * gaussian(rng, BINS, FRAMES)).astype(np.complex64)


def blows(rng, level=8.0):
    """Silence, and a blow in one frame of twenty."""
    struck = rng.random((BINS, FRAMES)) < 0.05
    return (level * struck + 0.05) * gaussian(rng, BINS, FRAMES)


def parts(rng, machine, noise):
    """Spectra of the noise and of the machine at both microphones."""
    hiss = 0.02 * gaussian(rng, 2, BINS, FRAMES)
    return np.stack([TRANSFER * noise, noise]) + hiss, np.stack([NEAR * machine, LEAK * machine])


def losses(pair, fit):
    """Noise removed and machine sound lost, in dB over all bins."""
    found = fit(sum(pair))
    left = [power(subtract(part, found)) for part in pair]
    return removed(energies([power(part[0]) for part in pair], left).sum(-1))


@pytest.mark.parametrize("context", [1, 3])
@pytest.mark.parametrize("machine", [line, blows])
def test_a_machine_that_the_far_microphone_hears_is_kept_and_its_noise_removed(
    rng, machine, context
):
    """The true transfer changes the machine a little: the far microphone hears it."""
    pair = parts(rng, machine(rng), gaussian(rng, BINS, FRAMES))
    constants = Denoising(context=context)
    pulled = far_filter(sum(pair), constants)[:, 0]
    fair = complexls.gated_filter(sum(pair), constants)[:, 0]
    assert np.median(np.abs(pulled - TRANSFER)) > 0.35
    assert np.median(np.abs(fair - TRANSFER)) < 0.1
    plain, gated = (losses(pair, lambda clip, f=f: f(clip, constants)) for f in FITS)
    true = losses(pair, lambda clip: np.full((BINS, 1), TRANSFER))
    assert gated[0] > plain[0] + 5
    assert abs(gated[1] - true[1]) < 0.5


def test_tonal_noise_is_removed_as_without_the_gates(rng):
    noise = line(rng, level=5.0) + gaussian(rng, BINS, FRAMES)
    pair = parts(rng, 0.2 * gaussian(rng, BINS, FRAMES), noise)
    assert not complexls.machine_lines(sum(pair), complexls.remainders(sum(pair))).any()
    plain, gated = (losses(pair, fit) for fit in FITS)
    assert plain[0] > 15
    assert gated[0] > plain[0] - 0.1
    assert gated[1] < plain[1] + 0.1


def test_impulsive_noise_is_removed_as_without_the_gates(rng):
    """Reverberation leaves a residual as impulsive as the noise; it is not the machine's."""
    noise = blows(rng)
    pair = parts(rng, 0.2 * gaussian(rng, BINS, FRAMES), noise)
    pair[0][0] += 0.2 * np.abs(noise) * gaussian(rng, BINS, FRAMES)
    left = subtract(sum(pair), far_filter(sum(pair)))
    kurtosis = (power(left) ** 2).mean(-1) / power(left).mean(-1) ** 2
    assert (kurtosis > 2.5).all()
    assert not complexls.machine_impulses(sum(pair), left).any()
    plain, gated = (losses(pair, fit) for fit in FITS)
    assert gated[0] > plain[0] - 0.1


@pytest.mark.parametrize("context", [1, 4])
def test_steady_noise_and_a_steady_machine_open_no_gate(rng, context):
    clip = sum(parts(rng, gaussian(rng, BINS, FRAMES), gaussian(rng, BINS, FRAMES)))
    constants = Denoising(context=context)
    plain, gated = (fit(clip, constants) for fit in FITS)
    assert (plain == gated).all(-1).mean() > 0.95
    left = power(subtract(clip, gated)).sum() / power(subtract(clip, plain)).sum()
    assert left == pytest.approx(1, abs=0.01)


def test_a_short_clip_is_fitted_as_without_the_gates(rng):
    pair = parts(rng, line(rng), gaussian(rng, BINS, FRAMES))
    clip = sum(pair)[:, :, :31]
    assert np.array_equal(complexls.gated_filter(clip), far_filter(clip))
    longer = sum(pair)[:, :, :64]
    assert not np.array_equal(complexls.gated_filter(longer), far_filter(longer))


def test_remainders_are_those_of_a_least_squares_fit_per_bin(rng):
    clip = np.stack([line(rng), line(rng)]).astype(np.complex128)
    rest = complexls.remainders(clip)
    assert (rest[:, :, :4] == 0).all()
    for channel, left in zip(clip[:, 5], rest[:, 5], strict=True):
        past = np.stack([channel[4 - lag : FRAMES - lag] for lag in (2, 3, 4)], axis=1)
        ridge = np.sqrt(1e-3 * (np.abs(past) ** 2).sum() / 3) * np.eye(3)
        now = np.concatenate([channel[4:], np.zeros(3)])
        weights = np.linalg.lstsq(np.concatenate([past, ridge]), now, rcond=None)[0]
        np.testing.assert_allclose(left[4:], channel[4:] - past @ weights, atol=1e-9)


def test_the_reweighted_fit_is_five_weighted_fits_written_out(rng):
    pair = parts(rng, blows(rng), gaussian(rng, BINS, FRAMES))
    clip, constants = sum(pair).astype(np.complex128), Denoising(context=2, ridge=1e-9)
    first = far_filter(clip, constants)
    found = complexls.reweighted_filter(clip, first, constants)
    near, far = clip[:, 7]
    columns = np.stack([far, np.concatenate([[0], far[:-1]])], axis=1)
    expected = first[7]
    for _ in range(5):
        left = np.abs(near - columns @ expected) ** 2
        root = 1 / np.sqrt(left + 0.01 * left.mean())
        expected = np.linalg.lstsq(root[:, None] * columns, root * near, rcond=None)[0]
    np.testing.assert_allclose(found[7], expected, rtol=1e-5)


def clips(rng):
    steady = np.ones((2, 9, 80), np.complex64)
    mixed = gaussian(rng, 2, 9, 80)
    for silent in (0, 1):
        one = mixed.copy()
        one[silent] = 0
        yield one
    yield np.zeros_like(mixed)
    yield steady
    yield np.stack([steady[0], mixed[1]])
    yield np.stack([mixed[0], 1e-6 * steady[1]])
    start = mixed.copy()
    start[:, :, 20:] = 0  # a clip that ends in silence
    yield start
    yield from (mixed[:, :, :frames] for frames in (1, 4, 7, 31, 33))
    yield 1e6 * mixed
    yield 1e-9 * mixed


@pytest.mark.parametrize("context", [1, 16])
@pytest.mark.parametrize("name", ["gatedls", "gatedlsada", "gatedadals"])
def test_odd_clips_give_finite_power_that_is_not_raised(rng, name, context):
    for clip in clips(rng):
        out = FRONT_ENDS[name](Denoising(context=context)).fit([clip])(clip)
        assert out.dtype == np.float32
        assert np.isfinite(out).all()
        assert (out <= power(clip[0])).all()


def test_gated_front_ends_take_the_gated_residual(rng):
    clip = sum(parts(rng, line(rng), gaussian(rng, BINS, FRAMES)))
    near, left = power(clip[0]), power(subtract(clip, complexls.gated_filter(clip)))
    ls, lsada, adals, adasub = (
        FRONT_ENDS[name]().fit([clip]) for name in ("gatedls", "gatedlsada", "gatedadals", "adasub")
    )
    assert np.array_equal(ls(clip), np.minimum(left, near))
    assert np.array_equal(lsada.floors.near, np.percentile(left, 20, axis=1))
    product = np.maximum(adasub(clip) * np.minimum(left / near, 1), 0.01 * near)
    np.testing.assert_allclose(adals(clip), product, rtol=1e-5)
