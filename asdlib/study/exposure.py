"""Outlier exposure: a head on a frozen audio encoder that tells this machine from the others.

The encoder is a Hugging Face ``transformers`` audio model with hidden states, in a local folder. A
small network classifies its embeddings by machine; -log p(this machine) is the score. With low-rank
adaptation (LoRA, Hu et al. 2022) the encoder's linear layers are trained as well, through ``peft``.
The paper found a gain at one seed and none over ten. Training reads training-normal clips only.
Notebook: 07_negative_results.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from asdlib import dataset
from asdlib.autoencoder import SeedLinear
from asdlib.calibration import Calibration
from asdlib.io import store
from asdlib.io.files import digest, resolve
from asdlib.params import AsdError, Encoder, Params
from asdlib.runtime.hardware import choose_device
from asdlib.runtime.process import bar as progressing
from asdlib.study.recordings import Recordings
from asdlib.study.views import COLUMNS
from asdlib.training import shuffled

_SMALLEST = 1e-12  # of a score: a gamma distribution needs positive values
_NEEDED = (
    "a transformers audio model: config.json, preprocessor_config.json and weights as safetensors"
)


def check(params: Params) -> None:
    """Load the encoder and embed a second of noise, before any work is done.

    Raises
    ------
    AsdError
        Naming the folder, what was found and what is needed.
    """
    if params.encoder.folder is not None:
        AudioEncoder(params)


def fingerprint(params: Params) -> str:
    """Name the encoder's files by their content; empty without an encoder."""
    if params.encoder.folder is None:
        return ""
    folder = resolve(params.encoder.folder)
    files = [*sorted(folder.glob("*.json")), *_weights(folder)]
    return digest([[f.name, _content(f, f.stat().st_size, f.stat().st_mtime_ns)] for f in files])


@cache
def _content(file: Path, size: int, changed: int) -> str:
    """Hash a file's content once for every size and time of change."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _weights(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def scores(params: Params, recordings: Recordings, *, progress: bool = False) -> pd.DataFrame:
    """Score every clip by the frozen encoder's head, and by the adapted encoder if asked for.

    Scores are computed once, keyed by the encoder's files, the clips and the parameters.

    Returns
    -------
    DataFrame as of :func:`asdlib.study.run`; front_end is "exposure" or "lora", scorer "machine".
    No rows without an encoder, or with fewer than two machines.
    """
    if params.encoder.folder is None or len(recordings.machines) < 2:
        return pd.DataFrame(columns=COLUMNS)
    _library()
    clips = recordings.manifest
    tables = [_table("exposure", _frozen, params, clips, params.seeds, progress)]
    if params.encoder.lora_rank:  # one encoder per seed, so one file per seed
        tables += [_table("lora", _adapted, params, clips, [s], progress) for s in params.seeds]
    parts = []
    raw = pd.concat(tables, ignore_index=True)
    for _, rows in raw.groupby(["machine", "front_end", "seed"], sort=False):
        constants = params.scoring
        normal = rows.loc[rows["split"] == "train", "A"].to_numpy()
        gamma = Calibration.fit(normal, constants.quantile, constants.standardise)
        parts.append(rows.assign(score=gamma.standardise(rows["A"].to_numpy())))
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def _table(
    name: str,
    compute: Callable[[Params, pd.DataFrame, Sequence[int], bool], Float[np.ndarray, "seed clip"]],
    params: Params,
    clips: pd.DataFrame,
    seeds: Sequence[int],
    progress: bool,
) -> pd.DataFrame:
    """A of every clip by some seeds."""

    def make() -> pd.DataFrame:
        a = compute(params, clips, seeds, progress)
        columns = clips[["machine", "split", "domain", "label", "name"]]
        own = columns.assign(front_end=name, scorer="machine")
        parts = [own.assign(seed=seed, A=values) for seed, values in zip(seeds, a, strict=True)]
        return pd.concat(parts)

    columns = ["hash", "machine", "split", "domain", "label", "name"]
    key = _key(params, clips[columns], name, seeds=list(seeds))
    found: pd.DataFrame = store.made(_folder(params) / f"{name}.{key}.parquet", make)
    return found


def _folder(params: Params) -> Path:
    return resolve(params.results) / "exposure"


def _key(params: Params, clips: pd.DataFrame, kind: str, **values: Any) -> str:
    """Name an embedding, an adapter or a table of scores by all that it depends on.

    Parameters
    ----------
    clips : their columns that matter.
    kind : "embedding", "exposure" or "lora"; each depends on some constants only.
    """
    unread = {
        "embedding": set(Encoder.model_fields),
        "exposure": {"folder", "lora_rank", "lora_epochs"},
        "lora": {"folder", "epochs"},
    }
    return digest(
        {
            "kind": kind,
            "code": store.code("study.exposure"),
            "encoder": fingerprint(params),
            "constants": params.encoder.model_dump(exclude=unread[kind]),
            "clips": clips.to_numpy().tolist(),
            "spectra": [params.spectra.sample_rate, params.spectra.resample],
            **values,
        }
    )


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
    """A ``transformers`` audio model from a local folder, with its feature extractor.

    Attributes
    ----------
    model : maps its inputs to hidden states; the encoder alone where there is a decoder too.
    size : values of an embedding.
    """

    def __init__(self, params: Params):
        folder = resolve(str(params.encoder.folder))
        where, rate = f"encoder.folder: {folder}", params.spectra.sample_rate
        if not folder.is_dir():
            raise AsdError(f"{where} is no folder; it must hold {_NEEDED}.")
        found = {p.name for p in folder.iterdir()}
        if not {"config.json", "preprocessor_config.json"} <= found or not _weights(folder):
            names = ", ".join(sorted(found)[:5]) or "nothing"
            raise AsdError(f"{where} holds {names}; it must hold {_NEEDED}.")
        _library()
        self._rate, self._device = rate, choose_device(params.device)
        try:
            lacking = self._load(folder)
            wanted = getattr(self._extract, "sampling_rate", rate)
            noise = np.random.default_rng(0).standard_normal(rate).astype(np.float32)
            shape = self.embed(noise).shape if wanted == rate and not lacking else (1, 0)
        except Exception as error:  # the folder is the user's and the library may raise anything
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise AsdError(f"{where} cannot be used ({reason[:300]}).") from error
        if lacking:  # the library would fill them with random numbers
            few = ", ".join(lacking[:3])
            raise AsdError(f"{where} lacks weights of the model, such as {few}.")
        if wanted != rate:
            raise AsdError(
                f"{where} wants {wanted} Hz and the study has {rate} Hz; use an encoder of the "
                "study's sample rate."
            )
        if len(shape) != 2:
            raise AsdError(
                f"{where} gives embeddings of shape {tuple(shape)}; it must give one vector per "
                "clip."
            )
        self.size = int(shape[1])

    def _load(self, folder: Path) -> list[str]:
        """Load model and feature extractor; return the names of weights that are missing."""
        from transformers import AutoFeatureExtractor, AutoModel

        local: dict[str, Any] = {"local_files_only": True}
        self._extract = AutoFeatureExtractor.from_pretrained(folder, **local)
        own = {"use_safetensors": True, "dtype": torch.float32, "output_loading_info": True}
        model, info = AutoModel.from_pretrained(folder, **local, **own)
        whole = model.get_encoder() if model.config.is_encoder_decoder else model
        self.model = whole.to(self._device).eval().requires_grad_(False)
        return sorted(info["missing_keys"])

    def adapt(self, rank: int) -> None:
        """Add low-rank matrices to all linear layers, which alone are trained."""
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
        self.model = get_peft_model(self.model, config)

    def embed(self, signal: Float[np.ndarray, " sample"]) -> Float[Tensor, "1 value"]:
        """Mean over time of the last hidden states of one waveform."""
        found = self._extract(signal, sampling_rate=self._rate, return_tensors="pt")
        inputs = {name: value.to(self._device) for name, value in found.items()}
        hidden: Tensor = self.model(**inputs).last_hidden_state
        return hidden.mean(1)


def _library() -> None:
    """Check that the optional libraries are installed, and keep them off the network."""
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


Embed = Callable[[Int[Tensor, "seed clip"]], Float[Tensor, "seed clip value"]]
"""Numbers of clips to their embeddings."""


def _embeddings(params: Params, clips: pd.DataFrame, progress: bool) -> Float[Tensor, "clip value"]:
    """Embed every clip once; the embeddings depend on the contents of the clips only."""

    def make() -> dict[str, Tensor]:
        encoder, rows = AudioEncoder(params), []
        with (
            torch.inference_mode(),
            progressing("frozen encoder", len(clips), "clip", progress=progress) as bar,
        ):
            for signal in dataset.read_all(clips, params.spectra):
                rows.append(encoder.embed(signal[0])[0].cpu())
                bar.update()
        return {"embeddings": torch.stack(rows)}

    key = _key(params, clips[["hash"]], "embedding")
    found: Tensor = store.made(_folder(params) / f"embedding.{key}.safetensors", make)["embeddings"]
    return found


def _frozen(
    params: Params, clips: pd.DataFrame, seeds: Sequence[int], progress: bool
) -> Float[np.ndarray, "seed clip"]:
    """A by heads of all seeds on the embeddings of the frozen encoder."""
    embeddings = _embeddings(params, clips, progress)
    train = torch.from_numpy((clips["split"] == "train").to_numpy(copy=True))
    mean, std = embeddings[train].mean(0), embeddings[train].std(0).clamp_min(1e-8)
    x = (embeddings - mean) / std
    head = Head(seeds, x.shape[1], params.encoder.hidden, clips["machine"].nunique())
    _fit(x.__getitem__, head, list(head.parameters()), clips, seeds, params.encoder)
    return _surprise(x.__getitem__, head, clips, seeds)


def _adapted(
    params: Params, clips: pd.DataFrame, seeds: Sequence[int], progress: bool
) -> Float[np.ndarray, "1 clip"]:
    """A by one seed's encoder and head, trained together; the trained weights are kept."""
    (seed,), constants = seeds, params.encoder
    encoder, files = AudioEncoder(params), list(zip(clips["path"], clips["hash"], strict=True))
    epochs, train = constants.lora_epochs, clips["split"] == "train"
    steps = epochs * int(train.sum()) + len(clips)
    bar = progressing(f"LoRA, seed {seed}", steps, "clip", progress=progress)

    def embed(numbers: Int[Tensor, "1 clip"]) -> Float[Tensor, "1 clip value"]:
        rows = []
        for path, content in (files[i] for i in numbers[0].tolist()):
            signal = dataset.read(path, params.spectra, content=content)
            rows.append(encoder.embed(signal[0]))
            bar.update()
        return torch.cat(rows)[None]

    with torch.random.fork_rng(devices=[]):  # the library draws from the global generator
        torch.manual_seed(seed)
        encoder.adapt(constants.lora_rank)
    head = Head(seeds, encoder.size, constants.hidden, clips["machine"].nunique())
    head.to(choose_device(params.device))
    parts = [*encoder.model.named_parameters(), *head.named_parameters()]
    learnt = {name: weight for name, weight in parts if weight.requires_grad}

    def make() -> dict[str, Tensor]:
        _fit(embed, head, list(learnt.values()), clips, seeds, constants, epochs)
        return dict(learnt)

    columns = ["hash", "machine", "domain", "label", "name"]
    key = _key(params, clips.loc[train, columns], "lora", seeds=list(seeds))
    with bar:
        stored = store.made(_folder(params) / f"lora.{key}.safetensors", make)
        with torch.inference_mode():
            for name, weight in learnt.items():
                weight.copy_(stored[name])
        return _surprise(embed, head, clips, seeds)


def _fit(
    embed: Embed,
    head: Head,
    weights: Sequence[Tensor],
    clips: pd.DataFrame,
    seeds: Sequence[int],
    constants: Encoder,
    epochs: int | None = None,
) -> None:
    """Train on the training clips; seeds do not affect each other's gradients."""
    optimiser = torch.optim.AdamW(weights, lr=constants.learning_rate)
    train = torch.from_numpy(np.flatnonzero(clips["split"] == "train"))
    for epoch in range(constants.epochs if epochs is None else epochs):
        order = torch.stack([shuffled(len(train), seed, epoch) for seed in seeds])
        for batch in order.split(constants.batch_size, dim=1):
            logits = head(embed(train[batch]))
            wanted = _machine(clips)[train[batch]].to(logits.device)
            each = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
            optimiser.zero_grad()
            each.view(wanted.shape).mean(1).sum().backward()
            optimiser.step()


def _machine(clips: pd.DataFrame) -> Int[Tensor, " clip"]:
    return torch.from_numpy(pd.factorize(clips["machine"])[0].astype(np.int64))


def _surprise(
    embed: Embed, head: Head, clips: pd.DataFrame, seeds: Sequence[int]
) -> Float[np.ndarray, "seed clip"]:
    """-log p(own machine), clip by clip: a score must not depend on other clips."""
    numbers = torch.arange(len(clips)).expand(len(seeds), -1)
    with torch.inference_mode():
        logits = [head(embed(own)).cpu() for own in numbers.split(1, dim=1)]
    log_p = torch.cat(logits, 1).double().log_softmax(2)
    own = log_p.gather(2, _machine(clips).expand(len(seeds), -1)[:, :, None])[:, :, 0]
    return np.maximum(-own.numpy(), _SMALLEST)
