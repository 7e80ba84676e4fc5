"""Decisions and their errors, on scores that are known by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from known_scores import HALF, OMEGA_OF_HALF, PERFECT, rows

from asdlib.compare import comparison, systems
from asdlib.guard import PerClip
from asdlib.study.recordings import Recordings


def recordings(clips):
    table = pd.DataFrame(clips, columns=["machine", "split", "domain", "label", "name"])
    return Recordings(Path("data"), table, "", embedded=False)


def scored(values, threshold):
    scores = PerClip(list(values.values()), list(values))
    return systems.Scored(scores, scores > threshold, threshold)


def test_decisions_are_one_row_per_system_and_test_clip():
    fan, pump = scored({"a": 1.0, "b": 3.0}, 2.0), scored({"p": 5.0}, 4.0)
    results = {
        "S1": systems.Applied([("adasub", "s1", 0)], {"fan": fan, "pump": pump}, pd.DataFrame()),
        "S2": systems.Applied([], {}, pd.DataFrame()),
    }
    assert systems.decisions(results).to_dict("split")["data"] == [
        ["S1", "fan", "a", 1.0, 2.0, 0],
        ["S1", "fan", "b", 3.0, 2.0, 1],
        ["S1", "pump", "p", 5.0, 4.0, 1],
    ]


def test_errors_are_counted_per_machine_and_domain():
    clips = [
        ("fan", "train", "source", "normal", "loud"),
        ("fan", "test", "source", "normal", "quiet"),
        ("fan", "test", "source", "normal", "false alarm"),
        ("fan", "test", "source", "anomaly", "hit"),
        ("fan", "test", "target", "anomaly", "miss 1"),
        ("fan", "test", "target", "anomaly", "miss 2"),
        ("pump", "test", "unknown", "unknown", "concealed"),
    ]
    values = {"quiet": 0.0, "false alarm": 9.0, "hit": 9.0, "miss 1": 1.0, "miss 2": 2.0}
    machines = {"fan": scored(values, 2.0), "pump": scored({"concealed": 9.0}, 2.0)}
    results = {"S1": systems.Applied([("adasub", "s1", 0)], machines, pd.DataFrame())}
    counts = systems.error_counts(results, recordings(clips))
    assert counts["machine"].tolist() == ["fan", "fan"]
    assert counts["domain"].tolist() == ["source", "target"]
    assert counts["threshold"].tolist() == [2.0, 2.0]
    assert counts["normal clips"].tolist() == [2, 0]
    assert counts["false alarms"].tolist() == [1, 0]
    assert counts["anomalies"].tolist() == [1, 2]
    assert counts["misses"].tolist() == [0, 2]
    assert counts["precision"].tolist() == pytest.approx([0.5, np.nan], nan_ok=True)
    assert counts["recall"].tolist() == [1, 0]
    assert counts["F1"].tolist() == pytest.approx([2 / 3, 0])
    assert systems.error_counts(results, recordings(clips[-1:])).empty


def test_a_system_is_the_mean_of_its_models_above_a_training_quantile():
    table = pd.concat(
        [
            rows("fan", "adasub", "s1", {0: PERFECT, 1: HALF}, train=[0.0, 1.0, 2.0]),
            rows("pump", "adasub", "s1", {0: HALF, 1: HALF}, train=[5.0]),
        ],
        ignore_index=True,
    )
    per_seed = comparison.summary(table).per_seed
    applied = systems.apply(systems.SYSTEMS[0], table, per_seed, 0.9)
    assert applied.members == [("adasub", "s1", 0), ("adasub", "s1", 1)]
    fan = applied.scored["fan"]
    assert fan.threshold == pytest.approx(1.8)  # 0.9 of the way from 0 over 1 to 2
    assert dict(fan.scores.items()) == {
        "source normal": 0.5,
        "target normal": 1.5,
        "source anomaly": 5.5,
        "target anomaly": 6.5,
    }
    assert [int(d) for _, d in sorted(fan.decisions.items())] == [1, 0, 1, 0]
    assert [int(d) for _, d in applied.scored["pump"].decisions.items()] == [0, 0, 0, 0]
    omegas = systems.omega_by_machine(
        {"S1": applied, "S2": systems.Applied([], {}, pd.DataFrame())}
    )
    assert omegas.columns.tolist() == ["fan", "pump", "overall"]
    overall = 6 / (3 + 3 / OMEGA_OF_HALF)  # harmonic mean of the six values
    assert omegas.loc["S1"].tolist() == pytest.approx([1, OMEGA_OF_HALF, overall])
    assert omegas.loc["S2"].isna().all()


def three_views(train=()):
    """A trained view with two seeds and two views without training, of four clips."""
    higher = {kind: value + 4 for kind, value in PERFECT.items()}
    return pd.concat(
        [
            rows("fan", "adasub", "eq1", {0: PERFECT, 1: HALF}, train=train),
            rows("fan", "adasub", "fine", {0: HALF}, train=train),
            rows("fan", "adals", "pmsd", {0: higher}, train=train),
        ],
        ignore_index=True,
    )


@pytest.mark.parametrize(("fusion", "join"), [("mean", np.mean), ("maximum", np.max)])
def test_views_are_fused_clip_by_clip(fusion, join):
    table = three_views()
    found = systems.fused(table, [("adasub", "fine"), ("adals", "pmsd")], "both", fusion)
    assert list(found.columns) == list(table.columns)
    assert set(found["front_end"]) == {"both"}
    assert set(found["scorer"]) == {systems.FUSED}
    assert set(found["seed"]) == {0}
    for _, clip in found.iterrows():
        kind = f"{clip['domain']} {clip['label']}"
        assert clip["score"] == join([HALF[kind], PERFECT[kind] + 4])


def test_a_view_without_seeds_joins_every_seed_of_an_autoencoder():
    found = systems.fused(three_views(), [("adasub", "eq1"), ("adasub", "fine")], "both")
    score = found.set_index(["seed", "name"])["score"]
    for kind in HALF:
        assert score[0, kind] == (PERFECT[kind] + HALF[kind]) / 2
        assert score[1, kind] == HALF[kind]


def test_a_system_takes_the_largest_over_views_of_their_means_over_seeds():
    table = three_views(train=(0.0, 1.0))
    system = systems.System("X", "", (("adasub", "eq1"), ("adasub", "fine")), fusion="maximum")
    per_seed = comparison.summary(table).per_seed
    scored = dict(systems.apply(system, table, per_seed, 0.9).clips[["name", "score"]].to_numpy())
    for kind, value in HALF.items():
        assert scored[kind] == max((PERFECT[kind] + value) / 2, value)


def test_the_system_without_training_is_the_mean_of_its_views():
    table = pd.concat(
        [
            rows("fan", "near", "fine", {0: PERFECT}, train=[0.0, 2.0]),
            rows("fan", "adasub", "fine", {0: PERFECT}, train=[0.0, 2.0]),
            rows("fan", "adals", "pmsd", {0: HALF}, train=[3.0, 2.0]),
            rows("fan", "adals", "fine", {0: {name: 99.0 for name in HALF}}, train=[99.0, 99.0]),
        ],
        ignore_index=True,
    )
    applied = systems.apply(systems.UNTRAINED, table, comparison.summary(table).per_seed, 0.5)
    assert applied.members == [("near", "fine", 0), ("adasub", "fine", 0), ("adals", "pmsd", 0)]
    expected = {name: (2 * PERFECT[name] + HALF[name]) / 3 for name in PERFECT}
    assert dict(applied.scored["fan"].scores.items()) == pytest.approx(expected)
    assert applied.scored["fan"].threshold == 2.0  # held out: p of a score above both is 1 / 3
    assert not systems.UNTRAINED.trained
    assert all(system.trained for system in systems.PAPER)


def test_the_first_system_is_the_first_that_could_be_formed():
    none = systems.Applied([], {}, pd.DataFrame())
    there = systems.Applied([("adals", "pmsd", 0)], {}, pd.DataFrame())
    assert systems.first({"S1": there, "S5": there}).name == "S1"
    assert systems.first({"S1": there, "S5": there}, "S5").name == "S5"
    assert systems.first({"S1": there, "S5": none}, "S5").name == "S1"
    assert systems.first({"S1": none, "S2": none, "S5": there}) == systems.UNTRAINED
    assert systems.first({"S1": none}).name == "S1"
