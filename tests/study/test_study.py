import json
import os
import pickle
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import SMALL, two_channels, two_machines, write_wav

from asdlib import dataset, params, study
from asdlib.compare import systems
from asdlib.compare.statistics import Results
from asdlib.guard import PerClip, rederive
from asdlib.io import kept
from asdlib.params import AsdError
from asdlib.runtime import hardware
from asdlib.study import everything, unit

TINY = {**SMALL, "name": "tiny"}


@pytest.fixture
def data_folder(tmp_path):
    return two_machines(tmp_path / "data")


@pytest.fixture
def tiny(tmp_path, data_folder):
    return params.load({**TINY, "data": str(data_folder), "results": str(tmp_path / "results")})


def files(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_the_table_holds_every_clip_of_every_system(trained):
    table = study.run(trained)
    assert list(table.columns) == unit.COLUMNS
    clips = {"fan": 16, "valve": 17}
    rows = table.groupby(["machine", "front_end", "scorer", "seed"]).size().unstack("machine")
    # five front-ends with four views, the baseline with its scores and eq. 1, and two more views
    assert len(rows) == 5 * 6 * 2 + 4 * 2 + 5 * 4 + 2
    assert (rows["fan"] == clips["fan"]).all()
    assert (rows["valve"] == clips["valve"]).all()
    assert np.isfinite(table["score"]).all()


def test_a_second_run_computes_nothing_and_gives_the_same(trained, monkeypatch):
    first = study.run(trained)
    monkeypatch.setattr("asdlib.training.train", None)
    pd.testing.assert_frame_equal(first, study.run(trained))


def test_the_table_is_merged_once_for_the_same_scores(trained, monkeypatch):
    first = study.run(trained)
    monkeypatch.setattr("asdlib.study.grid._merged", None)
    pd.testing.assert_frame_equal(first, study.run(trained), check_exact=True)
    for other in ({"scoring": {"quantile": 0.5}}, {"front_ends": ["adasub", "near"]}):
        with pytest.raises(TypeError, match="NoneType"):
            study.run(params.load(trained, **other))


def test_scores_that_are_computed_elsewhere_are_merged_again(trained):
    first = study.run(trained)
    one = study.units(trained, study.open_recordings(trained))[1]
    scores = kept.table(one.scores_file)
    kept.write_table(scores.assign(A=scores["A"] * 1.001), one.scores_file)
    again = study.run(trained)
    changed = (first["score"] != again["score"]).groupby(first["machine"]).sum()
    assert changed[one.machine] > 0
    assert changed.sum() == changed[one.machine]


def test_machines_are_looked_up_in_one_pass(trained):
    recordings = study.open_recordings(trained)
    for machine in recordings.machines:
        own = recordings.manifest[recordings.manifest["machine"] == machine]
        pd.testing.assert_frame_equal(recordings.clips(machine), own)
    assert recordings.clips("nowhere").columns.equals(recordings.manifest.columns)
    assert recordings.clips("nowhere").empty


def test_two_runs_from_nothing_give_the_same_bytes(tiny, tmp_path):
    study.run(tiny)
    other = params.load(tiny, results=str(tmp_path / "again"))
    study.run(other)
    ours = {k: v for k, v in files(tmp_path / "results").items() if "checked" not in k}
    theirs = {k: v for k, v in files(tmp_path / "again").items() if "checked" not in k}
    assert ours == theirs


def test_new_scorers_and_new_test_clips_do_not_train_again(trained, rng, monkeypatch):
    study.run(params.load(trained, scorers=["eq1"]))
    monkeypatch.setattr("asdlib.training.train", None)
    more = study.run(params.load(trained, scorers=["eq1", "s1", "mean"], baseline=False))
    assert set(more["scorer"]) == {"eq1", "s1", "mean"}
    name = "section_00_source_test_normal_0077_noAttribute.wav"
    write_wav(Path(trained.data) / "fan/test" / name, two_channels(rng))
    assert name in set(study.run(trained)["name"])


def test_other_constants_or_training_clips_train_again(trained, rng):
    before = {u.folder for u in study.units(trained, study.open_recordings(trained))}
    changed = params.load(trained, denoising={"beta": 0.2})
    assert not before & {u.folder for u in study.units(changed, study.open_recordings(changed))}
    name = "section_00_source_train_normal_0077_noAttribute.wav"
    write_wav(Path(trained.data) / "fan/train" / name, two_channels(rng))
    after = {u.folder for u in study.units(trained, study.open_recordings(trained))}
    assert len(before & after) == 5  # the other machine's


def test_combo_is_the_mean_of_its_parts(trained):
    table = study.run(trained).set_index(["machine", "scorer", "seed", "name"])
    score = {f: rows["score"].sort_index() for f, rows in table.groupby("front_end")}
    assert np.allclose(score["combo"], (score["adasub"] + score["cohgate"]) / 2)


def test_standardised_training_scores_centre_on_zero(trained):
    table = study.run(trained)
    train = table[(table["split"] == "train") & (table["front_end"] != "combo")]
    assert "baseline" in set(train["front_end"])
    means = train.groupby(["machine", "front_end", "scorer", "seed"])["score"].mean()
    assert np.abs(means).max() < 1e-6


def test_killed_in_the_middle_it_goes_on_to_the_same_bytes(tiny, tmp_path):
    slow = tiny.model_dump(mode="json") | {
        "training": {"epochs": 12, "batch_size": 16, "checkpoint_seconds": 0},
        "front_ends": ["near", "adasub"],
    }
    script = "import json, sys; from asdlib import study; study.run(json.loads(sys.argv[1]))"
    cut = slow | {"results": str(tmp_path / "cut")}
    process = subprocess.Popen([sys.executable, "-c", script, json.dumps(cut)])
    deadline = time.monotonic() + 60
    while not list((tmp_path / "cut").rglob("checkpoint.safetensors")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    units = study.units(params.load(cut), study.open_recordings(params.load(cut)))
    assert not all(unit.done for unit in units)
    interrupted = study.run(cut)
    whole = study.run(slow | {"results": str(tmp_path / "whole")})
    assert interrupted.to_csv() == whole.to_csv()


def test_a_bad_file_stops_everything_before_training(tiny, data_folder, monkeypatch):
    monkeypatch.setattr("asdlib.training.train", None)
    (data_folder / "valve/test/section_00_source_test_normal_0050_a.wav").write_bytes(b"")
    (data_folder / "fan/train/section_00_source.wav").write_bytes(b"")
    with pytest.raises(dataset.Problems) as error:
        study.run(tiny)
    assert len(error.value.sentences) == 2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"front_ends": ["nope"]}, "Unknown front-end 'nope'"),
        ({"scorers": ["nope"]}, "Unknown scorer 'nope'"),
        ({"machines": ["pump"]}, "no machine pump; it holds fan, valve"),
        ({"data": "nowhere"}, "no such folder"),
    ],
)
def test_bad_parameters_are_one_sentence(tiny, change, sentence):
    with pytest.raises(AsdError, match=sentence):
        study.run(params.load(tiny, **change))


def test_ladder_and_systems_from_one_table(trained):
    table = study.run(trained)
    results = Results(table)
    assert len(results.per_seed) == (5 * 6 + 4) * 2 + 5 * 4 + 2
    assert len(results.ensembles) == 5 * 6 + 4 + 5 * 4 + 2
    assert results.per_seed["omega"].between(0, 1).all()
    assert results.ensembles["omega"].between(0, 1).all()
    selected = systems.SYSTEMS[3].members(results.per_seed)
    assert len(selected) == 4  # two front-ends with two seeds: fewer than ten models
    applied = systems.apply(systems.SYSTEMS[0], results, 0.9)
    assert applied.members == [("adasub", "s1", 0), ("adasub", "s1", 1)]
    assert set(applied.scored) == {"fan", "valve"}
    fan = applied.scored["fan"]
    assert isinstance(fan.scores, PerClip)
    clips = applied.clips
    own = clips[(clips["machine"] == "fan") & (clips["split"] == "train")]["score"]
    assert fan.threshold == pytest.approx(np.quantile(own, 0.9))
    decided = dict(fan.decisions.items())
    assert decided == {name: score > fan.threshold for name, score in fan.scores.items()}
    assert applied.evaluate()["omega"].to_dict() == pytest.approx(
        systems.omega_by_machine({"S1": applied}).loc["S1", ["fan", "valve"]].to_dict()
    )


def test_selection_takes_the_best_models():
    per_seed = pd.DataFrame(
        {
            "front_end": ["adasub"] * 10 + ["refsub"] * 10,
            "scorer": "s1",
            "seed": [*range(10)] * 2,
            "omega": np.linspace(0.5, 0.7, 20),
        }
    )
    chosen = systems.SYSTEMS[3].members(per_seed)
    assert set(chosen) == {("refsub", "s1", seed) for seed in range(10)}
    none = systems.SYSTEMS[3].members(per_seed.assign(omega=np.nan))
    assert none == []
    why = systems.SYSTEMS[3].missing_reason(per_seed.assign(omega=np.nan))
    assert why == "S4 chooses its models by a development Ω, which these labels lack."


def test_a_system_without_its_front_end_says_so(tiny):
    few = params.load(tiny, front_ends=["adasub"], scorers=["s1"], baseline=False)
    per_seed = Results(study.run(few)).per_seed
    lacking = [system.missing_reason(per_seed) for system in systems.SYSTEMS]
    assert lacking == [
        "",
        "S2 needs refsub with the scorer s1, which was not run.",
        "S3 needs combo with the scorer eq1, which was not run.",
        "S4 needs refsub with the scorer s1, which was not run.",
        "S5 needs near and adasub with the scorer fine and adals with the scorer "
        "pmsd, which was not run.",
    ]
    assert systems.SYSTEMS[3].members(per_seed) == []


def test_a_clip_scored_alone_from_its_file_is_the_same_bytes(trained):
    results = Results(study.run(trained))
    recordings = study.open_recordings(trained)
    score = study.score_alone(trained, recordings, "valve")
    for system in systems.SYSTEMS:
        applied = systems.apply(system, results, 0.9)
        assert applied.members
        alone = partial(systems.scored_alone, score, applied.members, system.fusion)
        rederive(alone, applied.scored["valve"].scores)
    other = next(iter((Path(trained.data) / "valve" / "test").iterdir()))
    write_wav(other, two_channels(np.random.default_rng(5)))
    again = study.score_alone(trained, recordings, "valve")
    for model in (("adasub", "s1", 0), ("adals", "pmsd", 0)):
        with pytest.raises(AsdError, match=f"{other.name}: the file has changed since it was"):
            again(model, other.name)


def test_a_combination_needs_a_scorer_that_its_parts_share(tiny):
    """Views of single front-ends are no parts of a combination."""
    for scorers in (["adasub/fine"], ["adasub/fine", "cohgate/pm"]):
        few = params.load(tiny, front_ends=["combo"], scorers=scorers, baseline=False)
        assert "combo" not in set(study.run(few)["front_end"])
    both = params.load(tiny, front_ends=["combo"], scorers=["pm"], baseline=False)
    table = study.run(both).set_index(["machine", "name"])
    score = {name: rows["score"].sort_index() for name, rows in table.groupby("front_end")}
    assert np.allclose(score["combo"], (score["adasub"] + score["cohgate"]) / 2)


def test_scores_are_the_same_bytes_on_one_thread_and_on_two(tiny, tmp_path):
    """Weights are shared; features, statistics and scores are computed anew."""
    wide = tiny.model_dump(mode="json") | {
        "autoencoder": {"width": 64, "blocks": 1, "bottleneck": 4},
        "spectra": {"n_mels": 64},
        "front_ends": ["adasub"],
        "scorers": ["eq1", "s1", "ledoit_wolf", "flow", "knn"],
    }
    script = "import json, sys; from asdlib import study; study.run(json.loads(sys.argv[1]))"
    tables = []
    for threads in ("1", "2", "5"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-c", script, json.dumps(wide)]
        subprocess.run(command, check=True, env=environment)
        files = sorted((tmp_path / "results" / "units").rglob("scores*.parquet"))
        tables.append(pd.concat([pd.read_parquet(file) for file in files]))
        for file in [*files, *(tmp_path / "results" / "floors").iterdir()]:
            file.unlink()
    assert len(tables[0]) == 5 * 2 * 33 + 4 * 2 * 33
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0], check_exact=True)


def test_scores_tell_what_they_were_computed_on(trained, monkeypatch):
    study.run(trained)
    recordings = study.open_recordings(trained)
    assert study.made_elsewhere(trained, recordings) == ""
    here = hardware.describe("cpu")
    monkeypatch.setattr("asdlib.runtime.hardware.describe", lambda wanted: "torch 9 on the moon")
    assert study.made_elsewhere(trained, recordings) == here


def test_models_that_were_trained_apart_are_named(tiny, monkeypatch, capsys):
    few = params.load(tiny, front_ends=["near"], scorers=["eq1"], extras=[])
    recordings = study.open_recordings(few)
    assert study.trained_apart(few, recordings) == ""
    first, *rest = study.units(few, recordings)
    here = hardware.describe_training("cpu")
    monkeypatch.setattr(
        "asdlib.runtime.hardware.describe_training", lambda wanted: f"{here} of a cluster"
    )
    first.compute()
    monkeypatch.undo()
    everything.compute(few, recordings)
    told = capsys.readouterr().err
    assert f"Trained on {here}: {len(rest)} units." in told
    assert f"On {here} of a cluster: {first.folder.name}." in told
    table = study.inventory(few, recordings)
    assert table["trained by"].tolist() == [f"{here} of a cluster", *[here] * len(rest)]


def test_a_training_that_diverges_names_machine_system_seed_and_epoch(tiny):
    wild = params.load(tiny, training={"learning_rate": 1e30, "epochs": 2}, front_ends=["near"])
    with pytest.raises(AsdError) as error:
        study.run(params.load(wild, baseline=False))
    assert str(error.value).startswith(
        "fan with near: The training of seeds 0, 1 diverged: the loss of epoch "
    )


@pytest.mark.parametrize("length", [2048, 4000])
def test_equal_clips_of_any_length_are_an_answer_or_a_sentence(tmp_path, rng, length):
    for name in ("train/a", "train/b", "test/c"):
        signal = two_channels(np.random.default_rng(name == "test/c"), length / 16000)
        write_wav(tmp_path / "data/pump" / f"{name}.wav", signal)
    scorers = ["eq1", "s1", "ledoit_wolf", "flow", "knn", "pmsd", "near/psd"]
    own = params.load(
        TINY, data=str(tmp_path / "data"), results=str(tmp_path / "results"), scorers=scorers
    )
    for standardise in ("gamma_z", "held_out"):
        chosen = params.load(own, scoring={"standardise": standardise}, front_ends=["near"])
        try:
            assert np.isfinite(study.run(chosen)["score"]).all()
        except AsdError as error:
            told = str(error)
            assert "seed 0: Standardising needs positive finite training scores" in told
            assert "the training clips are all the same" in told


def test_other_code_computes_again(tiny, monkeypatch):
    recordings = study.open_recordings(tiny)
    before = study.units(tiny, recordings)[0]
    assert before.folder == study.units(tiny, recordings)[0].folder
    scores = before.scores_file.name
    monkeypatch.setattr(unit, "code_digest", lambda *roots: "other")
    after = study.units(tiny, recordings)[0]
    assert after.folder != before.folder
    assert after.scores_file.name != scores


def test_a_unit_that_travels_makes_its_own_keys(tiny, monkeypatch):
    here = study.units(tiny, study.open_recordings(tiny))[0]
    assert here.folder
    monkeypatch.setattr(unit, "code_digest", lambda *roots: "other")
    assert pickle.loads(pickle.dumps(here)).folder != here.folder


def test_the_official_threshold_rule_is_told_beside_the_one_over_clips(trained):
    study.run(trained)
    table = study.official_thresholds(trained, study.open_recordings(trained))
    assert table["rule"].tolist() == ["minibatch losses", "clip scores"] * 2
    assert table[["training", "normal", "anomaly"]].stack().between(0, 1).all()
    without = params.load(trained, baseline=False)
    assert study.official_thresholds(without, study.open_recordings(without)).empty


def test_gamma_normal_is_read_from_the_same_scores(trained, monkeypatch):
    plain = study.run(trained)
    monkeypatch.setattr("asdlib.study.unit.Unit.compute", None)
    normal = study.run(params.load(trained, scoring={"standardise": "gamma_normal"}))
    keys = ["machine", "front_end", "scorer", "seed"]
    both = plain[plain["front_end"] != "combo"].merge(normal, on=[*keys, "name"])
    assert not np.allclose(both["score_x"], both["score_y"])
    ranks = both.groupby(keys)[["score_x", "score_y"]].rank()
    assert np.array_equal(ranks["score_x"], ranks["score_y"])


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_clip_that_changes_after_the_check_leaves_nothing(tiny, data_folder, rng, split):
    undisturbed = study.run(params.load(tiny, results=str(data_folder.parent / "other")))
    recordings = study.open_recordings(tiny)
    clip = next(iter((data_folder / "fan" / split).iterdir()))
    own = clip.read_bytes()
    for other in (two_channels(rng), np.full((16000, 2), np.nan)):
        write_wav(clip, other, subtype="FLOAT")
        with pytest.raises(AsdError, match=f"{clip.name}: the file has changed"):
            study.run(tiny, recordings=recordings)
        assert not list((data_folder.parent / "results").rglob("scores.*.parquet"))
        if split == "train":
            assert not list((data_folder.parent / "results").rglob("model.safetensors"))
    clip.write_bytes(own)
    pd.testing.assert_frame_equal(study.run(tiny), undisturbed)
