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
from asdlib.study import costs, scores, stages, variants


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
    shared = list(stages.walk(tiny, [stages.branch_of(task) for task in tasks], clips))
    for column, task in enumerate(tasks):
        alone = next(stages.walk(task.params, [stages.branch_of(task)], clips))[0]
        assert alone.dtype == np.float32
        assert (alone == shared[0][column]).all()
    assert (shared[0][0] == shared[0][1][:, : tiny.spectra.n_mels]).all()


def test_floors_are_those_that_a_front_end_takes_itself(tiny):
    clips = study.open_recordings(tiny).clips("fan")
    train = clips[clips["split"] == "train"]
    spectra = [stages.stft(x, tiny.spectra) for x in dataset.read_all(train, tiny.spectra)]
    for name in ("adasub", "lsada"):
        alone = frontends.FRONT_ENDS[name](tiny.denoising).fit(spectra)
        fitted = stages.front_end(tiny, clips, name)
        assert (alone.floors.near == fitted.floors.near).all()
        assert (alone.floors.far == fitted.floors.far).all()
    fine = scores.fitted_view(stages.untrained(tiny, clips, "adasub", "fine"))
    assert len(fine.front_end.floors.near) == tiny.spectra.n_fft + 1


CODES = ("stages", "models", "scores")
NOTHING, SCORES, MODELS, FRAMES = (), ("scores",), ("models", "scores"), CODES
EDITS = [  # file, text, what replaces it, and what is computed anew
    ("io/wav.py", "always_2d=True", "always_2d=False", FRAMES),  # decoding
    ("pipeline.py", "np.hstack(", "np.vstack(", FRAMES),  # joining of steps
    ("study/models.py", "standardise(raw.values, out=raw.values)", "raw.values", MODELS),
    ("training.py", "torch.randperm(", "torch.arange(", MODELS),
    ("frontends.py", "np.maximum(clean, ", "np.minimum(clean, ", FRAMES),
    ("frontends.py", "import scipy.special\n", "import scipy.special\nimport json\n", NOTHING),
    ("spectra.py", "# what follows runs along time", "# anything", NOTHING),
    ("study/models.py", '"""Standardised frames of', '"""All frames of', NOTHING),
    ("frontends.py", "has no noise floors yet", "lacks its floors", NOTHING),  # raised
    ("scoring.py", "(1 - alpha) * distance", "alpha * distance", SCORES),
]


def test_keys_hold_the_code_that_can_change_a_number(tiny, tmp_path, monkeypatch):
    here, package = Path(asdlib.__file__).parent, tmp_path / "copy" / "asdlib"
    shutil.copytree(here, package, ignore=shutil.ignore_patterns("__pycache__", "report"))

    def codes():
        return {n: store.code.__wrapped__(f"study.{n}", package=package) for n in CODES}

    view = stages.untrained(tiny, study.open_recordings(tiny).clips("fan"), "near", "pm")
    names = [scores.scores_file(view), stages.values_file(view), stages.model_folder(view)]
    before = codes()
    assert before == {name: store.code(f"study.{name}") for name in CODES}
    for file, old, new, anew in EDITS:
        text = (package / file).read_text("utf-8")
        assert old in text, file
        (package / file).write_text(text.replace(old, new), "utf-8")
        assert tuple(name for name, own in codes().items() if own != before[name]) == anew, file
        (package / file).write_text(text, "utf-8")
    monkeypatch.setattr(store, "code", lambda *modules: "other")
    other = [scores.scores_file(view), stages.values_file(view), stages.model_folder(view)]
    assert not set(names) & set(other)


def test_the_forecast_counts_only_what_is_missing_of_any_kind(tmp_path, rng):
    data = machine_folder(tmp_path / "data", rng, train=2)
    own = {"extras": [], "front_ends": ["near"], "baseline": False, "scorers": ["eq1"]}
    main = small_params(tmp_path, data=str(data), **own)
    recordings = study.open_recordings(main)
    before = study.forecast(main, recordings)
    assert before.units == 1
    assert min(before.seconds, before.memory, before.disk) > 0
    assert "1 unit to compute: about" in str(before)
    study.run(main, recordings=recordings)
    assert study.forecast(main, recordings) == costs.Cost()
    assert str(costs.Cost()) == "Everything is computed already."
    more = params.load(main, scorers=["eq1", "mean"])
    assert study.forecast(more, recordings).units == 1
    assert study.forecast(more, recordings).disk == 0  # the weights are there
    untrained = params.load(main, scorers=["pm", "near/psd"])
    found = study.forecast(untrained, recordings)
    assert (found.units, found.disk) == (2, 0)
    assert found.seconds > 0
    ideas = {"front_ends": ["adasub"], "scorers": ["eq1", "s1"], "extras": ["objectives"]}
    assert study.forecast(params.load(main, **ideas), recordings).units == 5  # and its variants
