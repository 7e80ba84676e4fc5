"""Letters in figures and pages: a font of the report's own, and no box for a letter it lacks."""

import re

import numpy as np
import pandas as pd
import pytest
from fontTools.ttLib import TTFont
from matplotlib import font_manager
from matplotlib import pyplot as plt
from matplotlib.text import Text

from asdlib import params
from asdlib.explore.board import Board
from asdlib.io.files import project_root
from asdlib.report import charts, figures, fonts, style

NAME = "日本語"
NUMBERS = "U+65E5-672C-8A9E"


@pytest.fixture
def alone(monkeypatch):
    """A machine without any other font."""
    monkeypatch.setattr(fonts, "families", lambda: [fonts.FAMILY])
    fonts._letters.cache_clear()
    yield
    fonts._letters.cache_clear()


def drawings():
    table = pd.DataFrame({"S1": [0.6, 0.7]}, index=[NAME, "fan"])
    yield charts.machines(table)
    yield charts.machines(table.rename(columns={"S1": f"S1 {NAME}"}, index={NAME: "x"}))
    floor = np.ones(4), np.ones(4)
    yield figures.noise_floors({NAME: floor}, np.arange(4.0))


def test_a_name_without_glyphs_is_numbers_in_a_figure(alone, tmp_path, monkeypatch):
    blocks = []
    monkeypatch.setattr(style, "display", lambda bundle, raw: blocks.append(bundle))
    style.style()
    for figure in drawings():
        style.show_figure(figure, "fig-x", "See.", folder=tmp_path)  # a warning is an error
        texts = {text.get_text() for text in figure.findobj(Text)}
        assert any(NUMBERS in text for text in texts)
        assert not any(NAME in text for text in texts)
        assert "See. U+ and hexadecimal numbers" in blocks[-1]["text/markdown"]
    style.show_figure(plt.figure(), "fig-x", "See.", folder=tmp_path)
    assert "U+" not in blocks[-1]["text/markdown"]


def test_the_explorer_draws_such_a_name(alone):
    board = Board(params.load({}))
    board.say(f"cannot be shown: {NAME}")
    assert board._title.get_text() == f"cannot be shown: {NUMBERS}"


def test_an_installed_font_draws_the_letters_that_the_first_one_lacks(monkeypatch):
    known = font_manager.get_font(font_manager.findfont(fonts.FAMILY)).get_charmap()
    other = font_manager.get_font(font_manager.findfont("STIXGeneral")).get_charmap()
    letter = chr(next(code for code in other if code not in known and code > 0x2000))
    monkeypatch.setattr(fonts, "_OTHERS", ("STIXGeneral", "not installed"))
    fonts._letters.cache_clear()
    style.style()
    assert plt.rcParams["font.family"] == [fonts.FAMILY, "STIXGeneral"]
    figure = plt.figure()
    figure.text(0, 0, letter)
    assert not fonts.replace_missing(figure)
    figure.canvas.draw()
    fonts._letters.cache_clear()


def test_the_pages_fonts_hold_the_letters_of_the_method_and_their_licence(tmp_path):
    fonts.write(tmp_path / "fonts")
    files = sorted((tmp_path / "fonts").glob("*.woff"))
    css = (project_root() / "report/_static/report.css").read_text()
    assert {f"fonts/{file.name}" for file in files} == set(re.findall(r'url\("(.*?)"\)', css))
    for file in files:
        with TTFont(file) as font:
            assert set(map(ord, "Aéβγ±−≥→…Ω")) <= set(font.getBestCmap())
            assert "Bitstream" in font["name"].getDebugName(0)
    assert sum(file.stat().st_size for file in files) < 400_000
    assert (tmp_path / "fonts" / "LICENSE_DEJAVU").exists()
