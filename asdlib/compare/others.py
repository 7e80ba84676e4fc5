"""Scores that others left, as the official evaluator reads them, beside the systems of a study.

Truth comes from the names of the clips, or from the evaluator's ground-truth files where a user has
them. Notebook: 08_submission.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import metrics
from asdlib.compare import bootstrap, statistics
from asdlib.compare.systems import Applied
from asdlib.io.files import read_bytes
from asdlib.params import AsdError
from asdlib.runtime.errors import plural

Systems = Mapping[str, pd.DataFrame]
"""Scores of the test clips of every system: machine, domain, label, name and score."""

_MOST_BYTES = 2**26  # of one file
_SCORES = re.compile(r"anomaly_score_(?:DCASE\d{4}T2)?(.+)_section_\d{2}_test(.*)\.csv")
_TRUTH = re.compile(r"ground_truth_(?:DCASE\d{4}T2)?(.+)_section_\d{2}_test.*\.csv")
_DOMAINS, _LABELS = ("source", "target"), ("normal", "anomaly")  # 0 and 1 of ground-truth files
_COLUMNS = ["machine", "domain", "label", "name", "score"]


def read(folder: str | Path, truth: str | Path | None = None) -> dict[str, pd.DataFrame]:
    r"""Read all scores below a folder.

    Parameters
    ----------
    folder : holds ``anomaly_score_<machine>_section_00_test*.csv`` (lines of ``file,value`` without
        a header; a system is what lies in one folder and ends alike), or tables with the header
        ``file,score`` of whole systems.
    truth : folder of ``ground_truth_<machine>_section_00_test.csv``: the clip's official name, or 0
        and 1 for source and target (a path with "domain") and for normal and anomaly. None: the
        names of the clips tell.

    Returns
    -------
    Scores by system, see :data:`Systems`.

    Raises
    ------
    AsdError
        Naming the file, for what is no score, is there twice or has no label.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> name = "section_00_source_test_normal_0000_spd_1.wav"
    >>> _ = (folder / "anomaly_score_fan_section_00_test.csv").write_text(f"{name},1.5\n")
    >>> (table,) = read(folder).values()
    >>> table.iloc[0, :3].tolist(), float(table["score"][0])
    (['fan', 'source', 'normal'], 1.5)
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise AsdError(f"{folder}: no such folder; give one with anomaly_score_*.csv.")
    known = {} if truth is None else _truth(Path(truth))
    found: dict[str, list[pd.DataFrame]] = {}
    for path in sorted(folder.rglob("*.csv")):
        if match := _SCORES.fullmatch(path.name):
            name = " ".join([_place(path.parent, folder), *match[2].strip("_").split("_")]).strip()
            found.setdefault(name, []).append(_machine(path, match[1], known))
        elif _lines(path)[:1] == [["file", "score"]]:
            table = metrics.parse_scores(path)
            names = table["name"].str.rpartition("/")[2]
            found[_place(path.with_suffix(""), folder)] = [table.assign(name=names)[_COLUMNS]]
    if not found:
        raise AsdError(
            f"{folder}: holds no scores; anomaly_score_<machine>_section_00_test.csv is needed, or "
            "a table with the header file,score."
        )
    return {name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}


def own(applied: Applied) -> dict[str, pd.DataFrame]:
    """Return the labelled test clips' scores of every system of a study that could be formed.

    Parameters
    ----------
    applied : of :func:`asdlib.compare.systems.apply_all`.
    """
    tables = {name: metrics.labelled(a.clips) for name, a in applied.items() if a.members}
    return {name: table[_COLUMNS] for name, table in tables.items() if len(table)}


def in_common(systems: Systems) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Keep the machines that all systems have, and say which are left out.

    Raises
    ------
    AsdError
        If no machine is in all systems, or if two systems have other clips of a machine.
    """
    sets = {name: set(table["machine"]) for name, table in systems.items()}
    common = set.intersection(*sets.values())
    if not common:
        each = "; ".join(f"{name}: {', '.join(sorted(own))}" for name, own in sets.items())
        raise AsdError(f"There is no machine that all systems have ({each}).")
    kept = {n: t[t["machine"].isin(common)].reset_index(drop=True) for n, t in systems.items()}
    first, *others = kept
    clips = {name: set(zip(t["machine"], t["name"], strict=True)) for name, t in kept.items()}
    for name in others:
        for one, other in ((first, name), (name, first)):
            if lacking := sorted(clips[one] - clips[other]):
                machine, clip = lacking[0]
                raise AsdError(
                    f"{other}: has no score of {machine}/{clip}, which {one} has; a comparison "
                    f"needs the same clips ({plural(len(lacking), 'clip')} missing)."
                )
    told = [
        f"{name}: {', '.join(sorted(own - common))} left out; not all systems have it."
        for name, own in sets.items()
        if own - common
    ]
    return kept, told


def compare(
    systems: Systems, reference: str, *, resamples: int = bootstrap.RESAMPLES
) -> pd.DataFrame:
    """Official values of every system, with intervals over clips, and its difference to one.

    Parameters
    ----------
    systems : of the same clips, see :func:`in_common`.
    reference : the system that the others are compared with.

    Returns
    -------
    DataFrame indexed by system, the highest Omega first: auc_source, auc_target and pauc (means
    over machines), omega with the 95 % interval low to high; the difference of Omega to the
    reference with its interval, change_low to change_high, both paired over resampled clips, and
    the verdict. NaN where the labels do not allow a value.
    """
    tables = {name: metrics.evaluate(table) for name, table in systems.items()}
    omegas = {name: metrics.omega(table) for name, table in tables.items()}
    draws: dict[str, np.ndarray] = {}
    if not np.isnan(list(omegas.values())).any():
        resampled = bootstrap.omega_resamples(
            [table.assign(seed=0) for table in systems.values()],
            resamples=resamples,
            generator=np.random.default_rng(0),
        )
        draws = dict(zip(systems, resampled, strict=True))
    rows = []
    for name in sorted(omegas, key=lambda name: -omegas[name]):
        low, high = _interval(draws, name)
        change = {"mean": omegas[name] - omegas[reference], "seedless": True}
        change["low"], change["high"] = _interval(draws, name, reference)
        means = tables[name][["auc_source", "auc_target", "pauc"]].mean(skipna=False)
        rows.append(
            {
                "system": name,
                **means,
                "omega": omegas[name],
                "low": low,
                "high": high,
                "change": change["mean"],
                "change_low": change["low"],
                "change_high": change["high"],
                "verdict": "" if name == reference else statistics.verdict(change),
            }
        )
    return pd.DataFrame(rows).set_index("system")


def _interval(
    draws: Mapping[str, np.ndarray], name: str, against: str | None = None
) -> tuple[float, float]:
    """95 % interval of a system's Omega, or of its difference; NaN without resamples."""
    if not draws:
        return np.nan, np.nan
    return bootstrap.interval(draws[name] - (0 if against is None else draws[against]))


def _place(path: Path, folder: Path) -> str:
    """A folder or file below another one, in words; the folder's own name where they are one."""
    return folder.absolute().name if path == folder else path.relative_to(folder).as_posix()


def _machine(path: Path, machine: str, known: Mapping) -> pd.DataFrame:
    """Labelled scores of one file."""
    rows = []
    for number, line in enumerate(_lines(path), start=1):
        where = f"{path}, line {number}"
        if len(line) != 2:
            raise AsdError(f"{where}: {','.join(line)!r}; 'file,value' is needed.")
        name = line[0].replace("\\", "/").rpartition("/")[2]
        try:
            score = float(line[1])
        except ValueError:
            raise AsdError(f"{where}: {line[1]!r} is not a number.") from None
        kind = known.get((machine, name)) or metrics.kind_of(name)
        if kind is None or None in kind:
            raise AsdError(
                f"{where}: nothing tells the label of {name}; give the folder of the ground truth "
                "(--truth)."
            )
        rows.append([machine, *kind, name, score])
    table = pd.DataFrame(rows, columns=_COLUMNS)
    twice = table["name"][table["name"].duplicated()]
    if len(twice):
        raise AsdError(f"{path}: {twice.iloc[0]} is listed more than once.")
    try:
        metrics.validate(table)
    except AsdError as error:
        raise AsdError(f"{path}: {error}") from None
    return table


def _truth(folder: Path) -> dict[tuple[str, str], tuple[str | None, str | None]]:
    """Domain and label of every clip, by machine and name, as far as the files tell."""
    if not folder.is_dir():
        raise AsdError(f"{folder}: no such folder; give that of the ground truth.")
    found: dict[tuple[str, str], tuple[str | None, str | None]] = {}
    for path in sorted(folder.rglob("*.csv")):
        if (match := _TRUTH.fullmatch(path.name)) is None:
            continue
        of_domains = "domain" in path.relative_to(folder).as_posix()
        for number, (name, *values) in enumerate(_lines(path), start=1):
            clip = (match[1], name.rpartition("/")[2])
            domain, label = found.get(clip, (None, None))
            value = values[0].strip() if len(values) == 1 else ""
            if kind := metrics.kind_of(value):
                found[clip] = kind
            elif value in ("0", "1"):
                own = (_DOMAINS if of_domains else _LABELS)[int(value)]
                found[clip] = (own, label) if of_domains else (domain, own)
            else:
                raise AsdError(
                    f"{path}, line {number}: {','.join(values)!r}; 0, 1 or the clip's official "
                    "name is needed."
                )
    if not found:
        raise AsdError(
            f"{folder}: holds no ground truth; ground_truth_<machine>_section_00_test.csv is "
            "needed."
        )
    return found


def _lines(path: Path) -> list[list[str]]:
    """The lines of a CSV file that are not empty."""
    try:
        text = read_bytes(path, _MOST_BYTES).decode("utf-8-sig")
        return [line for line in csv.reader(io.StringIO(text)) if line]
    except (ValueError, csv.Error) as error:
        raise AsdError(f"{path}: not a CSV table ({error}).") from None
