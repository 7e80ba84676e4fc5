"""The live explorer: the same numbers as the study, sentences instead of exceptions."""

import io
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import soundfile
from conftest import machine_folder, small_params, two_channels, write_wav
from PIL import Image

from asdlib import dataset, frontends, study
from asdlib.compare import systems
from asdlib.compare.statistics import Results
from asdlib.explore import picture as pictures
from asdlib.explore.app import SLIDERS, Explorer, explore
from asdlib.explore.data import (
    QuietPowers,
    Trained,
    apply_systems,
    clip_picture,
    describe_decisions,
    machine_sound,
    open_folder,
)
from asdlib.measure.truth import take
from asdlib.params import Denoising
from asdlib.spectra import power, stft
from asdlib.study import scores, stages, views, walk

THREE = ("adasub", "cohgate", "complexls")  # a subtraction, a gate, a complex fit
FRONT_ENDS = ["near", "refsub", "adasub", "cohgate", "combo"]


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """A small study that has been run: parameters, source, table."""
    folder = tmp_path_factory.mktemp("explore")
    data = machine_folder(
        folder / "data", np.random.default_rng(0), train=6, domains=("source", "target")
    )
    chosen = small_params(
        folder, data=str(data), front_ends=FRONT_ENDS, scorers=["eq1", "s1"], baseline=False
    )
    recordings = study.open_recordings(chosen)
    return chosen, recordings, study.run(chosen, recordings=recordings)


@pytest.fixture
def unit(studied):
    chosen, recordings, _ = studied
    return stages.Task(chosen, recordings.clips("fan"), "adasub")


def moved(**changes):
    return Denoising(**changes)


def picture(png):
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize("front_end", THREE)
def test_a_view_is_the_pipeline(studied, front_end):
    chosen, recordings, _ = studied
    clip = recordings.clips("fan", "test").iloc[1]
    clips = recordings.clips("fan")
    own = stages.Task(chosen, clips, front_end)
    trained = Trained.load(own)
    assert (trained is None) == (front_end not in FRONT_ENDS)
    signal = dataset.read(clip["path"])
    view = clip_picture(
        signal,
        chosen.denoising,
        front_end=front_end,
        params=chosen,
        floors=walk.floors(chosen, clips, front_end),
        trained=trained,
    )
    near, far = power(stft(signal))
    denoised = walk.front_end(chosen, clips, front_end)(stft(signal))
    np.testing.assert_array_equal(view.denoised, denoised)
    np.testing.assert_array_equal(view.near, near)
    np.testing.assert_allclose(10 ** (view.gain / 10), denoised / near, rtol=1e-4)
    noise = walk.floors(chosen, clips, front_end).transfer[:, None] * far
    np.testing.assert_allclose(10 ** (view.snr / 10), near / noise, rtol=1e-3)
    example = take(chosen, recordings, clip, [front_end])
    np.testing.assert_array_equal(view.sound, example.sound(front_end, chosen))
    if trained is None:
        assert "asd study" in view.note
        assert np.isnan(view.z)
        return
    table = scores.read(own)
    rows = table[(table["name"] == clip["name"]) & (table["scorer"] == "eq1")]
    np.testing.assert_allclose(view.seed_z, rows["score"], rtol=1e-5)
    assert view.z == pytest.approx(rows["score"].mean(), rel=1e-5)
    fitted = scores.fitted(own)
    residuals = fitted.detectors[0].residual(fitted.vectors(fitted.frames(stft(signal))))
    energy = residuals.square().sum(2).mean(0).numpy()
    np.testing.assert_allclose(view.energy, energy, rtol=1e-5)
    assert view.quantile == pytest.approx(np.percentile(energy, 90), rel=1e-5)
    assert trained.gammas[0] == scores.gammas(own)["eq1", chosen.seeds[0]]


def test_the_threshold_and_the_density_are_those_of_the_training_clips(unit):
    trained = Trained.load(unit)
    table = scores.read(unit)
    train = table[(table["split"] == "train") & (table["scorer"] == "eq1")]
    means = train.groupby("name")["score"].mean()
    assert trained.threshold == pytest.approx(np.quantile(means, 0.9))
    np.testing.assert_allclose(np.sort(trained.training), np.sort(means))
    z = np.linspace(-8, 30, 20000)
    assert np.trapezoid(trained.density(z), z).tolist() == pytest.approx([1, 1], abs=1e-3)
    above = z > trained.gammas[0].threshold
    assert np.trapezoid(trained.density(z)[0][above], z[above]) == pytest.approx(0.1, abs=2e-3)
    normal = replace(trained, gammas=[replace(g, mode="gamma_normal") for g in trained.gammas])
    np.testing.assert_allclose(normal.density(z)[1], scipy.stats.norm.pdf(z))
    held_out = replace(trained, gammas=[])
    np.testing.assert_allclose(held_out.density(z), [scipy.stats.norm.pdf(z)])


def test_every_constant_moves_the_front_ends_that_use_it_and_no_other(studied, rng):
    chosen, _, _ = studied
    slid = {"a_s": 3.0, "beta": 0.4, "a_0": 1.0, "a_min": 2.5, "a_max": 2.0, "smoothing": 0.3}
    changes = slid | {"start_frames": 3, "dd_weight": 0.5, "context": 2, "ridge": 1.0}
    assert set(SLIDERS) == {"percentile", *slid}
    assert set(Denoising.model_fields) == {"percentile", "far_bound", *changes}
    signal = two_channels(rng).T.astype(np.float32)
    signal[1] += 0.5 * signal[0]
    floors = QuietPowers([np.ones((3, 2, 513), np.float32)]).floors(Denoising())
    for front_end, kind in frontends.FRONT_ENDS.items():
        base = clip_picture(signal, Denoising(), front_end=front_end, params=chosen, floors=floors)
        for name, value in changes.items():
            other = clip_picture(
                signal, moved(**{name: value}), front_end=front_end, params=chosen, floors=floors
            )
            same = np.array_equal(base.denoised, other.denoised)
            assert same == (name not in kind.reads), f"{front_end} {name}"


def test_the_percentile_moves_the_floors_as_numpy_has_it(studied):
    chosen, recordings, _ = studied
    train = recordings.clips("fan", "train")
    quiet = QuietPowers.read(chosen, train)
    powers = [power(stft(x)) for x in dataset.read_all(train)]
    for percentile in (1.0, 20.0, 33.3, 50.0, 99.0):
        floors = quiet.floors(moved(percentile=percentile))
        expected = np.mean([np.percentile(p, percentile, axis=-1) for p in powers], axis=0)
        np.testing.assert_allclose([floors.near, floors.far], expected, rtol=1e-5)
    own = walk.floors(chosen, recordings.clips("fan"))
    np.testing.assert_allclose(quiet.floors(chosen.denoising).transfer, own.transfer, rtol=1e-5)


def test_at_most_forty_clips_are_kept(tmp_path, rng, monkeypatch):
    from asdlib.explore import data

    monkeypatch.setattr(data, "MOST_CLIPS", 3)
    data = machine_folder(tmp_path / "data", rng, train=9, seconds=0.3)
    chosen = small_params(tmp_path, data=str(data))
    train = dataset.scan(data).query("split == 'train'")
    quiet = QuietPowers.read(chosen, train)
    expected = [power(stft(dataset.read(train["path"].iloc[i])))[0].min() for i in (0, 4, 8)]
    assert [levels[0, 0].min() for levels in quiet.clips] == pytest.approx(expected)
    app = Explorer(chosen)
    app.refresh()
    assert "3 training clips" in app.status.value


@pytest.mark.parametrize("name", SLIDERS)
def test_all_of_a_slider_is_allowed(name):
    low, high, _ = SLIDERS[name]
    assert low <= getattr(Denoising(), name) <= high
    for value in (low, high):
        other = {"a_min": {"a_max": value}, "a_max": {"a_min": value}}.get(name, {})
        assert getattr(moved(**{name: value}, **other), name) == value


def test_sliders_reset_and_dropdowns_change_what_is_shown(studied):
    chosen, recordings, _ = studied
    app = Explorer(chosen)
    app.refresh()
    start = (app.picture.value, app.players["denoised"].value, app.view.z)
    others = [app.players[name].value for name in ("near", "far", "truth")]
    assert ["audio" in player for player in others] == [True, True, False]
    assert app.players["truth"].layout.display == "none"
    assert picture(start[0]).std() > 10
    assert app.front_end.value == "adasub"
    assert "audio" in start[1]
    app.sliders["a_max"].value = 7.0
    app.sliders["a_0"].value = 6.0
    assert app.picture.value != start[0]
    assert app.players["denoised"].value != start[1]
    assert app.view.z != start[2]
    assert [app.players[name].value for name in ("near", "far", "truth")] == others
    app.sliders["percentile"].value = 60.0
    z = app.view.z
    app.sliders["percentile"].value = 70.0
    assert app.view.z != z
    app.sliders["a_min"].value = 8.0
    assert "a_min 8 must not lie above a_max 7" in app.status.value
    app.reset.click()
    assert (app.picture.value, app.players["denoised"].value, app.view.z) == start
    assert "a_min" not in app.status.value
    for front_end in THREE:
        app.front_end.value = front_end
        assert app.view.denoised.shape == app.view.near.shape
        free = {name for name, slider in app.sliders.items() if not slider.disabled}
        reads = frontends.FRONT_ENDS[front_end].reads
        assert free == {"percentile", *reads} & set(app.sliders)
        trained = front_end in FRONT_ENDS
        assert ("no trained model: run asd study" in app.status.value) != trained
    for _, index in app.clip.options[:2]:
        app.clip.value = index
        assert app.row["path"] == recordings.manifest["path"][index]


def test_the_study_says_what_each_system_made_of_a_clip(studied):
    chosen, recordings, table = studied
    app = Explorer(chosen)
    app.refresh()
    results = systems.apply_all(Results(table), chosen.scoring.quantile)
    decisions = systems.decisions(results).set_index(["system", "name"])
    for _, clip in recordings.clips("fan", "test").iterrows():
        said = describe_decisions(app._results, clip)
        z = decisions.loc[("S1", clip["name"]), "score"]
        assert f"S1: z = {z:.2f}, threshold" in said
        wrong = clip["label"] == "normal"
        formed = [s for s in results if results[s].members]
        named = [s for s in formed if decisions.loc[(s, clip["name"]), "decision"] == wrong]
        what = "false alarm by" if clip["label"] == "normal" else "missed by"
        assert said.endswith(f"{what} {', '.join(named) or 'none'}")
        unknown = describe_decisions(app._results, clip.replace(clip["label"], "unknown"))
        assert "label unknown" in unknown
    train = recordings.clips("fan", "train").iloc[0]
    assert describe_decisions(app._results, train).endswith("a training clip")
    assert "has not been run" in describe_decisions({}, train)


def test_nothing_is_ever_trained(studied, tmp_path, monkeypatch):
    chosen, recordings, _ = studied
    monkeypatch.setattr(stages, "_train", lambda *a: pytest.fail("trained"))
    app = Explorer(chosen.model_copy(update={"results": str(tmp_path)}))
    app.refresh()
    assert "no trained model: run asd study" in app.status.value
    assert "has not been run" in app.decisions.value
    assert app.view.note == "no trained model: run asd study"
    own = stages.Task(chosen, recordings.clips("fan"), "cohgate")
    for needed in (stages.model_folder(own) / "model.safetensors", scores.scores_file(own)):
        needed.rename(tmp_path / "away")
        try:
            assert Trained.load(own) is None
        finally:
            (tmp_path / "away").rename(needed)
    assert Trained.load(own) is not None


@pytest.fixture
def odd(tmp_path, rng):
    """Two folders of one's own recordings, with everything that can be wrong."""
    good = {f"a_{i}.wav": two_channels(rng) for i in range(3)}
    for name, signal in good.items():
        write_wav(tmp_path / "mine" / "train" / name, signal)
    dead, click = two_channels(rng), np.zeros((16000, 2))
    dead[:, 1] = 0
    click[8000] = 0.5  # all other frames are silent
    clips = {
        "zeros.wav": np.zeros((16000, 2)),
        "short.wav": two_channels(rng, 0.2),
        "shorter.wav": two_channels(rng, 0.05),
        "dead.wav": dead,
        "click.wav": click,
        "mono.wav": two_channels(rng)[:, :1],
        "nothing.wav": np.zeros((0, 2)),
        "<script>alert(1)</script>".replace("/", "_") + " $x_$.wav": two_channels(rng),
    }
    for name, signal in clips.items():
        write_wav(tmp_path / "mine" / "test" / name, signal)
    (tmp_path / "mine" / "test" / "broken.wav").write_bytes(b"RIFF of nothing")
    nan = two_channels(rng)
    nan[5] = np.nan
    write_wav(tmp_path / "mine" / "test" / "nan.wav", nan, subtype="FLOAT")
    return small_params(tmp_path, data=str(tmp_path / "mine"), machines=[])


@pytest.mark.parametrize(
    ("name", "says", "shown"),
    [
        ("zeros", "near and far channel is silent", True),
        ("short", "no trained model", True),
        ("shorter", "at least 2048 are needed", True),
        ("dead", "the far channel is silent", True),
        ("click", "no trained model", True),
        ("mono", "1 channel", False),
        ("nothing", "holds no samples", False),
        ("broken", "cannot be read as audio", False),
        ("nan", "NaN", False),
    ],
)
def test_a_bad_clip_gives_a_sentence(odd, name, says, shown):
    app = Explorer(odd)
    index = app.recordings.manifest.index[app.recordings.manifest["name"] == f"{name}.wav"][0]
    app.clip.value = index
    app.sliders["percentile"].value = 60.0
    for front_end in THREE:
        app.front_end.value = front_end
        assert says in app.status.value
        assert (app.view is not None) == shown
        assert ("audio" in app.players["denoised"].value) == shown
    assert picture(app.picture.value).shape == (720, 992, 3)


def test_a_trained_machine_says_that_a_clip_is_too_short(studied, unit):
    signal = np.zeros((2, 800), np.float32)
    view = clip_picture(
        signal,
        Denoising(),
        front_end="adasub",
        params=studied[0],
        floors=walk.floors(unit.params, unit.clips),
        trained=Trained.load(unit),
    )
    assert view.note == "2 frames are too few: one vector needs 5"


def test_names_are_text(odd):
    app = Explorer(odd)
    manifest = app.recordings.manifest
    app.clip.value = manifest.index[manifest["name"].str.startswith("<script>")][0]
    app.refresh()
    assert "<script>" in app.row["name"]
    shown = [app.status.value, app.decisions.value, *(p.value for p in app.players.values())]
    assert not any("<script" in text for text in shown)
    app.problems = (f"{app.row['path']}: <script> is bad.",)
    app.refresh()
    assert "&lt;script&gt; is bad" in app.status.value


def test_a_machine_without_training_clips_subtracts_nothing(tmp_path, rng):
    write_wav(tmp_path / "mine" / "test" / "a.wav", two_channels(rng))
    app = Explorer(small_params(tmp_path, data=str(tmp_path / "mine")))
    app.refresh()
    assert "no usable training clip" in app.status.value
    np.testing.assert_array_equal(app.view.denoised, app.view.near)
    assert np.isnan(app.view.snr).all()


def test_a_folder_that_cannot_be_opened_gives_one_sentence(tmp_path, monkeypatch):
    from asdlib.explore import app as module

    told = []
    monkeypatch.setattr(module, "display", told.append)
    explore(small_params(tmp_path, data=str(tmp_path / "<b>no")))
    (tmp_path / "empty" / "train").mkdir(parents=True)
    explore(small_params(tmp_path, data=str(tmp_path / "empty")))
    assert "&lt;b&gt;no: no such folder" in told[0].value
    assert "no wav in train/" in told[1].value


def test_problems_are_beside_the_clips(odd):
    recordings, problems = open_folder(odd)
    assert len(recordings.manifest) == 13
    assert {re.sub(r".*/(\w+)\.wav: .*", r"\1", p) for p in problems} == {
        "zeros",
        "shorter",
        "dead",
        "mono",
        "nothing",
        "broken",
        "nan",
    }


def test_the_machine_alone_is_written_or_rendered_again(tmp_path):
    scenes = {
        "seconds": 1.0,
        "train_source": 2,
        "test_per_cell": 2,
        "train_target": 0,
        "truth": 1,
        "machines": ["SimFan"],
    }
    chosen = small_params(tmp_path, scenes=scenes)
    recordings, problems = open_folder(chosen)
    assert problems == ()
    for _, clip in recordings.clips("SimFan").iterrows():
        sound = machine_sound(chosen, recordings, clip)
        near, _ = soundfile.read(clip["path"], dtype="float32")[0].T
        assert len(sound) == len(near)
        assert np.corrcoef(sound, near)[0, 1] > 0.05
    again = replace(recordings, root=tmp_path)  # where no truth was written
    clip = recordings.clips("SimFan").iloc[0]
    written = machine_sound(chosen, recordings, clip)
    np.testing.assert_allclose(machine_sound(chosen, again, clip), written, atol=2e-4)
    assert machine_sound(chosen, replace(again, embedded=False), clip) is None


def test_pyplot_is_left_alone(studied):
    from matplotlib import pyplot as plt

    before = (plt.get_fignums(), dict(plt.rcParams))
    Explorer(studied[0]).refresh()
    assert (plt.get_fignums(), dict(plt.rcParams)) == before


def test_every_clip_gives_a_picture_of_one_size(studied, rng):
    chosen, recordings, _ = studied
    sound = 50 * two_channels(rng, 2.0).T.astype(np.float32)
    shown = [pictures.message("nothing $x_$")]
    for signal in (dataset.read(recordings.clips("fan").iloc[0]["path"]), sound, 0 * sound):
        clip = clip_picture(signal, Denoising(), front_end="adasub", params=chosen)
        shown.append(pictures.panels(clip, chosen, title="a $x_$ <b>" * 30, front_end="adasub"))
    assert {picture(png).shape for png in shown} == {(720, 992, 3)}
    assert len(set(shown)) == 4


def test_the_maps_of_power_have_one_scale_in_decibels(studied):
    chosen, recordings, _ = studied
    signal = dataset.read(recordings.clips("fan").iloc[0]["path"])
    clip = clip_picture(signal, Denoising(), front_end="adasub", params=chosen)
    near, far, denoised, *_ = pictures._maps(clip, "adasub").values()
    assert near[2] is far[2] is denoised[2]
    np.testing.assert_allclose(denoised[0], 10 * np.log10(clip.denoised), rtol=1e-5)


@pytest.fixture(scope="module")
def seen(studied):
    """The same study with detectors without training."""
    chosen, recordings, _ = studied
    scorers = [*chosen.scorers, "adasub/psd", "near/fine", "adasub/fine", "adals/pmsd"]
    own = chosen.model_copy(update={"scorers": tuple(scorers)})
    return own, recordings, study.run(own, recordings=recordings)


def test_a_clip_is_explained_by_the_views_that_were_computed(seen, monkeypatch):
    chosen, recordings, table = seen
    app = Explorer(chosen)
    drawn, draw = [], pictures.shares
    monkeypatch.setattr(pictures, "shares", lambda *a: drawn.append(a) or draw(*a))
    app.refresh()
    assert [value for _, value in app.scorer.options] == ["psd", "fine"]
    assert (app.scorer.value, app.shares.layout.display) == ("psd", "")
    clip = recordings.clips("fan", "test").index[1]
    app.clip.value = clip
    for front_end, scorer in (("adasub", "psd"), ("adasub", "fine"), ("adals", "pmsd")):
        app.front_end.value, app.scorer.value = front_end, scorer
        own = (chosen, recordings.clips("fan"), front_end, scorer)
        shares, title = drawn[-1]
        expected = views.fitted(*own).explain(dataset.read(app.row["path"]))
        pd.testing.assert_frame_equal(shares, expected)
        keys = {"name": app.row["name"], "front_end": front_end, "scorer": scorer}
        (z,) = table.loc[(table[list(keys)] == pd.Series(keys)).all(axis=1), "score"]
        squared = expected["contribution"].sum()
        assert title.endswith(f": $z$ = {z:.2f}, $D^2$ = {squared:.0f}")
        assert picture(app.shares.value).std() > 5
    app.sliders["a_max"].value = 7.0
    assert drawn[-1][1].endswith("with the study's constants, not those of the sliders")
    pd.testing.assert_frame_equal(drawn[-1][0], expected)
    app.reset.click()
    assert "sliders" not in drawn[-1][1]
    app.clip.value = recordings.clips("fan", "train").index[0]
    assert drawn[-1][1].endswith("; fitted on this clip too")
    app.front_end.value = "cohgate"
    assert app.scorer.options == ()
    assert {app.shares.layout.display, app.scorer.layout.display} == {"none"}
    app.front_end.value = "adasub"
    assert app.shares.layout.display == ""


def test_models_are_found_where_views_are_asked_for_too(seen):
    chosen, _, _ = seen
    app = Explorer(chosen)
    app.refresh()
    assert app.view.seed_z is not None


def test_only_what_is_there_is_read_back(seen, tmp_path, monkeypatch):
    chosen, recordings, table = seen
    monkeypatch.setattr(stages, "_train", lambda *a: pytest.fail("trained"))
    monkeypatch.setattr(views, "measure", lambda *a: pytest.fail("measured"))
    formed = {name for name, own in apply_systems(chosen, recordings).items() if own.members}
    assert formed == {"S1", "S2", "S3", "S4", "S5"}
    other = chosen.model_copy(
        update={"baseline": True, "front_ends": (*FRONT_ENDS, "wiener"), "results": chosen.results}
    )
    again = apply_systems(other, recordings)  # Wiener and the baseline were not computed
    assert {name for name, own in again.items() if own.members} == formed
    more = chosen.model_copy(update={"scorers": (*chosen.scorers, "dm")})  # nor this scorer
    results = apply_systems(more, recordings)
    assert {name for name, own in results.items() if own.members} == {"S5"}
    clip = recordings.clips("fan", "test").iloc[0]
    z = table[(table["name"] == clip["name"]) & table["scorer"].isin(["fine", "pmsd"])]["score"]
    assert f"S5: z = {z.mean():.2f}, threshold" in describe_decisions(results, clip)
    elsewhere = chosen.model_copy(update={"results": str(tmp_path)})
    assert apply_systems(elsewhere, recordings) == {}
    app = Explorer(elsewhere)
    app.refresh()
    assert app.scorer.options == ()
