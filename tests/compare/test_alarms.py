"""Counts of alarms under both rules, on scores that are known by hand and on a small study."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from asdlib import params, study
from asdlib.compare import alarms, systems
from asdlib.report import sentences, tables
from asdlib.study import variants
from asdlib.study.recordings import Recordings

VIEWS = systems.UNTRAINED.views
UNTRAINED = {"front_ends": ["near"], "scorers": ["/".join(v) for v in VIEWS], "baseline": False}


def clips(split, scores, label="normal", domain="source"):
    rows = {"machine": "fan", "split": split, "domain": domain, "label": label, "seed": 0}
    names = [f"{split} {domain} {label} {i}" for i in range(len(scores))]
    return [
        pd.DataFrame({**rows, "name": names, "score": scores, "front_end": f, "scorer": s})
        for f, s in VIEWS
    ]


@pytest.fixture
def table():
    """Nineteen held-out scores, 0 to 18; a score above 17 is an alarm at one in ten."""
    parts = [
        *clips("train", np.arange(19.0)),
        *clips("test", [16.5, 17.5, 18.5]),
        *clips("test", [16.5, 99.0], label="anomaly", domain="target"),
        *clips("test", [99.0], label="unknown", domain="unknown"),
    ]
    return pd.concat(parts, ignore_index=True)


def test_held_out_scores_decide_for_the_submission_without_training(table):
    nothing = Recordings(Path("data"), pd.DataFrame(), "", embedded=False)
    counted = alarms.compared(params.load(UNTRAINED), nothing, table)
    assert counted.to_numpy().tolist() == [
        ["S5", alarms.HELD_OUT, "fan", "source", "normal", 2, 3],
        ["S5", alarms.HELD_OUT, "fan", "target", "anomaly", 1, 2],
    ]
    found = alarms.pooled(counted)
    assert found["share"].tolist() == pytest.approx([2 / 3, 1 / 2])
    shown = tables.alarms(found)
    assert shown["false alarms"].iloc[0].startswith("2 of 3: 67% (9% to 99%)")
    assert shown["hits"].iloc[1].startswith("1 of 2: 50%")
    told = sentences.alarms(found, 0.05)
    assert told.startswith("More false alarms than the wanted 5%, beyond chance: S5 by the rule")
    assert sentences.alarms(found, 0.1).startswith("In agreement with 10%: S5")


def test_alarms_are_counted_at_every_wanted_rate(table):
    """Nineteen held-out scores promise a rate of a twentieth and more, in steps of a twentieth."""
    nothing = Recordings(Path("data"), pd.DataFrame(), "", embedded=False)
    found = alarms.by_rate(params.load(UNTRAINED), nothing, table, rates=(0.01, 0.05, 0.1, 0.15))
    assert found[["system", "rule", "what", "rate"]].to_numpy().tolist() == [
        ["S5", alarms.HELD_OUT, what, rate]
        for what in ("false alarms, source", "hits")
        for rate in (0.01, 0.05, 0.1, 0.15)
    ]
    assert found["alarms"].tolist() == [0, 1, 2, 3, 0, 1, 1, 2]
    assert found["clips"].tolist() == [3] * 4 + [2] * 4
    assert found["unable"].tolist() == [1, 0, 0, 0] * 2
    assert found["machines"].tolist() == [1] * 8
    low, high = found.loc[2, ["low", "high"]]
    assert (low, high) == pytest.approx((0.0943, 0.9916), abs=1e-4)  # of 2 in 3
    unlabelled = table[table["label"] == "unknown"]
    assert alarms.by_rate(params.load(UNTRAINED), nothing, unlabelled).empty


def test_the_rate_of_the_study_gives_the_counts_of_its_table(table):
    """Hits are added up over domains, and all over machines."""
    nothing = Recordings(Path("data"), pd.DataFrame(), "", embedded=False)
    more = pd.concat([table, *clips("test", [99.0, 1.0], label="anomaly")], ignore_index=True)
    both = pd.concat([more, more.assign(machine="pump")], ignore_index=True)
    known = alarms.pooled(alarms.compared(params.load(UNTRAINED), nothing, both))
    found = alarms.by_rate(params.load(UNTRAINED), nothing, both).query("rate == 0.1")
    of_label = known.groupby("label", sort=False)[["alarms", "clips"]].sum()
    assert found["what"].tolist() == ["false alarms, source", "hits"]
    shown = found[["alarms", "clips"]].to_numpy().tolist()
    assert shown == of_label.loc[["normal", "anomaly"]].to_numpy().tolist() == [[4, 6], [4, 8]]
    assert found["machines"].tolist() == [2, 2]


def test_nothing_to_count_is_said():
    empty = alarms.pooled(pd.DataFrame(columns=alarms._COLUMNS))
    assert tables.alarms(empty).empty
    assert (
        sentences.alarms(empty, 0.1) == "How often normal clips are alarms cannot be counted here."
    )


def test_both_rules_of_a_trained_system_are_counted(trained):
    own = trained.model_copy(update={"scorers": ("eq1", "s1")})
    recordings = study.open_recordings(own)
    table = study.run(own, recordings=recordings)
    counted = alarms.compared(own, recordings, table)
    assert counted[["system", "rule"]].drop_duplicates().to_numpy().tolist() == [
        ["S1", alarms.PAPER],
        ["S1", alarms.HELD_OUT],
    ]
    apart = study.run(variants.held_out(own), recordings=recordings)
    for rule, scores in ((alarms.PAPER, table), (alarms.HELD_OUT, apart)):
        of_s1 = scores[(scores["front_end"] == "adasub") & (scores["scorer"] == "s1")]
        mean = of_s1.groupby(["machine", "name", "split", "label"])["score"].mean().reset_index()
        for machine, rows in mean.groupby("machine"):
            train = np.sort(rows.loc[rows["split"] == "train", "score"])[::-1]
            limit = np.inf  # eight clips or fewer promise nothing
            if rule == alarms.PAPER:
                limit = np.quantile(train, 0.9)
            elif len(train) >= 9:
                limit = train[int(0.1 * (len(train) + 1)) - 1]
            test = rows[(rows["split"] == "test") & (rows["label"] != "unknown")]
            known = counted[(counted["rule"] == rule) & (counted["machine"] == machine)]
            assert known["alarms"].sum() == (test["score"] > limit).sum()


def test_what_is_promised_follows_from_the_number_of_clips():
    rows = [("fan", "train", "source")] * 19 + [("fan", "train", "target")] * 2
    manifest = pd.DataFrame(rows, columns=["machine", "split", "domain"])
    found = alarms.promised(
        params.load(UNTRAINED), Recordings(Path("data"), manifest, "", embedded=False)
    )
    assert found["domain"].tolist() == ["all", "source", "target"]
    assert found["clips"].tolist() == [21, 19, 2]
    assert found["high"].tolist() == pytest.approx([0.238, 0.260, 0.842], abs=1e-3)
