"""One readable loop that trains the autoencoders of all seeds at once (report section 4.1).

Where the processor has them, matrix products are taken in bfloat16; weights, batch-norm statistics,
loss and optimiser stay in float32. Long trainings are compiled, on a GPU into CUDA graphs.

Notebook: 03_seed_study.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import safetensors
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from asdlib import params
from asdlib.autoencoder import SeedAutoencoder
from asdlib.files import write_tensors
from asdlib.params import AsdError, Training
from asdlib.spectra import Frames


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
    vectors in every epoch, from a generator that depends on seed and epoch only, so a run that
    was cut off and goes on from its checkpoint gives the same weights as an undisturbed one.

    Parameters
    ----------
    frames : standardised training-normal frames.
    seeds : one model each.
    checkpoint : file that holds the state after some finished epoch; written now and then.
    on_epoch : called with the number of finished epochs.

    Returns
    -------
    model : in evaluation mode.
    losses : (epoch, seed), mean squared error over the epoch's batches.
    """
    values = torch.from_numpy(frames.values).to(device)
    windows = values.as_strided(
        (len(values) - frames.stack + 1, frames.stack * values.shape[1]), (values.shape[1], 1)
    )
    sizes = [x.shape[1] for x in views(windows[:1], training.objective, frames.stack)]
    starts = torch.from_numpy(frames.starts()).to(device)
    rows = _kept(starts, seeds, training.held_out)
    count = rows.shape[1]
    if count < 2:
        raise AsdError(f"Training needs at least 2 stacked vectors; the clips give {count}.")
    model = SeedAutoencoder(sizes[0], seeds, autoencoder, sizes[1]).to(device).train()
    optimiser = torch.optim.Adam(
        model.parameters(),
        lr=training.learning_rate,
        weight_decay=training.weight_decay,
        fused=True,
    )
    dtype = precision(training.precision, device)
    work = 6.0 * model.parameters_per_seed * len(seeds) * count * training.epochs
    error_of = _compiled(device) if _worth_compiling(work, training, device) else _error
    _keep_memory()
    order = torch.empty(len(seeds), count, dtype=torch.int32, device=device)
    losses = _resume(checkpoint, model, optimiser)
    on_epoch(len(losses))
    saved = time.monotonic()
    while len(losses) < training.epochs:
        for own, seed in zip(order, seeds, strict=True):
            own.copy_(shuffled(count, seed, len(losses)))
        total, batches = torch.zeros(len(seeds), device=device), 0
        for batch in order.split(training.batch_size, dim=1):
            if batch.shape[1] < 2:  # one vector has no batch statistics
                continue
            x, y = views(windows[rows.gather(1, batch.long())], training.objective, frames.stack)
            whole = batch.shape[1] == training.batch_size  # another shape would compile again
            error = (error_of if whole else _error)(model, x, y, dtype)
            optimiser.zero_grad(set_to_none=True)
            error.sum().backward()
            optimiser.step()
            total += error.detach()
            batches += 1
        losses.append((total / batches).tolist())
        due = time.monotonic() - saved >= training.checkpoint_seconds
        if checkpoint is not None and due and len(losses) < training.epochs:
            _save(checkpoint, model, optimiser, losses)
            saved = time.monotonic()
        on_epoch(len(losses))
    return model.eval(), np.array(losses)


def _error(
    model: SeedAutoencoder, x: Tensor, y: Tensor, dtype: torch.dtype
) -> Float[Tensor, " seed"]:
    """Mean squared error of one batch, per seed."""
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        reconstructed = model(x)
    return F.mse_loss(reconstructed.float(), y, reduction="none").mean(dim=(1, 2))


@cache
def _compiled(device: str) -> Callable[..., Tensor]:
    """The same, compiled; CUDA graphs where there is a GPU."""
    return torch.compile(_error, mode="reduce-overhead" if device == "cuda" else None)


def _worth_compiling(operations: float, training: Training, device: str) -> bool:
    """Whether compiling takes less time than it saves, and can be done here."""
    if training.compiled == "never" or operations < _WORTH_COMPILING:
        return False
    compiler = os.environ.get("CXX", "g++")
    if device == "cpu" and shutil.which(compiler) is None:
        tqdm.write(f"No C++ compiler ({compiler}): training runs without torch.compile, slower.",
                   file=sys.stderr)  # fmt: skip
        return False
    return True


_WORTH_COMPILING = 1e14  # floating-point operations, some minutes of two cores


def precision(wanted: str, device: str) -> torch.dtype:
    """Data type of the matrix products: ``auto`` is bfloat16 where the processor multiplies it."""
    if wanted == "auto":
        if device == "cuda":
            able = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            able = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        wanted = "bfloat16" if able else "float32"
    return torch.bfloat16 if wanted == "bfloat16" else torch.float32


def _keep_memory() -> None:
    """Hand back what features left over, then keep what is freed: every step takes it again.

    Handing blocks back to the system and faulting them in anew costs a quarter of a step with
    glibc's own thresholds.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.malloc_trim(0)
        for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
            libc.mallopt(option, 2**30)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


def views(
    vectors: Float[Tensor, "*shape value"], objective: str, stack: int
) -> tuple[Float[Tensor, "*shape input"], Float[Tensor, "*shape output"]]:
    """What the network is given of stacked vectors, and what it has to return.

    ``reconstruct``: the vector, twice. ``interpolate``: the other frames, and the middle one
    (Suefusa et al. 2020). ``denoise``: every frame holds its clean bands and then its noisier ones;
    the noisier frames, and the clean ones.
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


def choose_device(wanted: str) -> str:
    """Turn ``auto`` into ``cuda`` where there is one; refuse ``cuda`` where there is none."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise AsdError("device is 'cuda', but torch sees no GPU here; use 'auto' or 'cpu'.")
    return wanted


def hardware(wanted: str) -> str:
    """Name what decides about the last bits of a result: library, device, instruction set."""
    device = choose_device(wanted)
    kind = (
        torch.cuda.get_device_name()
        if device == "cuda"
        else torch.backends.cpu.get_cpu_capability()
    )
    return f"torch {torch.__version__} on {device}, {kind}"


def _kept(
    starts: Int[Tensor, " vector"], seeds: Sequence[int], held_out: float
) -> Int[Tensor, "seed kept"]:
    """Vectors that each seed trains on, in their order."""
    if held_out == 0:
        return starts.expand(len(seeds), -1)  # no copy
    count = len(starts) - round(held_out * len(starts))
    chosen = [shuffled(len(starts), seed, _SPLIT)[:count].sort().values for seed in seeds]
    return starts[torch.stack(chosen).to(starts.device)]


_SPLIT = 2**32 - 1  # in place of an epoch


def shuffled(vectors: int, seed: int, epoch: int) -> Tensor:
    """Order of the vectors in one epoch of one seed."""
    state = np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0]
    return torch.randperm(vectors, generator=torch.Generator().manual_seed(int(state >> 1)))


def _save(
    path: Path, model: SeedAutoencoder, optimiser: torch.optim.Adam, losses: list[list[float]]
) -> None:
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for key, value in optimiser.state[parameter].items():
            tensors[f"{key}.{name}"] = value
    write_tensors(tensors, path, losses=json.dumps(losses))


def _resume(
    path: Path | None, model: SeedAutoencoder, optimiser: torch.optim.Adam
) -> list[list[float]]:
    if path is None or not path.exists():
        return []
    with safetensors.safe_open(path, framework="pt") as file:
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        losses = json.loads(file.metadata()["losses"])
    model.load_state_dict({name: stored[f"model.{name}"] for name in model.state_dict()})
    for name, parameter in model.named_parameters():
        optimiser.state[parameter] = {
            key: stored[f"{key}.{name}"].to(parameter.device)
            for key in ("step", "exp_avg", "exp_avg_sq")
        }
    return losses
