"""How far a long piece of work is: a bar on a terminal, one line anywhere else."""

from __future__ import annotations

import sys

from tqdm import tqdm


def bar(what: str, total: int, unit: str, *, progress: bool = True) -> tqdm:
    """Return a progress bar; in a log file, where it would be repeated, say once what begins.

    Parameters
    ----------
    what : is done; stands before the bar.
    total : number of steps.
    unit : what a step is.
    progress : nothing is shown where this is false, or where there is no step.

    Examples
    --------
    >>> with bar("checking", 2, "clip", progress=False) as shown:
    ...     _ = shown.update(2)
    """
    shown = progress and total > 0
    on_terminal = sys.stderr.isatty()
    if shown and not on_terminal:
        print(f"{what} ({total:,} {unit}{'s' * (total != 1)}) ...", file=sys.stderr, flush=True)
    return tqdm(total=total, desc=what, unit=unit, disable=not (shown and on_terminal), leave=False)
