"""The live explorer: the same numbers as the study, sentences instead of exceptions."""

import io
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from conftest import machine_folder, small_params, two_channels, write_wav
from matplotlib import pyplot as plt
from PIL import Image

from asdlib import dataset, frontends, study
from asdlib.compare import systems
from asdlib.compare.statistics import results
from asdlib.explore import app as module
from asdlib.explore import data, picture
from asdlib.explore.app import SLIDERS, Explorer, describe_decisions, explore
from asdlib.explore.data import StudyReader, Trained
from asdlib.measure.truth import take
from asdlib.params import AsdError, Denoising
from asdlib.spectra import power, stft
from asdlib.study import detectors, models, scores, stages

THREE = ("adasub", "cohgate", "complexls")  # a subtraction, a gate, a complex fit
UNTRAINED = ["adasub/psd", "adasub/fine", "adals/pmsd", "checkedsub/fine", "checkedls/pmsd"]


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """A small study that has been run: parameters, recordings, table."""
    folder = tmp_path_factory.mktemp("explore")
    root = machine_folder(
        folder / "data", np.random.default_rng(0), train=6, domains=("source", "target")
    )
    chosen = small_params(
        folder,
        data=str(root),
        front_ends=["near", "refsub", "adasub", "cohgate", "combo"],
        scorers=["eq1", "s1", *UNTRAINED],
        baseline=False,
    )
    recordings = study.open_recordings(chosen)
    return chosen, recordings, study.run(chosen, recordings=recordings)


@pytest.fixture
def reader(studied, monkeypatch):
    """Reads the study; fails where anything is computed."""
    monkeypatch.setattr(models, "_train", lambda *a: pytest.fail("trained"))
    monkeypatch.setattr(scores, "compute", lambda *a: pytest.fail("scored"))
    chosen, recordings, _ = studied
    return StudyReader(chosen, recordings, lambda said: None)


@pytest.fixture(scope="module")
def app(studied):
    """The explorer, to be set by every test; opening it touches nothing of pyplot."""
    before = (plt.get_fignums(), dict(plt.rcParams))
    own = Explorer(studied[0])
    own.update()
    assert (plt.get_fignums(), dict(plt.rcParams)) == before
    assert pixels(own.picture.value).std() > 10
    return own


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize("front_end", THREE)
def test_a_clip_is_that_of_the_study(studied, reader, front_end):
    chosen, recordings, _ = studied
    clips, clip = recordings.clips("fan"), recordings.clips("fan", "test").iloc[1]
    signal, truth = reader.sounds(clip.name)
    _, remark = reader.floors("fan", front_end, chosen.denoising)
    assert (truth, remark) == (None, "")
    trained, own = reader.trained("fan", front_end), (front_end, chosen.denoising)
    view = reader.picture(clip.name, *own)
    near, far = power(stft(signal))
    denoised = stages.front_end(chosen, clips, front_end)(stft(signal))
    np.testing.assert_array_equal(view.denoised, denoised)
    np.testing.assert_allclose(10 ** (view.gain / 10), denoised / near, rtol=1e-4)
    noise = stages.floors(chosen, clips, front_end).transfer[:, None] * far
    np.testing.assert_allclose(10 ** (view.snr / 10), near / noise, rtol=1e-3)
    sound = take(chosen, recordings, clip, [front_end]).sound(front_end, chosen)
    np.testing.assert_array_equal(view.sounds["denoised"], sound)
    if front_end == "complexls":  # not in the study
        assert trained is view.trained is None
        assert view.notes == ("", "no trained model: run asd study")
        return
    task = stages.Task(detectors.trained(chosen), clips, front_end)
    rows = scores.read(task).query("scorer == 'eq1'").set_index("name").loc[clip["name"]]
    np.testing.assert_allclose(view.seed_z, rows["score"], rtol=1e-5)
    assert view.z == pytest.approx(rows["score"].mean(), rel=1e-5)
    fitted = scores.fitted(task)
    residuals = fitted.detectors[0].residual(fitted.vectors(fitted.frames(stft(signal))))
    energy = residuals.square().sum(2).mean(0).numpy()
    np.testing.assert_allclose(view.energy, energy, rtol=1e-5)
    assert view.quantile == pytest.approx(np.percentile(energy, 90), rel=1e-5)
    reader.sounds = lambda clip: (signal[:, :800], None)
    short = reader.picture(clip.name, *own)
    assert short.notes[1] == "too short for a score: 2 frames, 5 are needed"


def test_the_threshold_and_the_density_are_those_of_the_training_clips(studied, reader):
    trained = reader.trained("fan", "adasub")
    table = studied[2].query("front_end == 'adasub' and scorer == 'eq1' and split == 'train'")
    means = table.groupby("name")["score"].mean()
    assert trained.threshold == pytest.approx(np.quantile(means, 0.9))
    np.testing.assert_allclose(np.sort(trained.training), np.sort(means))
    z = np.linspace(-8, 30, 20000)
    density = trained.density(z)
    for x in (-0.5, 0.0, 1.0):  # z is the standardised A, whose distribution is the fitted gamma
        shares = [
            scipy.stats.gamma.cdf((x * np.sqrt(g.shape) + g.shape) * g.scale, g.shape, 0, g.scale)
            for (scorer, _), g in trained.fitted.gammas.items()
            if scorer == "eq1"
        ]
        found = np.trapezoid(density[z <= x], z[z <= x])
        assert found == pytest.approx(np.mean(shares), abs=2e-3)
    normal = replace(trained, fitted=replace(trained.fitted, gammas={}))
    np.testing.assert_array_equal(normal.density(z), scipy.stats.norm.pdf(z))


def test_models_that_are_gone_are_not_trained_again(studied, reader, tmp_path):
    chosen, recordings, _ = studied
    task = stages.Task(detectors.trained(chosen), recordings.clips("fan"), "cohgate")
    for needed in (stages.model_folder(task) / "model.safetensors", scores.scores_file(task)):
        needed.rename(tmp_path / "away")
        assert Trained.load(task) is None
        (tmp_path / "away").rename(needed)
    assert Trained.load(task) is not None


def test_every_constant_moves_the_front_ends_that_use_it_and_no_other(studied, reader):
    slid = {"a_s": 3.0, "beta": 0.4, "a_0": 1.0, "a_min": 2.5, "a_max": 2.0, "smoothing": 0.3}
    assert set(SLIDERS) == {"percentile", *slid}
    clip = studied[1].clips("fan", "test").index[0]
    for front_end in THREE:
        base = reader.picture(clip, front_end, Denoising()).denoised
        for name, value in slid.items():
            other = reader.picture(clip, front_end, Denoising(**{name: value})).denoised
            same = np.array_equal(base, other)
            assert same == (name not in frontends.FRONT_ENDS[front_end].reads)


@pytest.mark.parametrize("name", SLIDERS)
def test_all_of_a_slider_is_allowed(name):
    low, high, _ = SLIDERS[name]
    assert low <= getattr(Denoising(), name) <= high
    for value in (low, high):
        other = {"a_min": {"a_max": value}, "a_max": {"a_min": value}}.get(name, {})
        assert getattr(Denoising(**{name: value}, **other), name) == value


def test_the_percentile_moves_the_floors_as_numpy_has_it(studied, reader, tmp_path, monkeypatch):
    chosen, recordings, _ = studied
    train = recordings.clips("fan", "train")
    powers = [power(stft(x)) for x in dataset.read_all(train)]
    for percentile in (1.0, 60.0, 99.0):
        floors, remark = reader.floors("fan", "adasub", Denoising(percentile=percentile))
        expected = np.mean([np.percentile(p, percentile, axis=-1) for p in powers], axis=0)
        np.testing.assert_allclose([floors.near, floors.far], expected, rtol=1e-5)
        assert remark == ""
        known = stages.floors(chosen, recordings.clips("fan")).follows
        assert floors.follows == pytest.approx(known, rel=1e-4) != 0
    monkeypatch.setattr(data, "MOST_CLIPS", 3)
    fresh = StudyReader(chosen.model_copy(update={"results": str(tmp_path)}), recordings, print)
    floors, remark = fresh.floors("fan", "adasub", Denoising())
    expected = np.mean([np.percentile(p, 20, axis=-1) for p in powers[::4]], axis=0)
    np.testing.assert_allclose([floors.near, floors.far], expected, rtol=1e-5)
    assert remark == "Floors from 3 training clips."


def test_sliders_reset_and_dropdowns_change_what_is_shown(studied, app):
    _, recordings, _ = studied

    def shown():
        return [app.picture.value, *(own.value for own in app.players.values()), app.view.z]

    app.front_end.value = "adasub"
    states = [shown()]
    assert ["audio" in player for player in states[0][1:-1]] == [True, True, False, True]
    assert [own.layout.display for own in app.players.values()] == ["", "", "none", ""]
    for name, value in {"a_0": 6.0, "percentile": 60.0}.items():
        app.sliders[name].value = value
        states.append(shown())
    # picture, denoised sound and z change, and no other sound
    assert [len({*values}) for values in zip(*states, strict=True)] == [3, 1, 1, 1, 3, 3]
    app.sliders["a_min"].value = 8.0
    assert "a_min 8 must not lie above a_max 4." in app.status.value
    app.reset.click()
    assert shown() == states[0]
    assert "a_min" not in app.status.value
    for front_end in THREE:
        app.front_end.value = front_end
        free = {name for name, slider in app.sliders.items() if not slider.disabled}
        assert free == {"percentile", *frontends.FRONT_ENDS[front_end].reads} & set(SLIDERS)
        assert ("no trained model" in app.status.value) == (front_end == "complexls")
    for _, index in app.clip.options[:2]:
        app.clip.value = index
        near = dataset.read(recordings.manifest["path"][index])[0]
        np.testing.assert_array_equal(app.view.sounds["near"], near)


def test_what_each_system_decides_is_read_back(studied, reader, app):
    chosen, recordings, _ = studied
    expected = systems.decisions(results(chosen, recordings), chosen.scoring.quantile)
    pd.testing.assert_frame_equal(reader.decisions, expected)
    assert set(expected["system"]) == {"S1", "S2", "S3", "S4", "S5"}
    clip = recordings.clips("fan", "test").iloc[0]
    app.clip.value = clip.name
    own = expected[expected["name"] == clip["name"]].set_index("system")
    said = describe_decisions(reader.decisions, clip)
    assert said == app.decisions.value
    assert said.startswith(f"S1: score {own['score']['S1']:.2f}, threshold")
    alarms = [name for name, decision in own["decision"].items() if decision]
    assert f"; anomalous by {', '.join(alarms) or 'none'}, normal by" in said
    train = recordings.clips("fan", "train").iloc[0]
    assert "training clip" in describe_decisions(reader.decisions, train)


@pytest.mark.parametrize(
    ("changes", "formed"),
    [
        ({"front_ends": ("near", "refsub", "adasub", "cohgate", "combo", "wiener")}, 5),
        ({"baseline": True}, 5),
        ({"scorers": ("eq1", "s1", *UNTRAINED, "dm")}, 1),  # autoencoders have another table then
        ({"results": "nowhere"}, 0),
    ],
)
def test_decisions_are_those_of_what_is_done(studied, reader, changes, formed):
    chosen, recordings, _ = studied
    other = StudyReader(chosen.model_copy(update=changes), recordings, print)
    assert other.decisions["system"].nunique() == formed
    assert ("S5" in set(other.decisions["system"])) == (formed > 0)


def test_a_clip_is_explained_by_the_views_that_were_computed(studied, app, monkeypatch):
    chosen, recordings, table = studied
    drawn, draw = [], picture.shares
    monkeypatch.setattr(picture, "shares", lambda *a: drawn.append(a) or draw(*a))
    app.front_end.value = "adasub"
    assert [value for _, value in app.scorer.options] == ["psd", "fine"]
    app.clip.value = recordings.clips("fan", "test").index[1]
    path, name = recordings.manifest.loc[app.clip.value, ["path", "name"]]
    for front_end, scorer in (("adasub", "psd"), ("adasub", "fine"), ("adals", "pmsd")):
        app.front_end.value, app.scorer.value = front_end, scorer
        shares, title = drawn[-1]
        view = stages.untrained(chosen, recordings.clips("fan"), front_end, scorer)
        own = scores.fitted_view(view)
        expected = own.explain(dataset.read(path))
        pd.testing.assert_frame_equal(shares, expected)
        keys = {"name": name, "front_end": front_end, "scorer": scorer}
        (z,) = table.loc[(table[list(keys)] == pd.Series(keys)).all(axis=1), "score"]
        squared = expected["contribution"].sum()
        assert f": z = {z:.2f}, D² = {squared:.0f}, with the study's" in title
        assert pixels(app.shares.value).std() > 5
    app.front_end.value = "cohgate"
    assert (app.scorer.options, app.untrained.layout.display) == ((), "none")


def test_a_bad_clip_gives_a_sentence(tmp_path, rng):
    """In a folder of one's own recordings, with everything that can be wrong."""
    for i in range(3):
        write_wav(tmp_path / "mine" / "train" / f"{i}.wav", two_channels(rng))
    dead, click, nan = two_channels(rng), np.zeros((16000, 2)), two_channels(rng)
    dead[:, 1] = 0
    click[8000] = 0.5  # all other frames are silent
    nan[5] = np.nan
    clips = {
        "zeros": (np.zeros((16000, 2)), "near and far channel is silent", True),
        "shorter": (two_channels(rng, 0.05), "at least 2048 are needed", True),
        "dead": (dead, "the far channel is silent", True),
        "click": (click, "no trained model", True),
        "mono": (two_channels(rng)[:, :1], "1 channel", False),
        "nothing": (np.zeros((0, 2)), "holds no samples", False),
        "nan": (nan, "NaN", False),
        "broken": (click, "cannot be read as audio", False),
        "<script> $x_$": (two_channels(rng), "no trained model", True),
    }
    for name, (signal, *_) in clips.items():
        path = write_wav(tmp_path / "mine" / "test" / f"{name}.wav", signal, subtype="FLOAT")
        if name == "broken":
            path.write_bytes(b"RIFF of nothing")
    app = Explorer(small_params(tmp_path, data=str(tmp_path / "mine")))
    app.sliders["percentile"].value = 60.0
    names = app.recordings.manifest.reset_index().set_index("name")["index"]
    for i, (name, (_, says, shown)) in enumerate(clips.items()):
        app.front_end.value = THREE[i // 3]
        app.clip.value = names[f"{name}.wav"]
        assert says in app.status.value
        assert "6 problems; asd doctor" in app.status.value or says == "no trained model"
        assert (app.view is not None) == shown
        assert (app.results.layout.display == "") == shown
        for front_end in THREE:  # every one of them can deal with it
            with nullcontext() if shown else pytest.raises(AsdError, match=f"{name}.wav: "):
                app.reader.picture(app.clip.value, front_end, Denoising(percentile=60.0))
    shown = [app.status.value, app.decisions.value, *(p.value for p in app.players.values())]
    assert not any("<script" in text for text in shown)
    app._say("<script>")
    assert "&lt;script&gt;" in app.status.value


def test_a_machine_without_training_clips_subtracts_nothing(tmp_path, rng):
    write_wav(tmp_path / "mine" / "test" / "a.wav", two_channels(rng))
    app = Explorer(small_params(tmp_path, data=str(tmp_path / "mine")))
    app.update()
    assert "no usable training clip" in app.status.value
    assert "the study has not been run" in app.decisions.value
    np.testing.assert_array_equal(app.view.denoised, app.view.near)
    assert np.isnan(app.view.snr).all()


def test_a_folder_that_cannot_be_opened_gives_one_sentence(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(module, "display", told.append)
    explore(small_params(tmp_path, data=str(tmp_path / "<b>no")))
    assert "&lt;b&gt;no: no such folder" in told[0].value


def test_the_machine_alone_is_written_or_rendered_again(tmp_path):
    sizes = {"train_source": 2, "test_per_cell": 2, "train_target": 0, "truth": 1}
    scenes = {"seconds": 1.0, "machines": ["SimFan"], **sizes}
    chosen = small_params(tmp_path, scenes=scenes)
    recordings = study.open_recordings(chosen)
    reader = StudyReader(chosen, recordings, print)
    for clip in recordings.clips("SimFan").index:
        (near, _), sound = reader.sounds(clip)
        assert np.corrcoef(sound, near)[0, 1] > 0.05
