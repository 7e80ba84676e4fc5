"""All that a report needs: the study, its variants, and the audio encoder's scores.

Notebook: 07_negative_results.
"""

from __future__ import annotations

import sys

import pandas as pd
from tqdm import tqdm

from asdlib import study
from asdlib.params import Params
from asdlib.study import exposure, variants
from asdlib.study.recordings import Recordings


def compute(params: Params, recordings: Recordings, *, progress: bool = False) -> pd.DataFrame:
    """Compute all that the report needs: the study, its variants, the encoder's scores.

    Returns
    -------
    DataFrame of the study itself, as of :func:`asdlib.study.run`.
    """
    exposure.check(params)
    table = study.run(params, progress=progress, recordings=recordings)
    others = variants.studies(params)
    for number, own in enumerate(others, start=1):
        label = f"variant {number} of {len(others)}"
        study.run(own, progress=progress, recordings=recordings, label=label)
    exposure.scores(params, recordings, progress=progress)
    if apart := study.trained_apart(params, recordings):
        tqdm.write(apart, file=sys.stderr)
    return table
