"""What a folder lacks of the official data set."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from asdlib.official.archives import COUNTS, OLDER, SETS
from asdlib.runtime.errors import plural


def lacking(manifest: pd.DataFrame, root: Path) -> list[str]:
    """Return one sentence for everything that is missing or too much, set by set.

    A set counts as wanted where one of its machines is there. Recordings of one's own are none.

    Parameters
    ----------
    manifest : of :func:`asdlib.dataset.scan`.
    root : the folder of the data set.

    Examples
    --------
    >>> row = {"machine": "fan", "split": "train", "domain": "source", "label": "normal"}
    >>> for told in lacking(pd.DataFrame([row] * 990), Path("nowhere"))[:2]:
    ...     print(told)
    fan: no target training clip; the development set has 10.
    fan: no source normal test clip; the development set has 50.
    """
    cells = ["machine", "split", "domain", "label"]
    counts = manifest.groupby(cells).size().to_dict()
    there = set(manifest["machine"])
    told = [
        f"{root / old}: an older release; {new} replaces it (asd download development)."
        for old, new in OLDER.items()
        if (root / old).exists()
    ]
    for kind, archives in SETS.items():
        machines = [archive.machine for archive in archives]
        if not there & set(machines):
            continue
        for machine in (name for name in machines if name in there):
            for cell, expected in COUNTS[kind].items():
                if (found := counts.get((machine, *cell), 0)) != expected:
                    clips = plural(found, _called(*cell))
                    told.append(f"{machine}: {clips}; the {kind} set has {expected}.")
        if missing := [name for name in machines if name not in there]:
            told.append(
                f"The {kind} set has {len(machines)} machines; not here: {', '.join(missing)}."
            )
    return told


def _called(split: str, domain: str, label: str) -> str:
    """What a clip of one cell is called."""
    if domain == "unknown":
        return "concealed test clip"
    if split == "train":
        return f"{domain} training clip"
    return f"{domain} {'anomalous' if label == 'anomaly' else label} test clip"
