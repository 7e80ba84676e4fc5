"""What carries a fault: the share of every statistic and band in the distance of an anomaly.

This looks back with labels, at anomalous test clips, and chooses nothing.
Notebook: 05_without_training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from asdlib import clipstats, spectra
from asdlib.compare.untrained import Measured
from asdlib.params import Params

_MOST_BANDS = 32  # neighbouring bands are added up
_MOST_SHARES = 40_000  # of all faults together, so that a page stays small


@dataclass(frozen=True)
class Carried:
    """Anomalous test clips of one machine, and what their squared distances consist of.

    Attributes
    ----------
    machine : name.
    statistics : letters of :data:`asdlib.clipstats.NAMES`.
    edges : of the bands, in Hz.
    faults : rank (1: the largest distance), name, domain, squared (D^2), and ``above`` (normal test
        clips of the machine with a smaller one); one row per clip, from clearest to least clear.
    shares : contributions to D^2; their sum over statistics and bands is D^2.
    usual : mean contributions of the normal test clips; 0 without any.
    anomalies, normals : numbers of test clips.
    """

    machine: str
    statistics: str
    edges: Float[np.ndarray, " edge"]
    faults: pd.DataFrame
    shares: Float[np.ndarray, "fault statistic band"]
    usual: Float[np.ndarray, "statistic band"]
    anomalies: int
    normals: int


def carried(
    params: Params, machines: Sequence[Measured], most: int = _MOST_SHARES
) -> list[Carried]:
    """Take the faults of every machine apart, as a detector fitted to its training clips sees them.

    Parameters
    ----------
    params : of the study.
    machines : of :func:`asdlib.compare.untrained.measured`, with statistics of mel bands.
    most : contributions in all. Where there are more faults, those that are kept lie evenly between
        the clearest and the least clear one.

    Returns
    -------
    One entry per machine with a labelled anomaly.
    """
    centres = clipstats.centres("pmsd", params.spectra, params.statistics)
    starts = np.arange(0, len(centres), -(-len(centres) // _MOST_BANDS))
    edges = spectra.edges(centres)[[*starts, -1]]
    each = most // max(sum(len(own.statistics) for own in machines) * len(starts), 1)
    found = [_carried(own, edges, starts, max(each, 1)) for own in machines]
    return [own for own in found if own.anomalies]


def _carried(own: Measured, edges: np.ndarray, starts: np.ndarray, most: int) -> Carried:
    normal = clipstats.Normal.fit(own.values[own.train], own.clips["domain"][own.train].to_numpy())
    test = own.clips.loc[own.test, ["name", "domain", "label"]]
    shares = np.array([normal.contributions(values) for values in own.values[own.test]])
    shares = shares.reshape(len(test), len(own.statistics), -1)
    shares = np.add.reduceat(shares, starts, axis=2)
    squared, anomalous = shares.sum(axis=(1, 2)), (test["label"] == "anomaly").to_numpy()
    of_normal = np.sort(squared[~anomalous])
    order = np.flatnonzero(anomalous)[np.argsort(-squared[anomalous], kind="stable")]
    kept = _evenly(len(order), most)
    order = order[kept]
    faults = test.iloc[order][["name", "domain"]].assign(
        rank=kept + 1, squared=squared[order], above=np.searchsorted(of_normal, squared[order])
    )
    usual = shares[~anomalous].sum(axis=0) / max(len(of_normal), 1)
    return Carried(
        own.machine,
        own.statistics,
        edges,
        faults.reset_index(drop=True),
        shares[order],
        usual,
        int(anomalous.sum()),
        len(of_normal),
    )


def _evenly(count: int, most: int) -> np.ndarray:
    """Places of at most so many, the first and the last among them.

    >>> _evenly(5, 3).tolist(), _evenly(2, 3).tolist(), _evenly(5, 1).tolist(), _evenly(0, 3).size
    ([0, 2, 4], [0, 1], [0], 0)
    """
    return np.round(np.linspace(0, max(count - 1, 0), min(count, most))).astype(int)
