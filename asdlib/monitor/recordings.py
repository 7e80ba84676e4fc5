"""Normal recordings of one machine, under any names.

A folder holds WAV files, in subfolders if there are several sessions; or it has the layout of
DCASE, and then the clips of ``train/`` are taken.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from asdlib import calibration, dataset
from asdlib.io.folders import composed, is_foreign, not_text, twins, wavs_below
from asdlib.monitor import health
from asdlib.monitor.quantities import RecordingQuantities, measure
from asdlib.params import AsdError, Spectra
from asdlib.runtime.errors import plural
from asdlib.runtime.parallel import clip_by_clip
from asdlib.spectra import problem_of, resampled

Result = TypeVar("Result")


def collect(recordings: str | Path | Iterable[str | Path], spectra: Spectra) -> pd.DataFrame:
    """List normal recordings and check each of them.

    Parameters
    ----------
    recordings : a folder, or paths of files.
    spectra : the sample rate, and whether another one is converted.

    Returns
    -------
    DataFrame with the columns of :func:`asdlib.dataset.scan` that a study needs, ``hash`` and
    ``session``: the subfolder of a recording, empty in the layout of DCASE. Of recordings with the
    same content, only the first in the order of names is kept.

    Raises
    ------
    AsdError
        If nothing is found; :class:`asdlib.dataset.Problems` for recordings that cannot be used.
    """
    if isinstance(recordings, str | Path):
        table, problems = _in_folder(Path(recordings).expanduser())
    else:
        paths = sorted(Path(path).expanduser() for path in recordings)
        named = [(path, path.name, path.parent.name) for path in paths]
        table, problems = _rows("the list", named), []
        if table.empty:
            raise AsdError("No recording was given; a monitor is fitted on normal recordings.")
    hashes, found = dataset.check(table, spectra)
    if told := problems + found:
        raise dataset.Problems([*told, _closing(len(told), len(table))])
    return table.assign(hash=hashes).drop_duplicates("hash", ignore_index=True)


def told(root: Path, spectra: Spectra) -> list[str]:
    """Check a folder of normal recordings, and return in sentences what it holds.

    Raises
    ------
    asdlib.dataset.Problems
        For recordings that cannot be used.
    """
    table = collect(root, spectra)
    return [
        f"{root}: recordings of one machine, as asd fit reads them; all can be used.",
        counted(root, len(table)),
        *faults(table, spectra),
        f"'asd fit {root} --out {root.resolve().name}.safetensors' learns what is normal. asd "
        f"study needs normal recordings in {root / 'train'} and others in {root / 'test'}.",
    ]


def faults(table: pd.DataFrame, spectra: Spectra) -> list[str]:
    """Say what is wrong with the sound of recordings that can be used."""
    return health.summary(table["name"].tolist(), measured(table, spectra))


def counted(root: Path, count: int) -> str:
    """Say how many different recordings a folder has, and in how many sessions."""
    told = f"{count} different recording{'s' * (count != 1)}"
    if (root / "train").is_dir():
        return f"{told}. Only the clips of {root / 'train'} were taken."
    sessions = len({path.parent for path in wavs_below(root)})
    where = f"{sessions} sessions (subfolders)" if sessions > 1 else "one session (no subfolders)"
    return f"{told} in {where}."


def folds(table: pd.DataFrame, count: int) -> Int[np.ndarray, " recording"]:
    """Blocks that are held out in turn; a session stays in one."""
    names, domains = table["name"].tolist(), table["domain"].tolist()
    groups = (table["attributes"] + table["session"]).tolist()
    whole = bool(table["session"].any())
    return calibration.folds(names, domains, groups, count, sessions=whole)


def signal(
    recording: str | Path | Float[np.ndarray, "channel sample"],
    rate: int | None,
    spectra: Spectra,
    content: str | None = None,
) -> Float[np.ndarray, "channel=2 _"]:
    """Both channels of a recording at the sample rate of the spectra.

    Parameters
    ----------
    recording : file, or array (2, sample) with its sample rate beside it.
    rate : of the array, in Hz; that of the spectra by default.
    content : hash that the file must have, see :func:`asdlib.dataset.read`.

    Raises
    ------
    AsdError
        For a recording that cannot be used.
    """
    where, own = "", spectra.sample_rate if rate is None else rate
    if isinstance(recording, str | Path):
        found = dataset.read(recording, spectra, content=content)
        where, own = f"{recording}: ", spectra.sample_rate
    else:
        found = np.asarray(recording, np.float32)
        if found.ndim != 2:
            raise AsdError(
                f"an array of shape {found.shape}; (2, samples) is needed, near and far."
            )
    shortest = 2 * spectra.n_fft  # two frames of the longer window
    if wrong := problem_of(found, own, spectra, shortest):
        raise AsdError(f"{where}{wrong}")
    return resampled(found, own, spectra)


def each(
    function: Callable[[np.ndarray], Result], table: pd.DataFrame, spectra: Spectra
) -> Iterator[Result]:
    """Apply a function to the signal of every recording of a manifest."""

    def one(file: tuple[str, str]) -> Result:
        path, content = file
        return function(dataset.read(path, spectra, content=content))

    return clip_by_clip(one, zip(table["path"], table["hash"], strict=True))


def measured(table: pd.DataFrame, spectra: Spectra) -> list[RecordingQuantities]:
    """What is measured of the health of recordings."""
    return list(each(lambda signal: measure(signal, spectra), table, spectra))


def listed(paths: Iterable[Path]) -> list[Path]:
    """Files of a list, with the WAV files in and below its folders.

    Raises
    ------
    AsdError
        For a path that is not there, or a folder without a WAV file.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += _wavs(path)
        elif path.exists():
            found.append(path)
        else:
            raise AsdError(f"{path}: no such file or folder.")
    return found


def _in_folder(root: Path) -> tuple[pd.DataFrame, list[str]]:
    if not root.is_dir():
        what = "not a folder" if root.exists() else "no such folder"
        raise AsdError(f"{root}: {what}; give a folder of normal recordings.")
    _check_readable(root)
    if (root / "train").is_dir():
        table, problems = dataset.survey(root)
        own = table[table["split"] == "train"].reset_index(drop=True)
        return own.assign(session=""), problems
    machines = sorted(
        path.name
        for path in root.iterdir()
        if (path / "train").is_dir() and not is_foreign(path.name)
    )
    if machines:
        raise AsdError(
            f"{root}: holds {plural(len(machines), 'machine')} ({', '.join(machines[:4])}); a "
            "monitor is fitted on one: give one of these folders."
        )
    found = _wavs(root)
    problems = [wrong for path in found if (wrong := not_text(path))]
    inside = [(path, path.relative_to(root)) for path in found if not not_text(path)]
    named = [(p, composed(own.as_posix()), composed(own.parent.as_posix())) for p, own in inside]
    return _rows(str(root), named), [*problems, *twins(found)]


def _wavs(root: Path) -> list[Path]:
    """WAV files in and below a folder, in the order of their names."""
    _check_readable(root)
    found = wavs_below(root)
    if not found:
        raise AsdError(f"{root}: found no WAV file, here or in subfolders; only WAV is read.")
    return found


def _closing(problems: int, count: int) -> str:
    """The last sentence about recordings that cannot be used."""
    them = "it" if problems == 1 else "them"
    return (
        f"{problems} of {count} recordings cannot be used. Repair {them} or move {them} out of "
        "the folder, then run the same command again."
    )


def _check_readable(folder: Path) -> None:
    if not os.access(folder, os.R_OK | os.X_OK):
        raise AsdError(f"{folder}: this folder may not be read.")


def _rows(given: str, files: list[tuple[Path, str, str]]) -> pd.DataFrame:
    """A manifest of normal recordings, given as path, name and session."""
    same = {
        "machine": given,
        "split": "train",
        "domain": "source",
        "label": "normal",
        "attributes": "",
    }
    rows = [
        {**same, "name": name, "path": str(path), "session": session}
        for path, name, session in files
    ]
    return pd.DataFrame(rows, columns=[*same, "name", "path", "session"])
