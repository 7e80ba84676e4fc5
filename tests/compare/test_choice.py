"""The table of front-ends and the choice of a front-end without a machine's own labels."""

import numpy as np
import pandas as pd
import pytest

from asdlib.compare import choice, comparison


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
