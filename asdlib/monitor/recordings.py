"""Normal recordings of one machine, under any names.

A folder holds WAV files, in subfolders if there are several sessions; or it has the layout of
DCASE, and then the clips of ``train/`` are taken. What is named as an anomaly is left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Float

from asdlib import calibration, dataset
from asdlib.io.files import named
from asdlib.io.folders import composed, is_machine, not_text, says_faulty, some_below, twins, unread
from asdlib.monitor import health
from asdlib.monitor.quantities import RecordingQuantities, measure
from asdlib.monitor.reference import MachineReference
from asdlib.params import AsdError, Spectra, Statistics
from asdlib.pipeline import Sound
from asdlib.runtime.errors import plural
from asdlib.runtime.parallel import clip_by_clip
from asdlib.spectra import problem_of, resampled

Recording = str | Path | Float[np.ndarray, "channel given"]
Paths = str | Path | Iterable[str | Path]
Say = Callable[[str], object]
Skip = Say | None
Result = TypeVar("Result")

LONGER = 1.5
"""Times the usual length; a longer recording is judged in windows."""

_DATE = re.compile(r"(?<!\d)(20\d\d)[-_. ]?(0[1-9]|1[0-2])[-_. ]?(0[1-9]|[12]\d|3[01])(?!\d)")


def collect(
    recordings: Paths, spectra: Spectra, skip: Skip = None, *, more: bool = False
) -> pd.DataFrame:
    """List normal recordings and check each of them.

    Parameters
    ----------
    recordings : a folder, or paths of files, which are taken whatever their names say.
    spectra : the sample rate, and whether another one is converted.
    skip : gets a sentence for each recording that cannot be used, and the others are taken; none:
        one that cannot be used is an error.
    more : they are learnt beside others, so that one alone will do.

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
        table = _rows("the list", [(path, path.name, path.parent.name) for path in paths])
        problems = []
        if table.empty:
            raise AsdError("No recording was given; a monitor is fitted on normal recordings.")
    hashes, found = dataset.check(table.assign(split="more") if more else table, spectra)
    table, told = table.assign(hash=hashes), problems + found
    if skip is not None:
        for sentence in told:
            skip(sentence)
        bad = [any(one.startswith(f"{path}: ") for one in told) for path in table["path"]]
        table = table[~np.array(bad)]
    elif told:
        if count := sum(one.partition(": ")[0].lower().endswith(".wav") for one in told):
            them, of = "it" if count == 1 else "them", plural(len(table), "recording")
            repair = f"Repair {them} or move {them} away, then run the same command again."
            told.append(f"{count} of {of} cannot be used. {repair}")
        raise dataset.Problems(told)
    return table.drop_duplicates("hash", ignore_index=True)


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
        *counted(root, len(table)),
        *faults(table, spectra),
        f"'asd fit {root} --out {root.resolve().name}.safetensors' learns what is normal. asd "
        f"study needs normal recordings in {root / 'train'} and others in {root / 'test'}.",
    ]


def faults(table: pd.DataFrame, spectra: Spectra) -> list[str]:
    """Say what is wrong with the sound of recordings that can be used."""
    found = list(each(lambda signal: measure(signal, spectra), table, spectra))
    usual = MachineReference.fit(found)
    return list(health.summary(table["name"], found, usual, mono=spectra.mono))


def everything(root: Path) -> list[Path]:
    """List the recordings that :func:`collect` takes of a folder, and those named as anomalies."""
    return some_below(root / "train" if (root / "train").is_dir() else root)


def counted(root: Path, count: int, *, whole: bool = False) -> list[str]:
    """Say how many different recordings a folder has, in how many sessions, and what is left out.

    Parameters
    ----------
    whole : recordings named as anomalies were taken too.
    """
    told = plural(count, "different recording")
    if (root / "train").is_dir():
        return [f"{told}. Only the clips of {root / 'train'} were taken.", *unread(root / "train")]
    normal, anomalies = _told_apart(root)
    count = len({composed(str(p.parent)) for p in (normal + anomalies if whole else normal)})
    where = f"{count} sessions (subfolders)" if count > 1 else "one session (no subfolders)"
    left_out = [] if whole else _passed_over(anomalies)
    return [f"{told} in {where}.", *left_out, *unread(root)]


def known(
    table: pd.DataFrame,
    found: Sequence[RecordingQuantities],
    values: Float[np.ndarray, "recording value"],
) -> pd.DataFrame:
    """What a monitor keeps of its recordings, a row each.

    Parameters
    ----------
    values : what a view looks at of each.

    Returns
    -------
    DataFrame with domain, hash, name, session (empty where none is known), fold (whole sessions are
    held out in turn; where none is known, recordings that resemble each other) and seconds.
    """
    names, domains, count = table["name"].tolist(), table["domain"].tolist(), Statistics().folds
    own = sessions(table)
    if len(set(own)) > 1:
        folds = calibration.folds(names, domains, own, count, sessions=True)
    else:
        folds = calibration.clusters(values, np.array(domains), count)
    seconds = [one.seconds for one in found]
    return table[["domain", "hash", "name"]].assign(session=own, fold=folds, seconds=seconds)


def sessions(table: pd.DataFrame) -> list[str]:
    """Name the session of every recording; the same name for all where nothing tells them apart.

    Recordings of one day resemble each other more than those of another day. Their subfolders tell
    the days, else dates in their names, else the days on which their files were last changed. The
    layout of DCASE names no day.

    Parameters
    ----------
    table : with name, path and session, the subfolder; that of the folder itself is ".".

    Examples
    --------
    >>> names = ["pump_20260504_0800.wav", "pump_20260505_0800.wav"]
    >>> sessions(pd.DataFrame({"name": names, "session": "."}))
    ['2026-05-04', '2026-05-05']
    >>> sessions(pd.DataFrame({"name": names, "session": ["early", "late"]}))
    ['early', 'late']
    """
    given, dates = table["session"], table["name"].str.extract(_DATE)
    if not given.all():
        return [""] * len(table)
    if given.nunique() > 1:
        return given.tolist()
    if dates.notna().all(axis=None):
        return dates.agg("-".join, axis=1).tolist()
    return [str(date.fromtimestamp(Path(path).stat().st_mtime)) for path in table["path"]]


def windows(samples: int, length: float) -> list[int]:
    """Where windows of one length begin that cover a recording; one of 0 for about that length.

    >>> windows(95, 10), windows(14, 10), windows(16, 10)
    ([0, 9, 19, 28, 38, 47, 57, 66, 76, 85], [0], [0, 6])
    """
    if samples <= LONGER * length:
        return [0]
    starts = np.linspace(0, samples - length, math.ceil(samples / length))
    return starts.round().astype(int).tolist()


def signal(recording: Recording, rate: int | None, spectra: Spectra) -> Sound:
    """Both channels of a recording at the sample rate of the spectra.

    Parameters
    ----------
    recording : file, or array (2, sample) with its sample rate beside it.
    rate : of the array, in Hz; that of the spectra by default.

    Raises
    ------
    AsdError
        For a recording that cannot be used.
    """
    where, own = "", spectra.sample_rate if rate is None else rate
    if isinstance(recording, str | Path):
        found = dataset.read(recording, spectra)
        where, own = f"{recording}: ", spectra.sample_rate
        spectra = spectra.model_copy(update={"mono": False})  # both channels are there
    else:
        found = np.asarray(recording, np.float32)
        if found.ndim != 2:
            needed = "(2, samples) is needed, near and far"
            raise AsdError(f"an array of shape {found.shape}; {needed}.")
    shortest = 2 * spectra.n_fft  # two frames of the longer window
    if wrong := problem_of(found, own, spectra, shortest):
        raise AsdError(f"{where}{wrong}")
    return resampled(found, own, spectra)


def each(
    function: Callable[[np.ndarray], Result], table: pd.DataFrame, spectra: Spectra
) -> Iterator[Result]:
    """Apply a function to the signal of every recording of a manifest."""

    def one(file: tuple[str, str]) -> Result:
        return function(dataset.read(file[0], spectra, content=file[1]))

    return clip_by_clip(one, zip(table["path"], table["hash"], strict=True))


def listed(paths: Iterable[Path], say: Say) -> list[Path]:
    """Files of a list, with the WAV files in and below its folders.

    Parameters
    ----------
    say : gets a sentence about recordings of other kinds in a folder.

    Raises
    ------
    AsdError
        For a path that is not there, or a folder without a WAV file.
    """
    given = list(paths)
    for path in given:
        if not path.exists():
            raise AsdError(f"{path}: no such file or folder.")
        for told in unread(path):
            say(told)
    return [file for path in given for file in (some_below(path) if path.is_dir() else [path])]


def _in_folder(root: Path) -> tuple[pd.DataFrame, list[str]]:
    """The manifest of a folder, and what is wrong with the names in it."""
    if not root.is_dir():
        what = "not a folder" if root.exists() else "no such folder"
        raise AsdError(f"{root}: {what}; give a folder of normal recordings.")
    with named(root):
        if is_machine(root):
            table, problems = dataset.survey(root)
            own = table[table["split"] == "train"].reset_index(drop=True)
            return own.assign(session=""), problems
        machines = sorted(path.name for path in root.iterdir() if is_machine(path))
    if machines:
        held = f"{plural(len(machines), 'machine')} ({', '.join(machines[:4])})"
        cure = "a monitor is fitted on one: give one of these folders"
        raise AsdError(f"{root}: holds {held}; {cure}.")
    found, anomalies = _told_apart(root)
    if not found:
        raise AsdError(_passed_over(anomalies)[0])
    problems = [*filter(None, map(not_text, found)), *twins(found)]
    names = [path.relative_to(root) for path in found]
    both = [(composed(name.as_posix()), composed(name.parent.as_posix())) for name in names]
    files = [(path, *own) for path, own in zip(found, both, strict=True) if not not_text(path)]
    return _rows(str(root), files), problems


def _told_apart(root: Path) -> tuple[list[Path], list[Path]]:
    """Recordings in and below a folder: normal ones, and those that names call anomalies."""
    parts = list[Path](), list[Path]()
    for path in some_below(root):
        parts[says_faulty(f"{root.absolute().name}/{path.relative_to(root)}")].append(path)
    return parts


def _passed_over(anomalies: list[Path]) -> list[str]:
    how = "named as an anomaly, or as a test clip without its label"
    what = f"{how}; not learnt ({plural(len(anomalies), 'recording')} in all)"
    return [f"{path}: {what}; asd fit --all learns them too." for path in anomalies[:1]]


def _rows(given: str, files: list[tuple[Path, str, str]]) -> pd.DataFrame:
    """A manifest of normal recordings, given as path, name and session."""
    table = pd.DataFrame(files, columns=["path", "name", "session"]).astype({"path": str})
    same = {"split": "train", "domain": "source", "label": "normal", "attributes": ""}
    return table.assign(machine=given, **same)
