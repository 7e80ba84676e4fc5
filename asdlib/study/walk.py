"""One pass over the recordings of a machine: noise floors, front-ends, what a clip becomes.

A recording is read once for all front-ends, and frames are shared. Noise floors have a key and a
file; frames have none. Notebook: 02_front_ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import torch

from asdlib import clipstats, dataset, frontends, pipeline
from asdlib.io import store
from asdlib.io.files import digest, resolve
from asdlib.noise import Floors
from asdlib.params import Denoising, Params, Spectra, Statistics
from asdlib.runtime.parallel import clip_by_clip
from asdlib.spectra import Spectrum, stft

Result = TypeVar("Result")


class Setting(NamedTuple):
    """What a front-end is fitted with, besides the clips."""

    front_end: str
    spectra: Spectra
    denoising: Denoising


class Branch(NamedTuple):
    """What a clip becomes behind one front-end.

    Its kind is "frames", "noisier" (frames with the expected noise added once more beside them) or
    that of a :class:`asdlib.clipstats.StatisticSet`.
    """

    setting: Setting
    kind: str
    spectra: Spectra
    statistics: Statistics


def key_of(module: str, **values: Any) -> str:
    """Name a result by the code of a module of the study and by values."""
    return digest({"code": store.code(f"study.{module}"), **values})


def of_split(clips: pd.DataFrame, split: str) -> pd.DataFrame:
    """Training-normal or test clips among those of a machine."""
    return clips[clips["split"] == split]


def contents(clips: pd.DataFrame, *columns: str) -> list[list[str]]:
    """What a key holds of clips: their names and contents, and more columns."""
    return clips[["name", "hash", *columns]].to_numpy().tolist()


def sizes_of(spectra: Spectra) -> Spectra:
    """Return sizes without what does not change single frames, so that studies share them."""
    plain = Spectra()
    return spectra.model_copy(update={"stack": plain.stack, "standardise": plain.standardise})


def each(
    function: Callable[[np.ndarray, Callable[[Spectra], Spectrum]], Result],
    clips: pd.DataFrame,
    spectra: Spectra,
) -> Iterator[Result]:
    """Apply a function to the signal of every clip and to its spectra of any size."""

    def one(clip: tuple[str, str]) -> Result:
        path, content = clip
        signal = dataset.read(path, spectra, content=content)
        return function(signal, cache(lambda sizes: stft(signal, sizes)))

    return clip_by_clip(one, zip(clips["path"], clips["hash"], strict=True))


def floors_of(
    params: Params, settings: Iterable[Setting], clips: pd.DataFrame
) -> dict[Setting, Floors]:
    """Noise floors that front-ends use; those that are missing in one pass over training clips."""
    train = of_split(clips, "train")
    files = {setting: floors_file(params, setting, train) for setting in settings}
    found = {file: store.load(file) for file in files.values()}
    missing = {file: own for own, file in files.items() if found[file] is None}
    owners = {
        setting: kind if kind.uses_own_floors else frontends.RefSub
        for setting in missing.values()
        for kind in [frontends.FRONT_ENDS[setting.front_end]]
    }

    def quiet(_: np.ndarray, spectrum: Callable[[Spectra], Spectrum]) -> list[np.ndarray]:
        return [
            owner(setting.denoising).quiet_power(spectrum(setting.spectra))
            for setting, owner in owners.items()
        ]

    rows = list(each(quiet, train, params.spectra)) if missing else []
    for column, (file, setting) in enumerate(missing.items()):
        average = Floors.average([row[column] for row in rows], setting.denoising)
        near, far = torch.from_numpy(average.near), torch.from_numpy(average.far)
        store.save({"near": near, "far": far}, file)
        found[file] = store.load(file)
    return {
        setting: Floors(
            found[file]["near"].numpy(), found[file]["far"].numpy(), setting.denoising.far_bound
        )
        for setting, file in files.items()
    }


def floors_file(params: Params, setting: Setting, train: pd.DataFrame) -> Path:
    """Where the noise floors are that a front-end uses; ``train`` are the training clips."""
    name, spectra, denoising = setting
    own = frontends.FRONT_ENDS[name].uses_own_floors
    key = key_of(
        "walk",
        clips=contents(train),
        spectra=spectra.model_dump(exclude={"n_mels"}),
        percentile=denoising.percentile,
        own=[name, denoising.model_dump()] if own else [],
    )
    machine = train["machine"].iloc[0] if len(train) else "none"
    return resolve(params.results) / "floors" / f"{machine}.{key}.safetensors"


def floors(params: Params, clips: pd.DataFrame, front_end: str = "near") -> Floors:
    """Noise floors that a front-end uses: those of the microphones, or for some its own."""
    setting = Setting(front_end, sizes_of(params.spectra), params.denoising)
    return floors_of(params, [setting], clips)[setting]


def front_end(params: Params, clips: pd.DataFrame, name: str) -> frontends.FrontEnd:
    """Return a front-end, fitted on the training-normal clips of one machine."""
    setting = Setting(name, sizes_of(params.spectra), params.denoising)
    return fitted_of(params, [setting], clips)[setting]


def fitted_of(
    params: Params, settings: Iterable[Setting], clips: pd.DataFrame
) -> dict[Setting, frontends.FrontEnd]:
    """Front-ends, fitted on the training-normal clips of one machine."""
    kinds = {setting: frontends.FRONT_ENDS[setting.front_end] for setting in settings}
    floors = floors_of(params, [own for own, kind in kinds.items() if kind.needs_floors], clips)
    return {own: kind(own.denoising, floors=floors.get(own)) for own, kind in kinds.items()}


def walk(
    params: Params, branches: Sequence[Branch], clips: pd.DataFrame
) -> Iterator[list[np.ndarray]]:
    """Read every clip once, and give what it becomes in each branch.

    Parameters
    ----------
    params : of a study; its folder of results holds the noise floors.
    clips : of one machine; all its training clips, or floors that are there.
    """
    noisier = {b: b.setting._replace(front_end="near") for b in branches if b.kind == "noisier"}
    fitted = fitted_of(params, dict.fromkeys(b.setting for b in branches), clips)
    floors = floors_of(params, dict.fromkeys(noisier.values()), clips)

    def one(signal: np.ndarray, spectrum: Callable[[Spectra], Spectrum]) -> list[np.ndarray]:
        frames = cache(lambda own: pipeline.frames(spectrum(own.spectra), fitted[own], own.spectra))
        return [_of_clip(branch, signal, spectrum, frames) for branch in branches]

    def _of_clip(
        branch: Branch,
        signal: np.ndarray,
        spectrum: Callable[[Spectra], Spectrum],
        frames: Callable[[Setting], np.ndarray],
    ) -> np.ndarray:
        setting, kind, spectra, statistics = branch
        if kind == "frames":
            return frames(setting)
        if kind == "mel":
            return clipstats.over_time(frames(setting)).ravel()
        clip, denoise = spectrum(setting.spectra), fitted[setting]
        if kind == "noisier":
            return pipeline.frames(clip, denoise, spectra, floors[noisier[branch]].transfer)
        return pipeline.statistics(signal, kind, denoise, spectra, statistics, clip)

    return each(one, clips, branches[0].spectra)
