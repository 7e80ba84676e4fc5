"""The live explorer: choose a clip and a front-end, move a constant, look and listen.

Everything is computed from the audio at every move. The models stay those of the study; nothing is
ever trained here, so it opens on any folder. Notebook: 00_explore.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

import ipywidgets as widgets
import pandas as pd
from IPython.display import clear_output, display

from asdlib import study
from asdlib.explore import picture
from asdlib.explore.data import ClipPicture, StudyReader
from asdlib.frontends import FRONT_ENDS, trained_front_ends
from asdlib.params import AsdError, Params, load
from asdlib.report import panels
from asdlib.report.style import NAMES, SCORER_NAMES, sound_name, system_name
from asdlib.runtime.errors import plural

SLIDERS = {
    "percentile": (1.0, 99.0, 1.0),
    "a_s": (0.0, 6.0, 0.1),
    "beta": (0.0, 1.0, 0.01),
    "a_0": (-3.0, 9.0, 0.1),
    "a_min": (0.0, 8.0, 0.1),
    "a_max": (0.0, 8.0, 0.1),
    "smoothing": (0.0, 0.99, 0.01),
}
"""Lowest, highest and step of every constant; all of it is allowed by Denoising."""
_DROPDOWNS = {"machine": "300px", "clip": "620px", "front-end": "300px", "statistics": "300px"}
_WRAP = {"flex_flow": "row wrap"}
_GRID = {"grid_template_columns": "repeat(auto-fill, minmax(17rem, 1fr))", "grid_gap": "0 1rem"}


class Explorer:
    """The widgets, and what they were last told.

    Parameters
    ----------
    params : of the study.
    """

    def __init__(self, params: Params):
        self.params = params
        self.recordings = study.open_recordings(params, progress=True, strict=False)
        self.reader = StudyReader(params, self.recordings, self._say)
        self.view: ClipPicture | None = None
        self._updating = False
        self.machine, self.clip, self.front_end, self.scorer = chosen = [
            widgets.Dropdown(description=name, layout={"width": width})
            for name, width in _DROPDOWNS.items()
        ]
        known = trained_front_ends(params.front_ends)
        _offer(self.machine, self.recordings.machines, self.recordings.machines)
        self.front_end.options = [(NAMES[name], name) for name in FRONT_ENDS]
        self.front_end.value = "adasub" if "adasub" in known else known[-1]
        self.sliders = {name: self._slider(name) for name in SLIDERS}
        self.reset = widgets.Button(description="reset", tooltip="the study's constants")
        self.status, self.decisions = widgets.HTML(), widgets.HTML()
        self.picture, self.shares = (widgets.Image(layout={"max_width": "100%"}) for _ in range(2))
        self.players = {name: widgets.HTML() for name in ("near", "far", "truth", "denoised")}
        self.untrained = widgets.VBox([self.scorer, self.shares])
        players = widgets.GridBox([*self.players.values()], layout=_GRID)
        self.results = widgets.VBox([self.picture, players, self.untrained])
        moved = [*self.sliders.values(), self.reset]
        rows = [self.machine, self.front_end], [self.clip, self.decisions], moved
        controls = [widgets.HBox(row, layout=_WRAP) for row in rows]
        self.widget = widgets.VBox([*controls, self.status, self.results])
        for control in (*chosen, *self.sliders.values()):
            control.observe(self.update, names="value")
        self.reset.on_click(self._on_reset)

    def _slider(self, name: str) -> widgets.FloatSlider:
        low, high, step = SLIDERS[name]
        value = getattr(self.params.denoising, name)
        ends = {"min": min(low, value), "max": max(high, value)}
        return widgets.FloatSlider(value=value, step=step, description=name, **ends)

    def update(self, change: object = None) -> None:
        """Compute and show what the controls say; whatever is wrong becomes a sentence."""
        if self._updating:  # a control that is moved from here
            return
        self._updating = True
        try:
            self._update()
        except AsdError as error:
            self._say(str(error))
        finally:
            self._updating = False

    def _on_reset(self, button: object) -> None:
        self._updating = True
        for name, slider in self.sliders.items():
            slider.value = getattr(self.params.denoising, name)
        self._updating = False
        self.update()

    def _update(self) -> None:
        clips, front_end = self.recordings.clips(self.machine.value), self.front_end.value
        kinds = clips["split"] + ", " + clips["domain"] + ", " + clips["label"]
        _offer(self.clip, clips["name"] + "  (" + kinds + ")", clips.index)
        for name, slider in self.sliders.items():
            slider.disabled = name not in ("percentile", *FRONT_ENDS[front_end].reads)
        moved = {name: slider.value for name, slider in self.sliders.items()}
        constants = load({"denoising": self.params.denoising.model_dump() | moved}).denoising
        row = clips.loc[self.clip.value]
        self.decisions.value = html.escape(describe_decisions(self.reader.decisions, row))
        wrong = self._wrong_with(row)
        try:
            self.view = self.reader.picture(self.clip.value, front_end, constants)
        except AsdError as error:
            self.view, self.results.layout.display = None, "none"
            self._say(*(wrong or [str(error)]))
            return
        self.results.layout.display = ""
        title = f"{row['machine']}, {row['name']} ({row['domain']}, {row['label']})"
        self.picture.value = picture.panels(self.view, self.params, front_end, title)
        for name, sound in self.view.sounds.items():
            player = self.players[name]
            player.layout.display = "none" if sound is None else ""
            if sound is not None:
                what = sound_name(front_end if name == "denoised" else name)
                source = panels.encode(panels.match_level(sound), self.params.spectra.sample_rate)
                player.value = panels.player(source, what)
        self._explain(row, front_end)
        self._say(*wrong, *self.view.notes)

    def _explain(self, row: pd.Series, front_end: str) -> None:
        """Show what a detector without training makes of the clip, with the study's constants."""
        found = self.reader.scorers(row["machine"], front_end)
        _offer(self.scorer, map(SCORER_NAMES.__getitem__, found), found)
        self.untrained.layout.display = "" if found else "none"
        if found:
            table, z = self.reader.explained(self.clip.value, front_end, self.scorer.value)
            made = f"z = {z:.2f}, D² = {table['contribution'].sum():.0f}"
            own = "; fitted on this clip too" if row["split"] == "train" else ""
            name = system_name(front_end, self.scorer.value)
            said = f"{name}: {made}, with the study's constants{own}"
            self.shares.value = picture.shares(table, said)

    def _wrong_with(self, row: pd.Series) -> list[str]:
        """Sentences of the chosen clip and its machine, and how many there are of others."""
        own = (f"{row['path']}: ", f"{row['machine']}: ")
        mine = [said for said in self.recordings.problems if said.startswith(own)]
        others = len(self.recordings.problems) - len(mine)
        more = f"Elsewhere in the folder: {plural(others, 'problem')}; asd doctor lists them."
        return [*mine, more] if others else mine

    def _say(self, *sentences: str) -> None:
        lines = [html.escape(sentence) for sentence in sentences if sentence]
        self.status.value = f"<div role='status'>{'<br>'.join(lines)}</div>"


def describe_decisions(decisions: pd.DataFrame, clip: pd.Series) -> str:
    """Score and threshold of the first system, and what each of them decides on a clip.

    Parameters
    ----------
    decisions : of :func:`asdlib.compare.systems.decisions`.
    clip : row of the manifest.
    """
    if clip["split"] == "train":
        return "a training clip: nothing is decided"
    of_clip = (decisions["machine"] == clip["machine"]) & (decisions["name"] == clip["name"])
    own = decisions[of_clip]
    if own.empty:
        return "not decided: the study has not been run"
    first, anomalous = own.iloc[0], own["decision"] == 1
    alarms, silent = (", ".join(own.loc[x, "system"]) or "none" for x in (anomalous, ~anomalous))
    score = f"{first['system']}: score {first['score']:.2f}"
    if not pd.isna(first["threshold"]):
        score += f", threshold {first['threshold']:.2f}"
    return f"{score}; anomalous by {alarms}, normal by {silent}"


def _offer(dropdown: widgets.Dropdown, names: Iterable[str], values: Iterable[Any]) -> None:
    """Offer these values; the present one stays where it is among them, else it is the first."""
    before, options = dropdown.value, tuple(zip(names, values, strict=True))
    if options != dropdown.options:
        dropdown.options = options
        values = [value for _, value in options]
        dropdown.value = before if before in values else next(iter(values), None)


def explore(params: Params) -> None:
    """Open the explorer under a notebook's cell, or say in one sentence why it cannot."""
    try:
        own = Explorer(params)
    except AsdError as error:
        display(widgets.HTML(html.escape(str(error))))
        return
    clear_output(wait=True)  # the bars of checking
    display(own.widget)
    own.update()  # what takes seconds says so meanwhile
