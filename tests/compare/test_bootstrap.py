import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from asdlib import metrics
from asdlib.compare import bootstrap
from asdlib.params import AsdError


def table(rng, *, machines=2, clips=6, seeds=3, shift=0.5):
    rows = [
        (f"m{m}", domain, label, f"{domain}{label}{i}", seed)
        for m in range(machines)
        for domain in ("source", "target")
        for label in ("normal", "anomaly")
        for i in range(clips)
        for seed in range(seeds)
    ]
    found = pd.DataFrame(rows, columns=["machine", "domain", "label", "name", "seed"])
    values = rng.standard_normal(len(found)) + shift * (found["label"] == "anomaly")
    return found.assign(score=np.round(values, 1))  # ties


def repeated(weights, *arrays):
    return [np.repeat(a, weights) for a in arrays]


@pytest.mark.parametrize("max_fpr", [0.1, 0.3, 1.0])
def test_weighted_values_are_scikit_learns_on_each_resample(rng, max_fpr):
    scores = np.round(rng.standard_normal(40), 1)
    anomalous = np.arange(40) % 3 == 0
    scores[anomalous] += 0.5
    weights = rng.multinomial(40, np.full(40, 1 / 40), 60).astype(float)
    auc = bootstrap.weighted_auc(scores, anomalous, weights)
    pauc = bootstrap.weighted_pauc(scores, anomalous, weights, max_fpr)
    for b in range(60):
        truth, s = repeated(weights[b].astype(int), anomalous, scores)
        assert auc[b] == pytest.approx(roc_auc_score(truth, s), abs=1e-12)
        expected = roc_auc_score(truth, s, max_fpr=None if max_fpr == 1 else max_fpr)
        assert pauc[b] == pytest.approx(expected, abs=1e-12)


def test_each_resample_is_the_official_score_of_its_clips(rng, monkeypatch):
    scores = table(rng)
    drawn = []
    original = bootstrap._draw
    monkeypatch.setattr(bootstrap, "_draw", lambda *a: drawn.append(original(*a)) or drawn[-1])
    generator = np.random.default_rng(3)
    found = bootstrap.omega_resamples([scores], resamples=8, generator=generator)[0]
    of_seeds = np.random.default_rng(3).multinomial(3, np.full(3, 1 / 3), 8) / 3
    for b in range(8):
        omegas = []
        for seed in range(3):
            own = scores[scores["seed"] == seed].sort_values(["machine", "domain", "label", "name"])
            weights = np.concatenate([w[b] for w in drawn]).astype(int)
            omegas.append(metrics.omega(metrics.evaluate(own.loc[own.index.repeat(weights)])))
        assert found[b] == pytest.approx(np.dot(of_seeds[b], omegas), abs=1e-12)


def test_systems_are_paired(rng):
    a = table(rng)
    better = a.assign(score=a["score"] + 0.3 * (a["label"] == "anomaly"))
    generator = np.random.default_rng(0)
    found = bootstrap.omega_resamples([a, better, a], resamples=300, generator=generator)
    assert found.shape == (3, 300)
    assert np.array_equal(found[0], found[2])
    assert (found[1] >= found[0]).all()
    low, high = bootstrap.interval(found[1] - found[0])
    assert 0 < low < high
    whole = bootstrap.interval(found[0])
    assert high - low < whole[1] - whole[0]  # pairing takes the clips' luck out


def test_a_system_without_seeds_is_the_same_for_every_seed_of_another(rng):
    trained, single = table(rng), table(rng, seeds=1)
    same = pd.concat([single.assign(seed=seed) for seed in range(3)], ignore_index=True)
    found = [
        bootstrap.omega_resamples([trained, own], resamples=40, generator=np.random.default_rng(0))
        for own in (single, same)
    ]
    assert np.array_equal(found[0], found[1])


def test_what_cannot_be_paired_is_one_sentence(rng):
    a = table(rng)
    generator = np.random.default_rng(0)
    with pytest.raises(AsdError, match="same clips and the same seeds"):
        bootstrap.omega_resamples([a, a[a["seed"] > 0]], generator=generator)
    with pytest.raises(AsdError, match="m0: Omega needs anomalies and normal test clips"):
        gone = (a["domain"] == "target") & (a["label"] == "normal")
        bootstrap.omega_resamples([a[~gone]], generator=generator)
    one_sided = a[(a["label"] == "normal") | (a["domain"] == "source")]
    assert bootstrap.omega_resamples([one_sided], resamples=9, generator=generator).shape == (1, 9)


def test_holm_is_the_step_down_correction():
    p = np.array([0.01, 0.04, 0.03, np.nan, 0.005])
    assert metrics.holm(p) == pytest.approx([0.03, 0.06, 0.06, np.nan, 0.02], nan_ok=True)
    assert metrics.holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
