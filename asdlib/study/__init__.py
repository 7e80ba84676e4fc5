"""The study: every machine and front-end with all seeds, computed once, read back as one table."""

from asdlib.study.grid import (
    combination,
    floors,
    inventory,
    losses,
    made_elsewhere,
    official_thresholds,
    remarks,
    run,
    score_alone,
    trained_apart,
    units,
)
from asdlib.study.recordings import Recordings, open_recordings, place

__all__ = [
    "Recordings",
    "combination",
    "floors",
    "inventory",
    "losses",
    "made_elsewhere",
    "official_thresholds",
    "open_recordings",
    "place",
    "remarks",
    "run",
    "score_alone",
    "trained_apart",
    "units",
]
