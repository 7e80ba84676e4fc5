"""Systems, their decisions and alarms, on scores that are known by hand and on a small study."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from known_scores import HALF, PERFECT, joined, rows

from asdlib import clipstats, params, study
from asdlib.compare import alarms, statistics, systems
from asdlib.compare.statistics import Results
from asdlib.study import variants
from asdlib.study.recordings import Recordings

UNTRAINED = {"scorers": ["/".join(v) for v in clipstats.S5], "baseline": False}


def recordings(clips=()):
    table = pd.DataFrame(clips, columns=["machine", "split", "domain", "label", "name"])
    return Recordings(Path("data"), table, "", embedded=False)


def formed(*clips):
    columns = ["machine", "split", "domain", "label", "name", "score", "threshold", "decision"]
    return pd.DataFrame(clips, columns=columns)


def test_errors_are_counted_per_machine_and_domain():
    concealed = ("pump", "test", "unknown", "unknown", "concealed", 9.0, 2.0, 1)
    own = formed(
        ("fan", "train", "source", "normal", "loud", 9.0, 2.0, 1),
        ("fan", "test", "source", "normal", "quiet", 0.0, 2.0, 0),
        ("fan", "test", "source", "normal", "false alarm", 9.0, 2.0, 1),
        ("fan", "test", "source", "anomaly", "hit", 9.0, 2.0, 1),
        ("fan", "test", "target", "anomaly", "miss 1", 1.0, 2.0, 0),
        ("fan", "test", "target", "anomaly", "miss 2", 2.0, 2.0, 0),
        concealed,
    )
    counts = systems.error_counts(own)
    columns = ["machine", "domain", "threshold", "normal clips", "false alarms", "anomalies"]
    assert counts[[*columns, "misses"]].to_numpy().tolist() == [
        ["fan", "source", 2.0, 2, 1, 1, 0],
        ["fan", "target", 2.0, 0, 0, 2, 2],
    ]
    assert counts["F1"].tolist() == pytest.approx([2 / 3, 0])
    assert systems.error_counts(formed(concealed)).empty


def test_a_system_is_the_mean_of_its_models_above_a_training_quantile():
    table = joined(
        rows("fan", "adasub", "s1", {0: PERFECT, 1: HALF}, train=[0.0, 1.0, 2.0]),
        rows("pump", "adasub", "s1", {0: HALF, 1: HALF}, train=[5.0]),
    )
    results = Results(table)
    assert systems.PAPER[0].members(results.per_seed) == [("adasub", "s1", 0), ("adasub", "s1", 1)]
    decided = systems.decisions(results, 0.9)
    assert set(decided["system"]) == {"S1"}
    limits = decided.groupby("machine")["threshold"].first()
    assert limits.tolist() == pytest.approx([1.8, 5])  # 0.9 of the way from 0 over 1 to 2
    assert dict(systems.guarded(decided, "S1", "fan").items()) == {
        "source normal": 0.5,
        "target normal": 1.5,
        "source anomaly": 5.5,
        "target anomaly": 6.5,
    }
    own = decided.set_index(["machine", "name"])["decision"]
    assert own["fan"].to_dict() == {name: int("anomaly" in name) for name in HALF}
    assert not own["pump"].any()


def test_the_system_without_training_joins_its_views_by_fishers_sum():
    table = joined(
        rows("fan", "checkedsub", "fine", {0: PERFECT}, train=[0.0, 2.0]),
        rows("fan", "checkedls", "pmsd", {0: HALF}, train=[3.0, 2.0]),
        rows("fan", "checkedls", "fine", {0: {name: 99.0 for name in HALF}}, train=[99.0, 99.0]),
    )
    decided = systems.decisions(Results(table), 0.5)
    surprise = -np.log(scipy.stats.norm.sf([[PERFECT[name], HALF[name]] for name in PERFECT]))
    expected = dict(zip(PERFECT, surprise.sum(axis=1), strict=True))
    assert dict(systems.guarded(decided, "S5", "fan").items()) == pytest.approx(expected)
    both = -np.log(scipy.stats.norm.sf([[0, 3], [2, 2]])).sum(axis=1)
    assert decided["threshold"].tolist() == pytest.approx([both.max()] * len(PERFECT))
    assert not systems.UNTRAINED.trained
    assert all(system.trained for system in systems.PAPER)


def test_the_tables_of_a_study_are_written_and_told(trained, tmp_path):
    results = statistics.results(trained, study.open_recordings(trained))
    told = systems.write_tables(results, 0.9, tmp_path / "tables")
    assert told[-4:] == [
        str(tmp_path / "tables" / name)
        for name in ("scores.parquet", "omega.csv", "ensembles.csv", "decisions.csv")
    ]
    scores = pd.read_parquet(tmp_path / "tables" / "scores.parquet")
    assert len(scores) == len(results.table)
    decided = pd.read_csv(tmp_path / "tables" / "decisions.csv").query("system == 'S5'")
    alarms = decided.groupby("machine")["decision"].sum()
    for machine, own in decided.groupby("machine"):
        assert f"S5 {machine}: {alarms[machine]} of {len(own)} test clips are alarms" in told


def clips(split, scores, label="normal", domain="source"):
    place = {"machine": "fan", "split": split, "domain": domain, "label": label, "seed": 0}
    names = [f"{split} {domain} {label} {i}" for i in range(len(scores))]
    return [
        pd.DataFrame({**place, "name": names, "score": scores, "front_end": f, "scorer": s})
        for f, s in clipstats.S5
    ]


@pytest.fixture
def table():
    """Nineteen held-out scores, 0 to 18; a score above 17 is an alarm at one in ten."""
    return joined(
        *clips("train", np.arange(19.0)),
        *clips("test", [16.5, 17.5, 18.5]),
        *clips("test", [16.5, 99.0], label="anomaly", domain="target"),
        *clips("test", [99.0], label="unknown", domain="unknown"),
    )


def counted(table, *rates):
    return alarms.counted(params.load(UNTRAINED), recordings(), Results(table), rates)


def test_held_out_scores_decide_for_the_submission_without_training(table):
    found = alarms.by_domain(counted(table))
    assert found[["system", "rule", "domain", "label", "alarms", "clips"]].to_numpy().tolist() == [
        ["S5", alarms.HELD_OUT, "source", "normal", 2, 3],
        ["S5", alarms.HELD_OUT, "target", "anomaly", 1, 2],
    ]
    assert found["share"].tolist() == pytest.approx([2 / 3, 1 / 2])
    assert found.loc[0, ["low", "high"]].tolist() == pytest.approx([0.0943, 0.9916], abs=1e-4)
    assert alarms.by_domain(counted(table[table["label"] == "unknown"])).empty


def test_an_alarm_is_strange_for_every_condition_that_has_clips_enough():
    """Nineteen source clips score 0 to 18 against their own, nine target clips 0 to 8."""
    train = [("source", i) for i in range(19)] + [("target", i) for i in range(9)]
    test = {"neither": (18.5, 8.5), "like target": (18.5, 7.5), "like source": (16.5, 8.5)}
    rows = [
        {"name": f"{d} {i}", "split": "train", "domain": d, "score": i, "condition": condition}
        for d, i in train
        for condition in ("source", "target")
    ] + [
        {"name": name, "split": "test", "domain": "source", "score": score, "condition": condition}
        for name, scores in test.items()
        for condition, score in zip(("source", "target"), scores, strict=True)
    ]
    clips = pd.DataFrame(rows)
    (decided,) = systems.decide(clips, [0.9], held_out=True)
    assert dict(decided.alarms.items()) == {"like source": 0, "like target": 0, "neither": 1}
    assert np.isnan(decided.threshold)
    assert decided.able
    (fewer,) = systems.decide(clips[clips["name"] != "target 8"], [0.9], held_out=True)
    assert not any(value for _, value in fewer.alarms.items())
    assert not fewer.able


def test_alarms_are_counted_at_every_wanted_rate(table):
    """Nineteen held-out scores promise a rate of a twentieth and more, in steps of a twentieth."""
    more = pd.concat([table, *clips("test", [1.0], label="anomaly")], ignore_index=True)
    both = joined(more, more.assign(machine="pump"))
    found = alarms.by_rate(counted(both, 0.01, 0.05, 0.1, 0.15))
    assert found[["system", "rule", "what", "rate"]].to_numpy().tolist() == [
        ["S5", alarms.HELD_OUT, what, rate]
        for what in ("false alarms, source", "hits")
        for rate in (0.01, 0.05, 0.1, 0.15)
    ]
    assert found["alarms"].tolist() == [0, 2, 4, 6, 0, 2, 2, 4]  # of both machines and domains
    assert found["clips"].tolist() == [6] * 8
    assert found["unable"].tolist() == [2, 0, 0, 0] * 2
    assert found["machines"].tolist() == [2] * 8


def test_both_rules_of_a_trained_system_are_counted(trained):
    own = trained.model_copy(update={"scorers": ("eq1", "s1")})
    opened = study.open_recordings(own)
    table = study.run(own, recordings=opened)
    found = alarms.counted(own, opened, Results(table))
    rules = found[["system", "rule"]].drop_duplicates().to_numpy().tolist()
    assert rules == [["S1", alarms.PAPER], ["S1", alarms.HELD_OUT]]
    apart = study.run(variants.held_out(own), recordings=opened)
    for rule, scores in ((alarms.PAPER, table), (alarms.HELD_OUT, apart)):
        of_s1 = scores[(scores["front_end"] == "adasub") & (scores["scorer"] == "s1")]
        mean = of_s1.groupby(["machine", "name", "split", "label"])["score"].mean().reset_index()
        for machine, own_rows in mean.groupby("machine"):
            train = np.sort(own_rows.loc[own_rows["split"] == "train", "score"])[::-1]
            limit = np.inf  # eight clips or fewer promise nothing
            if rule == alarms.PAPER:
                limit = np.quantile(train, 0.9)
            elif len(train) >= 9:
                limit = train[int(0.1 * (len(train) + 1)) - 1]
            test = own_rows[(own_rows["split"] == "test") & (own_rows["label"] != "unknown")]
            known = found[(found["rule"] == rule) & (found["machine"] == machine)]
            assert known["alarms"].sum() == (test["score"] > limit).sum()


def test_what_is_promised_follows_from_the_number_of_clips():
    rows = [
        ("fan", "train", domain, "normal", str(i))
        for i, domain in enumerate(["source"] * 19 + ["target"] * 2)
    ]
    found = alarms.promised(params.load(UNTRAINED), recordings(rows))
    assert found["domain"].tolist() == ["all", "source", "target"]
    assert found["clips"].tolist() == [21, 19, 2]
    assert found["high"].tolist() == pytest.approx([0.238, 0.260, 0.842], abs=1e-3)
