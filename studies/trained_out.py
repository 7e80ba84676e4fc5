"""Does the lead of S5 hold against an autoencoder of the paper's size that is trained to its end?

The demo's autoencoders are small and trained for minutes. Here the one on AdaSub has the paper's
size, and every length of training is a training of its own. Omega of both, and their paired
difference, are printed and kept in ``results/trained_out``, which chapter 02 shows. Run it as
``python studies/trained_out.py``. After a stop, the same command resumes. With ``--seeds 2`` it
took about an hour on two cores that did other work too; ten seeds were not timed.
"""

import argparse
import sys

import pandas as pd
from verdict import with_scenes

from asdlib import params, study
from asdlib.clipstats import S5
from asdlib.compare import statistics
from asdlib.io import files, store
from asdlib.study.recordings import open_recordings

FRONT_END, SCORERS = "adasub", ("eq1", "s1", "mse")


def omegas(base, epochs):
    """Omega of the autoencoder after so many epochs, and of S5, a row per score."""
    training = base.training.model_copy(update={"epochs": epochs})
    own = base.model_copy(update={"training": training})
    results = statistics.Results(study.run(own, progress=True))
    against = [(("S5", statistics.FUSED), (FRONT_END, scorer)) for scorer in SCORERS]
    found = results.summary(pair[1] for pair in against)[["scorer", "mean", "std"]]
    lead = results.paired(against)[["mean", "low", "high"]].add_prefix("lead ")
    s5 = results.omegas("S5", statistics.FUSED).mean()
    return found.join(lead).assign(s5=s5, epochs=epochs, seeds=len(own.seeds))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", default="params/demo.yaml")
    parser.add_argument("--epochs", type=int, nargs="+", default=[4, 20, 100])
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    changes = {
        "front_ends": (FRONT_END,),
        "scorers": (*SCORERS, *map("/".join, S5)),
        "baseline": False,
        "extras": (),
        "seeds": tuple(range(given.seeds)),
        "autoencoder": params.Autoencoder(),
    }
    whole = params.load(given.params)
    base = with_scenes(whole.model_copy(update=changes))
    found = pd.concat([omegas(base, epochs) for epochs in given.epochs], ignore_index=True)
    found = found.assign(width=base.autoencoder.width, manifest=open_recordings(whole).digest)
    store.save(found, files.resolve(base.results) / "trained_out" / "table.parquet")
    print(found.round(3).to_string(index=False))


if __name__ == "__main__":
    try:
        main()
    except params.AsdError as error:
        sys.exit(str(error))
