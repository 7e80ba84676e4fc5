import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from asdlib import metrics
from asdlib.compare import score_files
from asdlib.params import AsdError

OFFICIAL = {"mse": 57.19418133424542, "mahala": 57.20483897712284}
PUBLISHED = {
    "mse": {
        "ToyCar": (73.74, 39.74, 53.05),
        "ToyCarEmu": (71.60, 62.50, 54.00),
        "bearingEmu": (61.56, 59.18, 59.53),
        "fan": (62.10, 48.34, 52.89),
        "gearboxEmu": (67.22, 49.56, 52.32),
        "sliderEmu": (67.80, 46.48, 50.68),
        "valveEmu": (72.12, 71.68, 57.16),
    },
    "mahala": {
        "ToyCar": (75.78, 55.20, 57.21),
        "ToyCarEmu": (64.94, 63.64, 52.32),
        "bearingEmu": (65.38, 63.00, 60.26),
        "fan": (59.42, 45.32, 52.47),
        "gearboxEmu": (70.80, 52.04, 52.79),
        "sliderEmu": (67.70, 50.24, 50.32),
        "valveEmu": (58.12, 54.68, 49.89),
    },
}


def table(scores, machine="fan"):
    rows = [(machine, domain, label, score) for domain, label, score in scores]
    return pd.DataFrame(rows, columns=["machine", "domain", "label", "score"])


SMALL = table(
    [
        ("source", "normal", 1.0),
        ("source", "normal", 4.0),
        ("target", "normal", 2.0),
        ("target", "normal", 3.0),
        ("source", "anomaly", 3.5),
        ("target", "anomaly", 2.5),
    ]
)


@pytest.mark.parametrize("mode", ["mse", "mahala"])
def test_real_scores_give_the_official_values(real, mode):
    path = real / "dcase2026_scores" / f"official_baseline_{mode}_dev.csv"
    values = metrics.evaluate(score_files.read_table(path))
    assert 100 * metrics.omega(values) == pytest.approx(OFFICIAL[mode], abs=1e-12, rel=0)
    for machine, expected in PUBLISHED[mode].items():
        row = 100 * values.loc[machine, ["auc_source", "auc_target", "pauc"]].to_numpy(float)
        assert np.abs(row - expected).max() < 0.005001


def test_a_case_counted_by_hand():
    values = metrics.evaluate(SMALL).loc["fan"]
    # 2 anomalies: each source normal is beaten by (2, 0), each target normal by (2, 1) of them
    assert values["auc_source"] == 2 / 4
    assert values["auc_target"] == 3 / 4
    three = np.array([values["auc_source"], values["auc_target"], values["pauc"]])
    assert values["omega"] == pytest.approx(3 / (1 / three).sum())


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2))
def test_areas_equal_those_of_scikit_learn(clips):
    scores, anomalous = map(np.array, zip(*clips, strict=True))
    score, domain = scores.astype(float), np.full(len(scores), "source")
    if anomalous.all() or not anomalous.any():
        assert np.isnan([metrics.auc_source(score, anomalous, domain)]).all()
        assert np.isnan(metrics.pauc(score, anomalous))
        return
    whole, part = (roc_auc_score(anomalous, score, max_fpr=limit) for limit in (None, 0.1))
    assert metrics.auc_source(score, anomalous, domain) == pytest.approx(whole, abs=1e-12)
    assert metrics.pauc(score, anomalous) == pytest.approx(part, abs=1e-12)


def test_omega_is_the_harmonic_mean_of_the_flat_list():
    two = pd.concat([SMALL, SMALL.assign(machine="valve", score=-SMALL["score"])])
    values = metrics.evaluate(two)
    flat = values[["auc_source", "auc_target", "pauc"]].to_numpy().ravel()
    assert metrics.omega(values) == pytest.approx(len(flat) / (1 / flat).sum())
    assert metrics.omega(values) != pytest.approx(values["omega"].mean())


def test_a_machine_without_target_clips_has_no_target_value():
    values = metrics.evaluate(SMALL[SMALL["domain"] == "source"])
    assert np.isnan(values.loc["fan", ["auc_target", "omega"]].to_numpy(float)).all()
    assert np.isfinite(values.loc["fan", "auc_source"])
    assert np.isnan(metrics.omega(values))


def test_only_normal_clips_and_concealed_clips_give_no_value():
    assert metrics.evaluate(SMALL[SMALL["label"] == "normal"]).isna().all(axis=None)
    concealed = SMALL.assign(label="unknown", domain="unknown")
    assert metrics.evaluate(concealed).empty
    assert np.isnan(metrics.omega(metrics.evaluate(concealed)))


def test_a_perfectly_wrong_machine_makes_omega_zero():
    wrong = SMALL.assign(score=(SMALL["label"] == "normal").astype(float))
    assert metrics.omega(metrics.evaluate(wrong)) == 0.0


@given(st.lists(st.integers(-1000, 1000), min_size=6, max_size=6))
def test_only_the_order_of_scores_counts(scores):
    before = metrics.evaluate(SMALL.assign(score=np.array(scores, float)))
    after = metrics.evaluate(SMALL.assign(score=np.exp(np.array(scores) / 500)))
    pd.testing.assert_frame_equal(before, after)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"score": np.nan}, "fan: 6 scores not finite"),
        ({"label": "broken"}, "Unknown label 'broken'"),
        ({"domain": "elsewhere"}, "Unknown domain 'elsewhere'"),
    ],
)
def test_bad_tables_get_one_sentence(change, sentence):
    with pytest.raises(AsdError) as error:
        metrics.evaluate(SMALL.assign(**change))
    assert sentence in str(error.value)


def test_missing_columns_and_rows_get_one_sentence():
    with pytest.raises(AsdError, match="lack these columns: domain"):
        metrics.evaluate(SMALL.drop(columns="domain"))
    with pytest.raises(AsdError, match="no scores"):
        metrics.evaluate(SMALL.head(0))


def test_paired_differences_are_taken_by_seed():
    a = pd.Series([0.7, 0.6, 0.65, 0.72], index=[3, 1, 2, 0])
    b = pd.Series([0.5, 0.55, 0.6, 0.6], index=[0, 1, 2, 3])
    found = metrics.paired_difference(a, b)
    d = np.array([0.22, 0.05, 0.05, 0.1])
    assert found["mean"] == pytest.approx(d.mean())
    assert found["std"] == pytest.approx(d.std(ddof=1))
    assert found["n"] == 4
    t = d.mean() / (d.std(ddof=1) / 2)
    import scipy.stats

    assert found["p_t"] == pytest.approx(2 * scipy.stats.t.sf(t, 3))
    assert found["p_wilcoxon"] == pytest.approx(2 / 16)
    none = metrics.paired_difference(a, a)
    assert none["mean"] == 0
    assert np.isnan([none["p_t"], none["p_wilcoxon"]]).all()
    assert np.isnan(metrics.paired_difference(a, b[:0])["mean"])
    agree = metrics.paired_difference(a, a - 0.1)  # but for rounding
    assert (agree["mean"], agree["std"]) == (pytest.approx(0.1), 0)
    assert np.isnan(agree["p_t"])


def test_errors_are_counted():
    labels = ["normal", "normal", "anomaly", "anomaly", "anomaly"]
    found = metrics.error_counts([1, 0, 1, 1, 0], labels)
    assert (found["false alarms"], found["misses"]) == (1, 1)
    assert found["F1"] == pytest.approx(2 / 3)
    assert np.isnan(metrics.error_counts([0, 0], ["normal", "normal"])["F1"])
