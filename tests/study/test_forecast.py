"""What a study will take, foretold: nothing when all is done, more for more work."""

import pytest
from conftest import SMALL, machine_folder

from asdlib import params, study
from asdlib.study import forecast


@pytest.fixture
def tiny(tmp_path, rng):
    root = machine_folder(tmp_path / "data", rng, train=6, domains=("source", "target"))
    return params.load({**SMALL, "data": str(root), "results": str(tmp_path / "results")})


def test_it_is_nothing_when_all_is_done(trained, tmp_path):
    recordings = study.open_recordings(trained)
    nothing_done = params.load(trained, results=str(tmp_path / "empty"))
    before = forecast.forecast(nothing_done, recordings)
    # the study, chapters 06 and 08, chapter 07
    assert before["units"] == 2 * (5 + 1 + 1 + 1 + 7 + 2 + 1)
    assert min(before.values()) > 0
    assert "units to compute: about" in forecast.sentence(before)
    after = forecast.forecast(trained, recordings)
    assert set(after.values()) == {0}
    assert forecast.sentence(after) == "Everything is computed already."


def test_only_what_is_missing_is_counted(tiny):
    recordings = study.open_recordings(tiny)
    main = tiny.model_copy(update={"extras": (), "front_ends": ("near",), "baseline": False})
    before = forecast.forecast(main, recordings)
    study.run(main, recordings=recordings)
    more = main.model_copy(update={"scorers": ("eq1", "mean")})
    scored = forecast.forecast(more, recordings)
    assert scored["units"] == before["units"] == 1
    assert scored["disk"] == 0  # the weights are there


def test_a_cost_grows_with_clips_steps_and_memory_with_seeds(tiny):
    recordings = study.open_recordings(tiny)
    unit = study.units(tiny, recordings)[1]
    cost = forecast.Cost(1.0, 0.1, 0.01, 0.2)
    longer = unit.params.model_copy(
        update={"training": unit.params.training.model_copy(update={"epochs": 200})}
    )
    again = forecast.replace(unit, params=longer)
    steps = forecast._steps(unit)
    assert cost.of(again) - cost.of(unit) == pytest.approx(198 * steps * 0.01)
    assert cost.of(unit) > 1 + 0.1 * len(unit.clips)
    seeds = unit.params.model_copy(update={"seeds": tuple(range(10))})
    assert forecast.peak_memory(forecast.replace(unit, params=seeds)) > forecast.peak_memory(unit)


def test_two_training_clips_are_enough_to_foretell(tmp_path, rng):
    root = machine_folder(tmp_path / "data", rng, train=2)
    own = params.load({**SMALL, "data": str(root), "results": str(tmp_path / "results")})
    assert forecast.forecast(own, study.open_recordings(own))["seconds"] > 0
