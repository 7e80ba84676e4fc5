"""How far a long piece of work is: a bar on a terminal, one line anywhere else."""

from __future__ import annotations

import sys

from tqdm import tqdm

from asdlib.runtime.errors import plural


def bar(what: str, total: int, unit: str, *, progress: bool = True) -> tqdm:
    """Return a progress bar; in a log file, where it would be repeated, say once what begins.

    Parameters
    ----------
    what : is done; stands before the bar.
    total : number of steps.
    unit : what a step is, such as "clip"; "B" for bytes.
    progress : nothing is shown where this is false, or where there is no step.

    Examples
    --------
    >>> with bar("checking", 2, "clip", progress=False) as shown:
    ...     _ = shown.update(2)
    """
    shown = progress and total > 0
    on_terminal = sys.stderr.isatty()
    if shown and not on_terminal:
        size = f"{total / 1e6:,.1f} MB" if unit == "B" else plural(total, unit)
        print(f"{what} ({size}) ...", file=sys.stderr, flush=True)
    return tqdm(
        total=total,
        desc=what,
        unit=unit,
        unit_scale=unit == "B",
        disable=not (shown and on_terminal),
        leave=False,
    )
