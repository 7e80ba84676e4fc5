"""What training runs on: device, precision of the products, compiler, memory allocator."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from asdlib.runtime.errors import AsdError, plural

WORTH_COMPILING = 1e14  # floating-point operations, some minutes of two cores
_FAILED: set[tuple[Callable[..., Tensor], str]] = set()  # what could not be compiled


def choose_device(wanted: str) -> str:
    """Turn ``auto`` into ``cuda`` where there is one; refuse ``cuda`` where there is none.

    Raises
    ------
    AsdError
        If ``cuda`` is wanted and torch sees no GPU.

    Examples
    --------
    >>> choose_device("cpu")
    'cpu'
    """
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise AsdError("device is 'cuda', but torch sees no GPU here; use 'auto' or 'cpu'.")
    return wanted


def describe(wanted: str) -> str:
    """Name what decides about the last bits of a result: library, device, instruction set.

    >>> describe("cpu").split(",")[0] == f"torch {torch.__version__} on cpu"
    True
    """
    device = choose_device(wanted)
    able = torch.backends.cpu.get_cpu_capability
    kind = torch.cuda.get_device_name() if device == "cuda" else able()
    return f"torch {torch.__version__} on {device}, {kind}"


def describe_training(wanted: str) -> str:
    """Name what decides about the result of a training: on a processor, its threads too.

    Sums over a batch are split among the threads, and rounding grows with every step.

    >>> describe_training("cpu").removeprefix(describe("cpu")).split(" thread")[0].split()[0]
    ','
    """
    threads = f", {plural(torch.get_num_threads(), 'thread')}"
    return describe(wanted) + (threads if choose_device(wanted) == "cpu" else "")


def precision(wanted: str, device: str) -> torch.dtype:
    """Data type of the matrix products: ``auto`` is bfloat16 where the processor multiplies it.

    >>> precision("float32", "cpu")
    torch.float32
    """
    if wanted == "auto":
        if device == "cuda":
            able = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            able = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        wanted = "bfloat16" if able else "float32"
    return torch.bfloat16 if wanted == "bfloat16" else torch.float32


def worth_compiling(operations: float, wanted: str) -> bool:
    """Whether compiling takes less time than it saves.

    Parameters
    ----------
    operations : floating-point operations of the whole training.
    wanted : "auto" or "never", see :class:`asdlib.params.Training`.

    Examples
    --------
    >>> worth_compiling(1e9, "auto")  # a second's work
    False
    """
    return wanted != "never" and operations >= WORTH_COMPILING


@cache
def _compiled(loss: Callable[..., Tensor], device: str) -> Callable[..., Tensor]:
    if device == "cuda":
        return torch.compile(loss, mode="reduce-overhead")
    # the sum of the residual blocks is stored, and not computed anew in every later block
    return torch.compile(loss, options={"realize_reads_threshold": 1})


def compiled(
    loss: Callable[..., Tensor], device: str, model: nn.Module, *others: Any
) -> Callable[..., Tensor]:
    """Return a loss compiled by torch, or the loss itself where compiling fails here.

    Whether it fails shows in one step: the compiler or Python's headers are missing, the cache
    cannot be written, the temporary folder allows no programs. The value is the same, so such an
    error costs time alone, and an error of the loss's own comes up again. The model stays as it is.

    Parameters
    ----------
    loss : function of the model and other arguments, that gives one value per seed.
    others : its arguments for that step.

    Examples
    --------
    >>> def loss(model, x):
    ...     raise ArithmeticError("not here")
    >>> compiled(loss, "cpu", nn.Linear(2, 1), torch.ones(3, 2)) is loss  # tells it on stderr
    True
    """
    if (loss, device) in _FAILED:
        return loss
    fast = _compiled(loss, device)
    before = [buffer.clone() for buffer in model.buffers()]
    try:
        fast(model, *others).sum().backward()
    except Exception as error:
        _FAILED.add((loss, device))
        fast = loss
        told = f"torch.compile fails here ({_reason(error)}): training runs without it, slower."
        tqdm.write(told, file=sys.stderr)
    for buffer, old in zip(model.buffers(), before, strict=True):
        buffer.copy_(old)
    model.zero_grad(set_to_none=True)
    return fast


def _reason(error: Exception) -> str:
    """What a compiler's long text gives as the cause, or the first line of another."""
    text = str(error).strip() or type(error).__name__
    found = re.search(r"(fatal )?error: .+", text)
    return found[0] if found else text.splitlines()[0]
