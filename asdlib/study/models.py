"""Autoencoders of one machine: trained on frames of its clips, kept, read back.

Whoever asks for none does without torch. Notebooks: 02_seed_study, 05_variants.
"""

from __future__ import annotations

from typing import Any

import torch

from asdlib import training
from asdlib.autoencoder import SeedAutoencoder
from asdlib.io import store
from asdlib.params import AsdError
from asdlib.runtime import hardware
from asdlib.runtime.process import clock
from asdlib.spectra import Frames, Standardiser
from asdlib.study import stages
from asdlib.study.stages import TRAINED, Rows, Task, Tick, model_folder


def training_frames(task: Task, clips: Rows | None = None) -> tuple[Frames, Standardiser]:
    """Standardised frames of the training clips, and their standardisation.

    Parameters
    ----------
    clips : (frame, value) of every training clip, dB, where they are at hand.
    """
    spectra, train = task.params.spectra, stages.of_split(task.clips, "train")
    clips = clips or [row[0] for row in stages.walk(task.params, [stages.branch_of(task)], train)]
    raw = Frames.join(clips, spectra.stack)
    standardise = Standardiser.fit(raw, spectra.standardise)
    return Frames(standardise(raw.values, out=raw.values), raw.offsets, raw.stack), standardise


def network(task: Task) -> SeedAutoencoder:
    """Return the autoencoders of a task as they are before training."""
    p = task.params
    layers = 2 if p.training.objective == "denoise" else 1
    vector = torch.zeros(1, p.spectra.stack * p.spectra.n_mels * layers)
    sizes = [x.shape[1] for x in training.views(vector, p.training.objective, p.spectra.stack)]
    return SeedAutoencoder(sizes[0], p.seeds, p.autoencoder, sizes[1])


def models(task: Task, frames: Frames, tick: Tick = lambda *_: None) -> SeedAutoencoder:
    """Return the autoencoders of all seeds in evaluation mode; train them where they are missing.

    Parameters
    ----------
    frames : of :func:`training_frames`.
    """
    tensors, about = (store.load(model_folder(task) / name) for name in TRAINED)
    if tensors is None or about is None:
        _train(task, frames, tick)
        tensors = store.load(model_folder(task) / TRAINED[0])
    model = network(task)
    model.load_state_dict({name: torch.from_numpy(own) for name, own in tensors.items()})
    return model.to(hardware.choose_device(task.params.device)).eval()


def about(task: Task) -> dict[str, Any]:
    """What is kept of a training: losses (epoch, seed), the products' data type, hardware."""
    file = model_folder(task) / TRAINED[1]
    if store.load(file) is None:
        models(task, training_frames(task)[0])
    return dict(store.load(file))


@clock(stages.TRAINING)
def _train(task: Task, frames: Frames, tick: Tick) -> None:
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
    products = str(hardware.precision(p.training.precision, device)).removeprefix("torch.")
    about = {"losses": losses.tolist(), "products": products, "trained_on": ", then ".join(ran_on)}
    arrays = {name: own.cpu().numpy() for name, own in model.state_dict().items()}
    for value, name in zip((arrays, about), TRAINED, strict=True):
        store.save(value, folder / name)
    store.remove(checkpoint)


def is_small(task: Task) -> bool:
    """Whether what a task computes is not worth compiling, nor sending to a GPU."""
    p = task.params
    vectors = stages.frames_bytes(task) / 4 / p.spectra.n_mels
    per_vector = 6.0 * network(task).parameters_per_seed * len(p.seeds)
    on_processor = hardware.choose_device(p.device) == "cpu"
    return on_processor and per_vector * vectors * p.training.epochs < hardware.WORTH_COMPILING
