"""Files of scores: tables of ``asd metrics``, files of the official evaluator, systems beside ours.

Truth comes from the names of the clips, or from the evaluator's ground-truth files where a user has
them. Notebook: 06_decisions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from asdlib import metrics
from asdlib.compare.statistics import FUSED, PARTS, Results
from asdlib.io.files import cells_of, read_bytes
from asdlib.io.folders import below, composed
from asdlib.params import AsdError
from asdlib.runtime.errors import form, plural

COLUMNS = ["machine", "domain", "label", "name", "score"]

_MOST_BYTES = 2**26  # of one file
_SCORES = re.compile(r"anomaly_score_(?:DCASE\d{4}T2)?(.+)_section_\d{2}_test(.*)\.csv")
_TRUTH = re.compile(r"ground_truth_(?:DCASE\d{4}T2)?(.+)_section_\d{2}_test.*\.csv")
_SECTION = re.compile(r"section_(\d{2})_")
_KINDS = {"domain": ("source", "target"), "label": ("normal", "anomaly")}  # 0 and 1 of files


def read_table(path: Path) -> pd.DataFrame:
    r"""Read a ``file,score`` table; machine, domain and label come from the file names.

    Returns
    -------
    DataFrame with :data:`COLUMNS`. The machine is the folder above ``train`` or ``test``, or where
    a clip has none, the table's own name.

    Raises
    ------
    AsdError
        Naming the file, and the line where there is one.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "scores.csv"
    >>> name = "fan/test/section_00_source_test_normal_0000_spd_1.wav"
    >>> _ = path.write_text(f"file,score\n{name},1.5\n")
    >>> row = read_table(path).loc[0]
    >>> row["machine"], row["domain"], row["label"], float(row["score"])
    ('fan', 'source', 'normal', 1.5)
    """
    (_, header), *lines = _lines(path) or [(1, [])]
    if missing := [name for name in ("file", "score") if name not in header]:
        raise AsdError(
            f"{path}: lacks the {form(len(missing), 'column', 'columns')} {', '.join(missing)}; "
            "the first line must be file,score."
        )
    at = [header.index(name) for name in ("file", "score")]
    rows = [(n, [own[i] for i in at] if len(own) == len(header) else own) for n, own in lines]
    return _one_section(_labelled(path, rows), path)


def read(folder: str | Path, truth: str | Path | None = None) -> pd.DataFrame:
    r"""Read all scores below a folder.

    Parameters
    ----------
    folder : holds ``anomaly_score_<machine>_section_00_test*.csv`` (lines of ``file,value`` without
        a header; a system is what lies in one folder and ends alike), or tables with the header
        ``file,score`` of whole systems.
    truth : folder of ``ground_truth_<machine>_section_00_test.csv``: the clip's official name, or 0
        and 1 for source and target (a path with "domain") and for normal and anomaly. None: the
        names of the clips tell. Names may lack their ending.

    Returns
    -------
    DataFrame with system and :data:`COLUMNS`.

    Raises
    ------
    AsdError
        Naming the file, for what is no score, is there twice or has no label; and the system, for
        clips of the truth that it left out.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> name = "section_00_source_test_normal_0000_spd_1.wav"
    >>> _ = (folder / "anomaly_score_fan_section_00_test.csv").write_text(f"{name},1.5\n")
    >>> row = read(folder).loc[0]
    >>> row["machine"], row["domain"], row["label"], float(row["score"])
    ('fan', 'source', 'normal', 1.5)
    """
    folder, found = Path(folder), []
    known = {} if truth is None else _truth(Path(truth))
    for path in _tables(folder, "anomaly_score_*.csv"):
        if match := _SCORES.fullmatch(path.name):
            name = " ".join([_place(path.parent, folder), *match[2].strip("_").split("_")]).strip()
            found.append(_labelled(path, _lines(path), match[1], known).assign(system=name))
        elif [cells for _, cells in _lines(path)[:1]] == [["file", "score"]]:
            found.append(read_table(path).assign(system=_place(path.with_suffix(""), folder)))
    if not found:
        raise AsdError(
            f"{folder}: holds no scores; anomaly_score_<machine>_section_00_test.csv is needed, or "
            "a table with the header file,score."
        )
    whole = pd.concat(found, ignore_index=True)
    for row in whole[whole.duplicated(["system", "machine", "name"])].itertuples():
        raise AsdError(f"{row.system}: {row.name} of {row.machine} is listed more than once.")
    for (system, own), scored in whole.groupby(["system", "machine"])["name"]:
        clips = {f"{clip}.wav" for machine, clip in known if machine == own}
        if lost := sorted(clips - set(scored)):
            what = f"has no score of {own}/{lost[0]}, which the ground truth has"
            raise AsdError(f"{system}: {what} ({plural(len(lost), 'clip')} missing).")
    return _one_section(whole, folder)


def in_common(whole: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Keep the machines that all systems have, and say which are left out.

    Parameters
    ----------
    whole : columns system and :data:`COLUMNS`.

    Raises
    ------
    AsdError
        If no machine is in all systems, or if two systems have other clips of a machine.
    """
    has = pd.crosstab([whole["machine"], whole["name"]], whole["system"]).astype(bool)
    of = has.groupby(level="machine").any()
    if not (common := of.all(axis=1)).any():
        each = "; ".join(f"{system}: {', '.join(of.index[own])}" for system, own in of.items())
        raise AsdError(f"There is no machine that all systems have ({each}).")
    shared = whole[whole["machine"].isin(of.index[common])]
    clips = has.loc[of.index[common]]
    if len(lacking := clips[~clips.all(axis=1)]):
        clip, first = "/".join(lacking.index[0]), lacking.iloc[0]
        raise AsdError(
            f"{first.idxmin()}: has no score of {clip}, which {first.idxmax()} has; a comparison "
            f"needs the same clips ({plural(len(lacking), 'clip')} missing)."
        )
    alone = of[~common]
    left_out = [
        f"{system}: {', '.join(alone.index[own])} left out; not all systems have it."
        for system, own in alone.items()
        if own.any()
    ]
    return shared, left_out


def compare(whole: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Official values of every system, with intervals over clips, and its difference to one.

    Parameters
    ----------
    whole : of the same clips, see :func:`in_common`.
    reference : the system that the others are compared with.

    Returns
    -------
    DataFrame indexed by system, the highest Omega first: auc_source, auc_target and pauc (means
    over machines), omega with the 95 % interval low to high; the difference of Omega to the
    reference with its interval, change_low to change_high, both paired over resampled clips, and
    the verdict. NaN where the labels do not allow a value, and for the reference itself.
    """
    table = whole.rename(columns={"system": "front_end"})
    results = Results(table.assign(scorer=FUSED, seed=0, split="test"))
    found = results.per_seed.set_index(["front_end", "scorer"])[[*PARTS, "omega"]]
    paired = results.paired((key, (reference, FUSED)) for key in found.index)
    found[["low", "high"]] = results.intervals(found.index)
    found[["change", "change_low", "change_high"]] = paired[["mean", "low", "high"]].to_numpy()
    found["verdict"] = paired["verdict"].to_numpy()
    found = found.droplevel("scorer").rename_axis("system")
    return found.sort_values("omega", ascending=False, kind="stable")


def lines_to_print(theirs: pd.DataFrame, ours: pd.DataFrame | None = None) -> list[str]:
    """Compare the systems of a study, if there is one, with those that others left, in words.

    Parameters
    ----------
    theirs, ours : columns system and :data:`COLUMNS`. Of two systems of one name, theirs counts.
    """
    if ours is not None:
        theirs = pd.concat([ours[~ours["system"].isin(theirs["system"])], theirs])
    whole, left_out = in_common(theirs)
    reference = whole["system"].iloc[0]
    table = compare(whole, reference).to_string(float_format="{:.4f}".format, na_rep="-")
    return [table, f"change and verdict: in place of {reference}.", *left_out]


def _place(path: Path, folder: Path) -> str:
    """A folder or file below another one, in words; the folder's own name where they are one."""
    return folder.absolute().name if path == folder else path.relative_to(folder).as_posix()


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """The lines of a CSV file that are not empty, with their numbers."""
    lines = cells_of(read_bytes(path, _MOST_BYTES), path)
    stripped = ([cell.strip() for cell in cells] for cells in lines)
    return [(number, cells) for number, cells in enumerate(stripped, start=1) if any(cells)]


def _clip(name: str) -> str:
    """Name under which a clip is looked up: of any folder, with its ending or without."""
    return composed(re.sub(r".*[/\\]|(?i:\.wav)$", "", name))


def _one_section(table: pd.DataFrame, where: Path) -> pd.DataFrame:
    """Refuse scores of several sections of a machine, whose scales differ."""
    keys = [column for column in ("system", "machine") if column in table]
    sections = table["name"].str.extract(_SECTION, expand=False)
    for key, own in sections.groupby([table[column] for column in keys]):
        if len(found := sorted(own.dropna().unique())) > 1:
            raise AsdError(
                f"{where}: {' '.join(map(str, key))}: clips of the sections {', '.join(found)}; a "
                "section is a machine of its own, give each a name or a folder of its own."
            )
    return table


def _labelled(
    path: Path,
    lines: Iterable[tuple[int, list[str]]],
    machine: str = "",
    known: Mapping[tuple[str, str], Mapping[str, str]] = MappingProxyType({}),
) -> pd.DataFrame:
    """Scores of one file, with what is known of its clips or what their names tell."""
    rows = []
    for number, cells in lines:
        where = f"{path}, line {number}"
        if len(cells) != 2:
            raise AsdError(f"{where}: {','.join(cells)!r}; a file and a value are needed.")
        *folders, name = composed(cells[0]).replace("\\", "/").split("/")
        folders = [folder for folder in folders if folder not in ("train", "test")]
        own = machine or (folders[-1] if folders else path.stem)
        kind = known.get((own, _clip(name))) or _kind(name)
        if lacking := [part for part in _KINDS if part not in kind]:
            raise AsdError(
                f"{where}: nothing tells the {lacking[-1]} of {cells[0]!r}; it is not named "
                "section_00_{source|target}_test_{normal|anomaly}_0000_<attributes>.wav, and "
                f"{'the ground truth lacks it' if known else 'no ground truth was given'}: asd "
                "compare --truth takes the folder above ground_truth_data and ground_truth_domain."
            )
        try:
            score = float(cells[1].replace(",", "."))
        except ValueError:
            raise AsdError(f"{where}: {cells[1]!r} is not a number.") from None
        rows.append({"machine": own, **kind, "name": f"{_clip(name)}.wav", "score": score})
    table = pd.DataFrame(rows, columns=COLUMNS)
    for name in table["name"][table.duplicated(["machine", "name"])]:
        raise AsdError(f"{path}: {name} is listed more than once.")
    try:
        metrics.validate(table)
    except AsdError as error:
        raise AsdError(f"{path}: {error}") from None
    return table


def _truth(folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    """Domain and label of every clip, by machine and name, as far as the files tell."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for path in _tables(folder, "the ground truth"):
        if (match := _TRUTH.fullmatch(path.name)) is None:
            continue
        part = "domain" if "domain" in path.relative_to(folder).as_posix() else "label"
        for number, (name, *values) in _lines(path):
            told = _kind(value := ",".join(values))
            if value in ("0", "1"):
                told = {part: _KINDS[part][int(value)]}
            if not told:
                raise AsdError(
                    f"{path}, line {number}: {value!r}; 0, 1 or the clip's official name is needed."
                )
            found.setdefault((match[1], _clip(name)), {}).update(told)
    if not found:
        raise AsdError(
            f"{folder}: holds no ground truth; ground_truth_<machine>_section_00_test.csv is "
            "needed."
        )
    return found


def _kind(name: str) -> dict[str, str]:
    """Domain and label that the name of a clip tells; nothing where it is no official one."""
    return dict(zip(_KINDS, metrics.kind_of(name) or (), strict=False))


def _tables(folder: Path, what: str) -> list[Path]:
    """The CSV files below a folder."""
    if not folder.is_dir():
        raise AsdError(f"{folder}: no such folder; give that of {what}.")
    return below(folder, endings=(".csv",))
