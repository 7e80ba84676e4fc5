"""Stages: each recording is read once, and keys hold what can change a number."""

import collections
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import SMALL, machine_folder, small_params

import asdlib
from asdlib import dataset, frontends, params, study
from asdlib.io import store
from asdlib.study import costs, detectors, scores, stages, variants, views, walk


@pytest.fixture
def tiny(tmp_path, rng):
    root = machine_folder(tmp_path / "data", rng, train=6, domains=("source", "target"))
    return params.load({**SMALL, "data": str(root), "results": str(tmp_path / "results")})


@pytest.fixture
def reads(monkeypatch):
    """How often each file is read after the check."""
    counted, read = collections.Counter(), dataset.read

    def watched(path, *rest, **named):
        counted[Path(path)] += 1
        return read(path, *rest, **named)

    monkeypatch.setattr(dataset, "read", watched)
    return counted


def test_a_recording_is_read_once_for_a_study_and_its_variants(tiny, reads):
    """Training clips once more, for the noise floors of all front-ends together."""
    own = params.load(tiny, scorers=[*tiny.scorers, "lsada/fine"])
    study.everything(own, study.open_recordings(own))
    assert len(variants.studies(own)) > 5
    assert {reads[path] for path in Path(own.data).rglob("test/*.wav")} == {1}
    assert {reads[path] for path in Path(own.data).rglob("train/*.wav")} == {2}
    reads.clear()
    own = params.load(own, scorers=[*own.scorers, "mean", "far/fine"])
    study.run(own)  # the noise floors are there
    assert set(reads.values()) == {1}


def test_what_memory_does_not_hold_is_read_again(tiny, tmp_path, reads, monkeypatch):
    few = params.load(tiny, scorers=["eq1", "pm"], baseline=False)
    whole = study.run(few)
    reads.clear()
    monkeypatch.setattr(scores, "MOST_FRAMES", 1.0)
    less = params.load(few, results=str(tmp_path / "less"))
    assert study.run(less).equals(whole)
    assert {reads[path] for path in Path(few.data).rglob("test/*.wav")} == {4}


def test_shared_frames_are_those_of_a_front_end_alone(tiny):
    clips = study.open_recordings(tiny).clips("fan")
    denoise = variants.objective(tiny, "denoise")
    tasks = [stages.Task(own, clips, "adasub") for own in (tiny, denoise)]
    tasks.append(stages.Task(tiny, clips, "gatedlsada"))
    clips = clips[clips["split"] == "train"]
    shared = list(walk.walk(tiny, [stages.branch_of(task) for task in tasks], clips))
    for column, task in enumerate(tasks):
        alone = next(walk.walk(task.params, [stages.branch_of(task)], clips))[0]
        assert alone.dtype == np.float32
        assert (alone == shared[0][column]).all()
    assert (shared[0][0] == shared[0][1][:, : tiny.spectra.n_mels]).all()


def test_floors_are_those_that_a_front_end_takes_itself(tiny):
    clips = study.open_recordings(tiny).clips("fan")
    train = clips[clips["split"] == "train"]
    spectra = [walk.stft(x, tiny.spectra) for x in dataset.read_all(train, tiny.spectra)]
    for name in ("adasub", "lsada"):
        alone = frontends.FRONT_ENDS[name](tiny.denoising).fit(spectra)
        fitted = walk.front_end(tiny, clips, name)
        assert (alone.floors.near == fitted.floors.near).all()
        assert (alone.floors.far == fitted.floors.far).all()
    fine = views.fitted(views.View(tiny, clips, "adasub", "fine"))
    assert len(fine.front_end.floors.near) == tiny.spectra.n_fft + 1


EDITS = [  # file, text, what replaces it, and whether frames and models are computed anew
    ("io/wav.py", "always_2d=True", "always_2d=False", True),  # decoding
    ("pipeline.py", "np.hstack(", "np.vstack(", True),  # joining of steps
    ("study/stages.py", "standardise(raw.values, out=raw.values)", "raw.values", True),
    ("frontends.py", "np.maximum(clean, ", "np.minimum(clean, ", True),
    ("frontends.py", "import scipy.signal\n", "import scipy.signal\nimport json\n", False),
    ("spectra.py", "# what follows runs along time", "# anything", False),
    ("study/stages.py", '"""Standardised frames of', '"""All frames of', False),
    ("frontends.py", "has no noise floors yet", "lacks its floors", False),  # raised
    ("scoring.py", "(1 - alpha) * distance", "alpha * distance", False),  # scores only
]


def test_keys_hold_the_code_that_can_change_a_number(tmp_path):
    here, package = Path(asdlib.__file__).parent, tmp_path / "asdlib"
    shutil.copytree(here, package, ignore=shutil.ignore_patterns("__pycache__", "report"))

    def codes():
        names = ("study.stages", "study.scores")
        return [store.code.__wrapped__(name, package=package) for name in names]

    before = codes()
    assert before == [store.code("study.stages"), store.code("study.scores")]
    for file, old, new, counts in EDITS:
        text = (package / file).read_text("utf-8")
        assert old in text, file
        (package / file).write_text(text.replace(old, new), "utf-8")
        models, scored = (own != other for own, other in zip(codes(), before, strict=True))
        assert models == counts, (file, old)
        assert scored == (counts or file == "scoring.py"), (file, old)
        (package / file).write_text(text, "utf-8")


def test_other_code_computes_again(tiny, monkeypatch):
    recordings = study.open_recordings(tiny)
    task, view = (
        study.tasks(tiny, recordings)[0],
        views.View(tiny, recordings.clips("fan"), "near", "pm"),
    )

    def names():
        return {*scores.files(task), stages.model_folder(task), views.scores_file(view)}

    before = names()
    assert before == names()
    monkeypatch.setattr(store, "code", lambda *modules: "other")
    assert not before & names()


def test_the_forecast_is_nothing_when_all_is_done(trained, tmp_path):
    recordings = study.open_recordings(trained)
    before = study.forecast(params.load(trained, results=str(tmp_path / "empty")), recordings)
    # tasks of the study, of chapters 06 and 08, of chapter 07; views
    tasks, views = 5 + 1 + 1 + 1 + 7 + 2 + 1, len(detectors.wanted(trained))
    assert before.units == 2 * (tasks + views)
    assert min(before.seconds, before.memory, before.disk) > 0
    assert "units to compute: about" in str(before)
    after = study.forecast(trained, recordings)
    assert after == costs.Cost()
    assert str(after) == "Everything is computed already."


def test_the_forecast_counts_only_what_is_missing_of_any_kind(tiny):
    recordings = study.open_recordings(tiny)
    main = params.load(tiny, extras=[], front_ends=["near"], baseline=False, scorers=["eq1"])
    assert study.forecast(main, recordings).units == 1
    study.run(main, recordings=recordings)
    more = params.load(main, scorers=["eq1", "mean"])
    assert study.forecast(more, recordings).units == 1
    assert study.forecast(more, recordings).disk == 0  # the weights are there
    untrained = params.load(main, scorers=["pm", "near/psd"])
    found = study.forecast(untrained, recordings)
    assert (found.units, found.disk) == (2, 0)
    assert found.seconds > 0


def test_the_forecast_grows_with_epochs_and_clips(tiny):
    recordings = study.open_recordings(tiny)
    (task, *_) = study.tasks(tiny, recordings)
    longer = task.params.training.model_copy(update={"epochs": 200})
    params_ = task.params.model_copy(update={"training": longer})
    again = stages.Task(params_, task.clips, task.front_end)
    assert costs._steps(again) == pytest.approx(100 * costs._steps(task))
    assert scores.frames_bytes(task) == pytest.approx(len(task.clips) * 16000 / 512 * 16 * 4)


def test_two_training_clips_are_enough_to_forecast(tmp_path, rng):
    root = machine_folder(tmp_path / "data", rng, train=2)
    own = small_params(tmp_path, data=str(root))
    assert study.forecast(own, study.open_recordings(own)).seconds > 0
