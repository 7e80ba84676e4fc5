import numpy as np
import pytest
import scipy.integrate
import scipy.signal
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from asdlib import complexls, frontends, noise
from asdlib.frontends import FRONT_ENDS
from asdlib.params import AsdError, Denoising
from asdlib.spectra import power, stft


def spectrum(rng, frames=40, bins=17, far=1.0, dtype=np.complex64):
    values = rng.standard_normal((2, bins, frames)) + 1j * rng.standard_normal((2, bins, frames))
    values[1] *= far
    return values.astype(dtype)


def fitted(name, clips, constants=Denoising()):
    return FRONT_ENDS[name](constants).fit(clips)


def test_floor_is_the_mean_of_clip_percentiles(rng):
    clips = [rng.random((5, n)) for n in (10, 30, 17)]
    expected = np.mean([np.percentile(c, 20, axis=1) for c in clips], axis=0)
    assert np.allclose(noise.noise_floor(clips), expected)
    assert np.allclose(noise.noise_floor(iter(clips)), expected)
    assert np.allclose(noise.noise_floor(clips[0]), np.percentile(clips[0], 20, axis=1))
    with pytest.raises(AsdError, match="at least one"):
        noise.noise_floor([])


def test_transfer_is_near_over_far_and_always_finite():
    assert np.allclose(noise.noise_transfer(np.array([4.0, 9.0]), np.array([2.0, 3.0])), [2, 3])
    bounded = noise.noise_transfer(np.ones(5), np.array([0.0, 1, 1, 1, 1]))
    assert bounded[0] == pytest.approx(1e10)
    silent = noise.noise_transfer(np.ones(3), np.zeros(3))
    assert (silent == 0).all()


def test_transfer_of_pure_noise_is_its_power_ratio(rng):
    clips = [spectrum(rng, frames=400, far=0.5) for _ in range(10)]
    transfer = noise.Floors.fit(clips).transfer
    assert np.median(transfer) == pytest.approx(4, rel=0.05)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**16),
    far=st.sampled_from([0.0, 1e-6, 0.3, 1.0, 30.0, 1e6]),
    name=st.sampled_from([n for n in FRONT_ENDS if n != "far"]),
    dtype=st.sampled_from([np.complex64, np.complex128]),
)
def test_no_front_end_raises_power_or_goes_below_its_floor(seed, far, name, dtype):
    rng = np.random.default_rng(seed)
    clips = [spectrum(rng, far=far, dtype=dtype) for _ in range(2)]
    clips[0][:, 3] = 0  # a silent bin
    out = fitted(name, clips)(clips[0])
    near = power(clips[0][0])
    assert out.shape == near.shape
    assert out.dtype == near.dtype
    assert np.isfinite(out).all()
    assert (out <= near).all()
    shares = dict.fromkeys(["complexls", "lsada", "gatedls", "gatedlsada"], 0)  # of P_n
    shares |= dict.fromkeys(["adals", "gatedadals", "checkedls"], 0.01)
    lowest = shares.get(name, 0.1)
    assert (out >= near.dtype.type(lowest) * near * (1 - 1e-6)).all()


@pytest.mark.parametrize("name", [n for n in FRONT_ENDS if n != "far"])
def test_a_silent_far_channel_leaves_the_near_one_alone(rng, name):
    clips = [spectrum(rng, far=0.0) for _ in range(2)]
    assert np.array_equal(fitted(name, clips)(clips[0]), power(clips[0][0]))


def test_refsub_is_equation_3(rng):
    clip = spectrum(rng, dtype=np.complex128)
    transfer = np.linspace(0.1, 2, 17)
    denoise = FRONT_ENDS["refsub"](floors=noise.Floors(transfer, np.ones(17)))
    near, far = power(clip)
    expected = np.maximum(near - 1.5 * transfer[:, None] * far, 0.1 * near)
    assert np.allclose(denoise(clip), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("snr_db", "factor"), [(30, 1), (20, 1), (10, 2), (0, 3), (-10, 4), (-30, 4)]
)
def test_adasub_subtracts_more_where_the_snr_is_low(snr_db, factor):
    near = np.full((1, 3), 1.0)
    far = near * 10 ** (-snr_db / 10)
    clip = np.sqrt(np.stack([near, far])).astype(complex)
    denoise = FRONT_ENDS["adasub"](floors=noise.Floors(np.ones(1), np.ones(1)))
    assert np.allclose(denoise.over_subtraction(near, far), factor)
    assert np.allclose(denoise(clip), np.maximum(near - factor * far, 0.1 * near))


def test_coherent_channels_are_gated_to_the_floor_and_incoherent_ones_are_kept(rng):
    near = spectrum(rng, frames=300)
    copy = np.stack([near[0], 0.3j * near[0]])
    gate = FRONT_ENDS["cohgate"]()
    assert np.allclose(gate(copy), 0.1 * power(near[0]), rtol=1e-4)
    kept = gate(near)[:, 50:].sum() / power(near[0])[:, 50:].sum()
    assert kept > 0.9


def test_coherence_is_the_recursion_written_out(rng):
    clip = spectrum(rng, frames=15, bins=3, dtype=np.complex128)
    n, f = clip
    series = [abs(n) ** 2, abs(f) ** 2, n * f.conj()]
    states = [s[:, :10].mean(axis=1) for s in series]
    expected = []
    for t in range(15):
        states = [0.9 * state + 0.1 * s[:, t] for state, s in zip(states, series, strict=True)]
        expected.append(abs(states[2]) ** 2 / (states[0] * states[1]))
    assert np.allclose(frontends.coherence(clip), np.stack(expected, axis=1), rtol=1e-12)


def test_using_an_unfitted_front_end_says_what_to_do(rng):
    with pytest.raises(AsdError, match="RefSub has no noise floors yet; call fit"):
        FRONT_ENDS["refsub"]()(spectrum(rng))
    denoise = fitted("adasub", [spectrum(rng, bins=9)])
    with pytest.raises(AsdError, match="fitted on 9 frequency bins and got 17"):
        denoise(spectrum(rng))


@given(prior=st.floats(1e-6, 1e6), posterior=st.floats(1e-6, 1e6))
def test_lsa_is_not_below_wiener_and_both_are_gains(prior, posterior):
    wiener = frontends.wiener_gain(prior)
    assert 0 <= wiener <= frontends.lsa_gain(prior, posterior) * (1 + 1e-9)
    assert frontends.lsa_gain(prior, posterior) <= 1


@pytest.mark.parametrize("name", ["wiener", "lsa"])
def test_the_decision_directed_snr_is_the_recursion_written_out(rng, name):
    clip = spectrum(rng, frames=12, bins=2, dtype=np.complex128)
    denoise = FRONT_ENDS[name](floors=noise.Floors(np.ones(2), np.ones(2)))
    near, far = power(clip)
    amplitude, expected = near[:, 0] / far[:, 0] * 0 + 1, []
    for t in range(12):
        gamma = near[:, t] / far[:, t]
        xi = 0.98 * amplitude + 0.02 * np.maximum(gamma - 1, 0)
        gain = xi / (1 + xi)
        if name == "lsa":
            gain = np.minimum(gain * np.exp(scipy.special.exp1(gain * gamma) / 2), 1)
        amplitude = gain**2 * gamma
        expected.append(np.maximum(gain**2, 0.1) * near[:, t])
    assert np.allclose(denoise(clip), np.stack(expected, 1), rtol=1e-12)


@pytest.mark.parametrize("log_spectral", [False, True])
def test_noise_too_weak_for_a_finite_ratio_leaves_the_near_power(log_spectral):
    near, noise_ = np.full((1, 3), 1e3, np.float32), np.full((1, 3), 1e-38, np.float32)
    out = frontends.decision_directed(near, noise_, Denoising(), log_spectral=log_spectral)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, near, rtol=1e-6)


def test_cohsub_is_refsub_where_the_noise_is_coherent_and_near_where_it_is_not(rng):
    near = spectrum(rng, frames=300)
    floors = noise.Floors(np.ones(17), np.ones(17))
    copy = np.stack([near[0], near[0] * 0.5j])
    pair = [FRONT_ENDS[name](floors=floors)(copy) for name in ("cohsub", "refsub")]
    assert np.allclose(*pair, rtol=1e-3)
    kept = FRONT_ENDS["cohsub"](floors=floors)(near)[:, 50:].sum() / power(near[0])[:, 50:].sum()
    assert kept > FRONT_ENDS["refsub"](floors=floors)(near).sum() / power(near[0]).sum()
    assert kept > 0.85


@pytest.mark.parametrize(("name", "plain"), [("checkedsub", "adasub"), ("checkedls", "adals")])
@pytest.mark.parametrize("close", [False, True])
def test_a_far_microphone_that_hears_the_machine_is_not_subtracted(rng, name, plain, close):
    """The machine's level changes from clip to clip, and so does the noise, each in its bands."""

    def clip():
        machine, around = rng.uniform(1, 8, (2, 64, 1)) * rng.standard_normal((2, 64, 40))
        far = machine if close else around
        return np.stack([machine + 0.3 * around, far]).astype(complex)

    clips = [clip() for _ in range(20)]
    out = fitted(name, clips)(clips[0])
    assert np.array_equal(out, power(clips[0][0])) == close
    assert np.array_equal(out, fitted(plain, clips)(clips[0])) != close


def test_the_level_follows_by_the_share_of_noise(rng):
    """Near is machine and noise, far is noise alone: a change of x dB there is one of share x."""
    around = 10 ** rng.uniform(-0.05, 0.05, (50, 64))
    for share in (0.2, 0.5, 0.9):
        powers = np.stack([1 - share + share * around, around], axis=1)
        louder = powers * 10 ** rng.uniform(-1, 1, (50, 1, 1))  # a gain of both channels
        assert noise.following(louder) == pytest.approx(share, abs=0.02)


PHASE = ("complexls", "lsada", "adals", "gatedls", "gatedlsada", "gatedadals")


def heard(rng, delay=0, seconds=20, filtered=(1.0,)):
    """White noise at the far microphone, and the same at the near one, later and filtered."""
    noise_ = rng.standard_normal(int(16000 * seconds) + delay)
    near = scipy.signal.lfilter(filtered, 1, noise_)[: len(noise_) - delay]
    return stft(np.stack([near, noise_[delay:]]).astype(np.float32))


@pytest.mark.parametrize("context", [1, 2, 4])
def test_the_filter_is_the_least_squares_solution_of_every_bin(rng, context):
    clip = spectrum(rng, dtype=np.complex128)
    constants = Denoising(context=context, ridge=1e-12)
    fit = complexls.far_filter(clip, constants)
    left = complexls.subtract(clip, fit)
    for k in range(clip.shape[1]):
        near, far = clip[:, k]
        columns = [np.concatenate([np.zeros(j), far[: len(far) - j]]) for j in range(context)]
        expected = np.linalg.lstsq(np.stack(columns, axis=1), near, rcond=None)[0]
        np.testing.assert_allclose(fit[k], expected, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(left[k], near - np.stack(columns, axis=1) @ expected, atol=1e-8)


@pytest.mark.parametrize("name", PHASE)
def test_a_copy_of_the_near_channel_leaves_next_to_nothing(rng, name):
    near = spectrum(rng)[0]
    copy = np.stack([near, near])
    share = fitted(name, [copy])(copy).sum() / power(near).sum()
    assert share <= (0.011 if name.endswith("adals") else 2e-6)


@pytest.mark.parametrize("delay", [0, 100, 300, 500])
def test_a_delay_costs_what_the_windows_do_not_share(rng, delay):
    """For white noise the coherence of two windows d apart is their correlation, squared."""
    window = scipy.signal.get_window("hann", 1024)
    shared = (window[delay:] * window[: 1024 - delay]).sum() / (window**2).sum()
    clip = heard(rng, delay)[:, 8:-8]
    left = power(complexls.subtract(clip, complexls.far_filter(clip))).sum() / power(clip[0]).sum()
    expected = max(1 - shared**2, 1e-6)
    assert left <= expected * 1.03
    assert delay == 0 or left >= expected * 0.9


def test_coherent_noise_is_removed_to_within_a_decibel_of_the_bound(rng):
    """The bound is -10 log10(1 - MSC) with the coherence over a far longer recording."""
    room = rng.standard_normal(200) * np.exp(-np.arange(200) / 40)
    long = heard(rng, 30, seconds=200, filtered=room)[:, 8:-8]
    near, far = long
    cross = (near * far.conj()).mean(1)
    msc = np.abs(cross) ** 2 / (power(near).mean(1) * power(far).mean(1))
    clip = heard(rng, 30, seconds=10, filtered=room)[:, 8:-8]
    left = power(complexls.subtract(clip, complexls.far_filter(clip))).mean(1) / power(
        clip[0]
    ).mean(1)
    reached, bound = -10 * np.log10(left), -10 * np.log10(1 - msc)
    assert np.median(bound) > 5
    assert np.median(np.abs(reached - bound)) < 0.5
    assert abs(np.mean(reached - bound)) < 1


def test_adals_is_the_product_of_both_gains(rng):
    clips = [spectrum(rng, dtype=np.complex128) for _ in range(2)]
    near = power(clips[0][0])
    gains = [fitted(name, clips)(clips[0]) / near for name in ("adasub", "complexls")]
    expected = np.maximum(gains[0] * gains[1], 0.01) * near
    np.testing.assert_allclose(fitted("adals", clips)(clips[0]), expected, rtol=1e-9)
