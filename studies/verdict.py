"""``make verdict``: does the far channel's phase help a detector, and on which recordings?

K and ridge of the complex fit are chosen for every front-end that has one, on three sets of
embedded scenes and by their labels. With them frozen, the study of ``params/phase.yaml`` runs on
those scenes and, where ``NOISE`` and ``RESPONSES`` name two folders, on the same machines with real
noise in measured rooms. Tables go to ``results/verdict``.
"""

import argparse
import sys
from itertools import product
from pathlib import Path

import pandas as pd

from asdlib import params, study
from asdlib.compare import choice, systems
from asdlib.measure import phase
from asdlib.report import style, tables
from asdlib.study.recordings import open_recordings

CONTEXTS, RIDGES = (1, 2, 4), (1e-3, 1e-1, 1.0)
FITTED = ("complexls", "lsada", "adals")
CHOICE_SEEDS = (0, 1, 2)
SCORER = "eq1"


def with_scenes(base, **changes):
    """The same study on other scenes; machines without labels have no part in a verdict."""
    changed = base.model_copy(update={"scenes": base.scenes.model_copy(update=changes)})
    labelled = open_recordings(changed, progress=True).development
    return changed.model_copy(update={"machines": tuple(labelled)})


def with_constants(base, context, ridge):
    constants = base.denoising.model_copy(update={"context": context, "ridge": ridge})
    return base.model_copy(update={"denoising": constants})


def choose(sets):
    """Omega of every front-end for every choice of K and ridge, mean over sets and seeds."""
    rows = []
    for context, ridge in product(CONTEXTS, RIDGES):
        for name, base in sets.items():
            own = with_constants(base, context, ridge).model_copy(
                update={"front_ends": FITTED, "seeds": CHOICE_SEEDS}
            )
            per_seed = systems.summary(study.run(own))
            rows += [
                {"context": context, "ridge": ridge, "set": name, "front_end": front_end,
                 "omega": systems.row(per_seed, front_end, SCORER)["mean"]}
                for front_end in FITTED
            ]  # fmt: skip
        shown = pd.DataFrame(rows).query("context == @context and ridge == @ridge")
        means = shown.groupby("front_end", sort=False)["omega"].mean()
        print(f"K={context} ridge={ridge:g}", means.round(4).to_dict(), flush=True)
    return pd.DataFrame(rows).pivot_table(
        index=["context", "ridge"], columns="front_end", values="omega", sort=False
    )


def judge(base, chosen, out):
    """Run one set, every front-end with its constants, and write what chapter 08 shows of it."""
    recordings = open_recordings(base)
    others = tuple(name for name in base.front_ends if name not in chosen)
    studies = [base.model_copy(update={"front_ends": others})]
    for name, constants in chosen.items():
        studies.append(with_constants(base, *constants).model_copy(update={"front_ends": (name,)}))
    table = pd.concat([study.run(one, recordings=recordings) for one in studies], ignore_index=True)
    judged = choice.judge(table, systems.summary(table))
    shown = {
        "verdict": tables.phase_verdict(judged, style.NAMES, style.SCORER_NAMES),
        "fixed": phase.fixed(base, recordings),
    }
    known = choice.features(base, recordings)
    for scorer in base.scorers:
        shown[f"machines-{scorer}"] = choice.per_machine(table, scorer).reset_index()
        shown[f"rules-{scorer}"] = choice.rules(table, known, scorer)
    out.mkdir(exist_ok=True)
    (out / "recordings.txt").write_text(recordings.describe() + "\n")
    for name, shown_table in shown.items():
        shown_table.round(4).to_csv(out / f"{name}.csv", index=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", default="params/phase.yaml")
    parser.add_argument("--noise", help="folder of real noise, as of asd scenes")
    parser.add_argument("--impulse-responses", help="folder of measured two-channel responses")
    parser.add_argument("--results", default="results")
    arguments = parser.parse_args()
    base = params.load(arguments.params, results=arguments.results)
    out = params.resolve(base.results) / "verdict"
    out.mkdir(parents=True, exist_ok=True)
    sets = {f"scenes {seed}": with_scenes(base, seed=seed) for seed in (0, 1, 2)}
    folders = {
        "noise_folder": arguments.noise,
        "impulse_response_folder": arguments.impulse_responses,
    }
    other = {}
    if given := {key: str(Path(path).absolute()) for key, path in folders.items() if path}:
        other["real"] = with_scenes(base, **given)
    choice = choose(sets)
    choice.to_csv(out / "constants.csv")
    best = {name: choice[name].idxmax() for name in FITTED}
    chosen = {name: (int(context), float(ridge)) for name, (context, ridge) in best.items()}
    print(choice.round(4).to_string(), chosen, sep="\n", flush=True)
    for name, own in (sets | other).items():
        judge(own, chosen, out / name.replace(" ", "-"))
        print(out / name.replace(" ", "-"))


if __name__ == "__main__":
    try:
        main()
    except params.AsdError as error:
        sys.exit(str(error))
