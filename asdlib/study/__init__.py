"""The study: every machine and front-end with all seeds, computed once, read back as one table."""

from asdlib.study.costs import forecast
from asdlib.study.recordings import Recordings, open_recordings, place, remember, stage_seconds
from asdlib.study.runs import (
    BESIDE,
    beside,
    by_condition,
    combination,
    everything,
    floors,
    official_thresholds,
    read,
    remarks,
    run,
    score_alone,
    tasks,
)

__all__ = [
    "BESIDE",
    "Recordings",
    "beside",
    "by_condition",
    "combination",
    "everything",
    "floors",
    "forecast",
    "official_thresholds",
    "open_recordings",
    "place",
    "read",
    "remarks",
    "remember",
    "run",
    "score_alone",
    "stage_seconds",
    "tasks",
]
