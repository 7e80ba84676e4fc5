"""Clip statistics and their distance: physical facts, slow against fast, awkward clips."""

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.signal
import scipy.spatial.distance
from hypothesis import given
from hypothesis import strategies as st
from sklearn.covariance import LedoitWolf

from asdlib import calibration, clipstats, pipeline
from asdlib.clipstats import Normal
from asdlib.frontends import FRONT_ENDS
from asdlib.params import AsdError
from asdlib.spectra import log_mel, power, stft

RATE = 16000


def tone(hertz, seconds=2.0, level=0.1):
    return level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)


def noise(rng, seconds=2.0, level=0.01):
    return level * rng.standard_normal(int(seconds * RATE))


def normal_of(rng, clips=60, values=5, domains=("source", "target")):
    x = rng.standard_normal((clips, values)) * [1, 2, 3, 4, 5] + 7
    d = np.array([domains[i % len(domains)] for i in range(clips)])
    return x, d, Normal.fit(x, d, np.arange(clips) // 6)


def test_a_louder_clip_is_higher_in_p_and_m_and_equal_in_s_and_d(rng):
    levels = 5 * rng.standard_normal((40, 8)) - 60
    quiet, loud = clipstats.over_time(levels), clipstats.over_time(levels + 6)
    assert np.allclose(loud[:2] - quiet[:2], 6)
    assert np.allclose(loud[2:], quiet[2:])


def test_a_single_peak_counts_in_p_and_hardly_in_m():
    levels = np.full((100, 1), -60.0)
    levels[50] = 0.0
    p, m, s, d = clipstats.over_time(levels)[:, 0]
    assert p == pytest.approx(-20, abs=0.01)  # a hundredth of the frames at 0 dB
    assert m == pytest.approx(-59.4)
    assert s == pytest.approx(levels.std())
    assert d == pytest.approx(np.diff(levels[:, 0]).std())


@pytest.mark.parametrize("kind", ["mel", "fine", "psd"])
def test_a_new_tone_shows_in_the_band_that_holds_it(rng, kind):
    scorer = {"mel": "pm", "fine": "fine", "psd": "psd"}[kind]
    healthy = noise(rng)
    values = []
    for sound in (healthy, healthy + tone(1000)):
        signal = np.stack([sound, sound]).astype(np.float32)
        values.append(pipeline.statistics(signal, kind, FRONT_ENDS["near"]()))
    change = np.abs(values[1] - values[0])[: len(clipstats.centres(scorer))]
    assert clipstats.centres(scorer)[change.argmax()] == pytest.approx(1000, rel=0.05)


def test_two_lines_within_one_mel_band_are_told_apart_by_the_welch_spectrum(rng):
    """At 100 Hz a mel band is as wide as two bins of 15.6 Hz, a Welch band 7 Hz."""
    background = noise(rng, 4.0, 1e-4)
    highest = []
    for hertz in (94, 102):
        sound = (background + tone(hertz, 4.0)).astype(np.float32)
        levels = clipstats.over_time(log_mel(power(stft(sound))))[1]
        highest.append((levels.argmax(), clipstats.psd(sound).argmax()))
    (mel, welch), (other_mel, other_welch) = highest
    assert mel == other_mel
    assert welch != other_welch


def test_the_welch_spectrum_is_that_of_scipy(rng):
    signal = noise(rng, 4.0)
    _, density = scipy.signal.welch(signal, RATE, nperseg=8192)
    bands = clipstats._bands(RATE, 8192, 96, 10.0)
    levels = np.log10(bands @ density)
    assert np.allclose(clipstats.psd(signal), levels - levels.mean(), atol=1e-6)


def test_a_strong_line_hides_a_weak_one_in_a_sum_of_powers_and_not_in_a_fine_band():
    strong = np.full((1025, 4), 1e-6)
    strong[512] = 1.0
    both = strong.copy()
    both[511] = 1e-2
    sizes = clipstats.sizes("fine")
    gain = clipstats.fine(both, sizes)[1] - clipstats.fine(strong, sizes)[1]
    holds = clipstats._bands(RATE, 2048, 64, 10.0)[:, 511] > 0
    bins = (clipstats._bands(RATE, 2048, 64, 10.0)[holds] > 0).sum()
    assert gain[holds].item() == pytest.approx(40 / bins)  # 40 dB in one bin of the band
    powers = both.sum(axis=0) / strong.sum(axis=0)
    assert 10 * np.log10(powers[0]) < 0.05 < gain[holds].item()


def test_the_distance_is_the_mahalanobis_distance_to_the_nearest_centre(rng):
    x, domains, normal = normal_of(rng)
    z = (x - x.mean(0)) / x.std(0)
    centres = {d: z[domains == d].mean(0) for d in ("source", "target")}
    offsets = z - np.stack([centres[d] for d in domains])
    inverse = np.linalg.inv(LedoitWolf(assume_centered=True).fit(offsets).covariance_)
    slow = np.array(
        [
            [scipy.spatial.distance.mahalanobis(row, c, inverse) for c in centres.values()]
            for row in z
        ]
    )
    assert np.allclose(normal.log_distances(x), np.log(slow) - normal.means, atol=1e-5)
    nearest = (np.log(slow) - normal.means).argmin(axis=1)
    assert np.allclose(normal.distance(x), slow[np.arange(len(x)), nearest])


def test_contributions_add_up_to_the_squared_distance(rng):
    x, _, normal = normal_of(rng)
    for row in x[:5]:
        shares = normal.contributions(row)
        assert (shares >= 0).all()
        assert shares.sum() == pytest.approx(normal.distance(row[None]).item() ** 2)
    strange = x[0] + np.array([0, 0, 0, 60, 0])
    assert normal.contributions(strange).argmax() == 3


def test_held_out_scores_are_those_of_models_without_the_fold(rng):
    x, domains, normal = normal_of(rng)
    folds = np.arange(60) // 6
    own = folds == 4
    rest = Normal.fit(x[~own], domains[~own])
    apart = rest.log_distances(x[own]) - normal.means
    assert np.array_equal(normal.by_domain[own], apart)
    assert np.array_equal(normal.held_out.scores, normal.by_domain.min(axis=1))
    for place, domain in enumerate(("source", "target")):  # each counts from its own mean
        assert normal.by_domain[domains == domain, place].mean() == pytest.approx(0, abs=1e-12)
    assert normal.held_out.scores.mean() > normal.log_distances(x).min(axis=1).mean()
    again = normal.held_out.standardise(normal.held_out.scores)
    assert again.mean() == pytest.approx(0, abs=1e-12)
    assert again.std() == pytest.approx(1)


def test_a_clip_alone_is_the_same_bytes_as_among_others(rng):
    x = rng.standard_normal((90, 40))
    normal = Normal.fit(x, np.repeat(["source", "target"], 45), np.arange(90) // 9)
    others = rng.standard_normal((33, 40))
    together = normal.z(others)
    for i in (0, 7, 32):
        assert normal.z(others[i : i + 1]).tobytes() == together[i : i + 1].tobytes()


def test_one_thread_and_two_give_the_same_bytes(tmp_path):
    code = (
        "import numpy as np, sys; from asdlib.clipstats import Normal;"
        "x = np.random.default_rng(0).standard_normal((120, 300));"
        "n = Normal.fit(x, ['source'] * 120, np.arange(120) // 12);"
        "sys.stdout.write(n.z(x).tobytes().hex() + n.held_out.scores.tobytes().hex())"
    )
    found = set()
    for threads in ("1", "2"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-c", code]
        found.add(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    assert len(found) == 1


@given(clips=st.integers(1, 6), values=st.integers(1, 12), seed=st.integers(0, 99))
def test_few_clips_have_a_finite_score(clips, values, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((clips, values))
    domains = ["source"] * (clips - 1) + ["target"]
    normal = Normal.fit(x, domains, np.arange(clips))
    assert np.isfinite(normal.z(rng.standard_normal((3, values)))).all()
    assert np.isfinite(normal.held_out.standardise(normal.held_out.scores)).all()


def test_identical_clips_say_that_nothing_scatters(rng):
    row = rng.standard_normal(4)
    normal = Normal.fit(np.tile(row, (8, 1)), ["source"] * 8, np.arange(8) // 2)
    assert normal.remark == "8 training clips with the same statistics: nothing scatters."
    z = normal.z(np.stack([row, row + 1, row + 5]))
    assert np.isfinite(z).all()
    assert z[0] < z[1] < z[2]


def test_a_band_that_never_changes_does_not_break_the_others(rng):
    x = rng.standard_normal((30, 3))
    x[:, 1] = -160.0
    normal = Normal.fit(x, ["source"] * 30, np.arange(30) // 3)
    assert normal.remark == ""
    assert np.isfinite(normal.z(x)).all()
    sound = x[:1] + np.array([0, 40.0, 0])
    assert normal.z(sound).item() > normal.z(x).max()


@pytest.mark.parametrize("values", [np.zeros((0, 3)), np.array([[0.0, np.nan]])])
def test_no_clip_and_no_number_are_refused(values):
    with pytest.raises(AsdError, match="at least one training clip, and finite values"):
        Normal.fit(values, ["source"] * len(values))


def test_a_fold_is_a_block_of_neighbours_of_one_group():
    names = [f"{i:03d}" for i in range(20)]
    groups = ["slow", "fast"] * 10
    folds = calibration.folds(names, ["source"] * 20, groups, 10)
    assert sorted(np.unique(folds, return_counts=True)[1]) == [2] * 10
    for fold in range(10):
        own = np.flatnonzero(folds == fold)
        assert {groups[i] for i in own} in ({"slow"}, {"fast"})
        assert own[1] - own[0] == 2  # the next of its group


def test_every_fold_holds_clips_of_both_domains():
    domains = ["source"] * 90 + ["target"] * 10
    folds = calibration.folds([f"{i:03d}" for i in range(100)], domains, [""] * 100, 10)
    assert np.unique(folds[:90], return_counts=True)[1].tolist() == [9] * 10
    assert sorted(folds[90:]) == list(range(10))
    few = calibration.folds(["a", "b", "c"], ["source"] * 3, [""] * 3, 10)
    assert sorted(few) == [0, 1, 2]


def test_a_domain_that_is_held_out_whole_is_scored_by_the_others(rng):
    x = rng.standard_normal((21, 5))
    domains = np.array(["source"] * 20 + ["target"])
    normal = Normal.fit(x, domains, np.append(np.arange(20) // 2, 0))
    assert np.isfinite(normal.means).all()
    assert np.isinf(normal.by_domain[-1]).tolist() == [False, True]
    assert np.isfinite(normal.held_out.scores).all()
