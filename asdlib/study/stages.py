"""Autoencoders of one machine: from its frames to trained models.

A stage is a function with a key and a file. The key holds the parameters that matter, the content
of the recordings and the code. A run can be killed at any moment, and the same command resumes.
Notebook: 04_seed_study.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from asdlib import training
from asdlib.autoencoder import SeedAutoencoder
from asdlib.io import store
from asdlib.io.files import resolve
from asdlib.params import AsdError, Params, Statistics
from asdlib.runtime import hardware
from asdlib.spectra import Frames, Standardiser
from asdlib.study import walk
from asdlib.study.walk import Branch, Setting, contents, of_split

Tick = Callable[[str, int], None]
"""Called with what was done, and with the number of steps that it was."""


def silent(step: str, steps: int) -> None:
    """Take no notice of finished steps."""


@dataclass(frozen=True, eq=False)
class Task:
    """Autoencoders of one machine behind one front-end, and the scores that are wanted of them.

    Attributes
    ----------
    params : of the study, with the scorers that need an autoencoder.
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


def branch_of(task: Task) -> Branch:
    """Return the frames that a task's autoencoders are trained on."""
    p, sizes = task.params, walk.sizes_of(task.params.spectra)
    kind = "noisier" if p.training.objective == "denoise" else "frames"
    return Branch(Setting(task.front_end, sizes, p.denoising), kind, sizes, Statistics())


def join(task: Task, clips: Sequence[np.ndarray]) -> tuple[Frames, Standardiser]:
    """Standardised frames of the training clips, and their standardisation.

    Parameters
    ----------
    clips : (frame, value) of every training clip, dB.
    """
    spectra = task.params.spectra
    raw = Frames.join(clips, spectra.stack)
    standardise = Standardiser.fit(raw, spectra.standardise)
    return Frames(standardise(raw.values, out=raw.values), raw.offsets, raw.stack), standardise


def training_frames(task: Task) -> tuple[Frames, Standardiser]:
    """Read the training clips of a task alone; see :func:`join`."""
    rows = walk.walk(task.params, [branch_of(task)], of_split(task.clips, "train"))
    return join(task, [row[0] for row in rows])


def model_folder(task: Task) -> Path:
    """Where the files of a task are; the name holds the key of the trained models."""
    p = task.params
    key = walk.key_of(
        "stages",
        clips=contents(of_split(task.clips, "train"), "domain"),
        spectra=p.spectra.model_dump(),
        front_end=task.front_end,
        denoising=p.denoising.model_dump(),
        autoencoder=p.autoencoder.model_dump(),
        training=p.training.model_dump(exclude={"checkpoint_seconds", "compiled"}),
        seeds=p.seeds,
    )
    return resolve(p.results) / "units" / f"{task.machine}.{task.name}.{key}"


def trained(task: Task) -> bool:
    """Whether the models of a task are there."""
    folder = model_folder(task)
    return (folder / "model.safetensors").exists() and (folder / "training.json").exists()


def network(task: Task) -> SeedAutoencoder:
    """Return the autoencoders of a task as they are before training."""
    p = task.params
    layers = 2 if p.training.objective == "denoise" else 1
    vector = torch.zeros(1, p.spectra.stack * p.spectra.n_mels * layers)
    sizes = [x.shape[1] for x in training.views(vector, p.training.objective, p.spectra.stack)]
    return SeedAutoencoder(sizes[0], p.seeds, p.autoencoder, sizes[1])


def models(
    task: Task, frames: Frames, standardise: Standardiser, tick: Tick = silent
) -> SeedAutoencoder:
    """Return the autoencoders of all seeds in evaluation mode; train them where they are missing.

    Parameters
    ----------
    frames, standardise : of :func:`join`.
    """
    folder = model_folder(task)
    tensors = store.load(folder / "model.safetensors")
    if tensors is None or store.load(folder / "training.json") is None:
        _train(task, frames, standardise, tick)
        tensors = store.load(folder / "model.safetensors")
    model = network(task)
    model.load_state_dict({name: tensors[name] for name in model.state_dict()})
    return model.to(hardware.choose_device(task.params.device)).eval()


def about(task: Task) -> dict[str, Any]:
    """What is kept of a training: losses (epoch, seed), the products' data type, hardware."""
    file = model_folder(task) / "training.json"
    found = store.load(file)
    if found is None:
        models(task, *training_frames(task))
        found = store.load(file)
    return dict(found)


def _train(task: Task, frames: Frames, standardise: Standardiser, tick: Tick) -> None:
    """Train, in place of scores too that belong to models which are lost."""
    p, folder = task.params, model_folder(task)
    for scores in folder.glob("*.parquet"):
        store.remove(scores)
    device = hardware.choose_device(p.device)
    checkpoint = folder / "checkpoint.safetensors"
    ran_on = training.ran_on(checkpoint, device)
    done = 0

    def on_epoch(epoch: int) -> None:
        nonlocal done
        tick(f"{task.machine} {task.name}: epoch {epoch}/{p.training.epochs}", epoch - done)
        done = epoch

    try:
        model, losses = training.train(
            frames,
            seeds=p.seeds,
            autoencoder=p.autoencoder,
            training=p.training,
            device=device,
            checkpoint=checkpoint,
            on_epoch=on_epoch,
        )
    except AsdError as error:
        raise AsdError(f"{task.machine} with {task.name}: {error}") from None
    tensors = dict(model.state_dict())
    tensors["standardise.mean"] = torch.from_numpy(standardise.mean)
    tensors["standardise.std"] = torch.from_numpy(standardise.std)
    products = str(hardware.precision(p.training.precision, device)).removeprefix("torch.")
    about = {"losses": losses.tolist(), "products": products, "trained_on": ", then ".join(ran_on)}
    store.save(tensors, folder / "model.safetensors")
    store.save(about, folder / "training.json")
    store.remove(checkpoint)


def transfer_of(task: Task) -> Float[np.ndarray, " frequency"] | None:
    """G_m where the objective adds the expected noise to its input."""
    if branch_of(task).kind != "noisier":
        return None
    return walk.floors(task.params, task.clips).transfer
