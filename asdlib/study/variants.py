"""Studies beside the main one: one choice of the method changed, everything else as it is.

Each is a value of :class:`asdlib.params.Params`, run and kept like any other study.
Notebooks: 06_rescoring, 07_negative_results.
"""

from __future__ import annotations

from typing import Any, get_args

from asdlib.params import INTERPOLATION_NEEDS, Autoencoder, Extra, Params
from asdlib.runtime.errors import form
from asdlib.scoring import VARIANTS
from asdlib.study import detectors
from asdlib.study.baseline import official
from asdlib.study.detectors import BOTTLENECK

CHAMPION = "adasub"  # the front-end whose choices are varied
SQUARED_ERROR = "mse"  # of the clip, the official baseline's score
COMPARED = ("s1", "eq1")  # the champion's scoring, and the one that it improves on
OBJECTIVES = ("interpolate", "denoise")


def rescored(params: Params) -> Params:
    """Other percentiles, weights, covariances and ridges on the same autoencoders, and MSE."""
    whole = (SQUARED_ERROR,) if params.training.objective == "reconstruct" else ()
    return _varied(params, scorers=("eq1", "p95", *VARIANTS, *whole))


def gamma_normal(params: Params) -> Params:
    """Scores mapped to normal quantiles instead of standardised."""
    scoring = params.scoring.model_copy(update={"standardise": "gamma_normal"})
    return rescored(params).model_copy(update={"scoring": scoring})


def held_out(params: Params) -> Params:
    """The champion's scores, standardised by those of training clips that were held out."""
    scoring = params.scoring.model_copy(update={"standardise": "held_out"})
    return _varied(params, scorers=COMPARED[:1]).model_copy(update={"scoring": scoring})


def per_band(params: Params) -> Params:
    """Log-mel values standardised band by band; trains again."""
    spectra = params.spectra.model_copy(update={"standardise": "per_band"})
    return _varied(params, scorers=("eq1",)).model_copy(update={"spectra": spectra})


def objective(params: Params, name: str) -> Params:
    """Another training objective, see :func:`asdlib.training.views`."""
    training = params.training.model_copy(update={"objective": name})
    return _varied(params, scorers=COMPARED).model_copy(update={"training": training})


def bottleneck(params: Params) -> Params:
    """Flow and nearest neighbours at the bottleneck of the same autoencoders."""
    return _varied(params, scorers=(*COMPARED, *BOTTLENECK))


def build_up(params: Params) -> dict[str, Params]:
    """From the official network to ours, one step after the other, all on the near channel.

    The first is the official baseline under eq. 1, the last one ours ("AE ch1"). A step that
    changes nothing at these sizes is left out.
    """
    ours, first = params.autoencoder, official(params)
    changes: dict[str, dict[str, Any]] = {
        "linear bottleneck, our batch norm": _of(ours, "norm_bottleneck", "momentum", "eps"),
        "GELU": _of(ours, "activation"),
        f"bottleneck of {ours.bottleneck}": _of(ours, "bottleneck"),
        f"width {ours.width}": _of(ours, "width"),
        "residual blocks": _of(ours, "residual", "layers_per_block"),
        f"{ours.blocks} block{'s' * (ours.blocks != 1)}": _of(ours, "blocks"),
    }
    loop = first.model_copy(update={"training": params.training})
    steps = {"all vectors, weight decay": loop}
    network = first.autoencoder
    for name, change in changes.items():
        network = network.model_copy(update=change)
        if network != list(steps.values())[-1].autoencoder:
            steps[name] = loop.model_copy(update={"autoencoder": network})
    rest = {"front_ends": ("near",), "scorers": ("eq1",), "baseline": False}
    return {name: step.model_copy(update=rest) for name, step in steps.items()}


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
    what : an extra, an objective, "rescored" for other constants of eq. 1, "held_out" for the
        champion's alarms, or "champion" for what every idea is held against.
    """
    scorers = {"rescored": ("eq1",), "held_out": COMPARED[:1]}.get(what, COMPARED)
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
    found = [] if lacking(params, "build_up") else list(build_up(params).values())
    if not lacking(params, "rescored"):
        found.append(rescored(params))
        if "per_band" in params.extras:
            found.append(per_band(params))
    if not lacking(params, "held_out"):
        found.append(held_out(params))
    found += [objective(params, name) for name in OBJECTIVES if not lacking(params, name)]
    if not lacking(params, "bottleneck"):
        found.append(bottleneck(params))
    return found


def _varied(params: Params, scorers: tuple[str, ...]) -> Params:
    changes = {"front_ends": (CHAMPION,), "scorers": scorers, "baseline": False}
    return params.model_copy(update=changes)


def _of(network: Autoencoder, *names: str) -> dict[str, Any]:
    return {name: getattr(network, name) for name in names}
