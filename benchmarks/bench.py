"""``make bench``: what the package costs on this machine, as ratios measured in one run.

Writes ``results/benchmarks.json``, which chapter 99 of the report shows. With names of parts, as in
``python benchmarks/bench.py monitor scoring``, it measures these and writes nothing.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

CHILDREN = Path(__file__).with_name("children.py")
PLAIN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
BATCH, VECTORS = 256, 1000 * 309  # of the report: clips times vectors of a clip
LADDER, SEEDS, EPOCHS = 7 * 4, 10, 100  # trainings: machines times front-ends
FAST = ("adasub", "complexls", "lsada", "adals")
SMALL = {
    **{"clips": 64, "test": 16, "seconds": 4.0, "seeds": 3, "front_ends": ["adasub"]},
    **{"scorers": ["eq1", "s1"], "autoencoder": {"width": 128}, "training": {"epochs": 1}},
}
GROWTH: dict[str, list] = {
    "clips": [64, 128, 256, 512],
    "seeds": [1, 2, 5, 10],
    "machines": [1, 2, 4],
    "seconds": [2.0, 4.0, 8.0, 16.0],
}
WITHOUT = {"front_ends": ["near"], "scorers": ["adasub/pmsd", "adals/pmsd", "near/psd"]}
UNTRAINED = (150, 300, 600, 1200)  # clips, a sixth of them test clips
MACHINES = (10, 100)
TINY = {
    **{"clips": 12, "test": 4, "seconds": 1.0, "seeds": 2},
    **{"autoencoder": {"width": 8, "blocks": 1}, "training": {"epochs": 1}},
}


def child(name, **arguments):
    """Measure in a process of its own, which has its own memory and settings."""
    free = {key: value for key, value in os.environ.items() if key not in PLAIN}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(CHILDREN), name, json.dumps(arguments)]
        free["ASD_BENCH"] = folder
        done = subprocess.run(command, env=free, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"benchmark {name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


class Table:
    """Rows of name, value, unit and target, printed as they come; and rows of growth."""

    def __init__(self):
        self.rows, self.growth, self.exponents = [], [], {}

    def add(self, name, value, unit="", at_least=None, at_most=None):
        row = {"name": name, "value": float(value), "unit": unit, "target": None}
        if at_least is not None:
            row |= {"target": f">= {at_least:g}", "met": bool(value >= at_least)}
        elif at_most is not None:
            row |= {"target": f"<= {at_most:g}", "met": bool(value <= at_most)}
        self.rows.append(row)
        mark = (
            f"   target {row['target']}{'' if row['met'] else ': missed'}" if "met" in row else ""
        )
        print(f"{name:<62} {value:>10.4g} {unit}{mark}", flush=True)


def exponent(sizes, seconds):
    """Slope of log seconds over log size."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def training(table):
    table.add("import asdlib", child("imports"), "s", at_most=0.3)
    rounds = [(child("plain"), child("ours")) for _ in range(3)]
    ours = median(own["ms"] for _, own in rounds)
    unit = "ms per step and seed"
    table.add("training: the usual loop, one seed, float32", median(r[0] for r in rounds), unit)
    table.add("training: ten seeds", ours, unit)
    table.add("training: ten seeds, not compiled", child("ours", compiled="never")["ms"], unit)
    ratio = median(plain / own["ms"] for plain, own in rounds)
    table.add("training: faster than the usual loop", ratio, "times", 3.5)
    peak = child("products")
    rate = 6 * BATCH * rounds[0][1]["values"] / ours / 1e6
    table.add(f"matrix products of ten seeds alone, {peak['dtype']}", peak["gflops"], "GFLOP/s")
    table.add("training: share of that rate", rate / peak["gflops"], "", 0.6)
    rounds = [(child("official"), child("ours", network="official")["ms"]) for _ in range(3)]
    table.add("official network the official way", median(r[0] for r in rounds), unit)
    table.add("official network, ten seeds", median(r[1] for r in rounds), unit)
    ratio = median(theirs / own for theirs, own in rounds)
    table.add("official network: faster than the official way", ratio, "times", 10)
    hours = SEEDS * VECTORS / BATCH * EPOCHS * ours / 3.6e6
    table.add("ten autoencoders of a machine of full size: training", hours, "h")
    table.add("full protocol here: training", LADDER * hours, "h")


def gpu(table):
    """Training on a GPU, of one machine's ten seeds and of seven machines' worth of them."""
    if not child("has_gpu"):
        return
    for seeds in (SEEDS, 7 * SEEDS):
        own = child("ours", seeds=seeds, device="cuda")
        eager = child("ours", seeds=seeds, device="cuda", compiled="never")
        peak = child("products", seeds=seeds, device="cuda")
        step, rate = own["ms"] * seeds, 6 * BATCH * own["values"] / own["ms"] / 1e6
        table.add(f"GPU, training: {seeds} seeds", step, "ms per step")
        table.add(f"GPU, training: {seeds} seeds, no graphs", eager["ms"] * seeds, "ms per step")
        table.add(f"GPU: matrix products of {seeds} seeds", peak["gflops"] / 1e3, "TFLOP/s")
        table.add(f"GPU, training: {seeds} seeds, share of that rate", rate / peak["gflops"])
        if seeds == SEEDS:
            hours = LADDER * VECTORS / BATCH * EPOCHS * step / 3.6e6
            table.add("GPU: all trainings of the ladder, seven machines", hours, "h")


def front_ends(table):
    times = child("front_ends")
    theirs = times.pop("librosa")
    for name, ms in times.items():
        least = 400 if name in FAST else None
        table.add(f"front-end {name}, one core", 10_000 / ms, "times real time", least)
    ratio = times["adasub"] / theirs
    table.add("adasub against librosa's log-mel of one channel", ratio, "times", at_most=1.5)
    table.add("full protocol here: features", LADDER * 1200 * times["adasub"] / 3.6e6, "h")


def scoring(table):
    found = child("scoring")
    seconds, bound = found["seconds"], found["products"]
    table.add("scoring 200 clips of 10 s, ten seeds", seconds, "s")
    table.add("scoring against its matrix products alone", seconds / bound, "times", at_most=1.2)
    hours = LADDER * (2 * 1000 + 200) * seconds / 200 / 3600
    table.add("full protocol here: statistics and scores", hours, "h")


def untrained(table):
    """From wav files to fused scores without training: one machine, and how time grows."""
    found = [child("studied", clips=n * 5 // 6, test=n // 6, **WITHOUT) for n in UNTRAINED]
    whole = found[-1]
    name = "without training, one machine: 1,200 clips of 10 s to fused scores"
    table.add(name, whole["seconds"], "s", at_most=15)
    table.add("without training, one machine: peak memory", whole["peak"] / 1e9, "GB", at_most=0.5)
    seven = 7 * whole["seconds"] / 60
    table.add("without training, seven machines: seven times that", seven, "min", at_most=2)
    slope = exponent(UNTRAINED, [own["seconds"] for own in found])
    table.add("without training: exponent of time with clips", slope, at_most=1.05)


def monitor(table):
    """A machine of one's own: from a folder to a model, and from a file to a reading."""
    found = child("monitor")
    table.add("monitor: fit on 100 clips of 10 s", found["fit"], "s", at_most=5)
    table.add("monitor: the first fit of a process", found["first"], "s")
    table.add("monitor: score of one file of 10 s", found["score"], "ms", at_most=50)


def machines(table):
    """Studies of many small machines: what each of them costs, and to read them all back."""
    for what, kind in (
        ("without training", {"front_ends": ["near"], "scorers": ["adasub/pmsd"]}),
        ("with an autoencoder", {"front_ends": ["adasub"], "scorers": ["eq1"]}),
    ):
        found = [child("studied", machines=count, **TINY, **kind) for count in MACHINES]
        for count, own in zip(MACHINES, found, strict=True):
            name = f"{count} small machines {what}"
            table.add(name, own["seconds"] / count, "s per machine")
            table.add(f"{name}: read back", own["again"], "s")
            table.add(f"{name}: peak memory", own["peak"] / 1e9, "GB")
            table.add(f"{name}: files of results", own["files"] / count, "per machine")
        for took, title in (("seconds", "computed"), ("again", "read back")):
            slope = exponent(MACHINES, [own[took] for own in found])
            table.add(f"machines {what}, {title}: exponent of time", slope, at_most=1.1)


def whole_size(table):
    """Memory of one machine of full size."""
    whole = {"epochs": 1, "held_out": 0.9}  # a tenth of the steps needs no less memory
    sizes = {"clips": 1000, "seeds": SEEDS, "autoencoder": {}, "test": 0, "training": whole}
    found = child("studied", **(SMALL | sizes | {"seconds": 10.0}))
    table.add("one full-size machine, ten seeds, a tenth of an epoch", found["seconds"], "s")
    name = "peak memory, one full-size machine, ten seeds"
    table.add(name, found["peak"] / 1e9, "GB", at_most=1.5)


def forecast(table):
    """Whether the time that is foretold is right: one machine of some size, with its variants."""
    found = child("studied", foretell=True, **(SMALL | {"clips": 512, "seconds": 10.0}))
    off = max(found["seconds"] / found["foretold"], found["foretold"] / found["seconds"])
    table.add("forecast: off by a factor of", off, at_most=1.5)


def precision(table):
    """Does bfloat16 change the result? Omega of every seed on small scenes, both ways."""
    omega = {kind: np.array(values) for kind, values in child("omegas").items()}
    spread = omega["float32"].std(ddof=1)
    change = abs((omega["bfloat16"] - omega["float32"]).mean()) / spread
    table.add("Omega on the scenes, float32, mean of six seeds", omega["float32"].mean())
    table.add("Omega: std over seeds", spread)
    table.add("Omega: mean change by bfloat16, in std over seeds", change, at_most=1 / 3)


def growth(table):
    """Seconds and memory of small studies, one size changed at a time."""
    for what, sizes in GROWTH.items():
        found = [child("studied", **(SMALL | {what: size})) for size in sizes]
        for size, own in zip(sizes, found, strict=True):
            keep = {key: own[key] for key in ("seconds", "peak")}
            table.growth.append({"what": what, "size": size, **keep})
        slope = exponent(sizes[-3:], [own["seconds"] for own in found][-3:])
        table.exponents[what] = slope
        table.add(f"growth of time with {what}: exponent", slope)


PARTS = (
    *(training, gpu, front_ends, scoring, untrained, monitor),
    *(machines, whole_size, forecast, precision, growth),
)


def main(wanted):
    from asdlib.io import files
    from asdlib.runtime import hardware

    table, start = Table(), time.perf_counter()
    for part in PARTS:
        if not wanted or part.__name__ in wanted:
            part(table)
    table.add("all of these measurements", (time.perf_counter() - start) / 60, "min", at_most=10)
    if not wanted:
        found = {
            "made_on": hardware.describe("auto"),
            "cores": os.cpu_count(),
            "rows": table.rows,
            "growth": table.growth,
            "exponents": table.exponents,
        }
        path = files.resolve("results") / "benchmarks.json"
        files.write_text(json.dumps(found, indent=1), path)
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
