"""One readable loop that trains the autoencoders of all seeds at once (paper, section 4.1).

Adam minimises the mean squared error of each batch, per seed. Every epoch takes each stacked vector
once, in an order of the seed's own. Matrix products are computed in bfloat16 if the processor
supports it; weights, batch-norm statistics, loss and optimiser stay in float32. Long trainings are
compiled, on a GPU into CUDA graphs, see :mod:`asdlib.runtime.hardware`.

Notebook: 02_seed_study.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from asdlib import params
from asdlib.autoencoder import SeedAutoencoder
from asdlib.io import store
from asdlib.params import AsdError, Training
from asdlib.runtime import hardware, parallel
from asdlib.runtime.errors import form
from asdlib.spectra import Frames

_SPLIT = 2**32 - 1  # stands for an epoch in the draw of the held-out vectors


def train(
    frames: Frames,
    *,
    seeds: Sequence[int],
    autoencoder: params.Autoencoder = params.Autoencoder(),
    training: Training = Training(),
    device: str = "cpu",
    checkpoint: Path | None = None,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> tuple[SeedAutoencoder, Float[np.ndarray, "epoch seed"]]:
    """Train one autoencoder per seed on a machine's standardised training frames.

    The windows are gathered from one resident frame array. Each seed draws its own order of the
    vectors in every epoch, from a generator that depends on seed and epoch only. A run that was
    interrupted and resumes from its checkpoint therefore gives the same weights as one that was
    not.

    Parameters
    ----------
    frames : standardised training-normal frames.
    seeds : one model each.
    device : "cpu" or "cuda", see :func:`asdlib.runtime.hardware.choose_device`.
    checkpoint : file that holds the state after some finished epoch; it is written every
        ``training.checkpoint_seconds``, and read if it exists.
    on_epoch : called with the number of finished epochs.

    Returns
    -------
    model : in evaluation mode.
    losses : (epoch, seed), mean squared error over the epoch's batches.

    Raises
    ------
    AsdError
        If the clips give fewer than 2 vectors, or a loss is not finite.

    Examples
    --------
    >>> frames = Frames.join([np.eye(20, 4, dtype=np.float32)])
    >>> small = params.Autoencoder(width=8, blocks=1, bottleneck=2)
    >>> model, losses = train(frames, seeds=[0, 1], autoencoder=small, training=Training(epochs=3))
    >>> losses.shape
    (3, 2)
    >>> bool((losses[-1] < losses[0]).all())
    True
    """
    values = torch.from_numpy(frames.values).to(device)
    windows = values.as_strided(
        (len(values) - frames.stack + 1, frames.stack * values.shape[1]), (values.shape[1], 1)
    )
    rows = _kept(torch.from_numpy(frames.starts()).to(device), seeds, training.held_out)
    count = rows.shape[1]
    if count < 2:
        raise AsdError(f"Training needs at least 2 stacked vectors; the clips give {count}.")
    sides = partial(views, objective=training.objective, stack=frames.stack)
    inputs, outputs = (x.shape[1] for x in sides(windows[:1]))
    model = SeedAutoencoder(inputs, seeds, autoencoder, outputs).to(device).train()
    rate, decay = training.learning_rate, training.weight_decay
    optimiser = torch.optim.Adam(model.parameters(), lr=rate, weight_decay=decay, fused=True)
    dtype = hardware.precision(training.precision, device)
    work = 6.0 * model.parameters_per_seed * len(seeds) * count * training.epochs
    error_of = _error
    if count >= training.batch_size and hardware.worth_compiling(work, training.compiled):
        first = windows[rows[:, : training.batch_size].long()]
        error_of = hardware.compiled(_error, device, model, *sides(first), dtype)
    parallel.keep_memory()
    losses = _resume(checkpoint, model, optimiser)
    on_epoch(len(losses))
    saved = time.monotonic()
    order = torch.empty(len(seeds), count, dtype=torch.int32, device=device)
    for epoch in range(len(losses), training.epochs):
        for own, seed in zip(order, seeds, strict=True):
            own.copy_(shuffled(count, seed, epoch))
        total, batches = torch.zeros(len(seeds), device=device), 0
        for batch in order.split(training.batch_size, dim=1):
            if batch.shape[1] < 2:  # one vector has no batch statistics
                continue
            x, y = sides(windows[rows.gather(1, batch.long())])
            whole = batch.shape[1] == training.batch_size  # another shape would compile again
            error = (error_of if whole else _error)(model, x, y, dtype)
            optimiser.zero_grad(set_to_none=True)
            error.sum().backward()
            optimiser.step()
            total += error.detach()
            batches += 1
        losses.append((total / batches).tolist())
        if wrong := [
            str(s) for s, own in zip(seeds, losses[-1], strict=True) if not np.isfinite(own)
        ]:
            raise AsdError(
                f"The training of {form(len(wrong), 'seed', 'seeds')} {', '.join(wrong)} diverged: "
                f"the loss of epoch {len(losses)} is not finite; set training.learning_rate below "
                f"{rate:g}."
            )
        due = time.monotonic() - saved >= training.checkpoint_seconds
        if checkpoint is not None and due and epoch + 1 < training.epochs:
            _save(checkpoint, model, optimiser, losses)
            saved = time.monotonic()
        on_epoch(epoch + 1)
    return model.eval(), np.array(losses)


def _error(
    model: SeedAutoencoder, x: Tensor, y: Tensor, dtype: torch.dtype
) -> Float[Tensor, " seed"]:
    """Mean squared error of one batch, per seed."""
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        reconstructed = model(x)
    return F.mse_loss(reconstructed.float(), y, reduction="none").mean(dim=(1, 2))


def views(
    vectors: Float[Tensor, "*shape value"], objective: str, stack: int
) -> tuple[Float[Tensor, "*shape input"], Float[Tensor, "*shape output"]]:
    """Input and target of the network, taken from stacked vectors.

    Parameters
    ----------
    vectors : (..., stack * band).
    objective : ``reconstruct``: input and target are the vector. ``interpolate``: the input is
        all frames but the middle one, which is the target (Suefusa et al. 2020). ``denoise``:
        every frame holds its clean bands and then its noisier ones; the input is the noisier
        frames, the target the clean ones.

    Examples
    --------
    >>> x, y = views(torch.arange(3.0), "interpolate", 3)
    >>> x.tolist(), y.tolist()
    ([0.0, 2.0], [1.0])
    """
    if objective == "reconstruct":
        return vectors, vectors
    single = vectors.unflatten(-1, (stack, -1))
    if objective == "denoise":
        clean, noisier = single.unflatten(-1, (2, -1)).unbind(-2)
        return noisier.flatten(-2), clean.flatten(-2)
    middle = stack // 2
    others = torch.cat([single[..., :middle, :], single[..., middle + 1 :, :]], -2)
    return others.flatten(-2), single[..., middle, :]


def _kept(
    starts: Int[Tensor, " vector"], seeds: Sequence[int], held_out: float
) -> Int[Tensor, "seed kept"]:
    """Vectors that each seed trains on, in their order."""
    if held_out == 0:
        return starts.expand(len(seeds), -1)  # no copy
    count = len(starts) - round(held_out * len(starts))
    chosen = [shuffled(len(starts), seed, _SPLIT)[:count].sort().values for seed in seeds]
    return starts[torch.stack(chosen).to(starts.device)]


def shuffled(vectors: int, seed: int, epoch: int) -> Tensor:
    """Order of the vectors in one epoch of one seed.

    >>> shuffled(5, seed=0, epoch=0).tolist() == shuffled(5, seed=0, epoch=0).tolist()
    True
    >>> sorted(shuffled(5, seed=0, epoch=1).tolist())
    [0, 1, 2, 3, 4]
    """
    state = np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0]
    return torch.randperm(vectors, generator=torch.Generator().manual_seed(int(state >> 1)))


def ran_on(checkpoint: Path, device: str) -> list[str]:
    """Name what a training runs on: that of its checkpoint, if there is one, and this machine.

    >>> ran_on(Path("nowhere.safetensors"), "cpu") == [hardware.describe_training("cpu")]
    True
    """
    stored = store.load(checkpoint) or {}
    before = bytes(stored["ran_on"].tolist()).decode().splitlines() if stored else []
    return list(dict.fromkeys([*before, hardware.describe_training(device)]))


def _save(
    path: Path, model: SeedAutoencoder, optimiser: torch.optim.Adam, losses: list[list[float]]
) -> None:
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for key, value in optimiser.state[parameter].items():
            tensors[f"{key}.{name}"] = value
    device = next(model.parameters()).device.type
    told = "\n".join(ran_on(path, device)).encode()
    arrays = {name: value.detach().cpu().numpy() for name, value in tensors.items()}
    arrays["ran_on"] = np.frombuffer(told, np.uint8)  # text
    arrays["losses"] = np.array(losses)
    store.save(arrays, path)


def _resume(
    path: Path | None, model: SeedAutoencoder, optimiser: torch.optim.Adam
) -> list[list[float]]:
    stored = None if path is None else store.load(path)
    if stored is None:
        return []
    tensors = {name: torch.from_numpy(own) for name, own in stored.items()}
    model.load_state_dict({name: tensors[f"model.{name}"] for name in model.state_dict()})
    for name, parameter in model.named_parameters():
        optimiser.state[parameter] = {
            key: tensors[f"{key}.{name}"].to(parameter.device)
            for key in ("step", "exp_avg", "exp_avg_sq")
        }
    return stored["losses"].tolist()
