"""``make bench``: what the package costs on this machine, as ratios measured in one run.

Writes ``results/benchmarks.json``, which chapter 98 of the report shows.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CHILDREN = Path(__file__).with_name("children.py")
PLAIN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
BATCH, VECTORS = 256, 1000 * 309  # of the report: clips times vectors of a clip
LADDER, SEEDS, EPOCHS = 7 * 4, 10, 100  # trainings: machines times front-ends
FAST = ("adasub", "complexls", "lsada", "adals")
GROWTH = {
    "clips": [64, 128, 256, 512],
    "seeds": [1, 2, 5, 10],
    "machines": [1, 2, 4],
    "seconds": [2.0, 4.0, 8.0, 16.0],
}
SMALL = {"clips": 64, "test": 16, "seconds": 4.0, "seeds": 3, "width": 128, "whole": True}
UNTRAINED = (150, 300, 600, 1200)  # clips, a sixth of them test clips
MACHINES = (7, 70, 700)
MANY = {"clips": 1000, "seconds": 10.0, "seeds": 10, "epochs": 100}


def child(name, **arguments):
    """Measure in a process of its own, which has its own memory and settings."""
    free = {key: value for key, value in os.environ.items() if key not in PLAIN}
    command = [sys.executable, str(CHILDREN), name, json.dumps(arguments)]
    done = subprocess.run(command, env=free, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"benchmark {name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def unit(**arguments):
    with tempfile.TemporaryDirectory() as folder:
        return child("unit", folder=folder, **arguments)


class Table:
    """Rows of name, value, unit and target, printed as they come."""

    def __init__(self):
        self.rows = []

    def add(self, name, value, unit, at_least=None, at_most=None):
        target = None
        if at_least is not None:
            target, met = f">= {at_least:g}", value >= at_least
        elif at_most is not None:
            target, met = f"<= {at_most:g}", value <= at_most
        row = {"name": name, "value": float(value), "unit": unit, "target": target}
        self.rows.append(row | ({} if target is None else {"met": bool(met)}))
        mark = "" if target is None else f"   target {target}{'' if met else ': missed'}"
        print(f"{name:<62} {value:>10.4g} {unit}{mark}", flush=True)


def training(table):
    rounds = [(child("plain"), child("ours"), child("ours", compiled="never")) for _ in range(3)]
    plain = statistics.median(r[0] for r in rounds)
    ours = statistics.median(r[1]["ms"] for r in rounds)
    eager = statistics.median(r[2]["ms"] for r in rounds)
    table.add("training: the usual loop, one seed, float32", plain, "ms per step and seed")
    table.add("training: ten seeds", ours, "ms per step and seed")
    table.add("training: ten seeds, not compiled", eager, "ms per step and seed")
    ratios = [r[0] / r[1]["ms"] for r in rounds]
    table.add("training: faster than the usual loop", statistics.median(ratios), "times", 3.5)
    peak = child("products")
    rate = 6 * BATCH * rounds[0][1]["values"] / ours / 1e6
    table.add(f"matrix products of ten seeds alone, {peak['dtype']}", peak["gflops"], "GFLOP/s")
    table.add("training: share of that rate", rate / peak["gflops"], "", 0.6)
    rounds = [(child("official"), child("ours", network="official")["ms"]) for _ in range(3)]
    table.add(
        "official network the official way",
        statistics.median(r[0] for r in rounds),
        "ms per step and seed",
    )
    table.add(
        "official network, ten seeds",
        statistics.median(r[1] for r in rounds),
        "ms per step and seed",
    )
    ratio = statistics.median(a / b for a, b in rounds)
    table.add("official network: faster than the official way", ratio, "times", 10)
    return ours


def on_gpu(table):
    """Training on a GPU, of one machine's ten seeds and of seven machines' worth of them."""
    for seeds in (SEEDS, 7 * SEEDS):
        own = child("ours", seeds=seeds, device="cuda")
        eager = child("ours", seeds=seeds, device="cuda", compiled="never")
        peak = child("products", seeds=seeds, device="cuda")
        step, rate = own["ms"] * seeds, 6 * BATCH * own["values"] / own["ms"] / 1e6
        table.add(f"GPU, training: {seeds} seeds", step, "ms per step")
        table.add(f"GPU, training: {seeds} seeds, no graphs", eager["ms"] * seeds, "ms per step")
        table.add(f"GPU: matrix products of {seeds} seeds", peak["gflops"] / 1e3, "TFLOP/s")
        table.add(f"GPU, training: {seeds} seeds, share of that rate", rate / peak["gflops"], "")
        if seeds == SEEDS:
            hours = LADDER * VECTORS / BATCH * EPOCHS * step / 3.6e6
            table.add("GPU: all trainings of the ladder, seven machines", hours, "h")


def front_ends(table):
    times = child("front_ends")
    for name, ms in times.items():
        if name != "librosa":
            table.add(
                f"front-end {name}, one core",
                10_000 / ms,
                "times real time",
                400 if name in FAST else None,
            )
    ratio = times["adasub"] / times["librosa"]
    table.add("adasub against librosa's log-mel of one channel", ratio, "times", at_most=1.5)
    return times["adasub"]


def untrained(table):
    """From wav files to fused scores without training: one machine, and how time grows."""
    found = {}
    for clips in UNTRAINED:
        with tempfile.TemporaryDirectory() as folder:
            arguments = {"clips": clips * 5 // 6, "test": clips // 6, "foretell": clips == 1200}
            found[clips] = child("untrained", folder=folder, **arguments)
    whole = found[1200]
    name = "without training, one machine: 1,200 clips of 10 s to fused scores"
    table.add(name, whole["seconds"], "s", at_most=15)
    table.add("without training, one machine: peak memory", whole["peak"] / 1e9, "GB", at_most=0.5)
    seven = 7 * whole["seconds"] / 60
    table.add("without training, seven machines: seven times that", seven, "min", at_most=2)
    seconds = [own["seconds"] for own in found.values()]
    slope = float(np.polyfit(np.log(list(found)), np.log(seconds), 1)[0])
    table.add("without training: exponent of time with clips", slope, "", at_most=1.05)
    times = whole["trained"] / whole["seconds"]
    table.add("ten seeds behind AdaSub, forecast, against that", times, "times")


def monitor(table):
    """A machine of one's own: from a folder to a model, and from a file to a reading."""
    with tempfile.TemporaryDirectory() as folder:
        found = child("monitor", folder=folder)
    table.add("monitor: fit on 100 clips of 10 s", found["fit"], "s", at_most=5)
    table.add("monitor: the first fit of a process", found["first"], "s")
    table.add("monitor: score of one file of 10 s", found["score"], "ms", at_most=50)


def machines(table):
    """Studies of many small machines: what each of them costs, and to read them all back."""
    for what in ("without training", "with an autoencoder"):
        took, back = [], []
        for count in MACHINES:
            with tempfile.TemporaryDirectory() as folder:
                own = child(
                    "many", folder=folder, machines=count, trained=what != "without training"
                )
            took.append(own["seconds"])
            back.append(own["again"])
            name = f"{count} small machines {what}"
            table.add(name, own["seconds"] / count, "s per machine")
            table.add(f"{name}: read back", own["again"], "s")
            table.add(f"{name}: peak memory", own["peak"] / 1e9, "GB")
            table.add(f"{name}: files of results", own["files"] / count, "per machine")
        for kind, seconds in (("computed", took), ("read back", back)):
            slope = float(np.polyfit(np.log(MACHINES[-2:]), np.log(seconds[-2:]), 1)[0])
            table.add(f"machines {what}, {kind}: exponent of time", slope, "", at_most=1.1)


def precision(table, results):
    """Does bfloat16 change the result? Omega of every seed on small scenes, both ways."""
    from asdlib import params, study
    from asdlib.compare.statistics import Results

    own = params.load(
        {
            "name": "bench",
            "results": str(results),
            "front_ends": ["adasub"],
            "baseline": False,
            "scorers": ["eq1"],
            "seeds": list(range(6)),
            "autoencoder": {"width": 128},
            "training": {"epochs": 5},
            "extras": [],
        }
    )
    omega = {}
    for wanted in ("float32", "bfloat16"):
        loop = own.training.model_copy(update={"precision": wanted})
        table_of = study.run(own.model_copy(update={"training": loop}))
        omega[wanted] = Results(table_of).omegas("adasub", "eq1")
    change = float((omega["bfloat16"] - omega["float32"]).mean())
    spread = float(omega["float32"].std(ddof=1))
    table.add("Omega on the scenes, float32, mean of six seeds", omega["float32"].mean(), "")
    table.add("Omega: std over seeds", spread, "")
    table.add(
        "Omega: mean change by bfloat16, in std over seeds", abs(change) / spread, "", at_most=1 / 3
    )


def foretold(table, results):
    """Forecast of the demo, and how long two of its machines then take."""
    from asdlib import params, study
    from asdlib.simulate import scenes as simulated

    demo = params.load("params/demo.yaml")
    scenes = results / f"scenes-{simulated.recipe(demo.scenes)}"  # where a report of it looks
    with tempfile.TemporaryDirectory(dir=results) as folder:
        own = demo.model_copy(
            update={"results": folder, "data": str(scenes), "machines": ("SimFan", "SimValve")}
        )
        simulated.write(scenes, demo.scenes)
        recordings = study.open_recordings(own)
        seconds = study.forecast(own, recordings).seconds
        start = time.perf_counter()
        study.everything(own, recordings)
        took = time.perf_counter() - start
    table.add("demo, two machines: foretold", seconds, "s")
    table.add("demo, two machines: took", took, "s")
    table.add("forecast: off by a factor of", max(seconds / took, took / seconds), "", at_most=1.5)


def growth():
    """Seconds and memory of whole small units, one size changed at a time."""
    rows = []
    for what, sizes in GROWTH.items():
        for size in sizes:
            measured = unit(**{**SMALL, what: size})
            rows.append({"what": what, "size": size, **measured})
            took, peak = measured["seconds"], measured["peak"] / 1e9
            print(f"  {what} {size:g}: {took:.1f} s, {peak:.2f} GB", flush=True)
    return rows


def exponents(rows):
    """Slope of log seconds over log size, of the larger half of the sizes."""
    found = {}
    for what in GROWTH:
        own = [r for r in rows if r["what"] == what][-3:]
        x, y = np.log([r["size"] for r in own]), np.log([r["seconds"] for r in own])
        found[what] = float(np.polyfit(x, y, 1)[0])
    return found


def main():
    from asdlib.io import files
    from asdlib.runtime import hardware

    results = files.resolve("results")
    results.mkdir(exist_ok=True)
    table = Table()
    table.add("import asdlib", child("imports"), "s", at_most=0.3)
    per_step = training(table)
    if child("gpu"):
        on_gpu(table)
    per_clip = front_ends(table)
    untrained(table)
    monitor(table)
    machines(table)
    seconds = child("scoring")
    table.add("scoring 200 clips of 10 s, ten seeds", seconds, "s", at_most=3)
    memory = unit(**MANY)
    table.add(
        "peak memory, one full-size machine, ten seeds", memory["peak"] / 1e9, "GB", at_most=1.5
    )
    steps = VECTORS / BATCH * EPOCHS
    trained = LADDER * SEEDS * steps * per_step / 1e3
    scored = LADDER * (2 * 1000 + 200) * seconds / 200
    heard = LADDER * 1200 * per_clip / 1e3
    table.add("full protocol here: training", trained / 3600, "h")
    table.add("full protocol here: statistics and scores", scored / 3600, "h")
    table.add("full protocol here: features", heard / 3600, "h")
    precision(table, results)
    foretold(table, results)
    rows = growth()
    slopes = exponents(rows)
    for what, slope in slopes.items():
        table.add(f"growth of time with {what}: exponent", slope, "")
    found = {
        "made_on": hardware.describe("auto"),
        "cores": os.cpu_count(),
        "rows": table.rows,
        "growth": rows,
        "exponents": slopes,
    }
    path = results / "benchmarks.json"
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(found, indent=1), encoding="utf-8")
    beside.replace(path)
    print(path)


if __name__ == "__main__":
    main()
