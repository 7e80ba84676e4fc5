"""Alarms from held-out scores, and intervals of a share."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from asdlib import clipstats
from asdlib.calibration import Alarm, Calibration, clusters, folds, proportion_interval


@given(
    held_out=st.lists(st.integers(0, 20), min_size=1, max_size=60),
    score=st.integers(-1, 21),
    rate=st.sampled_from([0.02, 0.05, 0.1, 1 / 3, 0.5, 0.9]),
)
def test_an_alarm_is_a_p_value_at_most_the_rate(held_out, score, rate):
    alarm = Alarm(np.array(held_out, float), rate)
    p = (1 + sum(other >= score for other in held_out)) / (len(held_out) + 1)
    assert alarm.p_values(np.array([float(score)])).item() == pytest.approx(p)
    assert alarm(np.array([float(score)])).item() == (p <= rate + 1e-12)
    assert (alarm.expected < 0) == bool(alarm.remark) == (1 / (len(held_out) + 1) > rate + 1e-12)


def test_too_few_clips_promise_nothing():
    alarm = Alarm(np.zeros(8), 0.1)
    assert not alarm(np.array([1e9])).any()
    assert "8 held-out normal clips" in alarm.remark
    assert "at least 9 are needed" in alarm.remark
    assert Alarm(np.zeros(9), 0.1).remark == ""
    assert Alarm(np.zeros(0), 0.1).interval == (0.0, 1.0)


@pytest.mark.parametrize("rate", [0.02, 0.05, 0.1])
def test_exchangeable_clips_alarm_at_most_at_the_promised_rate(rate):
    """Statistics of 100 clips with 30 values each: far more than chance would be seen here."""
    alarms, total = 0, 0
    for seed in range(40):
        values = np.random.default_rng(seed).normal(size=(150, 30))
        names = [f"{i:03d}" for i in range(100)]
        domains = ["source"] * 100
        normal = clipstats.Normal.fit(values[:100], domains, folds(names, domains, [""] * 100))
        alarm = Alarm(normal.held_out.scores, rate)
        found = alarm(normal.log_distances(values[100:]).min(axis=1))
        alarms, total = alarms + int(found.sum()), total + len(found)
    assert scipy.stats.binomtest(alarms, total, rate, "greater").pvalue > 0.01
    assert alarms > 0.5 * rate * total  # and not by never raising one


def alarm_rate(held_out, takes, noise, rate=0.1):
    """Share of alarms among new takes, of a detector fitted on 100 clips of few takes, in no order.

    ``held_out`` gives the folds by the number of clips.
    """
    shares = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sounds = rng.normal(size=(takes, 20))[rng.permutation(100) % takes]
        values = sounds + noise * rng.normal(size=(100, 20))
        new = rng.normal(size=(100, 20)) + noise * rng.normal(size=(100, 20))
        normal = clipstats.Normal.fit(values, ["source"] * 100, held_out(100))
        alarm = Alarm(normal.held_out.scores, rate)
        shares.append(alarm(normal.log_distances(new).min(axis=1)).mean())
    return float(np.mean(shares))


@pytest.mark.parametrize("noise", [0.3, 1.0])
@pytest.mark.parametrize("takes", [10, 20, 100])
def test_few_takes_alarm_at_the_promised_rate_where_clips_that_resemble_are_held_out(takes, noise):
    assert 0.02 < alarm_rate(lambda count: 10, takes, noise) < 0.12


def test_few_takes_break_the_promise_of_blocks_by_name():
    def by_name(count):
        return folds([f"{i:03d}" for i in range(count)], ["source"] * count, [""] * count)

    assert alarm_rate(by_name, 10, 0.3) > 0.9


def test_a_group_holds_at_most_a_fifth_of_the_clips_of_its_domain(rng):
    """Ninety clips of an idle machine are much alike, ten others are not."""
    values = np.vstack([0.01 * rng.normal(size=(90, 4)), 5 * rng.normal(size=(10, 4))])
    domains = np.array(["source"] * 100)
    assert np.bincount(clusters(values, domains)).max() <= 20
    both = clusters(np.vstack([values, values[:7]]), np.append(domains, ["target"] * 7))
    assert sorted(both[100:]) == list(range(7))  # few clips have a fold each


@pytest.mark.parametrize("mode", ["gamma_z", "gamma_normal"])
@pytest.mark.parametrize("spread", [0.0, *10.0 ** np.arange(-15, 0)])
def test_scores_that_hardly_differ_have_a_gamma_distribution(rng, spread, mode):
    for count in (2, 3, 100):
        scores = 5 * (1 + spread * rng.uniform(-1, 1, count))
        gamma = Calibration.fit(scores, 0.9, mode)
        z = gamma.standardise(np.append(scores, [4.0, 6.0]))
        assert np.isfinite([*z, gamma.threshold]).all()
        if 1e-5 <= spread <= 1e-2 and mode == "gamma_z":
            assert z[:-2].std() == pytest.approx(1, abs=0.01)
        assert z[-2] < z[:-2].min() <= z[:-2].max() < z[-1]


def test_the_interval_of_a_share_is_that_of_clopper_and_pearson():
    low, high = proportion_interval(3, 40)
    assert low == pytest.approx(scipy.stats.beta.ppf(0.025, 3, 38))
    assert high == pytest.approx(scipy.stats.beta.ppf(0.975, 4, 37))
    assert (proportion_interval(0, 10)[0], proportion_interval(10, 10)[1]) == (0, 1)
