import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from asdlib.calibration import Calibration, log_gamma_tails
from asdlib.params import AsdError, Scoring
from asdlib.scorers import SCORERS, VARIANTS
from asdlib.scoring import Detector, Moments

SEEDS, VALUES = 2, 12


def residual(vectors):
    """Stand in for a model: seed s sees (s + 1) times the vectors."""
    x = torch.from_numpy(np.asarray(vectors, np.float32))
    return torch.stack([x * (s + 1) for s in range(SEEDS)])


@pytest.fixture
def clips(rng):
    mix = rng.standard_normal((VALUES, VALUES))
    source = [("source", rng.standard_normal((30, VALUES)) @ mix) for _ in range(8)]
    target = [("target", rng.standard_normal((20, VALUES)) @ mix * 2 + 1) for _ in range(3)]
    return source + target


def by_hand(clips, x, scorer, seed, c=Scoring()):
    """Equation 1 and the re-scorings, written out with an explicit inverse in float64."""
    scale = seed + 1
    domains = {d: np.concatenate([v for e, v in clips if e == d]) * scale for d, _ in clips}
    everything = np.concatenate(list(domains.values()))
    e = np.asarray(x) * scale
    covariances = {d: np.cov(v.T) for d, v in domains.items()}
    if len(covariances) > 1:
        covariances["target"] = (1 - c.rho) * covariances["target"] + c.rho * covariances["source"]
    q = c.sharp_percentile if scorer.sharp else c.percentile
    scores = []
    for d, v in domains.items():
        sigma = covariances[d] if scorer.shrink else np.cov(everything.T)
        mu = v.mean(0) if scorer.domain_mean else everything.mean(0)
        inverse = np.linalg.inv(sigma + c.ridge * np.trace(sigma) / VALUES * np.eye(VALUES))
        distance = np.einsum("ij,jk,ik->i", e - mu, inverse, e - mu)
        energy = ((e - mu if scorer.domain_mean else e) ** 2).sum(1)
        scores.append(
            (1 - c.alpha) * np.percentile(distance, q) + c.alpha * np.percentile(energy, q)
        )
    return min(scores)


@pytest.mark.parametrize("name", SCORERS)
def test_scores_are_equation_1_written_out(clips, rng, name):
    detector = Detector.fit(residual, clips)
    x = rng.standard_normal((25, VALUES)) + 0.5
    for seed in range(SEEDS):
        expected = by_hand(clips, x, SCORERS[name], seed)
        assert detector(x)[name][seed] == pytest.approx(expected, rel=2e-4)


def test_with_one_domain_re_scorings_use_that_domain(clips, rng):
    source = [clip for clip in clips if clip[0] == "source"]
    scores = Detector.fit(residual, source)(rng.standard_normal((25, VALUES)))
    assert np.allclose(scores["shrink"], scores["eq1"], rtol=1e-5)
    assert np.isfinite(scores["s1"]).all()


def test_gamma_standardisation_has_its_own_mean_and_deviation(rng):
    a = rng.gamma(5, 3, 20000)
    gamma = Calibration.fit(a)
    z = gamma.standardise(a)
    assert z.mean() == pytest.approx(0, abs=0.02)
    assert z.std() == pytest.approx(1, abs=0.02)
    assert (z > gamma.threshold).mean() == pytest.approx(0.1, abs=0.01)
    exact = scipy.stats.gamma(gamma.shape, scale=gamma.scale)
    assert gamma.standardise(exact.mean()) == pytest.approx(0, abs=1e-12)
    assert gamma.standardise(exact.mean() + exact.std()) == pytest.approx(1)


@pytest.mark.parametrize("bad", [[1.0, np.nan], [1.0, -1.0], [np.inf, 1.0]])
def test_gamma_refuses_scores_it_cannot_fit(bad):
    with pytest.raises(AsdError, match="or the training diverged"):
        Calibration.fit(np.array(bad))


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_change_one_choice_of_equation_1(clips, rng, name):
    x = rng.standard_normal((25, VALUES)) + 0.5
    found = Detector.fit(residual, clips, scorers={**SCORERS, **VARIANTS})(x)
    plain = found["eq1"]
    assert not np.allclose(found[name], plain, rtol=1e-3)
    if name.startswith("alpha_"):
        ends = found["alpha_0"], found["alpha_1"]
        alpha = float(name.removeprefix("alpha_"))
        assert np.allclose(found[name], (1 - alpha) * ends[0] + alpha * ends[1], rtol=1e-6)
    if name.startswith("ridge_"):
        constants = Scoring(ridge=float(name.removeprefix("ridge_")))
        expected = by_hand(clips, x, SCORERS["eq1"], 0, constants)
        assert found[name][0] == pytest.approx(expected, rel=1e-3)
    if name in ("mean", "max"):
        everything = np.concatenate([v for _, v in clips])
        sigma = np.cov(everything.T)
        inverse = np.linalg.inv(sigma + 1e-3 * np.trace(sigma) / VALUES * np.eye(VALUES))
        e = x - everything.mean(0)
        over = {"mean": np.mean, "max": np.max}[name]
        distance = over(np.einsum("ij,jk,ik->i", e, inverse, e))
        assert found[name][0] == pytest.approx(0.8 * distance + 0.2 * over((x**2).sum(1)), rel=1e-3)


def test_held_out_scores_are_by_statistics_without_the_fold(clips):
    domains, folds = [domain for domain, _ in clips], [i % 3 for i in range(len(clips))]
    detector = Detector.fit(residual, clips)
    found = detector.held_out(lambda i: clips[i][1], domains, folds, workers=1)
    for number, (_, vectors) in enumerate(clips):
        others = [c for c, fold in zip(clips, folds, strict=True) if fold != folds[number]]
        slow = Detector.fit(residual, others)(vectors)
        assert {n: a.round(3).tolist() for n, a in found[number].items()} == {
            n: a.round(3).tolist() for n, a in slow.items()
        }
    whole = detector.held_out(lambda i: clips[i][1], domains, [0] * len(clips), workers=1)
    assert np.allclose(whole[0]["eq1"], detector(clips[0][1])["eq1"])


def test_ledoit_wolf_is_scikit_learns(rng):
    from sklearn.covariance import ledoit_wolf

    mix = rng.standard_normal((VALUES, VALUES))
    parts = [rng.standard_normal((n, VALUES)) @ mix + 3 for n in (9, 20, 13)]
    moments = Moments()
    for part in parts:
        moments += Moments.of(torch.from_numpy(np.stack([part, -2 * part])), ledoit_wolf=True)
    expected, shrinkage = ledoit_wolf(np.concatenate(parts))
    assert 0 < shrinkage < 1
    assert np.allclose(moments.ledoit_wolf[0], expected, rtol=1e-8)
    assert np.allclose(moments.ledoit_wolf[1], 4 * expected, rtol=1e-8)


@given(shape=st.floats(0.3, 300), scale=st.floats(1e-3, 1e3))
def test_gamma_normal_never_ties_or_overflows(shape, scale):
    gamma = Calibration(shape, scale, mode="gamma_normal")
    a = shape * scale * np.geomspace(1e-6, 1e6, 2001)  # twelve decades around the mean
    z = gamma.standardise(a)
    assert np.isfinite(z).all()
    assert (np.diff(z) > 0).all()


def test_gamma_normal_is_the_normal_quantile_of_the_gamma_probability():
    gamma = Calibration(4.0, 2.0, mode="gamma_normal")
    a = np.linspace(0.5, 60, 50)
    expected = scipy.stats.norm.ppf(scipy.stats.gamma.cdf(a, 4.0, scale=2.0))
    inside = np.abs(expected) < 6
    assert np.allclose(gamma.standardise(a)[inside], expected[inside], atol=1e-6)
    assert gamma.threshold == pytest.approx(scipy.stats.norm.ppf(0.9))
    assert gamma.standardise(scipy.stats.gamma.median(4.0, scale=2.0)) == pytest.approx(0, abs=1e-9)


def test_log_tails_go_on_where_the_library_underflows():
    for shape in (0.5, 3.0, 80.0):
        x = np.array([shape * 20, 2000.0, 5000.0, 1e6])
        _, upper = log_gamma_tails(shape, x)
        leading = (shape - 1) * np.log(x) - x - scipy.special.gammaln(shape)
        ratio = [1, (shape - 1) / x, (shape - 1) * (shape - 2) / x**2]
        far = x > 1000 * max(shape, 1)
        assert np.allclose(upper[far], (leading + np.log(sum(ratio)))[far], rtol=1e-9)
        assert (np.diff(upper) < 0).all()
        small = np.array([1e-300, 1e-30, 1e-6])
        lower, _ = log_gamma_tails(shape, small)
        exact = shape * np.log(small) - scipy.special.gammaln(shape + 1)
        assert np.allclose(lower, exact, rtol=1e-5)
