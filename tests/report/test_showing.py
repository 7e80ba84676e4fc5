"""Figures, tables and players: what a reader is shown."""

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
import soundfile
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

from asdlib.clipstats import VIEWS
from asdlib.compare import failures
from asdlib.frontends import COMBINATIONS, FRONT_ENDS
from asdlib.report import charts_evidence, charts_scores, charts_signals, panels, style
from asdlib.scorers import SCORERS, VARIANTS
from asdlib.study import baseline


def test_every_system_has_a_name_and_a_colour():
    for name in [*FRONT_ENDS, *COMBINATIONS, "baseline"]:
        assert re.fullmatch("#[0-9a-f]{6}", style.COLOURS[name].lower())
        assert style.NAMES[name]
        assert style.sound_name(name)
    assert set(style.SCORER_NAMES) == {*SCORERS, *VARIANTS, *baseline.SCORERS, *VIEWS}
    systems = [("baseline", "mahala"), ("adasub", "s1"), ("near",), ("near", "fine")]
    names = ["Baseline MAHALA", "AdaSub + DM + shrink + P95", "AE ch1", "Near fine statistics"]
    assert [style.system_name(*own) for own in systems] == names
    assert {"S1", "S5", "AE ch1", "Baseline MAHALA", "AdaSub"} <= set(style.LOOKS)
    for looks in (style.COLOURS, style.MARKERS):
        assert len(set(looks.values())) == len(looks)
    more = style._looks([*style.COLOURS, *(f"new_{i}" for i in range(8))])  # a new front-end's
    assert len({*more.values()}) == len(more) == len(style.COLOURS) + 8


def test_panels_have_the_machines_as_titles_and_one_legend():
    style.style()
    machines = ["$a$_<b>", *"bcd"]
    table = pd.DataFrame({"machine": machines, "noise": 2.0, "machine_sound": 0.5})
    both = pd.concat([table.assign(front_end=name) for name in ("near", "adasub")])
    figure = charts_signals.removal(both)
    assert [ax.get_title() for ax in figure.axes] == machines
    assert not figure.axes[0].title.get_parse_math()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["Near", "AdaSub"]
    colours = figure.axes[0].collections[0].get_facecolors()
    assert [to_hex(own) for own in colours] == [style.COLOURS[n] for n in ("near", "adasub")]
    plt.close(figure)


def test_systems_of_one_value_do_not_cover_each_other_and_none_looks_like_another():
    names = ["S1", "S3", "S4, by labels", "AdaLS statistics pmsd, by labels", "Baseline MAHALA"]
    figure = charts_scores.machines(pd.DataFrame(0.7, ["fan", "pump"], names))
    lines = [line for line in figure.axes[0].lines if line.get_label() in names]
    assert len({place for line in lines for place in line.get_ydata()}) == 10
    assert len({line.get_color() for line in lines}) == len({line.get_marker() for line in lines})
    assert len({line.get_color() for line in lines}) == 5
    plt.close(figure)


def test_bars_of_contributions_add_up_to_the_squared_distance():
    bands = np.geomspace(50, 7900, 64)
    parts = [
        pd.DataFrame({"statistic": name, "frequency": bands, "contribution": value})
        for name, value in (("p", 1.0), ("s", 0.5))
    ]
    figure, ax = plt.subplots()
    charts_evidence.contributions(ax, pd.concat(parts))
    assert [bar.get_height() for bar in ax.patches] == [2.0] * 32 + [1.0] * 32
    assert [bar.get_y() for bar in ax.patches[31:33]] == [0, 2]  # one statistic on the other
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.5", "1", "2", "4"]
    plt.close(figure)


def test_a_figure_is_a_file_a_block_and_an_image(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(style, "display", lambda bundle, raw: shown.append(bundle))
    style.style()
    for name in ("fig-x", "fig-y"):  # the same data give the same bytes
        powers = {"true": {}, "estimated": {"fan": np.ones(4)}}
        figure = charts_signals.transfers(charts_signals.by_frequency(powers, np.arange(4.0)))
        style.show_figure(figure, name, 'Look at "this".', folder=tmp_path)
    assert (tmp_path / "fig-x.svg").read_text().startswith("<?xml")
    assert (tmp_path / "fig-x.svg").read_bytes() == (tmp_path / "fig-y.svg").read_bytes()
    text = shown[0]["text/markdown"]
    assert "```{figure} /figures/fig-x.svg\n:name: fig-x\n:alt: Look at 'this'." in text
    data = re.search(r"base64,([^\"]+)", shown[0]["text/html"])[1]
    assert base64.b64decode(data).startswith(b"<?xml")


def decoded(source):
    signal, rate = soundfile.read(io.BytesIO(base64.b64decode(source.partition("base64,")[2])))
    assert rate == 16000
    return signal


def test_players_hold_the_sound_at_one_level_or_with_one_gain(rng):
    quiet, loud = 1e-3 * rng.standard_normal(8000), 0.9 * np.sin(np.arange(8000))
    spike = np.zeros(8000)
    spike[100] = 0.5
    page = panels.player(panels.encode(quiet, 16000), "a<b")
    assert "a<b" not in page
    assert 'aria-label="a&lt;b"' in page
    signals = (quiet, loud, spike, 0 * quiet)
    levelled = [*map(decoded, panels._sources(signals, 16000, matched=True))]
    levels = [np.sqrt(np.mean(signal**2)) for signal in levelled]
    assert all(len(signal) == 8000 and np.abs(signal).max() < 1 for signal in levelled)
    assert levels[0] == pytest.approx(levels[1], rel=1e-2)
    assert 0 < levels[2] < levels[1]  # no louder than full scale allows
    assert levels[3] == 0
    first, second = map(decoded, panels._sources([loud, 0.1 * loud], 16000, matched=False))
    assert first.std() / second.std() == pytest.approx(10, rel=0.01)
    assert np.abs(first).max() <= 0.5
    assert not decoded(panels._sources([0 * loud], 16000, matched=False)[0]).any()


def test_a_small_encoding_is_the_same_sound(rng):
    sound = np.sin(np.arange(16000) * 0.2) + 0.1 * rng.standard_normal(16000)
    sound = panels.match_level(sound)
    whole, small = (panels.encode(sound, 16000, lossless=kind) for kind in (True, False))
    assert len(small) < len(whole) / 2
    heard = decoded(small)
    assert len(heard) == 16000
    assert np.corrcoef(heard, sound)[0, 1] > 0.99


def test_a_spectrogram_in_a_page_is_small_and_in_decibels():
    power = np.full((513, 2000), 100.0)
    power[:, :1000] = 0
    image = panels._image(power)
    assert image.shape[0] <= 256
    assert image.shape[1] <= 640
    assert image.dtype == np.int8
    assert (image[1, 0], image[1, -1]) == (-120, 20)


def test_the_worst_errors_are_the_loudest_false_alarms_and_the_deepest_misses():
    clips = pd.DataFrame(
        [
            ("fan", label, f"{label} {score}", float(score), int(score > 2))
            for label in ("normal", "anomaly")
            for score in (3, 5, 1, 0)
        ],
        columns=["machine", "label", "name", "score", "decision"],
    )
    assert failures.worst(clips, 1) == [("fan", "normal 5"), ("fan", "anomaly 0")]
    found = failures.errors(clips)
    assert found["name"].tolist() == ["normal 5", "normal 3", "anomaly 0", "anomaly 1"]
    assert (failures.errors(clips.assign(decision=0))["kind"] == "misses").all()
