"""What thresholds promise and what test clips show, on several sets of embedded scenes.

S1 stands for the autoencoders, S5 for the detectors without training, each by the rules of
:mod:`asdlib.compare.alarms`. Tables are printed and written to ``results/alarms``. Run it as
``python studies/alarms.py``; ``--sets "twelve takes"`` for one set of scenes.
"""

import argparse
from pathlib import Path

import pandas as pd
from verdict import SETS

from asdlib import params
from asdlib.compare import alarms, statistics, systems
from asdlib.io import store
from asdlib.study.recordings import open_recordings

SYSTEMS = (systems.PAPER[0], systems.UNTRAINED)


def counted(base, name):
    """Alarms of one set of scenes, with its name in front."""
    scenes = base.scenes.model_copy(update=SETS[name])
    own = base.model_copy(update={"scenes": scenes})
    recordings = open_recordings(own, progress=True)
    found = alarms.counted(own, recordings, statistics.results(own, recordings))
    return found.assign(scenes=name), alarms.promised(own, recordings).assign(scenes=name)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", type=Path, default=Path("params/demo.yaml"))
    parser.add_argument("--out", type=Path, default=Path("results/alarms"))
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS, metavar="SET")
    given = parser.parse_args()
    base = params.load(given.params).model_copy(
        update={
            "front_ends": tuple(front_end for front_end, _ in SYSTEMS[0].views),
            "scorers": ("s1", *map("/".join, SYSTEMS[1].views)),
            "baseline": False,
            "extras": (),
        }
    )
    found, promise = map(pd.concat, zip(*(counted(base, name) for name in given.sets), strict=True))
    shown = {
        "found": pd.concat(
            [
                alarms.by_domain(own).assign(scenes=name)
                for name, own in [*found.groupby("scenes"), ("all", found)]
            ]
        ),
        "promised": promise.drop_duplicates(["domain", "clips"]).drop(columns="machine"),
    }
    for name, own in shown.items():
        store.write(own, given.out / f"{name}.csv")
        print(own.round(3).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
