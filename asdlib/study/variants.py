"""Studies beside the main one: one choice of the method changed, everything else as it is.

Each is a value of :class:`asdlib.params.Params`, run and kept like any other study.
Notebook: 05_variants.
"""

from __future__ import annotations

from functools import partial
from typing import Any, get_args

from asdlib.params import INTERPOLATION_NEEDS, Extra, Params
from asdlib.runtime.errors import form, plural
from asdlib.scorers import VARIANTS
from asdlib.study import detectors
from asdlib.study.baseline import official
from asdlib.study.detectors import BOTTLENECK

CHAMPION = "adasub"  # the front-end whose choices are varied
SQUARED_ERROR = "mse"  # of the clip, the official baseline's score
COMPARED = ("s1", "eq1")  # the champion's scoring, and the one that it improves on
OBJECTIVES = ("interpolate", "denoise")
_NEEDED = {"rescored": ("eq1",), "per_band": ("eq1",), "held_out": COMPARED[:1]}  # else COMPARED


def rescored(params: Params, **sections: dict[str, Any]) -> Params:
    """Other percentiles, weights, covariances and ridges on the same autoencoders, and MSE."""
    whole = (SQUARED_ERROR,) if params.training.objective == "reconstruct" else ()
    return _varied(params, ("eq1", "p95", *VARIANTS, *whole), **sections)


def gamma_normal(params: Params) -> Params:
    """Scores mapped to normal quantiles instead of standardised."""
    return rescored(params, scoring={"standardise": "gamma_normal"})


def held_out(params: Params) -> Params:
    """The champion's scores, standardised by those of training clips that were held out."""
    return _varied(params, COMPARED[:1], scoring={"standardise": "held_out"})


def per_band(params: Params) -> Params:
    """Log-mel values standardised band by band; trains again."""
    return _varied(params, ("eq1",), spectra={"standardise": "per_band"})


def objective(params: Params, name: str) -> Params:
    """Another training objective, see :func:`asdlib.training.views`."""
    return _varied(params, COMPARED, training={"objective": name})


def bottleneck(params: Params) -> Params:
    """Flow and nearest neighbours at the bottleneck of the same autoencoders."""
    return _varied(params, (*COMPARED, *BOTTLENECK))


def build_up(params: Params) -> dict[str, Params]:
    """From the official network to ours, one step after the other, all on the near channel.

    The first is the official baseline under eq. 1 of the paper, the last one ours ("AE ch1"). A
    step that changes nothing at these sizes is left out.
    """
    ours = params.autoencoder
    changes = {
        "linear bottleneck, our batch norm": {"norm_bottleneck", "momentum", "eps"},
        "GELU": {"activation"},
        f"bottleneck of {ours.bottleneck}": {"bottleneck"},
        f"width {ours.width}": {"width"},
        "residual blocks": {"residual", "layers_per_block"},
        plural(ours.blocks, "block"): {"blocks"},
    }
    own = {"scorers": ("eq1",), "baseline": False, "training": params.training}
    step = official(params).model_copy(update=own)
    steps = {"all vectors, weight decay": step}
    for name, keys in changes.items():
        network = step.autoencoder.model_copy(update=ours.model_dump(include=keys))
        if network != step.autoencoder:
            steps[name] = step = step.model_copy(update={"autoencoder": network})
    return steps


def trained(params: Params) -> bool:
    """Tell whether a study has autoencoders at all; detectors without training need none.

    >>> trained(Params(scorers=("eq1",))), trained(Params(scorers=("pm",), baseline=False))
    (True, False)
    """
    return params.baseline or bool(detectors.trained(params).scorers)


def lacking(params: Params, what: str) -> str:
    """Say why something cannot be run with these parameters; empty where it can.

    Parameters
    ----------
    what : an extra, an objective, "rescored" for other constants of eq. 1 of the paper,
        "held_out" for the champion's alarms, or "champion" for what every idea is held against.
    """
    scorers = _NEEDED.get(what, COMPARED)
    if what == "build_up":
        if not params.baseline or "near" not in params.front_ends or "eq1" not in params.scorers:
            return "needs the baseline, and near with the scorer eq1"
    elif CHAMPION not in params.front_ends or not set(scorers) <= set(params.scorers):
        names, were = " and ".join(scorers), form(len(scorers), "was", "were")
        scorer = form(len(scorers), "scorer", "scorers")
        return f"needs {CHAMPION} with the {scorer} {names}, which {were} not run"
    if what == "interpolate" and params.spectra.stack < 3:
        return INTERPOLATION_NEEDS
    extra = "objectives" if what in OBJECTIVES else what
    if extra in get_args(Extra) and extra not in params.extras:
        return f"was left out (extras: [{extra}] runs it)"
    return ""


def studies(params: Params) -> list[Params]:
    """All that the chapters need besides the main study."""
    one = {"rescored": rescored, "per_band": per_band, "held_out": held_out}
    one |= {name: partial(objective, name=name) for name in OBJECTIVES} | {"bottleneck": bottleneck}
    found = [] if lacking(params, "build_up") else list(build_up(params).values())
    return found + [make(params) for name, make in one.items() if not lacking(params, name)]


def _varied(params: Params, scorers: tuple[str, ...], **sections: dict[str, Any]) -> Params:
    """The champion alone with these scorers, and with other values in some sections."""
    changes = {"front_ends": (CHAMPION,), "scorers": scorers, "baseline": False}
    own = {name: getattr(params, name).model_copy(update=new) for name, new in sections.items()}
    return params.model_copy(update=changes | own)
