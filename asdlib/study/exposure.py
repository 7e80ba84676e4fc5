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
from asdlib.io import kept
from asdlib.io.files import digest, resolve
from asdlib.io.keys import code_digest
from asdlib.params import AsdError, Encoder, Params
from asdlib.runtime.hardware import choose_device
from asdlib.runtime.process import bar as progressing
from asdlib.study.recordings import Recordings
from asdlib.study.unit import COLUMNS
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
    if params.encoder.folder is None:
        return
    folder = resolve(params.encoder.folder)
    if not folder.is_dir():
        raise AsdError(f"encoder.folder: {folder} is no folder; it must hold {_NEEDED}.")
    found = {p.name for p in folder.iterdir()}
    if not {"config.json", "preprocessor_config.json"} <= found or not _weights(folder):
        names = ", ".join(sorted(found)[:5]) or "nothing"
        raise AsdError(f"encoder.folder: {folder} holds {names}; it must hold {_NEEDED}.")
    _library()
    encoder = AudioEncoder(folder, params.spectra.sample_rate, choose_device(params.device))
    noise = np.random.default_rng(0).standard_normal(params.spectra.sample_rate)
    try:
        shape = encoder.embed(encoder.inputs(noise.astype(np.float32))).shape
    except Exception as error:  # the model is the user's and may raise anything
        raise _unfit(folder, error) from error
    if len(shape) != 2:
        raise AsdError(
            f"encoder.folder: {folder} gives embeddings of shape {tuple(shape)}; it "
            "must give one vector per clip."
        )


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


def _unfit(folder: Path, error: Exception) -> AsdError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return AsdError(f"encoder.folder: {folder} cannot be used ({reason[:300]}).")


def scores(params: Params, recordings: Recordings, *, progress: bool = False) -> pd.DataFrame:
    """Score every clip by the frozen encoder's head, and by the adapted encoder if asked for.

    Scores are computed once and kept, keyed by the encoder's files, the clips and the parameters.

    Returns
    -------
    DataFrame as of :func:`asdlib.study.run`; front_end is "exposure" or "lora", scorer "machine".
    No rows without an encoder, or with fewer than two machines.
    """
    if params.encoder.folder is None or len(recordings.machines) < 2:
        return pd.DataFrame(columns=COLUMNS)
    _library()
    clips = recordings.manifest
    tables = [_kept("exposure", _frozen, params, clips, params.seeds, progress)]
    if params.encoder.lora_rank:  # one encoder per seed, so one file per seed
        tables += [_kept("lora", _adapted, params, clips, [s], progress) for s in params.seeds]
    return _standardised(params, pd.concat(tables, ignore_index=True))


def _kept(
    name: str,
    compute: Callable[[Params, pd.DataFrame, Sequence[int], bool], Float[np.ndarray, "seed clip"]],
    params: Params,
    clips: pd.DataFrame,
    seeds: Sequence[int],
    progress: bool,
) -> pd.DataFrame:
    """Read the scores A of some seeds from their file; where there is none, compute it first."""
    key = _key(params, clips, name, seeds, tested=True)
    path = resolve(params.results) / "exposure" / f"{name}.{key}.parquet"

    def make() -> None:
        a = compute(params, clips, seeds, progress)
        kept.write_table(_rows(clips, a, name, seeds), path)

    return kept.made(path, kept.table, make)


def _key(
    params: Params, clips: pd.DataFrame, what: str, seeds: Sequence[int], *, tested: bool
) -> str:
    """Digest of all that an embedding, a trained adapter or a table of scores depends on.

    Parameters
    ----------
    what : "embedding", "exposure" or "lora".
    tested : whether test clips are scored; training reads the training clips only.
    """
    constants = params.encoder.model_dump(exclude={"folder"})
    read = {
        "embedding": set(),
        "exposure": constants.keys() - {"lora_rank", "lora_epochs"},
        "lora": constants.keys() - {"epochs"},
    }
    used = clips if tested else clips[clips["split"] == "train"]
    columns = ["hash"]  # an embedding depends on a clip's content only
    if what != "embedding":
        columns += ["machine", "split", "domain", "label", "name"]
    return digest(
        {
            "what": what,
            "encoder": fingerprint(params),
            "method": code_digest("study.exposure.scores"),
            "clips": used[columns].to_numpy().tolist(),
            "constants": {name: constants[name] for name in sorted(read[what])},
            "spectra": [params.spectra.sample_rate, params.spectra.resample],
            "seeds": list(seeds),
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
    """

    def __init__(self, folder: Path, sample_rate: int, device: str):
        from transformers import AutoFeatureExtractor, AutoModel

        try:
            extract = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
            model, info = AutoModel.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
        except Exception as error:  # the folder is the user's and the library may raise anything
            raise _unfit(folder, error) from error
        if info["missing_keys"]:  # the library would fill them with random numbers
            few = ", ".join(sorted(info["missing_keys"])[:3])
            raise AsdError(f"encoder.folder: {folder} lacks weights of the model, such as {few}.")
        wanted = getattr(extract, "sampling_rate", sample_rate)
        if wanted != sample_rate:
            raise AsdError(
                f"encoder.folder: {folder} wants {wanted} Hz and the study has {sample_rate} Hz; "
                "use an encoder of the study's sample rate."
            )
        self._extract, self._rate, self._device = extract, sample_rate, device
        self.model = (model.get_encoder() if model.config.is_encoder_decoder else model).to(device)
        self.model.eval().requires_grad_(False)

    def inputs(self, signal: Float[np.ndarray, " sample"]) -> dict[str, Tensor]:
        """Turn one waveform into the model's inputs."""
        found = self._extract(signal, sampling_rate=self._rate, return_tensors="pt")
        return {name: value.to(self._device) for name, value in found.items()}

    def embed(self, inputs: dict[str, Tensor]) -> Float[Tensor, "clip value"]:
        """Mean of the last hidden states over time."""
        return self.model(**inputs).last_hidden_state.mean(1)


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


def _embeddings(params: Params, clips: pd.DataFrame, progress: bool) -> Float[Tensor, "clip value"]:
    """Embed every clip once and keep the embeddings in a file."""
    key = _key(params, clips, "embedding", (), tested=True)
    path = resolve(params.results) / "exposure" / f"embedding.{key}.safetensors"

    def make() -> None:
        encoder = _encoder(params)
        with torch.inference_mode():
            signals = dataset.read_all(clips, params.spectra)
            rows = []
            with progressing("frozen encoder", len(clips), "clip", progress=progress) as bar:
                for signal in signals:
                    rows.append(encoder.embed(encoder.inputs(signal[0]))[0].cpu())
                    bar.update()
        kept.write_tensors({"embeddings": torch.stack(rows)}, path)

    tensors, _ = kept.made(path, kept.tensors, make)
    return tensors["embeddings"]


def _frozen(
    params: Params, clips: pd.DataFrame, seeds: Sequence[int], progress: bool
) -> Float[np.ndarray, "seed clip"]:
    embeddings = _embeddings(params, clips, progress)
    train = torch.from_numpy((clips["split"] == "train").to_numpy(copy=True))
    mean, std = embeddings[train].mean(0), embeddings[train].std(0).clamp_min(1e-8)
    x = ((embeddings - mean) / std).expand(len(seeds), -1, -1)
    machine = _machine(clips)
    constants = params.encoder
    head = Head(seeds, x.shape[2], constants.hidden, int(machine.max()) + 1)

    def step(batch: Int[Tensor, "seed clip"]) -> Tensor:
        own = x[:, train].gather(1, batch[:, :, None].expand(-1, -1, x.shape[2]))
        return _loss(head(own), machine[train][batch])

    _fit(head.parameters(), step, int(train.sum()), seeds, constants, constants.epochs)
    with torch.inference_mode():  # clip by clip: a score must not depend on other clips
        each = [head(x[:, i : i + 1]) for i in range(len(clips))]
    return _surprise(torch.cat(each, 1), machine)


def _adapted(
    params: Params, clips: pd.DataFrame, seeds: Sequence[int], progress: bool
) -> Float[np.ndarray, "1 clip"]:
    """One seed's encoder and head, trained together; the trained weights are kept in a file."""
    from peft import LoraConfig, get_peft_model

    (seed,) = seeds
    constants = params.encoder
    device = choose_device(params.device)
    machine = _machine(clips)
    train = np.flatnonzero(clips["split"] == "train")
    files = list(zip(clips["path"], clips["hash"], strict=True))
    encoder = _encoder(params)

    def embed(clip: int) -> Tensor:
        path, content = files[clip]
        signal = dataset.read(path, params.spectra, content=content)
        return encoder.embed(encoder.inputs(signal[0]))

    with torch.random.fork_rng(devices=[]):  # the library draws from the global generator
        torch.manual_seed(seed)
        rank = constants.lora_rank
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
        encoder.model = get_peft_model(encoder.model, config)
    size, machines = embed(0).shape[1], int(machine.max()) + 1
    head = Head([seed], size, constants.hidden, machines).to(device)
    learnt = {
        name: p
        for part in (encoder.model, head)
        for name, p in part.named_parameters()
        if p.requires_grad
    }
    bar = progressing(
        f"LoRA, seed {seed}",
        constants.lora_epochs * len(train) + len(clips),
        "clip",
        progress=progress,
    )

    def step(batch: Int[Tensor, "seed clip"]) -> Tensor:
        rows = train[batch[0].numpy()]
        bar.update(len(rows))
        embeddings = torch.cat([embed(int(i)) for i in rows])
        return _loss(head(embeddings[None]), machine[rows][None].to(device))

    key = _key(params, clips, "lora", seeds, tested=False)
    path = resolve(params.results) / "exposure" / f"lora.{key}.safetensors"

    def make() -> None:
        _fit(list(learnt.values()), step, len(train), seeds, constants, constants.lora_epochs)
        kept.write_tensors(learnt, path)

    with bar:
        stored, _ = kept.made(path, kept.tensors, make)
        logits = []
        with torch.inference_mode():
            for name, parameter in learnt.items():
                parameter.copy_(stored[name])
            for i in range(len(clips)):
                logits.append(head(embed(i)[None]).cpu())
                bar.update()
    return _surprise(torch.cat(logits, 1), machine)


def _encoder(params: Params) -> AudioEncoder:
    folder = resolve(str(params.encoder.folder))
    return AudioEncoder(folder, params.spectra.sample_rate, choose_device(params.device))


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
    """Cross entropy, summed over seeds so that seeds do not affect each other's gradients."""
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
