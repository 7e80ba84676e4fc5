"""One font in figures and pages, DejaVu Sans as matplotlib brings it, and letters that it lacks.

Figures hold their letters as outlines. Pages get the font's files, so that they look the same on
every machine. A letter without a glyph on the machine that draws a figure stands there as its
Unicode number.
"""

from __future__ import annotations

import re
import shutil
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import matplotlib
from fontTools import subset
from matplotlib import font_manager
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

FAMILY = "DejaVu Sans"
_FILES = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSansMono-Bold")
_BLOCKS = ((0x20, 0x24F), (0x370, 0x52F), (0x2000, 0x22FF), (0x2500, 0x25FF), (0xFFFD, 0xFFFD))
"""Latin, Greek, Cyrillic, punctuation, arrows, mathematics, shapes: other letters are the reader's
fonts' matter."""
_OTHERS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Source Han Sans",
    "Hiragino Sans",
    "Yu Gothic",
    "MS Gothic",
    "IPAexGothic",
    "PingFang SC",
    "Microsoft YaHei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "Apple SD Gothic Neo",
    "Malgun Gothic",
    "Arial Unicode MS",
)
"""Fonts with Chinese, Japanese and Korean letters; figures use those that are installed."""


def families() -> list[str]:
    """Font families of figures: DejaVu Sans first, then what is installed for letters it lacks.

    >>> families()[0]
    'DejaVu Sans'
    """
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return [FAMILY, *(name for name in _OTHERS if name in installed)]


def drawable(text: str) -> str:
    r"""Return the text with Unicode numbers in place of letters that no font of figures has.

    >>> drawable("fan ±Ω\n2")
    'fan ±Ω\n2'
    >>> drawable("pump \U0010fffd\U0010fffd")
    'pump U+10FFFD-10FFFD'
    """
    if text.isascii() and text.isprintable():
        return text
    known = _letters()
    missing = "".join({letter for letter in text if ord(letter) not in known} - {"\n"})
    if not missing:
        return text
    return re.sub(f"[{re.escape(missing)}]+", _numbers, text)


def replace_missing(figure: Figure) -> bool:
    """Replace every letter of a figure that could only be drawn as a box; tell whether any was.

    Call it when the figure is complete.
    """
    found = False
    for axis in figure.findobj(Axis):
        labels = axis.get_ticklabels(which="both")
        if any(drawable(label.get_text()) != label.get_text() for label in labels):
            found = True
            axis.set_major_formatter(_replacing(axis.get_major_formatter()))
            axis.set_minor_formatter(_replacing(axis.get_minor_formatter()))
    for text in figure.findobj(Text):
        before = text.get_text()
        if (after := drawable(before)) != before:
            found = True
            text.set_text(after)
    return found


def write(folder: Path) -> None:
    """Write the font's files for pages, with its licence, into a new folder."""
    folder.mkdir()
    options = subset.Options(flavor="woff", hinting=False, name_IDs=["*"])
    options.drop_tables.append("FFTM")  # of the font's editor
    wanted = list(chain.from_iterable(range(low, high + 1) for low, high in _BLOCKS))
    for name in _FILES:
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=wanted)
        with subset.load_font(_matplotlib(f"{name}.ttf"), options) as font:
            cutter.subset(font)
            subset.save_font(font, folder / f"{name}.woff", options)
    shutil.copy(_matplotlib("LICENSE_DEJAVU"), folder)


def _replacing(formatter: Any) -> FuncFormatter:
    return FuncFormatter(lambda value, place: drawable(formatter(value, place)))


def _numbers(run: re.Match[str]) -> str:
    return "U+" + "-".join(f"{ord(letter):04X}" for letter in run[0])


@cache
def _letters() -> frozenset[int]:
    fonts = (font_manager.get_font(font_manager.findfont(name)) for name in families())
    return frozenset(chain.from_iterable(font.get_charmap() for font in fonts))


def _matplotlib(name: str) -> Path:
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
