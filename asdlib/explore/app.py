"""The live explorer: choose a clip and a front-end, move a constant, look and listen.

Everything is computed from the audio at every move. The models stay those of the study; nothing is
ever trained here, so it opens on any folder. Notebook: 00_explore.
"""

from __future__ import annotations

import html
from functools import cached_property
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
from IPython.display import clear_output, display
from jaxtyping import Float
from pydantic import ValidationError

from asdlib import dataset
from asdlib.clipstats import VIEWS
from asdlib.compare import systems
from asdlib.explore import picture
from asdlib.explore.data import (
    ClipPicture,
    QuietPowers,
    Trained,
    apply_systems,
    clip_picture,
    describe_decisions,
    machine_sound,
    open_folder,
    viewed,
)
from asdlib.frontends import FRONT_ENDS, trained_front_ends
from asdlib.noise import Floors
from asdlib.params import AsdError, Denoising, Params, sentence
from asdlib.pipeline import FittedView
from asdlib.report import panels
from asdlib.report.style import NAMES, SCORER_NAMES, sound_name, system_name
from asdlib.study import detectors, scores, stages, views, walk
from asdlib.study.views import View as Viewed

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
_SOUNDS = ("near", "far", "truth", "denoised")  # the last one changes with every move
_GRID = {"grid_template_columns": "repeat(auto-fill, minmax(17rem, 1fr))", "grid_gap": "0 1rem"}


class Explorer:
    """The widgets, and what they were last told.

    Parameters
    ----------
    params : of the study.
    """

    def __init__(self, params: Params):
        self.params = params
        self.recordings, self.problems = open_folder(params, progress=True)
        self.view: ClipPicture | None = None
        self._units: dict[tuple[str, str], Trained | None] = {}
        self._views: dict[tuple[str, str, str], FittedView] = {}
        self._explained: tuple[Any, pd.DataFrame, float] | None = None
        self._quiet: dict[tuple[str, str], QuietPowers] = {}
        self._held = False
        self._signal: tuple[Any, Float[np.ndarray, "channel=2 sample"]] | None = None
        self.status = widgets.HTML()
        self.decisions = widgets.HTML()
        self.picture = widgets.Image(format="png", layout={"max_width": "100%"})
        self.players = {name: widgets.HTML() for name in _SOUNDS}
        self.shares = widgets.Image(format="png", layout={"max_width": "100%", "display": "none"})
        wide = {"width": "auto"}
        self.machine = widgets.Dropdown(options=self.recordings.machines, description="machine")
        self.clip = widgets.Dropdown(description="clip", layout={"width": "620px"})
        known = trained_front_ends(params.front_ends)
        self.front_end = widgets.Dropdown(
            options=[(NAMES[name], name) for name in FRONT_ENDS],
            value="adasub" if "adasub" in known else known[-1],
            description="front-end",
        )
        self.scorer = widgets.Dropdown(description="statistics", layout={"display": "none"})
        self.sliders = {name: self._slider(name) for name in SLIDERS}
        self.reset = widgets.Button(description="reset", tooltip="the study's constants")
        self.widget = widgets.VBox(
            [
                widgets.HBox([self.machine, self.front_end], layout=wide),
                widgets.HBox([self.clip, self.decisions], layout={"flex_flow": "row wrap"}),
                widgets.HBox(
                    [*self.sliders.values(), self.reset], layout={"flex_flow": "row wrap"}
                ),
                self.status,
                self.picture,
                widgets.GridBox([*self.players.values()], layout=_GRID),
                self.scorer,
                self.shares,
            ]
        )
        self._list_clips()
        self.machine.observe(self._on_machine, names="value")
        self.clip.observe(self._on_move, names="value")
        self.front_end.observe(self._on_move, names="value")
        self.scorer.observe(self._on_move, names="value")
        for slider in self.sliders.values():
            slider.observe(self._on_move, names="value")
        self.reset.on_click(self._on_reset)

    def show(self) -> None:
        """Display the widgets, then fill them: what takes seconds says so meanwhile."""
        clear_output(wait=True)  # the bars of checking
        display(self.widget)
        self.refresh()

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

    def refresh(self) -> None:
        """Compute and show the chosen clip; whatever is wrong becomes a sentence."""
        try:
            self._refresh()
        except AsdError as error:
            self._say(str(error))

    def _refresh(self) -> None:
        reads = ("percentile", *FRONT_ENDS[self.front_end.value].reads)
        for name, slider in self.sliders.items():
            slider.disabled = name not in reads
        constants = self.constants
        row = self.row
        title = f"{row['machine']}, {row['name']} ({row['domain']}, {row['label']})"
        self.decisions.value = html.escape(describe_decisions(self._results, row))
        wrong = self._wrong_with(row)
        try:
            signal = self._read(row)
        except AsdError as error:
            self.view = None
            self._say(*(wrong or [str(error)]))
            self.picture.value = picture.message(f"cannot be shown: {title}")
            for name in _SOUNDS:
                self._play(name, None)
            self._list_views({})
            return
        trained = self._trained(row["machine"], self.front_end.value)
        floors, remark = self._floors(row["machine"], constants)
        self.view = clip_picture(
            signal,
            constants,
            front_end=self.front_end.value,
            params=self.params,
            floors=floors,
            trained=trained,
        )
        self.picture.value = picture.panels(
            self.view, self.params, title=title, front_end=self.front_end.value, trained=trained
        )
        name = sound_name(self.front_end.value).replace("microphone", "microphone, again")
        self._play("denoised", self.view.sound, name)
        self._explain(row, signal, constants)
        self._say(*wrong, remark, self.view.note)

    def _explain(
        self, row: pd.Series, signal: Float[np.ndarray, "channel=2 sample"], constants: Denoising
    ) -> None:
        """Show what a detector without training makes of the clip, with the study's constants."""
        machine, front_end = row["machine"], self.front_end.value
        found = viewed(self.params, self.recordings, machine, front_end)
        self._list_views(found)
        if not found:
            return
        scorer = self.scorer.value
        key = (machine, front_end, scorer)
        if key not in self._views:
            self._views[key] = views.fitted(*found[scorer])
        if self._explained is None or self._explained[0] != (key, self.clip.value):
            fitted = self._views[key]
            own = (key, self.clip.value)
            self._explained = (own, fitted.explain(signal), float(fitted.z(signal)))
        _, table, z = self._explained
        squared = table["contribution"].sum()
        title = f"{system_name(front_end, scorer)}: $z$ = {z:.2f}, $D^2$ = {squared:.0f}"
        reads = ("percentile", *FRONT_ENDS[front_end].reads)
        if any(getattr(constants, n) != getattr(self.params.denoising, n) for n in reads):
            title += "; with the study's constants, not those of the sliders"
        if row["split"] == "train":
            title += "; fitted on this clip too"
        self.shares.value = picture.shares(table, title)

    def _list_views(self, found: dict[str, Viewed]) -> None:
        """Offer the scorers that were computed; hide their part of the page without any."""
        self._held, held = True, self._held
        options = [(SCORER_NAMES[scorer], scorer) for scorer in found]
        if options != list(self.scorer.options):
            before = self.scorer.value
            self.scorer.options = options
            self.scorer.value = before if before in found else next(iter(found), None)
        self.scorer.layout.display = self.shares.layout.display = "" if found else "none"
        self._held = held

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

    def _list_clips(self) -> None:
        clips = self.recordings.clips(self.machine.value)
        names = [
            f"{row['name']}  ({row['split']}, {row['domain']}, {row['label']})"
            for _, row in clips.iterrows()
        ]
        anomalous = clips.index[clips["label"] == "anomaly"]
        first = anomalous[0] if len(anomalous) else clips.index[0]
        self.clip.options = list(zip(names, clips.index, strict=True))
        self.clip.value = first

    def _on_machine(self, change: object) -> None:
        self._held = True
        self._list_clips()
        self._held = False
        self.refresh()

    def _on_move(self, change: object) -> None:
        if not self._held:
            self.refresh()

    def _on_reset(self, button: object) -> None:
        self._held = True
        for name, slider in self.sliders.items():
            slider.value = getattr(self.params.denoising, name)
        self._held = False
        self.refresh()

    def _say(self, *sentences: str) -> None:
        lines = [html.escape(sentence) for sentence in sentences if sentence]
        self.status.value = f"<div role='status'>{'<br>'.join(lines)}</div>"

    def _wrong_with(self, row: pd.Series) -> list[str]:
        """Sentences of the chosen clip and its machine, and how many there are of others."""
        own = (f"{row['path']}: ", f"{row['machine']}: ")
        mine = [s for s in self.problems if s.startswith(own)]
        others = [s for s in self.problems if s not in mine]
        more = f" (and {len(others) - 1} more: asd doctor lists them)" if len(others) > 1 else ""
        return mine + [f"Elsewhere in the folder: {s}{more}" for s in others[:1]]

    def _read(self, row: pd.Series) -> Float[np.ndarray, "channel=2 sample"]:
        """Read the chosen clip, and fill the players that no slider changes."""
        if self._signal is not None and self._signal[0] == self.clip.value:
            return self._signal[1]
        self._signal = None
        signal = dataset.read(row["path"], self.params.spectra)
        if not signal.shape[1]:
            raise AsdError(f"{row['path']}: holds no samples.")
        if not np.isfinite(signal).all():
            raise AsdError(f"{row['path']}: some samples are NaN or infinite.")
        truth = machine_sound(self.params, self.recordings, row)
        for name, sound in zip(_SOUNDS, (*signal, truth), strict=False):
            self._play(name, sound)
        self._signal = (self.clip.value, signal)
        return signal

    def _play(self, name: str, sound: Float[np.ndarray, " sample"] | None, label: str = "") -> None:
        """Fill a player; hide it where there is no sound."""
        player, rate = self.players[name], self.params.spectra.sample_rate
        player.layout.display = "none" if sound is None else ""
        player.value = ""
        if sound is not None:
            source = panels.encode(panels.match_level(sound), rate)
            player.value = panels.player(source, label or sound_name(name))

    def _task(self, machine: str, front_end: str) -> stages.Task:
        own = detectors.trained(self.params)
        return stages.Task(own, self.recordings.clips(machine), front_end)

    def _trained(self, machine: str, front_end: str) -> Trained | None:
        key = (machine, front_end)
        if key not in self._units:
            self._say(f"loading the models of {machine} with {NAMES[front_end]}")
            self._units[key] = Trained.load(self._task(*key))
        return self._units[key]

    def _floors(self, machine: str, constants: Denoising) -> tuple[Floors | None, str]:
        """Floors at the constants' percentile, and a sentence where they are not the study's."""
        names = trained_front_ends(self.params.front_ends)
        known = any(scores.done(self._task(machine, name)) for name in names)
        if not known and FRONT_ENDS[self.front_end.value].needs_floors:
            found = viewed(self.params, self.recordings, machine, self.front_end.value)
            known = any(VIEWS[name].kind != "fine" for name in found)
        if known and constants.percentile == self.params.denoising.percentile:
            clips = self.recordings.clips(machine)
            return walk.floors(self.params, clips, self.front_end.value), ""
        own = FRONT_ENDS[self.front_end.value].uses_own_floors
        key = (machine, self.front_end.value if own else "near")
        if key not in self._quiet:
            self._say(f"loading training clips of {machine}")
            self._quiet = {key: QuietPowers.read(self.params, self._train(machine), key[1])}
        quiet = self._quiet[key]
        if not quiet.clips:
            return None, f"{machine}: no usable training clip, so G_m is 0: nothing is subtracted."
        if len(quiet.clips) == len(self._train(machine)):
            return quiet.floors(constants), ""
        return quiet.floors(constants), f"Floors from {len(quiet.clips)} training clips."

    def _train(self, machine: str) -> pd.DataFrame:
        return self.recordings.clips(machine, "train")

    @cached_property
    def _results(self) -> systems.Applied:
        self._say("loading the study's decisions")
        return apply_systems(self.params, self.recordings)


def explore(params: Params) -> None:
    """Open the explorer under a notebook's cell, or say in one sentence why it cannot."""
    try:
        Explorer(params).show()
    except AsdError as error:
        display(widgets.HTML(html.escape(str(error))))
