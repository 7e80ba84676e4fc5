"""Detectors without training, taken apart: on made values, where the answer is known."""

import numpy as np
import pandas as pd
import pytest
from conftest import small_params, two_machines
from known_scores import HALF, OMEGA_OF_HALF, PERFECT, joined, rows

from asdlib import clipstats, pipeline, study
from asdlib.compare import statistics, untrained
from asdlib.compare.statistics import Results
from asdlib.compare.untrained import ViewValues
from asdlib.frontends import FRONT_ENDS
from asdlib.params import load

BANDS = 6


def made(rng, machine="fan", *, train=30, target=6, test=12, fault=lambda values: None):
    """Random statistics of a machine; ``fault`` changes (clip, statistic, band) of anomalies."""
    kinds = [("train", "source", "normal")] * train + [("train", "target", "normal")] * target
    for domain in ("source", "target"):
        for label in ("normal", "anomaly"):
            kinds += [("test", domain, label)] * test
    clips = pd.DataFrame(kinds, columns=["split", "domain", "label"])
    names = [f"clip {i:03d}" for i in range(len(clips))]
    clips = clips.assign(machine=machine, name=names, attributes="")
    values = rng.normal(size=(len(clips), 4, BANDS))
    anomalies = (clips["label"] == "anomaly").to_numpy()
    changed = values[anomalies]
    fault(changed)
    values[anomalies] = changed
    return ViewValues(machine, "pmsd", clips, values.reshape(len(clips), -1))


def louder(values):
    values[:, :2] += 9.0


def steadier(values):
    values[:, 2] += np.resize([9.0, -9.0], BANDS)


def tilted(values):
    values[:, :2] += np.resize([5.0, -5.0], BANDS)


def test_the_ablation_finds_the_statistic_that_carries_a_fault(rng):
    machines = [made(rng, "fan", fault=steadier), made(rng, "pump", fault=louder)]
    table = untrained.by_statistic(machines)
    assert list(table.index) == ["fan", "pump", "overall"]
    assert list(table.columns) == ["p", "m", "s", "d", "pm", "pms", "pmsd"]
    assert table.loc["fan", ["s", "pms", "pmsd"]].tolist() == [1, 1, 1]
    assert (table.loc["fan", ["p", "m", "d", "pm"]] < 0.75).all()
    assert table.loc["pump", ["p", "m", "pm", "pms", "pmsd"]].tolist() == [1] * 5
    assert (table.loc["pump", ["s", "d"]] < 0.75).all()


def test_a_fault_of_the_level_is_found_by_the_level_alone(rng):
    table = untrained.by_level([made(rng, fault=louder), made(rng, "pump", fault=tilted)])
    assert list(table.columns) == ["with level", "level-free", "level alone"]
    assert table.loc["fan", ["with level", "level alone"]].tolist() == [1, 1]
    assert table.loc["fan", "level-free"] < 0.75
    assert table.loc["pump", ["with level", "level-free"]].tolist() == [1, 1]
    assert table.loc["pump", "level alone"] < 0.75
    omegas = table.loc[["fan", "pump"], "level-free"]
    assert table.loc["overall", "level-free"] == pytest.approx(2 / (1 / omegas).sum())


def test_a_gain_of_the_test_clips_costs_nothing_without_level(rng):
    own = made(rng, fault=tilted)
    loud, free = untrained.louder(own, 60.0), untrained.level_free(own)
    blocks = free.values.reshape(-1, 4, BANDS)
    np.testing.assert_allclose(blocks[:, :2].mean(axis=2), 0, atol=1e-14)
    assert (blocks[:, 2:] == own.values.reshape(-1, 4, BANDS)[:, 2:]).all()
    np.testing.assert_allclose(untrained.level_free(loud).values, free.values, rtol=0, atol=1e-12)
    assert (loud.values[own.train] == own.values[own.train]).all()
    omegas = [untrained.evaluate([one])["overall"] for one in (own, free, loud)]
    assert omegas[:2] == [1, 1]
    assert omegas[2] < 0.95  # normal clips lie far away as well
    spectrum = ViewValues("fan", "", own.clips, own.values)  # names no statistics
    for change in (untrained.level_free, lambda one: untrained.louder(one, 6.0)):
        assert (change(spectrum).values == own.values).all()


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_a_front_end_scales_with_its_input(rng, name):
    """So a gain of a recording is an addition to p and m, and to nothing else."""
    clips = (0.1 * rng.normal(size=(4, 2, 8000))).astype(np.float32)
    for kind, letters in (("mel", "pmsd"), ("fine", "pmsd"), ("psd", "")):
        front_end = FRONT_ENDS[name]()
        front_end.fit([pipeline.stft(clip, clipstats.sizes(kind)) for clip in clips[1:]])
        quiet, loud = (
            pipeline.statistics(gain * clips[0], kind, front_end)[None].astype(float)
            for gain in (np.float32(1), np.float32(10 ** (6 / 20)))
        )
        clip = pd.DataFrame({"split": ["test"], "label": ["normal"]})
        shifted = untrained.louder(ViewValues("fan", letters, clip, quiet), 6.0)
        np.testing.assert_allclose(loud, shifted.values, atol=2e-3)


def test_training_clips_are_taken_evenly_and_those_of_the_target_are_kept(rng):
    own = made(rng, train=10, target=3)
    shuffled = own.clips["name"].to_numpy().copy()
    shuffled[:10] = shuffled[:10][::-1]
    own = ViewValues(own.machine, "pmsd", own.clips.assign(name=shuffled), own.values)
    few = untrained.fewer(own, 5)
    assert few.clips.index[few.train].tolist() == [1, 3, 5, 7, 9, 10, 11, 12]
    assert (few.values == own.values[few.clips.index]).all()
    assert untrained.fewer(own, 99).clips.equals(own.clips)


def test_the_curve_ends_at_all_clips(rng):
    machines = [made(rng, train=30), made(rng, "pump", train=24)]
    curve = untrained.learning_curve(machines, counts=(2, 10, 30, 50))
    assert curve.index.tolist() == [2, 10, 30]
    assert curve.loc[30].to_dict() == untrained.evaluate(machines).to_dict()
    assert (curve.loc[10] != curve.loc[30]).all()


@pytest.fixture(scope="module")
def own_study(tmp_path_factory):
    """A study of two machines without an autoencoder."""
    folder = tmp_path_factory.mktemp("untrained")
    own = {"data": str(two_machines(folder / "data")), "front_ends": ["near"], "baseline": False}
    params = small_params(folder, **own, scorers=["pmsd", "near/psd", "adasub/pm"])
    recordings = study.open_recordings(params)
    return params, recordings, statistics.results(params, recordings)


def test_all_clips_give_the_studys_own_omega(own_study):
    params, recordings, results = own_study
    whole = results.per_seed.set_index(["front_end", "scorer"])["omega"]
    machines = untrained.view_values(params, recordings, "near", "pmsd")
    assert untrained.evaluate(machines)["overall"] == whole["near", "pmsd"]
    assert untrained.learning_curve(machines)["overall"].iloc[-1] == whole["near", "pmsd"]
    assert untrained.by_statistic(machines).loc["overall", "pmsd"] == whole["near", "pmsd"]
    gains = untrained.by_gain(params, recordings, "near")
    assert gains["scorer"].tolist() == ["pmsd", "pmsd", "psd"]
    assert gains["level_free"].tolist() == [False, True, False]
    assert gains[0.0].tolist()[::2] == [whole["near", "pmsd"], whole["near", "psd"]]
    assert gains[6.0].tolist()[1:] == gains[-6.0].tolist()[1:] == gains[0.0].tolist()[1:]
    fan, valve = machines
    assert (fan.machine, fan.test.sum(), fan.train.sum(), valve.machine) == ("fan", 8, 8, "valve")


def test_a_study_without_autoencoders_has_nothing_to_compare_with(own_study):
    _, _, results = own_study
    compared = untrained.against_autoencoders(results)
    assert compared["system"].tolist() == [("near", "pmsd"), ("near", "psd"), ("adasub", "pm")]
    assert not compared["trained"].any()
    assert compared["mean"].isna().all()
    assert untrained.autoencoder_gain(results, compared).empty


def test_why_nothing_can_be_looked_into_is_said(own_study):
    params, recordings, _ = own_study
    assert untrained.missing_reason(params, recordings) == ""
    source = recordings.manifest.query("domain == 'source'")
    one = study.Recordings(recordings.root, source, "", False)
    for chosen, known, why in (
        (load({"front_ends": ["near"], "scorers": ["eq1"]}), recordings, "No detector without tr"),
        (load({"scorers": ["near/pm"]}), recordings, "with no front-end"),
        (params, one, "Ω cannot be computed from the labels"),
    ):
        assert why in untrained.missing_reason(chosen, known)
    for scorers, name in (
        (["near/pmsd", "adals/pmsd"], "adals"),
        (["lsa/pmsd", "near/pmsd"], "lsa"),
    ):
        assert untrained.front_end(load({"scorers": scorers})) == name


@pytest.fixture
def scored():
    """An autoencoder that is half right, one that is right at one seed, and views; S5 is right."""
    return joined(
        rows("fan", "adasub", "eq1", {3: HALF, 7: HALF}),
        rows("fan", "near", "mse", {3: PERFECT, 7: HALF}),
        rows("fan", "checkedsub", "fine", {0: PERFECT}, train=[0.0, 1.0]),
        rows("fan", "checkedls", "pmsd", {0: HALF}, train=[0.0, 1.0]),
    )


def test_detectors_stand_beside_the_best_autoencoders(scored):
    compared = untrained.against_autoencoders(Results(scored))
    shown = ["checkedsub/fine", "checkedls/pmsd", "S5/fused", "near/mse", "adasub/eq1"]
    assert compared["system"].map("/".join).tolist() == shown
    assert compared["trained"].tolist() == [False] * 3 + [True] * 2
    gain = 1 - OMEGA_OF_HALF
    assert compared["omega"].tolist() == pytest.approx([1, 1 - gain, 1, 1 - gain / 2, 1 - gain])
    expected = pytest.approx([gain, 0, gain, gain / 2, np.nan], nan_ok=True)
    assert compared["mean"].tolist() == expected
    assert compared["low"].tolist()[0] == pytest.approx(gain)  # no other clips can be drawn
    # equal seeds leave no p value, so the difference is not sure over seeds
    assert compared["verdict"].tolist()[1:3] == ["no robust difference"] * 2
    names = ("s1", "dm", "p95", "eq1")
    more = [rows("fan", "near", name, {3: PERFECT, 7: PERFECT}) for name in names]
    compared = untrained.against_autoencoders(Results(joined(scored, *more)))
    shown = ["near/s1", "near/dm", "near/p95", "adasub/eq1"]
    assert compared.loc[compared["trained"], "system"].map("/".join).tolist() == shown


def test_where_the_autoencoder_is_better_is_told_by_machine(scored):
    second = [
        rows("valve", "adasub", "eq1", {3: PERFECT, 7: PERFECT}),
        rows("valve", "near", "mse", {3: HALF, 7: HALF}),
        rows("valve", "checkedsub", "fine", {0: HALF}, train=[0.0, 1.0]),
        rows("valve", "checkedls", "pmsd", {0: HALF}, train=[0.0, 1.0]),
    ]
    results = Results(joined(scored, *second))
    compared = untrained.against_autoencoders(results)
    gained = untrained.autoencoder_gain(results, compared)
    assert gained["autoencoder"].tolist() == [("adasub", "eq1")] * 2
    assert gained["untrained"].tolist() == [("checkedsub", "fine")] * 2
    assert gained["machine"].tolist() == ["fan", "valve"]
    assert gained["gain"].tolist() == pytest.approx([OMEGA_OF_HALF - 1, 1 - OMEGA_OF_HALF])


def test_views_of_s5_stand_beside_those_without_the_check():
    views = {("checkedsub", "fine"): PERFECT, ("checkedls", "pmsd"): HALF, ("adals", "pmsd"): HALF}
    table = joined(*(rows("fan", *view, {0: own}) for view, own in views.items()))
    found = untrained.by_view(Results(table)).set_index("system")
    assert found.index.tolist() == [("checkedsub", "fine"), ("checkedls", "pmsd"), ("S5", "fused")]
    assert found["omega"].tolist() == pytest.approx([1, OMEGA_OF_HALF, 1])
    assert found["unchecked"]["checkedls", "pmsd"] == pytest.approx(OMEGA_OF_HALF)
    assert found["unchecked"].isna().sum() == 2
    assert untrained.by_view(Results(table[table["scorer"] == "fine"])).empty
