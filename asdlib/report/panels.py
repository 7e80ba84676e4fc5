"""Sound that plays in a page: no kernel, no network. Players, and panels that show what they play.

A panel is one player with one spectrogram: the playhead moves over it, a click seeks, buttons
switch between near, far, every front-end and the truth without losing the place. Bokeh draws it and
its callbacks run in the page. Notebook: 01_far_microphone.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import soundfile
from bokeh.document import Document
from bokeh.embed import components
from bokeh.events import Tap
from bokeh.layouts import column
from bokeh.models import ColorBar, CustomJS, Div, LinearColorMapper, RadioButtonGroup, Span
from bokeh.palettes import Magma256
from bokeh.plotting import figure
from bokeh.resources import Resources
from IPython.display import display
from jaxtyping import Float, Int8

from asdlib.params import Spectra
from asdlib.report import js
from asdlib.report.style import sound_name
from asdlib.spectra import decibels

_LEVEL = 0.08  # root mean square of every player, so that the ear compares sound and not loudness
_PEAK = 0.98
_MOST_ROWS, _MOST_COLUMNS = 104, 640  # of a spectrogram in a page, frequency and time
_SMALLEST = 1e-12  # power: -120 dB fit into one byte
_RANGE = (10, 99.8)  # percentiles of the level that the colours span
_FENCE = "`" * 12  # longer than any that a page could hold

_FLAC = {"format": "FLAC", "subtype": "PCM_16"}
_MP3: dict[str, Any] = {"format": "MP3", "subtype": "MPEG_LAYER_III"}
_MP3 |= {"bitrate_mode": "VARIABLE", "compression_level": 0.0}

Track = tuple[Float[np.ndarray, " sample"], Float[np.ndarray, "frequency frame"]]
"""A signal and the power spectrum that is shown while it plays."""


def player(source: str, label: str, name: str = "") -> str:
    """One labelled audio element for an encoded sound.

    Parameters
    ----------
    label : what stands above it.
    name : for those who cannot see where it stands; the label by default.

    >>> print(player("data:,", "near"))
    <div class='asd-player'><span>near</span>...</div>
    """
    sound = audio(source, name or label)
    return f"<div class='asd-player'><span>{html.escape(label)}</span>{sound}</div>"


def match_level(signal: Float[np.ndarray, " sample"]) -> Float[np.ndarray, " sample"]:
    """Scale to a common level; less where it would clip. Silence stays silence."""
    rms = np.sqrt(np.mean(np.square(signal, dtype=np.float64)))
    if rms == 0:
        return signal
    return signal * min(_LEVEL / rms, _PEAK / np.abs(signal).max())


def encode(signal: Float[np.ndarray, " sample"], sample_rate: int, *, lossless: bool = True) -> str:
    """Make a sound a data URI, at the level it has: FLAC, or MP3 of a quarter of its size."""
    buffer = io.BytesIO()
    soundfile.write(buffer, signal, sample_rate, **(_FLAC if lossless else _MP3))
    data = base64.b64encode(buffer.getvalue()).decode()
    return f"data:audio/{'flac' if lossless else 'mpeg'};base64,{data}"


def encoded(tracks: Mapping[str, Track], sample_rate: int) -> dict[str, str]:
    """Make the near sounds of a clip small enough for many of them: label to MP3 as a data URI."""
    return {
        sound_name(name): encode(match_level(signal), sample_rate, lossless=False)
        for name, (signal, _) in tracks.items()
        if name != "far"
    }


def audio(source: str, label: str, attributes: str = "") -> str:
    """One audio element for an encoded sound."""
    shown = f'controls preload="none" style="width: 100%"{attributes}'
    return f'<audio {shown} aria-label="{html.escape(label)}" src="{source}"></audio>'


def start() -> None:
    """Give a notebook in JupyterLab the library that panels need; the pages have it already."""
    needed = Resources(mode="inline", components=["bokeh", "bokeh-widgets"])
    scripts = "".join(f"<script>{text}</script>" for text in needed.js_raw)
    nothing = "% a comment, so that the pages do not take the scripts"
    display({"text/markdown": nothing, "text/html": scripts, "text/plain": ""}, raw=True)


def show_live(*models: Any, ready: CustomJS, before: str = "", after: str = "") -> None:
    """Show what Bokeh draws, between two pieces of HTML, with or without a kernel.

    Parameters
    ----------
    models : one below the other; their callbacks all run in the page.
    ready : runs when the page has them.
    """
    document = Document()
    document.add_root(column(*models, sizing_mode="stretch_width"))
    document.js_on_event("document_ready", ready)
    script, division = components(document.roots[0])
    page = f"<div class='asd-live'>{before}{division}{after}</div>{script}"
    block = f"{_FENCE}{{raw}} html\n{page}\n{_FENCE}"
    display({"text/markdown": block, "text/html": page, "text/plain": ""}, raw=True)


def plot(**options: Any) -> figure:
    """Return an empty plot as wide as the page, without tools."""
    drawn = figure(sizing_mode="stretch_width", tools="", toolbar_location=None, **options)
    drawn.axis.axis_label_text_font_style = "normal"
    return drawn


def upright(drawn: figure, at: float, **look: Any) -> Span:
    """Draw an upright line that a script can move."""
    line = Span(location=at, dimension="height", line_width=2, **look)
    drawn.add_layout(line)
    return line


def words() -> Div:
    """Return an empty place for what a script writes; formulas in it are text."""
    return Div(sizing_mode="stretch_width", disable_math=True)


def show_panel(
    tracks: Mapping[str, Track],
    *,
    spectra: Spectra,
    label: str,
    title: str,
    matched: bool = True,
) -> None:
    """Show a listening panel: one player and one spectrogram for several sounds of one length.

    Parameters
    ----------
    tracks : name on its button to the sound and its power spectrum, all on one colour scale.
    label : short name of the panel, unique in its page.
    title : what stands above the spectrogram; text, not markup.
    matched : bring every track to one level; else all get one gain, so that differences of
        loudness are heard too.
    """
    signals, powers = zip(*tracks.values(), strict=True)
    ends = max(map(len, signals)) / spectra.sample_rate, spectra.sample_rate / 2000  # s, kHz
    drawn, shown = _spectrogram(powers, *ends)
    playhead = upright(drawn, 0, line_color="#0072b2", name=f"{label} playhead")
    narrow = ".bk-btn-group { flex-wrap: wrap; } .bk-btn { flex: 0 1 auto; }"
    buttons = RadioButtonGroup(
        labels=list(tracks), active=0, name=f"{label} buttons", stylesheets=[narrow]
    )
    player = f"{label}-audio"
    sources = _sources(signals, spectra.sample_rate, matched)
    arguments = {"player": player, "shown": shown, "sources": sources, "playhead": playhead}
    drawn.js_on_event(Tap, CustomJS(args=arguments, code=js.script("panel_seek")))
    buttons.js_on_change("active", CustomJS(args=arguments, code=js.script("panel_switch")))
    follow = CustomJS(args=arguments, code=js.script("panel_follow"))
    above = f"<div class='asd-title'>{html.escape(title)}</div>"
    name = f"{title}: player, with a spectrogram that follows it"
    below = audio(sources[0], name, f' id="{html.escape(player)}"')
    show_live(buttons, drawn, ready=follow, before=above, after=below)


def _spectrogram(
    powers: Sequence[Float[np.ndarray, "frequency frame"]], seconds: float, top: float
) -> tuple[figure, list[Any]]:
    """Draw several spectra into one plot, on one colour scale; the first is visible.

    Parameters
    ----------
    seconds, top : ends of the axes, time in s and frequency in kHz.

    Returns
    -------
    The plot and its images.
    """
    images = [_image(power) for power in powers]
    low, high = np.percentile(np.concatenate([image.ravel() for image in images]), _RANGE)
    colours = LinearColorMapper(palette=Magma256[::-1], low=low, high=max(high, low + 1))
    drawn = plot(
        height=280,
        x_range=(0, seconds),
        y_range=(0, top),
        x_axis_label="time (s)",
        y_axis_label="frequency (kHz)",
        tooltips=[("time", "$x{0.00} s"), ("frequency", "$y{0.00} kHz"), ("power", "@image dB")],
    )
    place = {"x": 0, "y": 0, "dw": seconds, "dh": top}
    shown = [
        drawn.image(image=[image], color_mapper=colours, visible=not i, **place)
        for i, image in enumerate(images)
    ]
    bar = ColorBar(color_mapper=colours, title="dB", title_text_font_style="normal", width=10)
    drawn.add_layout(bar, "right")
    return drawn, shown


def _sources(signals: Sequence[np.ndarray], sample_rate: int, matched: bool) -> list[str]:
    """Encode sounds, each at one level or all with one gain."""
    peak = max(float(np.abs(signal).max(initial=0)) for signal in signals)
    gain = _PEAK / 2 / peak if peak else 1
    return [
        encode(match_level(signal) if matched else gain * signal, sample_rate) for signal in signals
    ]


def _image(power: Float[np.ndarray, "frequency frame"]) -> Int8[np.ndarray, "row column"]:
    """Level in whole dB of full scale's square, pooled to what a page can show."""
    rows = -(-power.shape[0] // _MOST_ROWS)
    columns = -(-power.shape[1] // _MOST_COLUMNS)
    pooled = np.add.reduceat(power, np.arange(0, power.shape[0], rows), axis=0)
    pooled = np.add.reduceat(pooled, np.arange(0, power.shape[1], columns), axis=1)
    level = decibels(np.maximum(pooled / (rows * columns), _SMALLEST))
    return np.clip(np.round(level), -127, 127).astype(np.int8)
