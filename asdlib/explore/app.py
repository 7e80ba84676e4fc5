"""The live explorer: choose a clip and a front-end, move a constant, look and listen.

Everything is computed from the audio at every move. The models stay those of the study; nothing is
ever trained here, so it opens on any folder. Notebook: 00_explore.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets
import pandas as pd
from IPython.display import clear_output, display
from jaxtyping import Float
from numpy import ndarray
from pydantic import ValidationError

from asdlib import study
from asdlib.explore import picture
from asdlib.explore.data import ClipPicture, StudyReader, clip_picture
from asdlib.frontends import FRONT_ENDS, trained_front_ends
from asdlib.params import AsdError, Denoising, Params, sentence
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
        known = trained_front_ends(params.front_ends)
        self.machine = widgets.Dropdown(options=self.recordings.machines, description="machine")
        self.clip = widgets.Dropdown(description="clip", layout={"width": "620px"})
        self.front_end = widgets.Dropdown(
            options=[(NAMES[name], name) for name in FRONT_ENDS],
            value="adasub" if "adasub" in known else known[-1],
            description="front-end",
        )
        self.scorer = widgets.Dropdown(description="statistics")
        self.sliders = {name: self._slider(name) for name in SLIDERS}
        self.reset = widgets.Button(description="reset", tooltip="the study's constants")
        self.status, self.decisions = widgets.HTML(), widgets.HTML()
        self.picture = widgets.Image(format="png", layout={"max_width": "100%"})
        self.players = {name: widgets.HTML() for name in ("near", "far", "truth", "denoised")}
        self.shares = widgets.Image(format="png", layout={"max_width": "100%"})
        self.untrained = widgets.VBox([self.scorer, self.shares])
        players = widgets.GridBox([*self.players.values()], layout=_GRID)
        self.results = widgets.VBox([self.picture, players, self.untrained])
        self.widget = widgets.VBox(
            [
                widgets.HBox([self.machine, self.front_end]),
                widgets.HBox([self.clip, self.decisions], layout=_WRAP),
                widgets.HBox([*self.sliders.values(), self.reset], layout=_WRAP),
                self.status,
                self.results,
            ]
        )
        chosen = (self.machine, self.clip, self.front_end, self.scorer)
        for control in (*chosen, *self.sliders.values()):
            control.observe(self.update, names="value")
        self.reset.on_click(self._on_reset)

    def _slider(self, name: str) -> widgets.FloatSlider:
        low, high, step = SLIDERS[name]
        value = getattr(self.params.denoising, name)
        return widgets.FloatSlider(
            value=value,
            min=min(low, value),
            max=max(high, value),
            step=step,
            description=name,
            readout_format=".2f" if step < 1 else ".0f",
        )

    def show(self) -> None:
        """Display the widgets, then fill them: what takes seconds says so meanwhile."""
        clear_output(wait=True)  # the bars of checking
        display(self.widget)
        self.update()

    @property
    def row(self) -> pd.Series:
        """The chosen clip's row of the manifest."""
        return self.recordings.manifest.loc[self.clip.value]

    @property
    def constants(self) -> Denoising:
        """The study's constants with what the sliders say.

        Raises
        ------
        AsdError
            Where they cannot go together.
        """
        moved = {name: slider.value for name, slider in self.sliders.items()}
        try:
            return Denoising(**{**self.params.denoising.model_dump(), **moved})
        except ValidationError as error:
            raise AsdError(f"{sentence(error)} Move a slider.") from None

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
        if self.clip.value not in clips.index:
            names = [
                f"{row['name']}  ({row['split']}, {row['domain']}, {row['label']})"
                for _, row in clips.iterrows()
            ]
            _offer(self.clip, names, clips.index.tolist())
        for name, slider in self.sliders.items():
            slider.disabled = name not in ("percentile", *FRONT_ENDS[front_end].reads)
        row, constants = self.row, self.constants
        self.decisions.value = html.escape(describe_decisions(self.reader.decisions, row))
        wrong = self._wrong_with(row)
        try:
            signal, truth = self.reader.sounds(self.clip.value)
        except AsdError as error:
            self.view, self.results.layout.display = None, "none"
            self._say(*(wrong or [str(error)]))
            return
        self.results.layout.display = ""
        trained = self.reader.trained(row["machine"], front_end)
        floors, remark = self.reader.floors(row["machine"], front_end, constants)
        self.view = clip_picture(
            signal,
            constants,
            front_end=front_end,
            params=self.params,
            floors=floors,
            trained=trained,
        )
        title = f"{row['machine']}, {row['name']} ({row['domain']}, {row['label']})"
        self.picture.value = picture.panels(
            self.view, self.params, title=title, front_end=front_end, trained=trained
        )
        for name, sound in {"near": signal[0], "far": signal[1], "truth": truth}.items():
            self._play(name, sound, sound_name(name))
        self._play("denoised", self.view.sound, f"after {NAMES[front_end]}")
        self._explain(row, front_end)
        self._say(*wrong, remark, self.view.note)

    def _explain(self, row: pd.Series, front_end: str) -> None:
        """Show what a detector without training makes of the clip, with the study's constants."""
        found = self.reader.scorers(row["machine"], front_end)
        _offer(self.scorer, [SCORER_NAMES[name] for name in found], found)
        self.untrained.layout.display = "" if found else "none"
        if found:
            table, z = self.reader.explained(self.clip.value, front_end, self.scorer.value)
            squared = table["contribution"].sum()
            title = f"{system_name(front_end, self.scorer.value)}: $z$ = {z:.2f}, $D^2$ = "
            title += f"{squared:.0f}, with the study's constants"
            own = "; fitted on this clip too" if row["split"] == "train" else ""
            self.shares.value = picture.shares(table, title + own)

    def _play(self, name: str, sound: Float[ndarray, " sample"] | None, label: str) -> None:
        """Fill a player; hide it where there is no sound."""
        player = self.players[name]
        player.layout.display = "none" if sound is None else ""
        if sound is not None:
            source = panels.encode(panels.match_level(sound), self.params.spectra.sample_rate)
            player.value = panels.player(source, label)

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
    score = f"{first['system']}: z = {first['score']:.2f}, threshold {first['threshold']:.2f}"
    return f"{score}; anomalous by {alarms}, normal by {silent}"


def _offer(dropdown: widgets.Dropdown, names: Sequence[str], values: Sequence[Any]) -> None:
    """Offer these values; the present one stays where it is among them, else it is the first."""
    before, options = dropdown.value, list(zip(names, values, strict=True))
    if options != list(dropdown.options):
        dropdown.options = options
        dropdown.value = before if before in values else next(iter(values), None)


def explore(params: Params) -> None:
    """Open the explorer under a notebook's cell, or say in one sentence why it cannot."""
    try:
        Explorer(params).show()
    except AsdError as error:
        display(widgets.HTML(html.escape(str(error))))
