"""Stages of one machine: noise floors, frames and statistics of its clips.

A stage is a function with a key and a file. The key holds the parameters that matter, the content
of the recordings and the code. A run can be killed at any moment, and the same command resumes.
A recording is read once for all front-ends and detectors; frames are shared and have no file.
Autoencoders are the stage of :mod:`asdlib.study.models`. Notebooks: 01_far_microphone,
02_seed_study, 03_without_training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from asdlib import clipstats, dataset, frontends, pipeline
from asdlib.clipstats import VIEWS
from asdlib.io import store
from asdlib.io.files import digest, resolve
from asdlib.noise import Floors
from asdlib.params import Denoising, Params, Spectra, Statistics
from asdlib.runtime.parallel import clip_by_clip
from asdlib.spectra import stft

Tick = Callable[[str, int], None]
"""Called with what was done, and with the number of steps that it was."""

Rows = Sequence[np.ndarray]
"""Frames or statistics of several clips, or of one clip in several branches."""


TRAINED = ("model.safetensors", "training.json")
"""Files of a training."""

TRAINING = "study: training"
"""Stage whose time is taken."""


class Task(NamedTuple):
    """Detectors of one machine behind one front-end, and the scores that are wanted of them.

    Attributes
    ----------
    params : of the study, with scorers that all need an autoencoder, or with a single one that
        needs none; see :func:`untrained`.
    clips : the machine's rows of the manifest, with content hashes.
    front_end : its name.
    system : what its rows are called, where that is not the front-end.
    """

    params: Params
    clips: pd.DataFrame
    front_end: str
    system: str = ""

    @property
    def machine(self) -> str:
        """Name of the machine."""
        return str(self.clips["machine"].iloc[0])

    @property
    def name(self) -> str:
        """What its rows are called: the system, or the front-end."""
        return self.system or self.front_end

    @property
    def view(self) -> str:
        """Scorer of a detector without training; empty for autoencoders."""
        names = self.params.scorers
        return names[0] if len(names) == 1 and names[0] in VIEWS else ""


def untrained(params: Params, clips: pd.DataFrame, front_end: str, scorer: str) -> Task:
    """Return the task of a detector without training: it draws nothing, so it has one seed, 0."""
    return Task(params.model_copy(update={"scorers": (scorer,), "seeds": (0,)}), clips, front_end)


class Setting(NamedTuple):
    """What a front-end is fitted with, besides the clips."""

    front_end: str
    spectra: Spectra
    denoising: Denoising


class Branch(NamedTuple):
    """What a clip becomes behind one front-end.

    Its kind is "frames", "noisier" (frames with the expected noise added once more beside them),
    "quiet" (levels that noise floors are taken from) or that of a
    :class:`asdlib.clipstats.StatisticSet`.
    """

    setting: Setting
    kind: str
    spectra: Spectra
    statistics: Statistics


def setting_of(params: Params, front_end: str) -> Setting:
    """Return a setting without what does not change single frames, so that studies share them."""
    same = Spectra().model_dump(include={"stack", "standardise"})
    return Setting(front_end, params.spectra.model_copy(update=same), params.denoising)


def branch_of(task: Task) -> Branch:
    """Return the frames that autoencoders are trained on, or the statistics of a view."""
    p, (name, spectra, denoising) = task.params, setting_of(task.params, task.front_end)
    trained = "noisier" if p.training.objective == "denoise" else "frames"
    kind = VIEWS[task.view].kind if task.view else trained
    own = clipstats.sizes(kind, spectra)
    context = -(-denoising.context * spectra.hop_length // own.hop_length)  # as many seconds
    denoising = denoising.model_copy(update={"context": context})
    return Branch(Setting(name, own, denoising), kind, spectra, p.statistics)


def key_of(module: str, **values: Any) -> str:
    """Name a result by the code of a module of the study and by values."""
    return digest({"code": store.code(f"study.{module}"), **values})


def of_split(clips: pd.DataFrame, split: str) -> pd.DataFrame:
    """Training-normal or test clips among those of a machine."""
    return clips[clips["split"] == split]


def contents(clips: pd.DataFrame) -> list[str]:
    """What a key holds of clips."""
    return clips["identity"].tolist()


def floors_file(params: Params, setting: Setting, clips: pd.DataFrame) -> Path:
    """Where the noise floors are that a front-end uses."""
    if not frontends.FRONT_ENDS[setting.front_end].uses_own_floors:
        percentile = setting.denoising.percentile
        setting = Setting("near", setting.spectra, Denoising(percentile=percentile))
    key = key_of("stages", clips=contents(of_split(clips, "train")), setting=setting)
    return resolve(params.results) / "floors" / f"{clips['machine'].iloc[0]}.{key}.safetensors"


def floors_of(
    params: Params, settings: Iterable[Setting], clips: pd.DataFrame
) -> dict[Setting, Floors]:
    """Noise floors that front-ends use; those that are missing in one pass over training clips."""
    files = {setting: floors_file(params, setting, clips) for setting in settings}
    found = {file: store.load(file) for file in files.values()}
    missing = {file: setting for setting, file in files.items() if found[file] is None}
    quiet = [Branch(own, "quiet", own.spectra, Statistics()) for own in missing.values()]
    rows = list(walk(params, quiet, of_split(clips, "train"))) if missing else []
    for column, (file, setting) in enumerate(missing.items()):
        average = Floors.average([row[column] for row in rows], setting.denoising)
        both = np.stack([average.near, average.far])
        found[file] = {"floors": both, "follows": np.array(average.follows)}
        store.save(found[file], file)
    kept: dict[Setting, Floors] = {}
    for own, file in files.items():
        near, far = found[file]["floors"]
        kept[own] = Floors(near, far, own.denoising.far_bound, float(found[file]["follows"]))
    return kept


def floors(params: Params, clips: pd.DataFrame, front_end: str = "near") -> Floors:
    """Noise floors that a front-end uses: those of the microphones, or for some its own."""
    setting = setting_of(params, front_end)
    return floors_of(params, [setting], clips)[setting]


def fitted_of(
    params: Params, settings: Iterable[Setting], clips: pd.DataFrame
) -> dict[Setting, frontends.FrontEnd]:
    """Front-ends, fitted on the training-normal clips of one machine."""
    kinds = {setting: frontends.FRONT_ENDS[setting.front_end] for setting in settings}
    floors = floors_of(params, [own for own, kind in kinds.items() if kind.needs_floors], clips)
    return {own: kind(own.denoising, floors=floors.get(own)) for own, kind in kinds.items()}


def front_end(params: Params, clips: pd.DataFrame, name: str) -> frontends.FrontEnd:
    """Return a front-end, fitted on the training-normal clips of one machine."""
    setting = setting_of(params, name)
    return fitted_of(params, [setting], clips)[setting]


def walk(params: Params, branches: Sequence[Branch], clips: pd.DataFrame) -> Iterator[Rows]:
    """Read every clip once, and give what it becomes in each branch.

    Parameters
    ----------
    params : of a study; its folder of results holds the noise floors.
    clips : of one machine; all its training clips, or floors that are there.
    """
    near = {b: b.setting._replace(front_end="near") for b in branches if b.kind == "noisier"}
    fitted = fitted_of(params, [b.setting for b in branches if b.kind != "quiet"], clips)
    transfers = {own: of.transfer for own, of in floors_of(params, near.values(), clips).items()}

    def one(clip: tuple[str, str]) -> Rows:
        signal = dataset.read(clip[0], params.spectra, content=clip[1])
        spectrum = cache(lambda sizes: stft(signal, sizes))
        frames = cache(lambda own: pipeline.frames(spectrum(own.spectra), fitted[own], own.spectra))

        def become(branch: Branch) -> np.ndarray:
            setting, kind, spectra, statistics = branch
            if kind == "frames":
                return frames(setting)
            if kind == "mel":
                return clipstats.over_time(frames(setting)).ravel()
            whole = spectrum(setting.spectra)
            if kind == "quiet":
                return frontends.FRONT_ENDS[setting.front_end](setting.denoising).levels(whole)
            if kind == "noisier":
                return pipeline.frames(whole, fitted[setting], spectra, transfers[near[branch]])
            return pipeline.statistics(signal, kind, fitted[setting], spectra, statistics, whole)

        return [become(branch) for branch in branches]

    return clip_by_clip(one, zip(clips["path"], clips["hash"], strict=True))


def values_file(task: Task) -> Path:
    """Where the statistics of every clip are that views of one kind look at."""
    branch = branch_of(task)
    key = key_of("stages", clips=contents(task.clips), branch=branch)
    name = f"{task.machine}.{task.front_end}.{branch.kind}.{key}.safetensors"
    return resolve(task.params.results) / "statistics" / name


def values(task: Task, rows: Rows | None = None) -> Float[np.ndarray, "clip value"]:
    """What a view looks at, of every clip of its machine.

    Parameters
    ----------
    rows : statistics of every clip, where they are at hand and the file is missing.
    """

    def make() -> dict[str, np.ndarray]:
        own = rows or [row[0] for row in walk(task.params, [branch_of(task)], task.clips)]
        return {"values": np.stack(own)}

    found = store.made(values_file(task), make)["values"]
    return clipstats.chosen(found, VIEWS[task.view].statistics)


def frames_bytes(task: Task) -> float:
    """Bytes of the frames of all clips in one branch."""
    p = task.params.spectra
    layers = 2 if branch_of(task).kind == "noisier" else 1
    frames = float((task.clips["seconds"] * p.sample_rate / p.hop_length).sum())
    return 4.0 * frames * p.n_mels * layers


def model_folder(task: Task) -> Path:
    """Where the files of a task are; the name holds the key of the trained models."""
    p, clips = task.params, contents(of_split(task.clips, "train"))
    matters = {"spectra", "denoising", "autoencoder", "training", "seeds"}
    does_not = {"training": {"checkpoint_seconds", "compiled"}}
    constants = p.model_dump(include=matters, exclude=does_not)
    key = key_of("models", clips=clips, front_end=task.front_end, **constants)
    return resolve(p.results) / "units" / f"{task.machine}.{task.name}.{key}"


def trained(task: Task) -> bool:
    """Whether the models of a task are there."""
    return all(store.is_there(model_folder(task) / name) for name in TRAINED)
