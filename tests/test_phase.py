"""What the far channel's phase takes away, on truth made by hand, and the verdict's table."""

import numpy as np
import pandas as pd
import pytest
from conftest import small_params, write_wav

from asdlib import phase, systems
from asdlib.source import open_source

RATE, SECONDS = 16000, 4


@pytest.fixture
def study_of(tmp_path, rng):
    """A machine whose noise and sound at both microphones are given by a function of a clip."""

    def make(parts, clips=3):
        for split in ("train", "test"):
            label = "normal" if split == "train" else "anomaly"
            for i in range(clips):
                noise, sound = parts(i)
                stem = f"section_00_source_{split}_{label}_{i:04d}_noAttribute"
                machine = tmp_path / "data" / "fan"
                write_wav(machine / split / f"{stem}.wav", (noise + sound).T)
                truth = np.concatenate([sound, noise, 0 * noise])
                write_wav(machine / "truth" / f"{stem}.wav", truth.T)
        bins = np.linspace(0, 8000, 513)
        table = {"frequency": bins, "noise_transfer": 1.0, "msc": 0.75}
        pd.DataFrame(table).to_csv(tmp_path / "data/fan/truth/noise_transfer.csv", index=False)
        params = small_params(tmp_path, data=str(tmp_path / "data"))
        return params, open_source(params)

    return make


def white(rng):
    return 0.05 * rng.standard_normal(RATE * SECONDS)


def coherent(rng, gain):
    """Noise that is the same at both microphones, and a machine that only the near one hears."""

    def parts(i):
        noise, machine = white(rng), 0.1 * white(rng)
        return np.stack([gain(i) * noise, noise]), np.stack([machine, 0 * machine])

    return parts


def test_coherent_noise_goes_and_a_machine_that_is_near_only_stays(study_of, rng):
    params, source = study_of(coherent(rng, lambda i: 0.7))
    table = phase.bounds(params, source)
    assert (table["bound"].round(2) == 6.02).all()  # -10 log10(1 - 0.75)
    assert (table["noise"] > 20).all()
    assert (table["machine_sound"].abs() < 1).all()
    assert table["frequency"].between(0, 8000).all()
    longer = params.denoising.model_copy(update={"context": 4})
    same = phase.bounds(params.model_copy(update={"denoising": longer}), source)
    assert same.equals(table)  # a bound for one weight per bin is held against one weight per bin
    (row,) = phase.fixed(params, source).to_dict("records")
    assert row["own noise"] > 25
    assert row["train noise"] > 25


def test_a_filter_of_all_clips_fails_where_the_noise_turns_round(study_of, rng):
    params, source = study_of(coherent(rng, lambda i: (-1) ** i), clips=4)
    (row,) = phase.fixed(params, source).to_dict("records")
    assert row["own noise"] > 20
    assert abs(row["train noise"]) < 0.5


def test_a_machine_that_leaks_is_lost_the_louder_the_more(study_of, rng):
    def parts(i):
        noise, machine = 0.2 * white(rng), white(rng)
        return np.stack([noise, 0.5 * white(rng)]), np.stack([machine, 0.5 * machine])

    table = phase.leaks(*study_of(parts), (-40, 0, 20)).sort_values("level")
    lost = table["machine_sound"].tolist()
    assert lost[0] < 0.2
    assert lost[0] < lost[1] < lost[2]
    assert lost[2] > 10


def test_more_context_reaches_back_further(study_of, rng):
    def parts(i):
        noise = white(rng)
        late = np.concatenate([np.zeros(1024), noise[:-1024]])  # two frames
        machine = 0.01 * white(rng)
        return np.stack([late, noise]), np.stack([machine, 0 * machine])

    params, source = study_of(parts)
    table = phase.contexts(params, source, (1, 2, 3)).set_index("context")["noise"]
    assert table[1] < 0.5
    assert table[3] > 15


def test_a_short_clip_gives_the_filter_more_freedom(study_of, rng):
    def parts(i):
        machine = 0.1 * white(rng)
        return np.stack([white(rng), white(rng)]), np.stack([machine, 0 * machine])

    table = phase.lengths(*study_of(parts), (0.3, 4.0)).set_index("seconds")["noise"]
    assert table[0.3] > table[4.0] + 0.2
    assert 0 <= table[4.0] < 0.2  # one weight in 125 frames explains less than that


def test_without_truth_there_is_nothing_to_measure(tmp_path, study_of, rng):
    params, source = study_of(coherent(rng, lambda i: 1.0))
    for path in (tmp_path / "data" / "fan" / "truth").iterdir():
        path.unlink()
    assert phase.bounds(params, source).empty
    assert phase.contexts(params, source, (1,)).empty
    assert phase.lengths(params, source, (1.0,)).empty
    assert phase.leaks(params, source, (0,)).empty
    assert phase.fixed(params, source).empty


FEW = {"seconds": 2.0, "train_source": 2, "test_per_cell": 1, "machines": ["SimFan"]}


def test_a_far_microphone_that_stands_closer_costs_more_machine_sound(tmp_path):
    params = small_params(tmp_path, scenes=FEW)
    source = open_source(params)
    table = phase.rooms(params, source, "far_distance", (0.8, 4.0)).set_index("far_distance")
    assert table["machine"].tolist() == ["SimFan", "SimFan"]
    assert table.loc[0.8, "machine_sound"] > 2 * table.loc[4.0, "machine_sound"] > 0
    assert table.loc[0.8, "noise"] > table.loc[4.0, "noise"] > 0


def test_only_simulated_rooms_can_be_changed(tmp_path, study_of, rng):
    params, source = study_of(coherent(rng, lambda i: 1.0))
    assert phase.rooms(params, source, "noise_sources", (1,)).empty
    simulated = small_params(tmp_path, scenes=FEW)
    source = open_source(simulated)
    measured = simulated.scenes.model_copy(update={"impulse_response_folder": "measured"})
    other = simulated.model_copy(update={"scenes": measured})
    assert phase.rooms(other, source, "reverberation", (0.3,)).empty


def scores(rng, shift):
    rows = []
    for front_end, gain in shift.items():
        for seed in range(3):
            for domain in ("source", "target"):
                for label in ("normal", "anomaly"):
                    for i in range(12):
                        value = rng.standard_normal() + gain * (label == "anomaly")
                        rows.append(("fan", front_end, "s1", seed, "test", domain, label,
                                     f"{domain}{label}{i}", value))  # fmt: skip
    names = ["machine", "front_end", "scorer", "seed", "split", "domain", "label", "name", "score"]
    return pd.DataFrame(rows, columns=names)


def test_the_verdict_is_the_paired_difference_under_one_score(rng):
    table = scores(rng, {"adasub": 1.0, "complexls": 3.0, "lsada": 0.0})
    per_seed = systems.summary(table)
    judged = phase.verdict(table, per_seed).set_index("front_end")
    own = per_seed[per_seed["seed"] != "ensemble"].set_index(["front_end", "seed"])["omega"]
    expected = (own["complexls"] - own["adasub"]).mean()
    assert judged.loc["complexls", "mean"] == pytest.approx(expected)
    assert judged.loc["complexls", "mean"] > 0 > judged.loc["lsada", "mean"]
    for name in ("complexls", "lsada"):
        assert judged.loc[name, "low"] < judged.loc[name, "mean"] < judged.loc[name, "high"]
    assert np.isnan(judged.loc["adasub", "mean"])
    machines = phase.per_machine(table, "s1")
    assert list(machines.columns) == ["adasub", "complexls", "lsada"]
    assert machines.loc["fan", "complexls"] == pytest.approx(judged.loc["complexls", "ensemble"])


def test_a_rule_is_learnt_on_the_other_machines_only():
    omegas = pd.DataFrame(
        {"adasub": [0.8, 0.8, 0.5, 0.5, 0.5], "adals": [0.6, 0.6, 0.7, 0.7, 0.9]},
        index=list("abcde"),
    )
    known = pd.DataFrame({"explained": [1, 2, 5, 6, 7], "noise": 0.0}, index=list("abcde"))
    chosen, rules = phase.choose(omegas, known)
    assert chosen.tolist() == ["adasub", "adasub", "adals", "adals", "adals"]
    assert rules["a"] == "explained > 3.50: adals, else adasub"
    for machine in omegas.index:  # its own values of Omega do not matter
        other = omegas.copy()
        other.loc[machine] = other.loc[machine, ::-1].to_numpy()
        assert phase.choose(other, known)[0][machine] == chosen[machine]
    assert phase.choose(omegas.head(2), known)[0].tolist() == ["adasub", "adasub"]


def test_the_oracle_is_the_ceiling_and_every_choice_is_scored(rng):
    parts = []
    for machine, best in (("m1", "adasub"), ("m2", "adals"), ("m3", "adals"), ("m4", "adasub")):
        gains = {name: 2.0 if name == best else 0.3 for name in ("adasub", "adals")}
        parts.append(scores(rng, gains).assign(machine=machine))
    table = pd.concat(parts, ignore_index=True)
    known = pd.DataFrame({"explained": [1.0, 4.0, 5.0, 2.0]}, index=["m1", "m2", "m3", "m4"])
    omega = phase.rules(table, known, "s1").set_index("choice")["omega"]
    assert omega["rule, leave-one-machine-out"] == omega["label oracle per machine"]
    assert omega["label oracle per machine"] > omega["always AdaSub"]
    assert len(omega) == 4


def test_features_come_from_training_clips_alone(study_of, rng, tmp_path):
    params, source = study_of(coherent(rng, lambda i: 0.5))
    (before,) = phase.features(params, source).to_dict("records")
    assert before["explained"] > 3
    assert before["transfer"] == pytest.approx(-6, abs=1)
    assert before["steadiness"] < 0
    for path in (tmp_path / "data" / "fan" / "test").iterdir():
        path.unlink()
    assert phase.features(params, source).to_dict("records") == [before]
