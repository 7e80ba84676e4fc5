"""Typed, validated parameters: every constant of the method lives here, once.

A parameter file (YAML) only names what differs from these defaults. Unknown keys are refused.
The same file serves ``asd``, papermill and the notebooks. First the groups of parameters, then
:func:`load`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from asdlib.io.files import preset, read_yaml
from asdlib.runtime.errors import AsdError, invalid, unknown_key

Positive = Annotated[int, Field(gt=0, lt=2**31)]
Size = Annotated[int, Field(gt=0, le=2**14)]  # of arrays
Fraction = Annotated[float, Field(ge=0, le=1)]
SCORERS: tuple[str, ...] = ("eq1", "dm", "shrink", "p95", "dm_shrink", "s1")  # of autoencoders
SCORERS += ("pm", "pms", "pmsd", "fine", "adals/pmsd", "near/psd")  # without training
SCORERS += ("checkedsub/fine", "checkedls/pmsd")  # S5
Extra = Literal["per_band", "build_up", "objectives", "bottleneck"]


class Section(BaseModel):
    """A group of parameters: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Scenes(Section):
    """The embedded two-microphone data set. Notebook: 01_far_microphone."""

    seed: Annotated[int, Field(ge=0)] = 0
    seconds: Annotated[float, Field(ge=1, le=60)] = 4.0  # s, length of a clip
    train_source: Positive = 90  # clips of usual conditions
    train_target: Annotated[int, Field(ge=0)] = 10  # clips of other conditions
    test_per_cell: Positive = 20  # test clips per domain and label
    machines: tuple[str, ...] = ()  # empty: all
    truth: Annotated[int, Field(ge=-1)] = 0  # clips per cell with ground truth; -1: all
    noise_folder: str | None = None  # real noise clips in place of the modelled ones
    impulse_response_folder: str | None = None  # measured two-channel responses
    neighbour: bool = False  # a healthy machine of another kind is one more noise
    corners: bool = False  # the four noises stand in the corners of a room with a short T60
    # what makes the changed conditions and the training clips harder, as real data have it
    target_scatter: Annotated[float, Field(ge=0.1, le=4)] = 1.0  # of levels, times the source's
    target_conditions: Annotated[int, Field(ge=1, le=10)] = 1  # about the machine's one
    takes: Positive | None = None  # different machine sounds in training clips; none: one per clip
    # what chapter 04 varies; none: as drawn for every machine
    far_distance: Annotated[float, Field(ge=0.3, le=4)] | None = None  # m, machine to far
    reverberation: Annotated[float, Field(ge=0.1, le=0.8)] | None = None  # s, T60
    noise_sources: Annotated[int, Field(ge=1, le=16)] | None = None  # steady ones, not the four

    @model_validator(mode="after")
    def _one_room(self) -> Scenes:
        for name in ("far_distance", "reverberation", "corners"):
            if getattr(self, name) and self.impulse_response_folder is not None:
                raise ValueError(f"measured responses have their own room: {name} must not be set")
        if self.corners and self.noise_sources is not None:
            raise ValueError("noise_sources and corners exclude each other: set one of them")
        return self


class Spectra(Section):
    """Short-time spectra and log-mel frames (paper, section 3.1)."""

    sample_rate: Annotated[int, Field(ge=1000, le=10**6)] = 16000  # Hz
    resample: bool = False  # other sample rates: convert instead of refusing
    mono: bool = False  # recordings of one microphone, as for asd fit --mono
    n_fft: Annotated[int, Field(gt=0, le=2**16)] = 1024  # samples, 64 ms at 16 kHz
    hop_length: Positive = 512  # samples, 32 ms at 16 kHz
    n_mels: Size = 128  # Slaney bands from 0 Hz to half the sample rate
    stack: Positive = 5  # consecutive frames in one vector
    standardise: Literal["scalar", "per_band"] = "scalar"

    @model_validator(mode="after")
    def _sizes(self) -> Spectra:
        if self.n_mels > (bins := self.n_fft // 2 + 1):
            raise ValueError(f"n_mels is {self.n_mels}, and n_fft {self.n_fft} gives {bins} bins")
        if self.n_mels * self.stack > 2**14:
            raise ValueError(f"n_mels times stack is over {2**14:,}, the longest vector")
        return self


class Denoising(Section):
    """Constants of the noise floor and of every front-end (paper, sections 3.2 and 3.3)."""

    percentile: Annotated[float, Field(gt=0, lt=100)] = 20.0  # of power over time: quiet floor
    far_bound: Annotated[float, Field(gt=0)] = 1e-10  # of the far floor's median: keeps G_m finite
    a_s: Annotated[float, Field(ge=0)] = 1.5  # over-subtraction of RefSub, eq. 3 of the paper
    beta: Fraction = 0.10  # spectral floor, as a share of the near power
    a_0: float = 3.0  # AdaSub: over-subtraction at 0 dB local SNR
    a_min: Annotated[float, Field(ge=0)] = 1.0
    a_max: Annotated[float, Field(ge=0)] = 4.0
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.9  # recursive, of the coherence
    start_frames: Positive = 10  # frames whose mean starts the recursion
    dd_weight: Fraction = 0.98  # decision-directed a-priori SNR of Wiener and LSA
    context: Annotated[int, Field(ge=1, le=16)] = 1  # far frames in the complex least-squares fit
    ridge: Annotated[float, Field(gt=0)] = 1e-3  # of that fit, relative to the mean diagonal

    @model_validator(mode="after")
    def _ordered(self) -> Denoising:
        if self.a_min > self.a_max:
            raise ValueError(f"a_min {self.a_min:g} must not lie above a_max {self.a_max:g}")
        return self


class Autoencoder(Section):
    """The residual autoencoder (paper, section 3.1), and what makes the official one of it."""

    width: Size = 512
    blocks: Annotated[int, Field(ge=0, le=1000)] = 4
    bottleneck: Size = 16
    layers_per_block: Literal[1, 2] = 1
    residual: bool = True  # a block adds its input to its output
    activation: Literal["gelu", "relu"] = "gelu"
    norm_bottleneck: bool = False  # batch norm and activation at the bottleneck too
    momentum: Fraction = 0.1  # of the batch norm's running statistics
    eps: Annotated[float, Field(gt=0)] = 1e-5  # of the batch norm


class Training(Section):
    """How one machine's autoencoders are trained (paper, section 4.1)."""

    epochs: Positive = 100
    batch_size: Annotated[int, Field(ge=2, lt=2**31)] = 256
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.0  # share of the vectors never trained on
    objective: Literal["reconstruct", "interpolate", "denoise"] = "reconstruct"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # of the matrix products
    compiled: Literal["auto", "never"] = "auto"  # by torch.compile, where the work is worth it
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 60.0  # s between checkpoints


class Scoring(Section):
    """The clip score, eq. 1 of the paper, and its standardisation (paper, section 3.1)."""

    alpha: Fraction = 0.2  # weight of the energy term
    percentile: Annotated[float, Field(ge=0, le=100)] = 90.0  # over the frames of a clip
    sharp_percentile: Annotated[float, Field(ge=0, le=100)] = 95.0  # the P95 re-scoring
    ridge: Annotated[float, Field(gt=0)] = 1e-3  # times the mean of the covariance diagonal
    standardise: Literal["gamma_z", "gamma_normal", "held_out"] = "gamma_z"
    rho: Fraction = 0.5  # share of the source covariance in the shrunk target covariance
    quantile: Annotated[float, Field(gt=0, lt=1)] = 0.90  # decision threshold


class Statistics(Section):
    """Detectors without training: clip statistics. Notebook: 03_without_training."""

    folds: Annotated[int, Field(ge=2)] = 10  # parts of the training clips that are held out in turn
    psd_segment: Annotated[int, Field(ge=64, le=2**20)] = 8192  # samples, 2 Hz at 16 kHz
    psd_bands: Size = 96
    fine_bands: Size = 64
    lowest: Annotated[float, Field(gt=0)] = 10.0  # Hz, where the logarithmic bands begin


class Bottleneck(Section):
    """Density and distance at the autoencoder's bottleneck: a negative result of the paper."""

    transforms: Positive = 3  # autoregressive transforms of the flow
    hidden: Size = 64  # width of each one's two hidden layers
    epochs: Positive = 5
    batch_size: Positive = 512
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    neighbours: Positive = 5  # training clips whose mean distance is a clip's score


class Team(Section):
    """Who hands the systems in: their labels are ``<author>_<institute>_task2_<N>``."""

    author: Annotated[str, Field(pattern=r"^[A-Za-z]+$")] = "Asdlib"
    institute: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,10}$")] = "DEMO"


INTERPOLATION_NEEDS = "objective 'interpolate' needs a spectra.stack of 3 or more"


def _plain_name(name: str) -> str:
    if not re.fullmatch(r"\w([\w .-]*\w)?", name):
        raise ValueError("a plain name is needed: letters, digits, and '_', '-', '.' inside")
    computed = (
        r"units|floors|statistics|tables|exposure|trained_out|benchmarks\.json|(scenes|checked)-.*"
    )
    if re.fullmatch(computed, name, re.IGNORECASE):
        raise ValueError("computed files have this name; take another one")
    return name


def _own_folder(place: str) -> str:
    if not place.strip() or "\0" in place or place == Path(place).anchor:
        raise ValueError("a folder of its own is needed, such as 'results'")
    return place


def _each_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values or len(set(values)) != len(values):
        raise ValueError("at least one value is needed, and each once")
    return values


Folder = Annotated[str, AfterValidator(_own_folder)]
Name = Annotated[str, Field(max_length=80), AfterValidator(_plain_name)]
Names = Annotated[tuple[str, ...], AfterValidator(_each_once)]
Seeds = tuple[Annotated[int, Field(ge=0, lt=2**32)], ...]


class Params(Section):
    """All that a study and its report depend on."""

    name: Name = "study"  # of its folder in results
    data: str | None = None  # folder in the DCASE layout; none: the embedded scenes
    results: Folder = "results"  # folder of computed units
    figures: Folder = "figures"  # folder that the chapters write to
    machines: tuple[str, ...] = ()  # empty: all that the data hold
    front_ends: Names = ("near", "refsub", "adasub", "cohgate", "combo")
    scorers: Names = SCORERS
    baseline: bool = True  # train and score the official baseline too
    extras: tuple[Extra, ...] = get_args(Extra)  # studies that train once more
    seeds: Annotated[Seeds, AfterValidator(_each_once)] = tuple(range(10))
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    cluster: str | None = None  # tcp://host:8786 or file of a Dask scheduler, or local; none: here
    scenes: Scenes = Scenes()
    spectra: Spectra = Spectra()
    denoising: Denoising = Denoising()
    autoencoder: Autoencoder = Autoencoder()
    training: Training = Training()
    scoring: Scoring = Scoring()
    statistics: Statistics = Statistics()
    bottleneck: Bottleneck = Bottleneck()
    team: Team = Team()

    @model_validator(mode="after")
    def _enough_frames(self) -> Params:
        if self.training.objective == "interpolate" and self.spectra.stack < 3:
            raise ValueError(INTERPOLATION_NEEDS)
        return self


def load(source: Params | Mapping[str, Any] | str | Path | None = None, **changes: Any) -> Params:
    """Read parameters from a YAML file or a mapping; refuse what is unknown or out of range.

    Parameters
    ----------
    source : the path of a YAML file, the name of one of this package's, such as "demo", a mapping,
        ready parameters, or none for the defaults.
    changes : top-level values that replace those of the source, such as ``data="recordings"``;
        None replaces nothing.

    Returns
    -------
    Params

    Raises
    ------
    AsdError
        One sentence for the first wrong key or value.

    Examples
    --------
    >>> load({"seeds": [0, 1], "training": {"epochs": 3}}).training.epochs
    3
    >>> load({"training": {"epoch": 3}})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    asdlib.runtime.errors.AsdError: parameters: unknown key 'training.epoch'; ...
    """
    if isinstance(source, str | Path):
        where, values = str(source), {"name": Path(source).stem, **read_yaml(preset(source))}
    else:
        where, values = "parameters", dict(source or {})
    try:
        return Params.model_validate(values | {k: v for k, v in changes.items() if v is not None})
    except ValidationError as error:
        raise AsdError(f"{where}: {invalid(error, Params)}") from None


def from_notebook(namespace: Mapping[str, Any]) -> Params:
    """Collect the parameters of a notebook from its globals.

    The notebook's cell names some keys, papermill injects all keys of a parameter file. A key that
    is None or absent comes from ``params/<name>.yaml``, where that file exists, and from the
    defaults of :class:`Params` otherwise. So papermill with ``-f params/smoke.yaml`` runs exactly
    what ``asd report --params params/smoke.yaml`` does, and an untouched notebook runs the demo.

    Parameters
    ----------
    namespace : ``globals()``. What is defined above the first import from this package is a
        parameter; what is defined below it belongs to the chapter, whose cells may run again.

    Raises
    ------
    AsdError
        For an unknown name above that import, of which papermill would only warn, or for values
        without a ``name`` that says what they change.

    Examples
    --------
    >>> from_notebook({"name": "mine", "seeds": [3], "data": None}).seeds
    (3,)
    """
    for key, value in namespace.items():
        home = getattr(value, "__module__", None) or getattr(value, "__name__", None)
        if str(home).partition(".")[0] == "asdlib":
            break
        plain = isinstance(value, str | int | float | list | tuple | dict)
        known = key in Params.model_fields or key.startswith("_") or key in ("In", "Out")
        if plain and not known:
            raise AsdError(f"parameters: {unknown_key(key, Params)}")
    found = {k: namespace[k] for k in Params.model_fields if namespace.get(k) is not None}
    given = found or {"name": "demo"}
    if "name" not in given:
        raise AsdError("parameters: name is missing; 'demo' changes what is in params/demo.yaml.")
    own = preset(given["name"])
    base = read_yaml(own) if own.is_file() else {}
    return load({**base, **given})
