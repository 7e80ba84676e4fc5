"""What the health of a recording tells: every fault put into embedded scenes, and none.

A monitor's :class:`asdlib.monitor.reference.MachineReference` is fitted on the training clips of
each machine. Test clips, normal and anomalous, get one fault each at several severities; unhurt
ones show how often a fault is claimed wrongly. Thresholds were chosen on scene seed 0. Tables are
printed and written to ``results/health``. Run it as ``python studies/health.py``; ``--seeds 0`` for
one set.
"""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.ndimage
import soxr

from asdlib import dataset
from asdlib.io import store
from asdlib.monitor import health, quantities
from asdlib.monitor.reference import MachineReference
from asdlib.params import Scenes
from asdlib.simulate import scenes

RATE, STEP = 16000, 2**-15
CHOSEN_ON = 0
KINDS = ("dead", "copied", "clipped", "gated", "offset", "limited", "swapped", "inverted")
KINDS += ("delay", "drift", "unrelated", "level", "floor")


def on(channel, change):
    """A fault of one channel; ``channel`` is 0, 1, or None for one drawn per clip."""

    def hurt(signal, rng, other):
        own = rng.integers(2) if channel is None else channel
        out = signal.copy()
        out[own] = change(signal[own], rng)
        return out

    return hurt


def dead(x, rng, rms=STEP):
    return rms * rng.standard_normal(len(x))


def clipped(x, rng, share):
    top = np.quantile(np.abs(x), 1 - share)
    return np.clip(x, -top, top)


def gated(x, rng, share, slice_=400):
    count = len(x) // slice_
    loud = np.square(x[: count * slice_]).reshape(count, slice_).sum(axis=1)
    out = x.copy()
    for k in np.argsort(loud)[: round(share * count)]:
        out[k * slice_ : (k + 1) * slice_] = 0
    return out


def limited(x, rng, edge):
    low = soxr.resample(x, RATE, 2 * edge)
    return np.resize(soxr.resample(low, 2 * edge, RATE), len(x))


def late(x, rng, seconds):
    shift = round(seconds * RATE)
    return np.concatenate([np.zeros(shift), x])[: len(x)]


def drifting(x, rng, ppm):
    place = np.arange(len(x)) * (1 - 1e-6 * ppm)
    return scipy.ndimage.map_coordinates(x, place[None], order=3, mode="nearest")


def hissing(x, rng, db):
    quiet = np.percentile(np.square(x[: len(x) // 800 * 800]).reshape(-1, 800).mean(axis=1), 10)
    return x + np.sqrt(quiet * 10 ** (db / 10)) * rng.standard_normal(len(x))


def copied(signal, rng, other, gain):
    return np.stack([signal[0], gain * signal[0]])


def unrelated(signal, rng, other):
    length = min(signal.shape[1], other.shape[1])
    return np.stack([signal[0, :length], other[1, :length]])


def amplified(x, rng, db):
    return x * 10 ** (db / 20)


ALONE = ", by levels alone"
LEVEL = {"level", "floor", "dead"}
FAULTS = {
    "swapped": (lambda x, rng, other: x[::-1].copy(), {"swapped"}),
    "near dead": (on(0, dead), {"dead"}),
    "far dead": (on(1, dead), {"dead"}),
    "far dead, noise of -60 dB": (on(1, partial(dead, rms=1e-3)), {"dead", "unrelated"}),
    **{f"copied {g:g}": (partial(copied, gain=g), {"copied"}) for g in (1.0, 0.3, -1.0)},
    **{
        f"clipped {s:.1%}": (on(None, partial(clipped, share=s)), {"clipped"})
        for s in (0.001, 0.003, 0.01, 0.05)
    },
    **{f"gated {s:.0%}": (on(None, partial(gated, share=s)), {"gated"}) for s in (0.05, 0.1, 0.2)},
    "one inverted": (on(None, lambda x, rng: -x), {"inverted"}),
    **{
        f"offset {v:g}": (on(None, lambda x, rng, v=v: x + v), {"offset"})
        for v in (0.003, 0.01, -0.03)
    },
    **{
        f"limited {e} Hz": (on(None, partial(limited, edge=e)), {"limited"})
        for e in (2000, 4000, 6000)
    },
    **{
        f"far late {1000 * s:g} ms": (on(1, partial(late, seconds=s)), {"delay"})
        for s in (0.0005, 0.002, 0.005, 0.05)
    },
    "far late 500 ms": (on(1, partial(late, seconds=0.5)), {"delay", "unrelated"}),
    "near late 5 ms": (on(0, partial(late, seconds=0.005)), {"delay"}),
    **{
        f"drift {p:g} ppm": (on(1, partial(drifting, ppm=p)), {"drift", "delay"})
        for p in (30, 100, 300)
    },
    "drift 1000 ppm": (on(1, partial(drifting, ppm=1000)), {"drift", "delay", "unrelated"}),
    "far of another clip": (unrelated, {"unrelated"}),
    **{
        f"level {d:+g} dB": (on(None, partial(amplified, db=d)), LEVEL)
        for d in (-20, -10, -6, 6, 10, 20)
    },
    **{f"hiss {d:+g} dB": (on(None, partial(hissing, db=d)), LEVEL) for d in (5, 10, 15)},
}


def recorded(signal):
    """As 16 bits hold it."""
    steps = np.clip(np.round(signal / STEP), -(2**15), 2**15 - 1)
    return np.ascontiguousarray(steps * STEP, dtype=np.float32)


def blind(measured):
    """The same without the cross-correlation, as where the channels have little in common."""
    return replace(measured, lags=np.zeros_like(measured.lags))


def machine(root, name, seed, every, most):
    """Kinds that were claimed, one row per clip and fault; without a fault for every clip."""
    params = Scenes(seed=seed)
    label = {stem: cell.label for cell, stem in scenes.cells(name, params) if cell.split == "test"}
    train = [dataset.read(path) for path in sorted((root / name / "train").glob("*.wav"))]
    known = [quantities.measure(one) for one in train[:: max(len(train) // most, 1)]]
    usual = MachineReference.fit(known)
    levels = MachineReference.fit([blind(one) for one in known])
    rows = []
    for number, path in enumerate(sorted((root / name / "test").glob("*.wav"))):
        signal, other = dataset.read(path), train[number % len(train)]
        own = {"seed": seed, "machine": name, "clip": path.stem, "label": label[path.stem]}
        given = FAULTS if number % every == 0 else {}
        for fault in (None, *given):
            hurt = signal
            if fault is not None:
                rng = np.random.default_rng([seed, number])
                hurt = recorded(FAULTS[fault][0](signal.astype(np.float64), rng, other))
            found = quantities.measure(hurt)
            told = {fault.kind for fault in health.faults(found, usual)}
            alone = {fault.kind for fault in health.faults(found)}
            rows.append({**own, "fault": fault or "", "told": told, "alone": alone})
            if fault in (None, "swapped"):
                told = {fault.kind for fault in health.faults(blind(found), levels)}
                rows.append({**own, "fault": f"{fault or ''}{ALONE}", "told": told, "alone": alone})
    return rows


def found(table):
    """Share of the clips in which each fault was found."""
    rows = []
    for fault, (_, kinds) in {**FAULTS, f"swapped{ALONE}": FAULTS["swapped"]}.items():
        own = table[table["fault"] == fault]
        hit = own["told"].map(lambda told, kinds=kinds: bool(told & kinds))
        normal = own["label"] == "normal"
        row = {"fault": fault, "clips": len(own), "found": hit.mean()}
        row |= {"in normal": hit[normal].mean(), "in anomalous": hit[~normal].mean()}
        row["worst machine"] = hit.groupby(own["machine"]).mean().min()
        alone = own["alone"].map(lambda told, kinds=kinds: bool(told & kinds))
        row["without training clips"] = alone.mean()
        besides = own["told"].map(lambda told, kinds=kinds: len(told - kinds) > 0)
        row["another claimed too"] = besides.mean()
        others = own["told"].explode().value_counts().drop(list(kinds), errors="ignore")
        row["which"] = ", ".join(f"{k} {v}" for k, v in others.items())
        rows.append(row)
    return pd.DataFrame(rows)


def claimed(table):
    """Share of unhurt clips in which each kind is claimed."""
    rows = []
    for kind, fault in (("any", ""), *((kind, "") for kind in KINDS), ("any", ALONE)):
        row = {"kind": kind + fault}
        wanted = set(KINDS) if kind == "any" else {kind}
        for label, clips in table[table["fault"] == fault].groupby("label"):
            hit = clips["told"].map(lambda told, wanted=wanted: bool(told & wanted))
            row |= {f"{label} clips": len(clips), f"{label} claimed": hit.mean()}
        rows.append(row)
    return pd.DataFrame(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/health"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the scenes")
    parser.add_argument("--every", type=int, default=4, help="test clips from one hurt to the next")
    parser.add_argument("--train", type=int, default=100, help="most training clips to learn from")
    given = parser.parse_args()
    rows = []
    for seed in given.seeds:
        root = given.out / f"scenes-{seed}"
        params = Scenes(seed=seed)
        scenes.write(root, params, progress=True)
        for name in sorted(path.name for path in root.iterdir() if path.is_dir()):
            rows += machine(root, name, seed, given.every, given.train)
            print(seed, name, flush=True)
    table = pd.DataFrame(rows)
    chosen = table["seed"] == CHOSEN_ON
    for name, own in {"chosen on": table[chosen], "reported": table[~chosen]}.items():
        if own.empty:
            continue
        print(f"\n{name}: scene seeds {', '.join(map(str, own['seed'].unique()))}")
        for what, shown in {"found": found(own), "claimed": claimed(own)}.items():
            store.write(shown, given.out / f"{what}-{name.replace(' ', '-')}.csv")
            print(shown.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
