"""Outlier exposure: a head on a frozen audio encoder that tells this machine from the others.

The encoder is any Hugging Face ``transformers`` audio model in a local folder. A small network on
its embeddings names the machine; -log p(this machine) is the score. With low-rank adaptation
(LoRA, Hu et al. 2022) the encoder's linear layers are trained along, through ``peft``. The report
found a gain at one seed and none over ten. Only training-normal clips are learnt from.
Notebook: 06_negative_results.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from asdlib import dataset
from asdlib.autoencoder import SeedLinear
from asdlib.calibration import Calibration
from asdlib.params import AsdError, Encoder, Params, code_digest, digest, resolve
from asdlib.source import Source
from asdlib.training import choose_device, shuffled
from asdlib.units import COLUMNS, write_table

_SMALLEST = 1e-12  # of a score: a gamma distribution has no place for 0


def check(params: Params) -> None:
    """Refuse an encoder that cannot be loaded, before any work.

    Raises
    ------
    AsdError
        Naming the folder, what was found and what is needed.
    """
    if params.encoder.folder is None:
        return
    folder = resolve(params.encoder.folder)
    if not folder.is_dir():
        raise AsdError(f"encoder.folder: {folder} is no folder; it must hold {_NEEDED}.")
    if not (folder / "config.json").exists() or not list(folder.glob("*.safetensors")):
        found = ", ".join(sorted(p.name for p in folder.iterdir())[:5]) or "nothing"
        raise AsdError(f"encoder.folder: {folder} holds {found}; it must hold {_NEEDED}.")
    _library()


_NEEDED = (
    "a transformers audio model: config.json, preprocessor_config.json and weights as safetensors"
)


def scores(params: Params, source: Source, *, progress: bool = False) -> pd.DataFrame:
    """Score every clip by the frozen encoder's head, and by the adapted encoder if asked for.

    Computed once and kept, keyed by the encoder's files, the clips and the parameters.

    Returns
    -------
    DataFrame as of :func:`asdlib.study.run`; front_end is "exposure" or "lora", scorer "machine".
    No rows without an encoder, or with fewer than two machines.
    """
    if params.encoder.folder is None or len(source.machines) < 2:
        return pd.DataFrame(columns=COLUMNS)
    check(params)
    folder = resolve(params.encoder.folder)
    clips = source.manifest
    key = digest(
        {
            "encoder": _fingerprint(folder),
            "method": code_digest(sys.modules[__name__]),
            "clips": list(zip(clips["machine"], clips["name"], clips["hash"], strict=True)),
            "constants": params.encoder.model_dump(exclude={"folder"}),
            "spectra": [params.spectra.sample_rate, params.spectra.resample],
            "seeds": params.seeds,
        }
    )
    parts = [("exposure", params.seeds, partial(_frozen, params, clips, folder, progress))]
    if params.encoder.lora_rank:
        for seed in params.seeds:
            parts.append(
                ("lora", (seed,), partial(_adapted, params, clips, folder, progress, seed))
            )
    tables = []
    for name, seeds, compute in parts:
        path = resolve(params.results) / "exposure" / f"{name}-{seeds[0]}.{key}.parquet"
        if not path.exists():
            write_table(_rows(clips, compute(), name, seeds), path)
        tables.append(pd.read_parquet(path))
    return _standardised(params, pd.concat(tables, ignore_index=True))


class Head(nn.Module):
    """Embedding to one logit per machine, a network of its own for every seed."""

    def __init__(self, seeds: Sequence[int], inputs: int, hidden: int, machines: int):
        super().__init__()
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.hidden = SeedLinear(generators, inputs, hidden)
        self.out = SeedLinear(generators, hidden, machines)

    def forward(self, x: Float[Tensor, "seed clip value"]) -> Float[Tensor, "seed clip machine"]:
        """Return the logits."""
        return self.out(F.gelu(self.hidden(x)))


class AudioEncoder:
    """A ``transformers`` audio model from a local folder, and what it wants to be fed.

    Attributes
    ----------
    model : from its inputs to hidden states; the encoder alone where there is a decoder too.
    features : from a waveform to the model's inputs.
    """

    def __init__(self, folder: Path, sample_rate: int, device: str):
        from transformers import AutoFeatureExtractor, AutoModel

        try:
            features = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
            model = AutoModel.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise AsdError(f"encoder.folder: {folder} cannot be loaded ({reason}).") from None
        wanted = getattr(features, "sampling_rate", sample_rate)
        if wanted != sample_rate:
            raise AsdError(
                f"encoder.folder: {folder} wants {wanted} Hz and the study has {sample_rate} Hz; "
                "use an encoder of the study's sample rate."
            )
        self._extract, self._rate, self._device = features, sample_rate, device
        self.model = (model.get_encoder() if model.config.is_encoder_decoder else model).to(device)
        self.model.eval().requires_grad_(False)

    def inputs(self, signal: Float[np.ndarray, " sample"]) -> dict[str, Tensor]:
        """Make one waveform the model's input."""
        found = self._extract(signal, sampling_rate=self._rate, return_tensors="pt")
        return {name: value.to(self._device) for name, value in found.items()}

    def embed(self, inputs: dict[str, Tensor]) -> Float[Tensor, "clip value"]:
        """Mean of the last hidden states over time."""
        return self.model(**inputs).last_hidden_state.mean(1)


def _library() -> None:
    """Make sure that the optional libraries are there and stay off the network."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import peft  # noqa: F401
        import transformers
    except ImportError:
        raise AsdError(
            "encoder.folder is set, but transformers and peft are not installed: "
            "pip install asdlib[encoder]."
        ) from None
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def _frozen(
    params: Params, clips: pd.DataFrame, folder: Path, progress: bool
) -> Float[np.ndarray, "seed clip"]:
    encoder = AudioEncoder(folder, params.spectra.sample_rate, choose_device(params.device))
    with torch.inference_mode():
        signals = dataset.read_all(clips, params.spectra)
        bar = tqdm(signals, "frozen encoder", len(clips), disable=not progress, unit="clip")
        rows = [encoder.embed(encoder.inputs(signal[0]))[0].cpu() for signal in bar]
    embeddings = torch.stack(rows).clone()
    train = torch.from_numpy((clips["split"] == "train").to_numpy(copy=True))
    mean, std = embeddings[train].mean(0), embeddings[train].std(0).clamp_min(1e-8)
    x = ((embeddings - mean) / std).expand(len(params.seeds), -1, -1)
    machine = _machine(clips)
    constants = params.encoder
    head = Head(params.seeds, x.shape[2], constants.hidden, len(set(machine.tolist())))

    def step(batch: Int[Tensor, "seed clip"]) -> Tensor:
        own = x[:, train].gather(1, batch[:, :, None].expand(-1, -1, x.shape[2]))
        return _loss(head(own), machine[train][batch])

    _fit(head.parameters(), step, int(train.sum()), params.seeds, constants, constants.epochs)
    with torch.inference_mode():
        return _surprise(head(x), machine)


def _adapted(
    params: Params, clips: pd.DataFrame, folder: Path, progress: bool, seed: int
) -> Float[np.ndarray, "1 clip"]:
    from peft import LoraConfig, get_peft_model

    device, constants = choose_device(params.device), params.encoder
    machine = _machine(clips)
    train = np.flatnonzero(clips["split"] == "train")
    paths = clips["path"].to_numpy()
    encoder = AudioEncoder(folder, params.spectra.sample_rate, device)

    def embed(clip: int) -> Tensor:
        signal = dataset.read(paths[clip], params.spectra)
        return encoder.embed(encoder.inputs(signal[0]))

    with torch.random.fork_rng(devices=[]):  # the library draws from the global generator
        torch.manual_seed(seed)
        rank = constants.lora_rank
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
        encoder.model = get_peft_model(encoder.model, config)
    inputs, machines = embed(0).shape[1], int(machine.max()) + 1
    head = Head([seed], inputs, constants.hidden, machines).to(device)
    bar = tqdm(
        total=constants.lora_epochs * len(train) + len(clips),
        unit="clip",
        desc=f"LoRA, seed {seed}",
        disable=not progress,
    )

    def step(batch: Int[Tensor, "seed clip"]) -> Tensor:
        rows = train[batch[0].numpy()]
        bar.update(len(rows))
        embeddings = torch.cat([embed(int(i)) for i in rows])
        return _loss(head(embeddings[None]), machine[rows][None].to(device))

    adapters = [p for p in encoder.model.parameters() if p.requires_grad]
    weights = [*adapters, *head.parameters()]
    with bar:
        _fit(weights, step, len(train), [seed], constants, constants.lora_epochs)
        logits = []
        with torch.inference_mode():
            for i in range(len(clips)):
                logits.append(head(embed(i)[None]).cpu())
                bar.update()
    return _surprise(torch.cat(logits, 1), machine)


def _fit(
    weights: Any,
    step: Callable[[Int[Tensor, "seed clip"]], Tensor],
    clips: int,
    seeds: Sequence[int],
    constants: Encoder,
    epochs: int,
) -> None:
    optimiser = torch.optim.AdamW(weights, lr=constants.learning_rate)
    for epoch in range(epochs):
        order = torch.stack([shuffled(clips, seed, epoch) for seed in seeds])
        for batch in order.split(constants.batch_size, dim=1):
            optimiser.zero_grad()
            step(batch).backward()
            optimiser.step()


def _machine(clips: pd.DataFrame) -> Int[Tensor, " clip"]:
    return torch.from_numpy(pd.factorize(clips["machine"])[0].astype(np.int64))


def _loss(logits: Float[Tensor, "seed clip machine"], machine: Int[Tensor, "seed clip"]) -> Tensor:
    """Cross entropy, summed over seeds so that none feels the others."""
    each = F.cross_entropy(logits.flatten(0, 1), machine.flatten(), reduction="none")
    return each.view(machine.shape).mean(1).sum()


def _surprise(
    logits: Float[Tensor, "seed clip machine"], machine: Int[Tensor, " clip"]
) -> Float[np.ndarray, "seed clip"]:
    """-log p(own machine)."""
    log_p = logits.double().log_softmax(2)
    own = log_p.gather(2, machine.expand(len(logits), -1)[:, :, None])[:, :, 0]
    return np.maximum(-own.numpy(), _SMALLEST)


def _rows(
    clips: pd.DataFrame, a: Float[np.ndarray, "seed clip"], name: str, seeds: Sequence[int]
) -> pd.DataFrame:
    columns = clips[["machine", "split", "domain", "label", "name"]]
    return pd.concat(
        [
            columns.assign(front_end=name, scorer="machine", seed=seed, A=values)
            for seed, values in zip(seeds, a, strict=True)
        ]
    )


def _standardised(params: Params, raw: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for _, rows in raw.groupby(["machine", "front_end", "seed"], sort=False):
        constants = params.scoring
        normal = rows.loc[rows["split"] == "train", "A"].to_numpy()
        gamma = Calibration.fit(normal, constants.quantile, constants.standardise)
        parts.append(rows.assign(score=gamma.standardise(rows["A"].to_numpy())))
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def _fingerprint(folder: Path) -> str:
    files = sorted(p for p in folder.iterdir() if p.suffix in (".json", ".safetensors"))
    parts = []
    for file in files:
        with file.open("rb") as stream:
            parts.append([file.name, hashlib.file_digest(stream, "sha256").hexdigest()])
    return digest(parts)
