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
from asdlib.frontends import COMBINATIONS, FRONT_ENDS
from asdlib.report import browse, charts, charts_signals, panels, style, tables
from asdlib.scoring import SCORERS, VARIANTS
from asdlib.study import baseline


@pytest.fixture
def shown(monkeypatch):
    """What has been displayed, newest last."""
    bundles = []
    for module in (style, tables):
        monkeypatch.setattr(module, "display", lambda bundle, raw: bundles.append(bundle))
    return bundles


def test_every_system_has_a_name_and_a_colour():
    for name in [*FRONT_ENDS, *COMBINATIONS, "baseline"]:
        assert re.fullmatch("#[0-9a-f]{6}", style.COLOURS[name].lower())
        assert style.NAMES[name]
        assert style.sound_name(name)
    assert set(style.SCORER_NAMES) == {*SCORERS, *VARIANTS, *baseline.SCORERS, *VIEWS}
    assert style.system_name("baseline", "mahala") == "Baseline MAHALA"
    assert style.system_name("adasub", "s1") == "AdaSub + DM + shrink + P95"
    assert style.system_name("near") == "AE ch1"
    for looks in (style.COLOURS, style.MARKERS):
        assert len(set(looks.values())) == len(looks)


def test_a_new_front_end_gets_a_colour_and_a_marker_by_itself():
    new = [f"new_{i}" for i in range(8)]
    looks = style._looks(new)
    assert len({looks[name] for name in new}) == len(new)
    colours, markers = map(set, zip(*(looks[name] for name in new), strict=True))
    assert not colours & {colour for colour, _ in style._LOOKS.values()}
    assert not markers & {marker for _, marker in style._LOOKS.values()}


@pytest.mark.parametrize("machines", [["$a$_<b>"], list("abcd")])
def test_panels_have_the_machines_as_titles_and_one_legend(machines):
    table = pd.DataFrame({"machine": machines, "noise": 2.0, "machine_sound": 0.5})
    both = pd.concat([table.assign(front_end=name) for name in ("near", "adasub")])
    figure = charts_signals.removal(both)
    assert [ax.get_title() for ax in figure.axes] == machines
    assert not figure.axes[0].title.get_parse_math()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["AE ch1", "AdaSub"]
    colours = figure.axes[0].collections[0].get_facecolors()
    assert [to_hex(colour) for colour in colours] == [
        style.COLOURS["near"],
        style.COLOURS["adasub"],
    ]
    plt.close(figure)


def test_rows_of_dots_stand_from_above_around_a_named_line():
    _, (ax,), heights = charts.forest(["a", "b"], line=0.5, line_name="chance", xlabel="x")
    assert heights.tolist() == [0, 1]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    assert ax.get_ylim() == (1.5, -0.5)
    assert ax.lines[0].get_xdata() == [0.5, 0.5]
    assert ax.texts[0].get_text() == "chance"


def test_a_table_is_numbered_in_the_report_and_plain_in_lab(tmp_path, shown):
    table = pd.DataFrame({"machine": ["fan"], "score": [0.123456], "clips": [3], "p": [np.nan]})
    tables.show_table(table, "tab-x", "What it is.", folder=tmp_path)
    text = shown[0]["text/markdown"]
    assert text.startswith("```{table} What it is.\n:name: tab-x\n")
    assert "| fan | 0.1235 | 3 | n/a |" in text
    assert "<td>0.1235</td>" in shown[0]["text/html"]
    assert pd.read_csv(tmp_path / "tab-x.csv")["score"][0] == 0.123456


def test_names_in_a_table_are_never_markup(tmp_path, shown):
    evil = "<script>alert(1)</script> | `$x$` {numref}`a`"
    tables.show_table(pd.DataFrame({"name": [evil]}), "tab-x", "Names.", folder=tmp_path)
    assert "<script>" not in shown[0]["text/html"]
    row = shown[0]["text/markdown"].splitlines()[-2]
    assert row.count("|") == row.count("\\|") + 2
    assert "\\<script\\>" in row
    assert "\\$x\\$" in row
    assert "\\{numref\\}\\`a\\`" in row


def test_a_figure_is_a_file_a_block_and_an_image(tmp_path, shown):
    style.style()
    for name in ("fig-x", "fig-y"):  # the same data give the same bytes
        floors = {"fan": (np.ones(4), np.ones(4))}
        figure = charts_signals.noise_floors(floors, np.arange(4.0))
        style.show_figure(figure, name, 'Look at "this".', folder=tmp_path)
    assert (tmp_path / "fig-x.svg").read_text().startswith("<?xml")
    assert (tmp_path / "fig-x.svg").read_bytes() == (tmp_path / "fig-y.svg").read_bytes()
    text = shown[0]["text/markdown"]
    assert "```{figure} /figures/fig-x.svg\n:name: fig-x\n:alt: Look at 'this'." in text
    data = re.search(r"base64,([^\"]+)", shown[0]["text/html"])[1]
    assert base64.b64decode(data).startswith(b"\x89PNG")


def decoded(source):
    signal, rate = soundfile.read(io.BytesIO(base64.b64decode(source.partition("base64,")[2])))
    assert rate == 16000
    return signal


def test_players_hold_the_sound_at_one_level(rng):
    quiet, loud = 1e-3 * rng.standard_normal(8000), 0.9 * np.sin(np.arange(8000))
    spike = np.zeros(8000)
    spike[100] = 0.5
    page = panels.player(panels.encode(quiet, 16000), "a<b")
    assert "a<b" not in page
    assert 'aria-label="a&lt;b"' in page
    levels = []
    for source in panels._sources((quiet, loud, spike, quiet * 0), 16000, matched=True):
        signal = decoded(source)
        assert len(signal) == 8000
        assert np.abs(signal).max() < 1
        levels.append(np.sqrt(np.mean(signal**2)))
    assert levels[0] == pytest.approx(levels[1], rel=1e-2)
    assert 0 < levels[2] < levels[1]  # no louder than full scale allows
    assert levels[3] == 0


def test_one_gain_keeps_differences_of_loudness(rng):
    loud, quiet = 0.9 * rng.standard_normal(800), 0.01 * rng.standard_normal(800)
    first, second = map(decoded, panels._sources([loud, quiet], 16000, matched=False))
    assert first.std() / second.std() == pytest.approx(loud.std() / quiet.std(), rel=0.01)
    assert np.abs(first).max() <= 0.5
    assert not np.any(panels._one_gain([0 * loud])[0])


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
            ("fan", label, f"{label} {score}", float(score), threshold)
            for label in ("normal", "anomaly")
            for score, threshold in ((3, 2.0), (5, 2.0), (1, 2.0), (0, 2.0))
        ],
        columns=["machine", "label", "name", "score", "threshold"],
    )
    assert browse.worst(clips, 1) == [("fan", "normal 5"), ("fan", "anomaly 0")]
    found = browse.errors(clips)
    assert found["name"].tolist() == ["normal 5", "normal 3", "anomaly 0", "anomaly 1"]
    assert (browse.errors(clips.assign(threshold=np.inf))["kind"] == "misses").all()
