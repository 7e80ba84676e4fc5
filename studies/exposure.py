"""Outlier exposure: a head on a frozen audio encoder that tells this machine from the others.

The encoder is a Hugging Face ``transformers`` audio model with hidden states, in a local folder. A
small network classifies its embeddings by machine; -log p(this machine) is the score. With low-rank
adaptation (LoRA, Hu et al. 2022) the encoder's linear layers are trained as well, through ``peft``.
The paper found a gain at one seed and none over ten. Training reads training-normal clips only.
Scores are kept in ``results/exposure``, and chapter 05 compares them. Run it as
``python studies/exposure.py --params FILE --encoder FOLDER``; the same command resumes it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from asdlib import dataset
from asdlib import params as parameters
from asdlib.autoencoder import SeedLinear
from asdlib.calibration import Calibration
from asdlib.io import store
from asdlib.io.files import content_digest, digest, resolve
from asdlib.params import AsdError, Params
from asdlib.runtime.hardware import choose_device
from asdlib.runtime.process import bar as progressing
from asdlib.study.recordings import Recordings, open_recordings
from asdlib.study.scores import COLUMNS
from asdlib.training import shuffled

Embed = Callable[[Int[Tensor, "seed clip"]], Float[Tensor, "seed clip value"]]
"""The numbers of clips, in an order for each seed, to their embeddings."""

_SMALLEST = 1e-12  # of a score: a gamma distribution needs positive values


class Constants(NamedTuple):
    """Of the head and of the adapted encoder."""

    hidden: int = 64  # width of the head's hidden layer
    epochs: int = 20  # of the head
    batch_size: int = 32  # clips
    learning_rate: float = 1e-3
    lora_rank: int = 8  # 0: no low-rank adaptation
    lora_epochs: int = 2


def fingerprint(folder: Path) -> str:
    """Name the encoder's files by their content."""
    files = [*sorted(folder.glob("*.json")), *sorted(folder.glob("*.safetensors"))]
    return digest([[f.name, content_digest(f.read_bytes())] for f in files])


def scores(
    params: Params, recordings: Recordings, folder: Path, constants: Constants
) -> pd.DataFrame:
    """Score every clip by the frozen encoder's head, and by the adapted encoder if asked for.

    Scores are computed once, keyed by the encoder's files, the clips and the constants.

    Returns
    -------
    DataFrame as of :func:`asdlib.study.run`; front_end is "exposure" or "lora", scorer "machine".
    """
    if len(recordings.machines) < 2:
        raise AsdError(f"Outlier exposure needs two machines or more, found {recordings.machines}.")
    AudioEncoder(params, folder)  # what cannot be used is told before any work
    clips, wanted = recordings.manifest, [("exposure", params.seeds)]
    if constants.lora_rank:  # one encoder per seed, so one file per seed
        wanted += [("lora", (seed,)) for seed in params.seeds]
    parts = []
    for name, seeds in wanted:
        job = Job(params, clips, seeds, folder, constants)
        for seed, a in zip(seeds, _kept(name, job), strict=True):
            table = clips.assign(front_end=name, scorer="machine", seed=seed, A=a)
            for _, rows in table.groupby("machine", sort=False):
                normal = rows.loc[rows["split"] == "train", "A"].to_numpy()
                gamma = Calibration.fit(normal, params.scoring.quantile, params.scoring.standardise)
                parts.append(rows.assign(score=gamma.standardise(rows["A"].to_numpy())))
    return pd.concat(parts, ignore_index=True)[COLUMNS]


class Job(NamedTuple):
    """What is computed at once: parameters, rows of a manifest, seeds, and the encoder."""

    params: Params
    clips: pd.DataFrame
    seeds: Sequence[int]
    folder: Path
    constants: Constants


def _kept(kind: str, job: Job) -> Float[np.ndarray, "row column"]:
    """Embeddings of the clips, or A by seed and clip, in a file named by all that they depend on.

    Parameters
    ----------
    kind : "embedding", "exposure" or "lora". Embeddings depend on neither seeds nor constants.
    """
    compute = {"embedding": _embeddings, "exposure": _frozen, "lora": _adapted}[kind]
    params, columns = job.params, ["hash", "machine", "split", "domain", "label", "name"]
    values = {
        "code": content_digest(Path(__file__).read_bytes()),
        "encoder": [fingerprint(job.folder), [] if kind == "embedding" else job.constants],
        "clips": job.clips["hash" if kind == "embedding" else columns].to_numpy().tolist(),
        "spectra": [params.spectra.sample_rate, params.spectra.resample],
        "seeds": job.seeds,
    }
    file = resolve(params.results) / "exposure" / f"{kind}.{digest(values)}.safetensors"
    found = store.made(file, lambda: {"values": compute(job).detach().cpu().numpy()})
    return np.asarray(found["values"])


class AudioEncoder:
    """A ``transformers`` audio model from a local folder, with its feature extractor.

    Attributes
    ----------
    model : maps its inputs to hidden states; the encoder alone where there is a decoder too.
    size : values of an embedding.
    """

    def __init__(self, params: Params, folder: Path):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        try:
            import peft  # noqa: F401  # of _adapted
            import transformers
        except ImportError:
            needed = "--encoder needs transformers and peft: pip install asdlib[encoder]."
            raise AsdError(needed) from None
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self._spectra, self._device = params.spectra, choose_device(params.device)
        rate = params.spectra.sample_rate
        local = {"local_files_only": True}
        own = {"use_safetensors": True, "dtype": torch.float32, "output_loading_info": True}
        try:
            if not (folder / "config.json").is_file():
                raise FileNotFoundError("no config.json")
            self._extract = transformers.AutoFeatureExtractor.from_pretrained(folder, **local)
            model, info = transformers.AutoModel.from_pretrained(folder, **local, **own)
            if missing := sorted(info["missing_keys"]):  # it fills them with random numbers
                raise LookupError(f"weights of the model are missing, such as {missing[0]}")
            whole = model.get_encoder() if model.config.is_encoder_decoder else model
            self.model = whole.to(self._device).eval().requires_grad_(False)
            wanted = getattr(self._extract, "sampling_rate", rate)
            if wanted != rate:
                raise ValueError(f"it wants {wanted} Hz and the study has {rate} Hz")
            noise = np.random.default_rng(0).standard_normal(rate).astype(np.float32)
            shape = self._embed(noise).shape
            if len(shape) != 2:
                raise ValueError(f"one vector per clip is needed, not values of shape {shape}")
        except Exception as error:  # the folder is the user's and the library may raise anything
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise AsdError(
                f"--encoder: {folder} cannot be used ({reason[:300]}); it must hold a "
                "transformers audio model: config.json, preprocessor_config.json and weights as "
                "safetensors."
            ) from error
        self.size = int(shape[1])

    def __call__(self, clips: pd.DataFrame, bar: tqdm) -> Float[Tensor, "clip value"]:
        """Embed clips, rows of a manifest, one by one."""
        found = []
        for signal in dataset.read_all(clips, self._spectra):
            found.append(self._embed(signal[0]))
            bar.update()
        return torch.cat(found)

    def _embed(self, signal: Float[np.ndarray, " sample"]) -> Float[Tensor, "1 value"]:
        """Mean over time of the last hidden states of one waveform."""
        rate = self._spectra.sample_rate
        found = self._extract(signal, sampling_rate=rate, return_tensors="pt")
        hidden = self.model(**found.to(self._device)).last_hidden_state
        return hidden.mean(1)


def _embeddings(job: Job) -> Float[Tensor, "clip value"]:
    """Embed every clip once by the frozen encoder."""
    encoder = AudioEncoder(job.params, job.folder)
    shown = progressing("frozen encoder", len(job.clips), "clip", progress=True)
    with torch.inference_mode(), shown as bar:
        return encoder(job.clips, bar).cpu()


def _frozen(job: Job) -> Float[Tensor, "seed clip"]:
    """A by heads of all seeds on the embeddings of the frozen encoder."""
    x = torch.from_numpy(_kept("embedding", job._replace(seeds=())))
    normal = x[torch.from_numpy((job.clips["split"] == "train").to_numpy(copy=True))]
    x = (x - normal.mean(0)) / normal.std(0).clamp_min(1e-8)
    return _surprise(job, x.__getitem__, x.shape[1], [], job.constants.epochs)


def _adapted(job: Job) -> Float[Tensor, "1 clip"]:
    """A by one seed's encoder and head, trained together."""
    from peft import LoraConfig, get_peft_model

    (seed,), clips, wanted = job.seeds, job.clips, job.constants
    rank, epochs = wanted.lora_rank, wanted.lora_epochs
    encoder = AudioEncoder(job.params, job.folder)
    with torch.random.fork_rng(devices=[]):  # the library draws from the global generator
        torch.manual_seed(seed)
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
        encoder.model = get_peft_model(encoder.model, config)
    weights = [weight for weight in encoder.model.parameters() if weight.requires_grad]
    steps = epochs * int((clips["split"] == "train").sum()) + len(clips)
    with progressing(f"LoRA, seed {seed}", steps, "clip", progress=True) as bar:

        def embed(numbers: Int[Tensor, "1 clip"]) -> Float[Tensor, "1 clip value"]:
            return encoder(clips.iloc[numbers[0].tolist()], bar)[None]

        return _surprise(job, embed, encoder.size, weights, epochs)


def _surprise(
    job: Job, embed: Embed, size: int, weights: Sequence[Tensor], epochs: int
) -> Float[Tensor, "seed clip"]:
    """Train a head of every seed, and return -log p(own machine) of every clip.

    Seeds do not affect each other's gradients. Scores are taken clip by clip: they must not depend
    on other clips.

    Parameters
    ----------
    size : values of an embedding.
    weights : what is trained besides the heads.
    """
    clips, seeds, wanted = job.clips, job.seeds, job.constants
    machine = torch.from_numpy(pd.factorize(clips["machine"])[0].astype(np.int64))
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    hidden = SeedLinear(generators, size, wanted.hidden)
    out = SeedLinear(generators, wanted.hidden, len(machine.unique()))
    head = nn.Sequential(hidden, nn.GELU(), out)
    if weights:
        head.to(weights[0].device)
    optimiser = torch.optim.AdamW([*weights, *head.parameters()], lr=wanted.learning_rate)
    train = torch.from_numpy(np.flatnonzero(clips["split"] == "train"))
    for epoch in range(epochs):
        order = torch.stack([shuffled(len(train), seed, epoch) for seed in seeds])
        for batch in order.split(wanted.batch_size, dim=1):
            logits = head(embed(train[batch]))
            own = machine[train[batch]].to(logits.device)
            each = F.cross_entropy(logits.flatten(0, 1), own.flatten(), reduction="none")
            optimiser.zero_grad()
            each.view(own.shape).mean(1).sum().backward()
            optimiser.step()
    numbers = torch.arange(len(clips)).expand(len(seeds), -1)
    with torch.inference_mode():
        logits = torch.cat([head(embed(clip)).cpu() for clip in numbers.split(1, dim=1)], 1)
    log_p = logits.double().log_softmax(2)
    return (-log_p[:, numbers[0], machine]).clamp_min(_SMALLEST)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", default="params/demo.yaml")
    parser.add_argument("--encoder", type=Path, required=True, help="a transformers audio model")
    parser.add_argument("--lora-rank", type=int, default=Constants().lora_rank)
    given = parser.parse_args()
    params = parameters.load(given.params)
    recordings = open_recordings(params, progress=True)
    found = scores(params, recordings, given.encoder, Constants(lora_rank=given.lora_rank))
    found = found.assign(manifest=recordings.digest)
    store.save(found, resolve(params.results) / "exposure" / "table.parquet")
    print(f"Scores of {len(found)} clips and seeds are kept; chapter 05 compares them.")


if __name__ == "__main__":
    try:
        main()
    except AsdError as error:
        sys.exit(str(error))
