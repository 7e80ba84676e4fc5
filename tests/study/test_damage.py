"""Whatever happens to a computed file: it is told, set aside and computed again, the same bytes."""

import shutil

import damaged
import numpy as np
import pandas as pd
import pytest
from conftest import machine_folder, small_params

from asdlib import study
from asdlib.io import kept
from asdlib.study import views

CHOSEN = {"front_ends": ["near", "adasub"], "scorers": ["eq1", "near/pm"], "extras": []}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small study, to be copied."""
    folder = tmp_path_factory.mktemp("computed")
    data = machine_folder(folder / "data", np.random.default_rng(0), domains=("source", "target"))
    study.run(small_params(folder, data=str(data), **CHOSEN))
    return folder


@pytest.fixture
def own(folder, tmp_path):
    """Parameters of a computed study of one's own."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return small_params(tmp_path, data=str(tmp_path / "data"), **CHOSEN)


def each(method, parts):
    """Call a method of every unit or view of a study."""
    return lambda own, recordings: [method(part) for part in parts(own, recordings)]


READ = {  # files, and what reads them again
    "floors/*": each(lambda unit: unit.own_floors(), study.units),
    "units/fan.near.*/model.*": lambda *study_of: (
        study.losses(*study_of),
        study.inventory(*study_of),
    ),
    "units/fan.adasub.*/model.*": each(lambda unit: unit.model(), study.units),
    "units/fan.near.*/scores.*": study.made_elsewhere,
    "units/fan.baseline.*/scores.*": study.official_thresholds,
    "statistics/*.safetensors": each(lambda view: view.values(), views.views),
    "statistics/*.parquet": study.remarks,
}


def held(folder):
    """Every computed file, but not those that were set aside."""
    files = (path for path in folder.rglob("*") if path.is_file())
    whole = {path: path.read_bytes() for path in files if path.suffix != kept.SET_ASIDE}
    return {path: content for path, content in whole.items() if "checked" not in path.name}


@pytest.mark.parametrize("how", damaged.KINDS)
@pytest.mark.parametrize("pattern", READ)
def test_a_damaged_file_is_computed_again_to_the_same_bytes(own, tmp_path, pattern, how, capsys):
    recordings, results = study.open_recordings(own), tmp_path / "results"
    undisturbed = held(results)
    (path,) = results.glob(pattern)
    damaged.damage(path, how)
    READ[pattern](own, recordings)
    study.run(own, recordings=recordings)  # scores go with their models
    assert capsys.readouterr().err.splitlines() == [
        f"{path}: damaged; it is set aside as {path.name}.damaged and computed again."
    ]
    again = held(results)
    assert again.keys() == undisturbed.keys()
    assert again == undisturbed


def test_all_files_damaged_at_once_are_as_good_as_none(own, tmp_path, capsys):
    table = study.run(own)
    undisturbed = study.inventory(own, study.open_recordings(own))
    files = [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
    for number, path in enumerate(files):
        damaged.damage(path, damaged.KINDS[number % len(damaged.KINDS)])
    pd.testing.assert_frame_equal(study.run(own), table)
    told = capsys.readouterr().err
    assert "checked-" in told
    assert len(told.splitlines()) == sum(told.count(f"{path}: damaged") for path in files)
    again = study.inventory(own, study.open_recordings(own))
    pd.testing.assert_frame_equal(again, undisturbed)
