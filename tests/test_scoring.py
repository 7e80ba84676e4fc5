import numpy as np
import pytest
import scipy.stats
import torch

from asdlib import scoring
from asdlib.params import AsdError, Scoring
from asdlib.scoring import SCORERS, Calibration, Detector, Moments

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


def test_re_scorings_differ_from_one_another(clips, rng):
    scores = Detector.fit(residual, clips)(rng.standard_normal((25, VALUES)) + 2)
    values = [scores[name][0] for name in SCORERS]
    assert len({round(v, 6) for v in values}) == len(SCORERS)


def test_with_one_domain_re_scorings_use_that_domain(clips, rng):
    source = [clip for clip in clips if clip[0] == "source"]
    scores = Detector.fit(residual, source)(rng.standard_normal((25, VALUES)))
    assert np.allclose(scores["shrink"], scores["eq1"], rtol=1e-5)
    assert np.isfinite(scores["s1"]).all()


def test_moments_add_up_over_clips(rng):
    parts = [rng.standard_normal((n, VALUES)).astype(np.float32) for n in (7, 20, 13)]
    moments = Moments()
    for part in parts:
        moments.update(torch.from_numpy(part)[None])
    together = np.concatenate(parts)
    assert moments.count == 40
    assert np.allclose(moments.mean[0], together.mean(0), atol=1e-6)
    assert np.allclose(moments.covariance[0], np.cov(together.T), atol=1e-5)


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


def test_gamma_of_identical_scores_is_narrow_and_finite():
    gamma = Calibration.fit(np.full(5, 3.0))
    z = gamma.standardise(np.array([2.9, 3.0, 3.1]))
    assert np.isfinite(z).all()
    assert (np.diff(z) > 0).all()


@pytest.mark.parametrize("bad", [[1.0, np.nan], [1.0, -1.0], [np.inf, 1.0]])
def test_gamma_refuses_scores_it_cannot_fit(bad):
    with pytest.raises(AsdError, match="did the training diverge"):
        Calibration.fit(np.array(bad))


def test_no_training_clips_is_one_sentence():
    with pytest.raises(AsdError, match="at least one training-normal clip"):
        scoring.Detector.fit(residual, [])
