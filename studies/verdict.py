"""``make verdict``, second part: does the far channel's phase help an autoencoder, and where?

K and ridge of the complex fit are chosen for every front-end that has one, by the labels of three
sets of embedded scenes. With these constants, the study of ``params/phase.yaml`` runs on the same
scenes. Where ``NOISE`` and ``RESPONSES`` name two folders, it also runs on the same machines with
real noise in measured rooms. Tables are written to ``results/verdict``.
"""

import argparse
import sys
from itertools import product
from pathlib import Path

import pandas as pd

from asdlib import params, study
from asdlib.compare import findings, statistics
from asdlib.io import files
from asdlib.measure import phase, truth
from asdlib.study.recordings import open_recordings

CONTEXTS, RIDGES = (1, 2, 4), (1e-3, 1e-1, 1.0)
FITTED = ("complexls", "lsada", "adals")
CHOICE_SEEDS = (0, 1, 2)
SCORER = "eq1"
_HARD = {kind: changes for kind, changes in truth.HARDER.items() if changes}
SETS = {
    **{f"scenes {seed}": {"seed": seed} for seed in (0, 1, 2)},
    "close far microphone": {"far_distance": 0.3, "corners": True},
    "far microphone at half a metre": {"far_distance": 0.5},
    "neighbour": {"neighbour": True},
    **_HARD,
    "all three": {key: value for own in _HARD.values() for key, value in own.items()},
}
"""Sets of embedded scenes that detectors and alarms are judged on, by what they change."""


def with_scenes(base, **changes):
    """The same study on other scenes, with the machines that have labelled test clips."""
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
            results = statistics.Results(study.run(own))
            rows += [
                {
                    "context": context,
                    "ridge": ridge,
                    "set": name,
                    "front_end": front_end,
                    "omega": results.omegas(front_end, SCORER).mean(),
                }
                for front_end in FITTED
            ]
        shown = pd.DataFrame(rows).query("context == @context and ridge == @ridge")
        means = shown.groupby("front_end", sort=False)["omega"].mean()
        print(f"K={context} ridge={ridge:g}", means.round(4).to_dict(), flush=True)
    return pd.DataFrame(rows).pivot_table(
        index=["context", "ridge"], columns="front_end", values="omega", sort=False
    )


def write_tables(base, chosen, out):
    """Run one set, every front-end with its constants, and write the tables of chapter 04."""
    recordings = open_recordings(base)
    others = tuple(name for name in base.front_ends if name not in chosen)
    studies = [base.model_copy(update={"front_ends": others})]
    for name, constants in chosen.items():
        studies.append(with_constants(base, *constants).model_copy(update={"front_ends": (name,)}))
    table = pd.concat([study.run(one, recordings=recordings) for one in studies], ignore_index=True)
    compared = findings.against_adasub(statistics.Results(table), table["scorer"].unique())
    shown = {
        "verdict": compared,
        "fixed": phase.fixed(base, recordings),
    }
    for scorer in base.scorers:
        shown[f"machines-{scorer}"] = findings.omega_by_front_end(table, scorer).reset_index()
    out.mkdir(exist_ok=True)
    (out / "recordings.txt").write_text(recordings.describe() + "\n")
    for name, shown_table in shown.items():
        shown_table.round(4).to_csv(out / f"{name}.csv", index=False)


def arguments(about):
    """Parameters of the study, folder of the tables, and changes of the scenes to real noise."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--params", default="params/phase.yaml")
    parser.add_argument("--noise", help="folder of real noise, see asd scenes")
    parser.add_argument("--impulse-responses", help="folder of measured two-channel responses")
    parser.add_argument("--results", default="results")
    given = parser.parse_args()
    base = params.load(given.params, results=given.results)
    out = files.resolve(base.results) / "verdict"
    out.mkdir(parents=True, exist_ok=True)
    folders = {"noise_folder": given.noise, "impulse_response_folder": given.impulse_responses}
    return base, out, {key: str(Path(path).absolute()) for key, path in folders.items() if path}


def main():
    base, out, real = arguments(__doc__)
    sets = {name: with_scenes(base, **own) for name, own in SETS.items() if name[-1].isdigit()}
    other = {"real": with_scenes(base, **real)} if real else {}
    omegas = choose(sets)
    omegas.to_csv(out / "constants.csv")
    best = {name: omegas[name].idxmax() for name in FITTED}
    chosen = {name: (int(context), float(ridge)) for name, (context, ridge) in best.items()}
    print(omegas.round(4).to_string(), chosen, sep="\n", flush=True)
    for name, own in (sets | other).items():
        write_tables(own, chosen, out / name.replace(" ", "-"))
        print(out / name.replace(" ", "-"))


if __name__ == "__main__":
    try:
        main()
    except params.AsdError as error:
        sys.exit(str(error))
