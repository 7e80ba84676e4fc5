"""Ensembles, resamples, paired differences and verdicts, on tables with known values."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from known_scores import HALF, OMEGA_OF_HALF, PERFECT, joined, rows
from sklearn.metrics import roc_auc_score

from asdlib import metrics
from asdlib.compare import bootstrap, statistics
from asdlib.compare.statistics import Results
from asdlib.params import AsdError

GAIN = 1 - OMEGA_OF_HALF


def drawn(rng, *, machines=2, clips=6, seeds=3, shift=0.5):
    kinds = ("source", "target"), ("normal", "anomaly"), range(clips), range(seeds)
    rows = product([f"m{m}" for m in range(machines)], *kinds)
    found = pd.DataFrame(rows, columns=["machine", "domain", "label", "name", "seed"])
    found["name"] = found["domain"] + found["label"] + found["name"].astype(str)
    values = rng.standard_normal(len(found)) + shift * (found["label"] == "anomaly")
    return found.assign(score=np.round(values, 1))  # ties


@pytest.mark.parametrize("max_fpr", [0.1, 0.3, 1.0])
def test_weighted_values_are_scikit_learns_on_each_resample(rng, max_fpr):
    scores = np.round(rng.standard_normal(40), 1)
    anomalous = np.arange(40) % 3 == 0
    scores[anomalous] += 0.5
    weights = rng.multinomial(40, np.full(40, 1 / 40), 60).astype(float)
    auc = bootstrap.weighted_auc(scores, anomalous, weights)
    pauc = bootstrap.weighted_pauc(scores, anomalous, weights, max_fpr)
    for b in range(60):
        truth, s = (np.repeat(a, weights[b].astype(int)) for a in (anomalous, scores))
        assert auc[b] == pytest.approx(roc_auc_score(truth, s), abs=1e-12)
        expected = roc_auc_score(truth, s, max_fpr=None if max_fpr == 1 else max_fpr)
        assert pauc[b] == pytest.approx(expected, abs=1e-12)


def resampled(tables, count, seed=0):
    """Omega of tables with three seeds."""
    generator = np.random.default_rng(seed)
    return bootstrap.omega_resamples(tables, 3, resamples=count, generator=generator)


def test_each_resample_is_the_official_score_of_its_clips(rng, monkeypatch):
    scores = drawn(rng)
    weights = []
    original = bootstrap._draw
    monkeypatch.setattr(bootstrap, "_draw", lambda *a: weights.append(original(*a)) or weights[-1])
    (found,) = resampled([scores], 8, seed=3)
    of_seeds = np.random.default_rng(3).multinomial(3, np.full(3, 1 / 3), 8) / 3
    for b in range(8):
        omegas = []
        for seed in range(3):
            own = scores[scores["seed"] == seed].sort_values(["machine", "domain", "label", "name"])
            times = np.concatenate([w[b] for w in weights]).astype(int)
            omegas.append(metrics.omega(metrics.evaluate(own.loc[own.index.repeat(times)])))
        assert found[b] == pytest.approx(np.dot(of_seeds[b], omegas), abs=1e-12)


def test_systems_are_paired(rng):
    a = drawn(rng)
    better = a.assign(score=a["score"] + 0.3 * (a["label"] == "anomaly"))
    first, second = resampled([a, better], 300)
    (alone,) = resampled([better], 300)
    assert np.array_equal(second, alone)  # the draws do not depend on who shares them
    assert (second >= first).all()
    low, high = bootstrap.interval(second - first)
    assert 0 < low < high
    whole = bootstrap.interval(first)
    assert high - low < whole[1] - whole[0]  # pairing takes the clips' luck out


def test_what_cannot_be_paired_is_one_sentence(rng):
    a = drawn(rng).assign(split="test", scorer="eq1", front_end="near")
    for lacking in (a["seed"] == 0, a["name"] == "sourcenormal0"):
        both = pd.concat([a, a[~lacking].assign(front_end="adasub")])
        with pytest.raises(AsdError, match=r"adasub eq1: .*same clips and the same seeds"):
            Results(both).draws([ADASUB])
    one_sided = a[(a["label"] == "normal") | (a["domain"] == "source")]
    assert np.isfinite(Results(one_sided).draws([NEAR])[NEAR]).all()


@pytest.fixture
def table():
    """The near channel is half right at both seeds, AdaSub at one of them; a view is right."""
    return joined(
        rows("fan", "near", "eq1", {3: HALF, 7: HALF}),
        rows("fan", "adasub", "eq1", {3: PERFECT, 7: HALF}),
        rows("fan", "near", "fine", {0: PERFECT}),
        rows("fan", "adals", "pmsd", {0: HALF}),
    )


NEAR, ADASUB, FINE, PMSD = ("near", "eq1"), ("adasub", "eq1"), ("near", "fine"), ("adals", "pmsd")


def test_a_summary_has_the_official_values_of_seeds_and_ensembles(table):
    results = Results(table[table["scorer"] == "eq1"])
    per_seed, ensembles = results.per_seed, results.ensembles
    assert per_seed["seed"].tolist() == [3, 7, 3, 7]
    assert per_seed["omega"].tolist() == pytest.approx([OMEGA_OF_HALF] * 2 + [1, OMEGA_OF_HALF])
    assert per_seed["auc_source"].tolist() == [1, 1, 1, 1]
    assert per_seed["auc_target"].tolist() == [0.5, 0.5, 1, 0.5]
    assert per_seed["pauc"].tolist() == pytest.approx([14 / 19, 14 / 19, 1, 14 / 19])
    assert ensembles["front_end"].tolist() == ["near", "adasub"]
    assert ensembles["omega"].tolist() == pytest.approx([OMEGA_OF_HALF, 1])  # the mean separates
    assert results.omegas(*ADASUB).to_dict() == pytest.approx({3: 1, 7: OMEGA_OF_HALF})
    row, missing = results.summary([ADASUB, ("lsa", "eq1")]).iloc[:, 2:].to_numpy()
    assert row.tolist() == pytest.approx([1 - GAIN / 2, GAIN / np.sqrt(2), 1, 1, 1, 1])
    assert np.isnan(missing).all()


def test_concealed_clips_have_no_value_and_train_clips_no_row(table):
    hidden = Results(table.assign(label="unknown", domain="unknown"))
    assert len(hidden.per_seed) == 6
    assert hidden.per_seed["omega"].isna().all()
    assert hidden.ensembles["pauc"].isna().all()
    assert np.isnan(hidden.intervals([NEAR])).all()
    paired = hidden.paired([(ADASUB, NEAR)])
    assert paired["verdict"].tolist() == ["Ω cannot be computed from these labels"]
    untested = Results(table.assign(split="train"))
    assert untested.per_seed.empty
    assert untested.ensembles.empty
    assert untested.paired([(ADASUB, NEAR)])["n"].tolist() == [0]
    assert "omega" in untested.per_seed


def test_paired_differences_are_matched_by_seed(table):
    pairs = [(ADASUB, NEAR), (("lsa", "eq1"), NEAR), (NEAR, ADASUB), (FINE, ADASUB), (FINE, PMSD)]
    paired = Results(table.iloc[::-1]).paired(pairs)
    assert paired["n"].tolist() == [2, 0, 2, 2, 1]  # a view is the same for every seed
    missing = paired.iloc[1]
    assert (missing["system"], missing["verdict"]) == (("lsa", "eq1"), "")  # was not run
    assert missing[["mean", "low", "high"]].isna().all()
    paired = paired.drop(index=1)
    assert paired["mean"].tolist() == pytest.approx([GAIN / 2, -GAIN / 2, GAIN / 2, GAIN])
    assert paired["std"].tolist()[:3] == pytest.approx([GAIN / np.sqrt(2)] * 3)
    assert paired["p_t"].tolist()[:3] == pytest.approx([0.5] * 3)
    assert paired["p_holm"].tolist()[:3] == [1, 1, 1]
    assert paired["seedless"].tolist() == [False, False, False, True]
    # a resample of single clips changes nothing, one of two seeds has either or both
    assert paired["low"].tolist() == pytest.approx([0, -GAIN, 0, GAIN], abs=1e-12)
    assert paired["high"].tolist() == pytest.approx([GAIN, 0, GAIN, GAIN], abs=1e-12)
    assert Results(table).paired([]).empty


@pytest.mark.parametrize(
    ("mean", "p", "low", "high", "seedless", "said"),
    [
        (0.03, 0.01, 0.01, 0.05, False, "helps"),
        (-0.03, 0.01, -0.05, -0.01, False, "harms"),
        (-0.03, 0.01, -0.07, 0.01, False, "no robust difference"),
        (0.03, 0.2, 0.01, 0.05, False, "no robust difference"),
        (-0.03, np.nan, -0.05, -0.01, False, "no robust difference"),
        (0.03, np.nan, 0.01, 0.05, True, "helps"),
        (-0.03, np.nan, -0.05, -0.01, True, "harms"),
        (0.03, np.nan, -0.01, 0.05, True, "no robust difference"),
        (np.nan, np.nan, np.nan, np.nan, True, "Ω cannot be computed from these labels"),
    ],
)
def test_a_verdict_follows_its_numbers(mean, p, low, high, seedless, said):
    numbers = {"mean": mean, "p_t": p, "low": low, "high": high, "seedless": seedless}
    assert statistics.verdict(numbers) == said


@pytest.mark.parametrize(("fusion", "join"), [("mean", np.mean), ("maximum", np.max)])
def test_views_are_joined_clip_by_clip(fusion, join):
    higher = {kind: value + 4 for kind, value in PERFECT.items()}
    table = joined(
        rows("fan", "adasub", "eq1", {0: PERFECT, 1: HALF}),
        rows("fan", "adasub", "fine", {0: HALF}),
        rows("fan", "adals", "pmsd", {0: higher}),
    )
    found = statistics.fused(table, [("adasub", "fine"), PMSD], "both", fusion)
    assert list(found.columns) == list(table.columns)
    assert set(zip(found["front_end"], found["scorer"], found["seed"], strict=True)) == {
        ("both", statistics.FUSED, 0)
    }
    for _, clip in found.iterrows():
        kind = f"{clip['domain']} {clip['label']}"
        assert clip["score"] == join([HALF[kind], PERFECT[kind] + 4])
    # the maximum is over views, of their means over seeds
    whole = statistics.ensemble(table.query("front_end == 'adasub'"), fusion)
    for kind, score in whole.set_index("name")["score"].items():
        models = [PERFECT[kind], HALF[kind], HALF[kind]]
        views_of = [(PERFECT[kind] + HALF[kind]) / 2, HALF[kind]]
        assert score == pytest.approx(np.mean(models) if fusion == "mean" else max(views_of))


def test_what_was_computed_is_read_again(table, tmp_path, monkeypatch):
    """By anybody with the same table; another table has files of its own."""
    first = Results(table, tmp_path)
    pairs = [(ADASUB, NEAR), (FINE, ADASUB)]
    expected = [first.per_seed, first.ensembles, first.paired(pairs)]
    lower = Results(table.assign(score=-table["score"]), tmp_path)
    assert (lower.per_seed["omega"] < first.per_seed["omega"]).all()
    monkeypatch.setattr(metrics, "evaluate", None)
    monkeypatch.setattr(statistics, "omega_resamples", None)
    again = Results(table, tmp_path)
    for own, known in zip(
        [again.per_seed, again.ensembles, again.paired(pairs)], expected, strict=True
    ):
        pd.testing.assert_frame_equal(own, known)
    with pytest.raises(TypeError, match="not callable"):
        again.draws([PMSD])
