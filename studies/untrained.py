"""``make verdict``, first part: do detectors without training beat autoencoders, and where?

Pairs of views and their fusion are ranked on three sets of embedded scenes by their labels. S5
joins such a pair, with a check of the far microphone. It is frozen for real noise in measured rooms
(where ``NOISE`` and ``RESPONSES`` name two folders), for a far microphone close to the machine, for
a machine that runs nearby, and where the changed conditions scatter more, are several, or where
training clips repeat few takes. Every set gets a table of all systems with paired differences to
the ten-seed autoencoder on AdaSub under eq. 1, a table per machine, and the ceiling: the same
statistics of the true machine sound. Tables are written to ``results/verdict``.
"""

import itertools
import sys
from pathlib import Path

import pandas as pd
import soundfile
from verdict import SETS, arguments, with_scenes

from asdlib import metrics, params, study
from asdlib.clipstats import S5, S5_FUSION, VIEWS
from asdlib.compare import statistics, systems
from asdlib.io import files
from asdlib.measure import truth
from asdlib.report import style
from asdlib.scorers import VARIANTS
from asdlib.simulate import scenes
from asdlib.study.recordings import open_recordings

AUTOENCODERS, SCORERS = ("near", "refsub", "adasub", "adals"), ("eq1", "mse", "s1")
FRONT_ENDS = ("near", "refsub", "adasub", "cohgate", "complexls", "lsada", "adals", "gatedls")
FRONT_ENDS += ("gatedlsada", "gatedadals")
AGAINST = ("adasub", "eq1")
CANDIDATES = ("near", "refsub", "adasub", "adals", "gatedadals")
WITH_AUTOENCODER = (("adasub", "mse"), *systems.UNTRAINED.views)
FUSIONS = ("mean", "maximum", "fisher")
CHOICE = ("scenes 0", "scenes 1", "scenes 2")


def untrained(base):
    """Scores of every view on every front-end; the Welch spectrum where there is a signal."""
    scorers = tuple(name for name in VIEWS if name != "psd")
    whole = ("near/psd", "complexls/psd", *map("/".join, S5))
    own = {"front_ends": FRONT_ENDS, "scorers": (*scorers, *whole), "baseline": False}
    return study.run(base.model_copy(update=own))


def trained(base):
    """Scores of the autoencoders, all seeds."""
    own = {"front_ends": AUTOENCODERS, "scorers": SCORERS, "baseline": False}
    return study.run(base.model_copy(update=own), progress=True)


def beside(base, table):
    """The autoencoder's z on the footing of the views, joined with those of S5."""
    scoring = base.scoring.model_copy(update={"standardise": "held_out"})
    front_end, scorer = WITH_AUTOENCODER[0]
    own = {"front_ends": (front_end,), "scorers": SCORERS, "baseline": False, "scoring": scoring}
    held_out = study.run(base.model_copy(update=own))
    views, found = table[table["scorer"].isin(VIEWS)], []
    for seed, rows in held_out[held_out["scorer"] == scorer].groupby("seed"):
        both = pd.concat([rows, views])
        joined = statistics.fused(both, WITH_AUTOENCODER, "S5 + autoencoder", S5_FUSION)
        found.append(joined.assign(seed=seed))  # the views are the same for every seed
    return pd.concat(found, ignore_index=True)


def candidates():
    """Every view alone, and pairs of views with every fusion."""
    views = [(name, scorer) for name in CANDIDATES for scorer in ("pm", "pms", "pmsd", "fine")]
    views.append(("near", "psd"))
    alone = [((view,), "mean") for view in views]
    return alone + list(itertools.product(itertools.combinations(views, 2), FUSIONS))


def choose(tables):
    """Omega of every candidate on every set that may be chosen by; best first."""
    rows = []
    for views, fusion in candidates():
        row = {"views": " + ".join("/".join(view) for view in views), "fusion": fusion}
        for name, table in tables.items():
            own = statistics.fused(metrics.labelled(table), views, "candidate", fusion)
            row[name] = metrics.omega(metrics.evaluate(own))
        rows.append(row)
    found = pd.DataFrame(rows)
    found.insert(2, "mean", found[list(tables)].mean(axis=1))
    return found.sort_values("mean", ascending=False, ignore_index=True)


def regret(tables):
    """Omega of S5 on every set, and of the view that is best there by labels."""
    rows = []
    for name, table in tables.items():
        known = statistics.Results(metrics.labelled(table)).per_seed
        omegas = known.set_index(["front_end", "scorer"])["omega"]
        s5 = omegas.pop(("S5", statistics.FUSED))
        view = "/".join(omegas.idxmax())
        rows.append({"set": name, "S5": s5, "best view": view, "Omega": omegas.max()})
    found = pd.DataFrame(rows)
    return found.assign(regret=found["Omega"] - found["S5"])


def checks(base):
    """By how much the near level follows the far one, and whether the far microphone is used."""
    recordings = open_recordings(base)
    found = truth.transfer_table(study.floors(base, recordings), {})
    return found.set_index("machine")[["follows", "reference"]]


def rows_of(table):
    """Every system of one set: parts of Omega, and the paired difference to the autoencoder."""
    results = statistics.Results(table)
    known = list(dict.fromkeys(zip(table["front_end"], table["scorer"], strict=True)))
    paired = results.paired((one, AGAINST) for one in known)[["mean", "low", "high", "verdict"]]
    names = {name: f"difference {name}" for name in ("mean", "low", "high")}
    return results.summary(known).join(paired.rename(columns=names))


def machines_of(table):
    """Omega of every system on every machine, of the ensemble over seeds."""
    known = metrics.labelled(table)
    found = {
        f"{style.NAMES.get(front_end, front_end)} {scorer}": metrics.evaluate(
            statistics.ensemble(own)
        )["omega"]
        for (front_end, scorer), own in known.groupby(["front_end", "scorer"], sort=False)
    }
    return pd.DataFrame(found).T.rename_axis("system").reset_index()


def ceiling(base):
    """The views of the true machine sound: what a perfect front-end would leave."""
    known = base.model_copy(update={"scenes": base.scenes.model_copy(update={"truth": -1})})
    recordings = open_recordings(known)
    root = files.resolve(base.results) / f"true-{recordings.digest}"
    for row in recordings.manifest.itertuples():
        path = root / row.machine / row.split / row.name
        if not path.exists():
            truth = scenes.read_truth(recordings.root, row.machine, Path(row.name).stem)
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, truth.machine.T, base.spectra.sample_rate, subtype="FLOAT")
    own = {"data": str(root), "front_ends": ("near",), "scorers": tuple(VIEWS), "baseline": False}
    table = study.run(base.model_copy(update=own))
    views = [("near", "fine"), ("near", "pmsd")]
    both = statistics.fused(table, views, "fine + pmsd", S5_FUSION)
    results = statistics.Results(pd.concat([table, both], ignore_index=True))
    return results.ensembles.assign(front_end="true machine sound")


def squared_error(base):
    """Squared error against eq. 1 and larger ridges, by training clips and epochs, on scenes 0."""
    rows = []
    ridges = tuple(name for name in VARIANTS if name.startswith("ridge_"))
    for clips, epochs in itertools.product((30, 90, 270), (5, 20)):
        training = base.training.model_copy(update={"epochs": epochs})
        own = with_scenes(base, train_source=clips).model_copy(
            update={
                "front_ends": ("adasub",),
                "scorers": ("eq1", "mse", *ridges),
                "baseline": False,
                "seeds": (0, 1, 2),
                "training": training,
            }
        )
        results = statistics.Results(study.run(own, progress=True))
        found = {name: results.omegas("adasub", name).mean() for name in own.scorers}
        rows.append({"training clips": clips, "epochs": epochs, **found})
    return pd.DataFrame(rows)


def write_tables(name, table, base, out):
    """Write and print what was found on one set."""
    folder = out / name.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    shown = {"systems": rows_of(table), "machines": machines_of(table), "ceiling": ceiling(base)}
    for what, own in shown.items():
        own.round(4).to_csv(folder / f"untrained-{what}.csv", index=False)
    print(
        name, shown["systems"].round(3).to_string(), shown["ceiling"].round(3).to_string(), sep="\n"
    )


def main():
    given, out, real = arguments(__doc__)
    base = given.model_copy(update={"denoising": params.Denoising()})
    changes = SETS | ({"real noise in measured rooms": real} if len(real) == 2 else {})
    sets = {name: with_scenes(base, **own) for name, own in changes.items()}
    tables = {name: untrained(own) for name, own in sets.items()}
    ranked = choose({name: tables[name] for name in CHOICE})
    ranked.round(4).to_csv(out / "untrained-choice.csv", index=False)
    checked = {name: checks(own) for name, own in sets.items()}
    pd.concat(checked, names=["set"]).round(4).to_csv(out / "untrained-check.csv")
    lost = regret(tables)
    lost.round(4).to_csv(out / "untrained-regret.csv", index=False)
    print(ranked.head(20).round(3).to_string(), lost.round(3).to_string(), sep="\n")
    for name, own in sets.items():
        with_s5 = statistics.with_untrained(tables[name])
        whole = [trained(own), with_s5, beside(own, tables[name])]
        write_tables(name, pd.concat(whole, ignore_index=True), own, out)
    found = squared_error(base)
    found.round(4).to_csv(out / "squared-error.csv", index=False)
    print(found.round(3).to_string())


if __name__ == "__main__":
    try:
        main()
    except params.AsdError as error:
        sys.exit(str(error))
