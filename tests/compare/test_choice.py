"""The table of front-ends and the choice of a front-end without a machine's own labels."""

import numpy as np
import pandas as pd
import pytest
from known_scores import HALF, OMEGA_OF_HALF, PERFECT, rows

from asdlib.compare import choice, comparison
from asdlib.noise import Floors


def scores(rng, shift):
    rows = []
    for front_end, gain in shift.items():
        for seed in range(3):
            for domain in ("source", "target"):
                for label in ("normal", "anomaly"):
                    for i in range(12):
                        value = rng.standard_normal() + gain * (label == "anomaly")
                        clip = ("test", domain, label, f"{domain}{label}{i}")
                        rows.append(("fan", front_end, "s1", seed, *clip, value))
    names = ["machine", "front_end", "scorer", "seed", "split", "domain", "label", "name", "score"]
    return pd.DataFrame(rows, columns=names)


def test_front_ends_are_compared_with_adasub_seed_by_seed(rng):
    table = scores(rng, {"adasub": 1.0, "complexls": 3.0, "lsada": 0.0})
    summary = comparison.summary(table)
    compared = choice.against_adasub(table, summary).set_index("front_end")
    own = summary.per_seed.set_index(["front_end", "seed"])["omega"]
    expected = (own["complexls"] - own["adasub"]).mean()
    assert compared.loc["complexls", "mean"] == pytest.approx(expected)
    assert compared.loc["complexls", "mean"] > 0 > compared.loc["lsada", "mean"]
    for name in ("complexls", "lsada"):
        assert compared.loc[name, "low"] < compared.loc[name, "mean"] < compared.loc[name, "high"]
    assert np.isnan(compared.loc["adasub", "mean"])
    machines = choice.omega_by_front_end(table, "s1")
    assert list(machines.columns) == ["adasub", "complexls", "lsada"]
    assert machines.loc["fan", "complexls"] == pytest.approx(compared.loc["complexls", "ensemble"])


def test_a_rule_is_learnt_on_the_other_machines_only():
    omegas = pd.DataFrame(
        {"adasub": [0.8, 0.8, 0.5, 0.5, 0.5], "adals": [0.6, 0.6, 0.7, 0.7, 0.9]},
        index=list("abcde"),
    )
    known = pd.DataFrame({"explained": [1, 2, 5, 6, 7], "noise": 0.0}, index=list("abcde"))
    chosen, rules = choice.choose(omegas, known)
    assert chosen.tolist() == ["adasub", "adasub", "adals", "adals", "adals"]
    assert rules["a"] == "explained > 3.50: adals, else adasub"
    for machine in omegas.index:  # its own values of Omega do not matter
        other = omegas.copy()
        other.loc[machine] = other.loc[machine, ::-1].to_numpy()
        assert choice.choose(other, known)[0][machine] == chosen[machine]
    assert choice.choose(omegas.head(2), known)[0].tolist() == ["adasub", "adasub"]


def test_the_oracle_is_the_ceiling_and_every_choice_is_scored(rng):
    parts = []
    for machine, best in (("m1", "adasub"), ("m2", "adals"), ("m3", "adals"), ("m4", "adasub")):
        gains = {name: 2.0 if name == best else 0.3 for name in ("adasub", "adals")}
        parts.append(scores(rng, gains).assign(machine=machine))
    table = pd.concat(parts, ignore_index=True)
    known = pd.DataFrame({"explained": [1.0, 4.0, 5.0, 2.0]}, index=["m1", "m2", "m3", "m4"])
    omega = choice.rules(table, known, "s1").set_index("choice")["omega"]
    assert omega["rule, leave-one-machine-out"] == omega["label oracle per machine"]
    assert omega["label oracle per machine"] > omega["always AdaSub"]
    assert len(omega) == 4


def test_the_oracle_takes_the_better_front_end_of_every_machine():
    seeds = {"half": {0: HALF, 1: HALF}, "perfect": {0: PERFECT, 1: PERFECT}}
    table = pd.concat(
        [
            rows("fan", "adasub", "eq1", seeds["perfect"]),
            rows("fan", "cohgate", "eq1", seeds["half"]),
            rows("pump", "adasub", "eq1", seeds["half"]),
            rows("pump", "cohgate", "eq1", seeds["perfect"]),
            rows("pump", "near", "eq1", seeds["half"]),
            rows("concealed", "adasub", "eq1", seeds["half"]).assign(label="unknown"),
        ],
        ignore_index=True,
    )
    floors = {
        "fan": Floors(np.array([1.0, 2.0, 9.0]), np.ones(3)),
        "pump": Floors(np.array([4.0, 4.0, 1.0]), np.ones(3)),
    }
    found = choice.adasub_or_cohgate(table, floors).set_index("machine")
    assert found.index.tolist() == ["fan", "pump", "all"]
    over_both = 6 / (3 + 3 / OMEGA_OF_HALF)  # harmonic mean of the six values
    assert found["median G"].tolist() == pytest.approx([2, 4, np.nan], nan_ok=True)
    assert found["AdaSub"].tolist() == pytest.approx([1, OMEGA_OF_HALF, over_both])
    assert found["CohGate"].tolist() == pytest.approx([OMEGA_OF_HALF, 1, over_both])
    assert found["oracle"].tolist() == pytest.approx([1, 1, 1])
    without = choice.adasub_or_cohgate(table[table["front_end"] == "adasub"], floors)
    assert without["AdaSub"].tolist() == pytest.approx([1, OMEGA_OF_HALF, over_both])
    assert without[["CohGate", "oracle"]].isna().all(axis=None)
    assert choice.adasub_or_cohgate(table[table["machine"] == "concealed"], floors).empty


def test_front_ends_are_compared_by_eq1_or_by_statistics():
    assert choice.common_scorer(["mse", "pmsd", "eq1"]) == "eq1"
    assert choice.common_scorer(["pm", "near/psd", "pmsd"]) == "pmsd"
    assert choice.common_scorer(["adasub/fine"]) == "eq1"  # not of every front-end: no value


def test_a_single_front_end_is_compared_with_none():
    table = rows("fan", "adasub", "eq1", {0: HALF, 1: PERFECT})
    (only,) = choice.against_adasub(table, comparison.summary(table)).to_dict("records")
    assert only["omega"] == pytest.approx((1 + OMEGA_OF_HALF) / 2)
    assert only["ensemble"] == pytest.approx(1)
    assert np.isnan([only["mean"], only["p_t"], only["low"], only["high"]]).all()
    untested = table[table["split"] == "train"]
    assert choice.against_adasub(untested, comparison.summary(untested)).empty
