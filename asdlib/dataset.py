"""A folder in the DCASE 2026 layout: one row per clip, reading, and checks before any work.

The layout is ``<machine>/{train,test}/*.wav``; see :func:`scan`. Notebook: 01_noise_floor.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from asdlib.io import kept, wav
from asdlib.io.files import content_digest
from asdlib.io.folders import (
    below,
    composed,
    is_machine,
    is_one_machines,
    misplaced,
    not_text,
    twins,
    wavs,
)
from asdlib.io.keys import code_digest
from asdlib.params import AsdError, Spectra
from asdlib.runtime.errors import plural
from asdlib.runtime.process import bar as progressing

COLUMNS = [
    "machine",
    "section",
    "split",
    "domain",
    "label",
    "name",
    "path",
    "seconds",
    "sample_rate",
    "channels",
    "attributes",
]

ATTRIBUTES = "attributes_00.csv"
"""Table of a machine: a row per clip, and columns d1p, d1v, d2p, ...: a parameter and its value."""

_NAME = re.compile(
    r"section_(?P<section>\d{2})_(?P<domain>source|target)_(?P<split>train|test)_"
    r"(?P<label>normal|anomaly)_(?P<index>\d{4,})(?:_(?P<attributes>.+))?\.wav"
)
_CONCEALED = re.compile(r"section_(?P<section>\d{2})_(?P<index>\d{4,})\.wav")
_SILENCE = 1e-6  # peak of full scale; one step of PCM 16 is 3e-5
_LOUDEST = 1e15  # of full scale; the square of a spectrum still is a float32
_RATES = 1000, 1_000_000  # Hz; what is outside is no recorder's
_MOST_TABLE = 2**26  # bytes
_COLUMN = "file_name"
_SETTLED = 2 * 10**9  # ns: a younger file may change again within one tick of the clock


class Problems(AsdError):
    """What is wrong with a folder of recordings, one sentence per file."""

    def __init__(self, sentences: list[str]):
        self.sentences = sentences
        super().__init__("\n".join(sentences))


def scan(root: str | Path) -> pd.DataFrame:
    """List the clips of a data set, one row each, from file names and headers.

    ``root`` holds machine folders, or is one machine folder itself: a folder with ``train/`` and
    ``test/``. DCASE names give section, domain and label; any other name counts as a recording
    of one's own: source-domain normal in ``train/``, unknown in ``test/``.

    Returns
    -------
    DataFrame with the columns of ``COLUMNS``, sorted by machine, split and name. ``domain`` and
    ``label`` are "unknown" for concealed test clips; ``attributes`` is the text of the file name
    ("spd_1", empty for noAttribute), or of ``attributes_00.csv`` where the name has none.
    A file whose header cannot be read has 0 seconds, sample rate and channels;
    :func:`check` says why.

    Raises
    ------
    AsdError
        If there is nothing to read.
    Problems
        If names or folders are not as DCASE 2026 has them; all of them at once.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import soundfile
    >>> name = "section_00_source_train_normal_0000_spd_1.wav"
    >>> noise = np.random.default_rng(0).uniform(-0.1, 0.1, (16000, 2))
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "fan" / "train" / name
    ...     path.parent.mkdir(parents=True)
    ...     soundfile.write(path, noise, 16000)
    ...     row = scan(folder).loc[0]
    >>> row["machine"], row["domain"], row["label"], row["attributes"], float(row["seconds"])
    ('fan', 'source', 'normal', 'spd_1', 1.0)
    """
    table, problems = survey(root)
    if problems:
        raise Problems(problems)
    return table


def survey(root: str | Path, machines: Sequence[str] = ()) -> tuple[pd.DataFrame, list[str]]:
    """As :func:`scan`, with the sentences about names beside the rows that could be made.

    Parameters
    ----------
    machines : the only ones to look at; none: all.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     (Path(folder) / "fan" / "train").mkdir(parents=True)
    ...     table, problems = survey(folder)
    >>> len(table), problems[0].split(": ")[1]
    (0, 'no wav in train/; training needs normal clips there.')
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise AsdError(f"{root}: no such folder; give a folder with <machine>/train/*.wav.")
    if wrong := not_text(root):
        raise AsdError(wrong)
    inside = [root] if is_machine(root) else sorted(p for p in root.iterdir() if is_machine(p))
    wanted = {composed(name) for name in machines}
    folders = [p for p in inside if not wanted or _name(p) in wanted]
    if inside and (missing := wanted - {_name(p) for p in folders}):
        raise AsdError(
            f"{root}: no machine {', '.join(sorted(missing))}; "
            f"it holds {', '.join(_name(p) for p in inside)}."
        )
    unread = [] if wanted else misplaced(root, [_name(p) for p in inside])
    if not folders:
        nothing = [
            f"{root}: found no machine folder; expected <machine>/train/*.wav and "
            "<machine>/test/*.wav, or train/ and test/ of one machine."
        ]
        if is_one_machines(root):
            nothing = [f"{nothing[0]} Recordings without these folders are for asd fit."]
        raise Problems(nothing + unread)
    rows: list[dict] = []
    problems = twins(folders) + unread
    for folder in folders:
        found, told = _clips(folder)
        rows += found
        problems += told
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.sort_values(["machine", "split", "name"], ignore_index=True), problems


def read(
    path: str | Path, spectra: Spectra = Spectra(), *, content: str | None = None
) -> Float[np.ndarray, "channel=2 sample"]:
    """Read a two-channel clip as float32, channel 0 near, channel 1 far.

    Parameters
    ----------
    content : content hash that :func:`check` found. The file is read once, so what is decoded is
        what has this hash.

    Raises
    ------
    AsdError
        If it is no file, is cut short, cannot be decoded, is not two-channel, has another sample
        rate and ``spectra.resample`` is off, or has changed since it was checked.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import soundfile
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "clip.wav"
    ...     soundfile.write(path, np.zeros((16000, 2)), 16000)
    ...     signal = read(path)
    >>> signal.shape, signal.dtype.name
    ((2, 16000), 'float32')
    """
    found = wav.content_of(path)
    if content is not None and content_digest(found) != content:
        raise AsdError(
            f"{path}: the file has changed since it was checked; nothing was kept of it. "
            "Run the same command again."
        )
    try:
        signal, rate = wav.decode(found)
    except AsdError as error:
        raise AsdError(f"{path}: {error}") from None
    if wrong := format_problem(rate, len(signal), spectra):
        raise AsdError(f"{path}: {wrong}")
    return resampled(signal, rate, spectra)


def read_all(
    manifest: pd.DataFrame, spectra: Spectra = Spectra()
) -> Iterator[Float[np.ndarray, "channel=2 sample"]]:
    """Read the clips of a manifest one after the other.

    >>> list(read_all(pd.DataFrame({"path": []})))
    []
    """
    contents = manifest["hash"] if "hash" in manifest else [None] * len(manifest)
    for path, content in zip(manifest["path"], contents, strict=True):
        yield read(path, spectra, content=content)


def check(
    manifest: pd.DataFrame,
    spectra: Spectra = Spectra(),
    *,
    cache: Path | None = None,
    progress: bool = False,
) -> tuple[pd.Series, list[str]]:
    """Read every clip once: content hashes, and one sentence for each that cannot be used.

    Parameters
    ----------
    manifest : from :func:`scan`.
    cache : JSON file that remembers files by path, size and time of change, so that a second
        run reads only what is new.

    Returns
    -------
    hashes : content hash per row of the manifest.
    problems : one sentence per unusable file: empty, truncated, mono, wrong sample rate, NaN,
        silent, too short; and per machine or pair of files that cannot work.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import soundfile
    >>> name = "section_00_source_train_normal_0000_spd_1.wav"
    >>> noise = np.random.default_rng(0).uniform(-0.1, 0.1, (16000, 2))
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "fan" / "train" / name
    ...     path.parent.mkdir(parents=True)
    ...     soundfile.write(path, noise, 16000)
    ...     hashes, problems = check(scan(folder))
    >>> len(hashes[0]), problems[0].split(": ")[1]
    (16, '1 training clip; at least 2 are needed.')
    """
    from asdlib.runtime.parallel import clip_by_clip  # a second to import

    known: dict[str, list[str]] = (None if cache is None else kept.json_value(cache)) or {}
    shortest = (spectra.stack - 1) * spectra.hop_length
    settings = [spectra.sample_rate, spectra.resample, shortest, code_digest("dataset.check")]

    def one(path: str) -> tuple[str, list[str]]:
        """How the cache names the file, empty where it may still change, and what it holds."""
        try:
            status = Path(path).stat()
            # the time of change cannot be set back, unlike that of modification
            times = [status.st_mtime_ns, status.st_ctime_ns]
            file = [str(Path(path).absolute()), status.st_dev, status.st_ino, status.st_size]
            key = json.dumps(file + times + settings)
            examined = known.get(key) or _examine(Path(path), spectra, shortest)
        except OSError as error:
            return "", ["", f"{path}: cannot be read ({error.strerror})."]
        except AsdError as error:
            return "", ["", str(error)]
        return key if time.time_ns() - status.st_ctime_ns > _SETTLED else "", examined

    found = []
    with progressing("checking clips", len(manifest), "clip", progress=progress) as bar:
        for key, examined in clip_by_clip(one, manifest["path"]):
            found.append(examined)
            if key:
                known[key] = examined
            bar.update()
    if cache is not None:
        kept.write_json(known, cache)
    hashes = pd.Series([content for content, _ in found], index=manifest.index, name="hash")
    problems = [problem for _, problem in found if problem]
    return hashes, problems + _machine_problems(manifest)


def overview(manifest: pd.DataFrame) -> pd.DataFrame:
    """Clips, seconds, sample rates and channels per machine, split, domain and label.

    Parameters
    ----------
    manifest : from :func:`scan`.

    Returns
    -------
    DataFrame indexed by machine, split, domain and label; up to four different lengths and rates.

    Examples
    --------
    >>> clip = {"machine": "fan", "split": "train", "domain": "source", "label": "normal"}
    >>> one = clip | {"name": "0.wav", "seconds": 10.0, "sample_rate": 16000, "channels": 2}
    >>> table = overview(pd.DataFrame([one, one | {"name": "1.wav", "seconds": 12.0}]))
    >>> table[["clips", "seconds"]].to_numpy().tolist()
    [[2, '10, 12']]
    """
    groups = manifest.groupby(["machine", "split", "domain", "label"])

    def distinct(values: pd.Series) -> str:
        return ", ".join(f"{value:g}" for value in sorted(values.unique())[:4])

    return groups.agg(
        clips=("name", "size"),
        seconds=("seconds", distinct),
        sample_rate=("sample_rate", distinct),
        channels=("channels", distinct),
    )


def manifest_hash(manifest: pd.DataFrame, hashes: pd.Series) -> str:
    """Sixteen hexadecimal digits that name a data set by its machines, names and contents.

    >>> manifest = pd.DataFrame({"machine": ["fan"], "split": ["train"], "name": ["0.wav"]})
    >>> manifest_hash(manifest, pd.Series(["0123"]))
    '00687eb604349a9f'
    """
    lines = (manifest["machine"] + "/" + manifest["split"] + "/" + manifest["name"]) + " " + hashes
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


def resampled(
    signal: Float[np.ndarray, "channel sample"], rate: int, spectra: Spectra = Spectra()
) -> Float[np.ndarray, "channel _"]:
    """Return a signal at the sample rate of the spectra, in an order that is fast to read.

    >>> resampled(np.zeros((2, 48000), np.float32), 48000).shape
    (2, 16000)
    """
    if rate != spectra.sample_rate:
        import soxr

        signal = soxr.resample(signal.T, rate, spectra.sample_rate).T
    return np.ascontiguousarray(signal)


def problem_of(
    signal: Float[np.ndarray, "channel sample"],
    rate: int,
    spectra: Spectra = Spectra(),
    shortest: int = 1,
) -> str:
    """Say what keeps a decoded recording from being used; empty where nothing does.

    Parameters
    ----------
    rate : sample rate in Hz.
    shortest : samples that are needed, at the sample rate of the spectra.

    Examples
    --------
    >>> problem_of(np.ones((1, 16000)), 16000)
    '1 channel; near and far (2 channels) are needed.'
    """
    if signal.shape[1] == 0:
        return "holds no samples."
    wrong = format_problem(rate, len(signal), spectra)
    if wrong:
        return wrong
    if not np.isfinite(signal).all():
        return f"{np.count_nonzero(~np.isfinite(signal))} samples are NaN or infinite."
    if (peak := float(np.abs(signal).max())) > _LOUDEST:
        return f"samples of up to {peak:.0e}; full scale is 1, at most {_LOUDEST:.0e} is allowed."
    silent = [name for name, x in zip(("near", "far"), signal, strict=True) if _silent(x)]
    if silent:
        return f"the {' and '.join(silent)} channel is silent."
    samples = signal.shape[1] * spectra.sample_rate // rate
    if samples < shortest:
        return f"{samples} samples long; at least {shortest} are needed for one vector."
    return ""


def format_problem(rate: int, channels: int, spectra: Spectra) -> str:
    """Say which number of channels or sample rate is wrong; empty where both are right.

    >>> format_problem(8000, 2, Spectra()).partition(" (")[0]
    'sample rate 8000 Hz; 16000 Hz is needed'
    """
    if channels != 2:
        return f"{plural(channels, 'channel')}; near and far (2 channels) are needed."
    if rate != spectra.sample_rate and not spectra.resample:
        return (
            f"sample rate {rate} Hz; {spectra.sample_rate} Hz is needed "
            "(asd fit --resample or spectra.resample: true converts)."
        )
    if not _RATES[0] <= rate <= _RATES[1]:
        return f"sample rate {rate} Hz; {_RATES[0]} to {_RATES[1]} Hz can be converted."
    return ""


def _silent(channel: Float[np.ndarray, " sample"]) -> bool:
    return bool(np.ptp(channel) < _SILENCE)  # a constant offset is silence too


def _name(folder: Path) -> str:
    """Name a machine by its folder as given, not by what a link leads to."""
    return composed(os.path.basename(os.path.abspath(folder)))


def _clips(folder: Path) -> tuple[list[dict], list[str]]:
    """Rows of a machine's clips, and what is wrong with its files."""
    rows: list[dict] = []
    problems: list[str] = []
    for split in ("train", "test"):
        paths = wavs(folder / split)
        problems += twins(paths) + below(folder / split)
        if split == "train" and not paths:
            problems.append(f"{folder}: no wav in train/; training needs normal clips there.")
        for path in paths:
            row = _row(path, split)
            if isinstance(row, str):
                problems.append(row)
            else:
                rows.append({"machine": _name(folder), **row})
    try:
        attributes = read_attributes(folder, [row["name"] for row in rows])
    except AsdError as error:
        return rows, [*problems, str(error)]
    for row in rows:
        row["attributes"] = row["attributes"] or attributes.get(row["name"], "")
    return rows, problems


def _row(path: Path, split: str) -> dict | str:
    """The row of a file, or the sentence about what is wrong with its kind or its name."""
    if not path.is_file():
        return f"{path}: not a file (a folder, a pipe or a broken link)."
    if wrong := not_text(path):
        return wrong
    row = _parse(path, composed(path.name), split)
    return row if isinstance(row, str) else {**row, **wav.header(path)}


def _parse(path: Path, name: str, split: str) -> dict | str:
    """What a name stands for, or the sentence about what is wrong with it."""
    row = {"name": name, "path": str(path), "split": split, "attributes": ""}
    if match := _NAME.fullmatch(name):
        found = match.groupdict()
        if found["split"] != split:
            return f"{path}: named as a {found['split']} clip, but lies in {split}/."
        if split == "train" and found["label"] != "normal":
            return f"{path}: an anomaly in train/; training clips must be normal."
        attributes = found["attributes"] or ""
        row["attributes"] = "" if attributes == "noAttribute" else attributes
        return row | {k: found[k] for k in ("section", "domain", "label")}
    if match := _CONCEALED.fullmatch(name):
        if split == "train":
            return f"{path}: a concealed test name (section_NN_NNNN.wav), but lies in train/."
        return row | {"section": match["section"], "domain": "unknown", "label": "unknown"}
    if name.startswith("section_"):
        return (
            f"{path}: not a DCASE 2026 name; expected section_00_{{source|target}}_"
            f"{{train|test}}_{{normal|anomaly}}_0000_<attributes>.wav or section_00_0000.wav."
        )
    known = {"domain": "source", "label": "normal"}
    unknown = {"domain": "unknown", "label": "unknown"}
    return row | {"section": "00"} | (known if split == "train" else unknown)


def read_attributes(folder: Path, clips: Collection[str]) -> dict[str, str]:
    r"""Read the attributes of a machine's clips.

    Parameters
    ----------
    folder : of the machine.
    clips : names of its files, as :func:`asdlib.io.folders.composed` gives them.

    Returns
    -------
    Attributes by the name of a clip, such as ``spd_1``; nothing where there is no table.

    Raises
    ------
    AsdError
        For a table that cannot be understood, with the line; and where it names none of the clips.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / ATTRIBUTES).write_table_text("file_name,d1p,d1v\nfan/train/a.wav,spd,1\n")
    >>> read_attributes(folder, ["a.wav", "b.wav"])
    {'a.wav': 'spd_1'}
    """
    path = folder / ATTRIBUTES
    if not path.exists():
        return {}
    try:
        rows = _attribute_rows(path)
    except AsdError as error:
        raise AsdError(f"{path}{error}") from None
    named = {clip: attributes for clip, (attributes, _) in rows.items()}
    if rows and clips and not named.keys() & set(clips):
        clip, (_, line) = next(iter(rows.items()))
        raise AsdError(
            f"{path}, line {line}: names {clip!r}; neither this nor any other of its "
            f"{len(rows)} rows is a clip of this machine."
        )
    return named


def _attribute_rows(path: Path) -> dict[str, tuple[str, int]]:
    """Attributes and line of every clip in a table; errors begin with what follows its path."""
    lines = _table_lines(_table_text(path))
    _, header = next(lines, (0, [""]))
    if header.count(_COLUMN) != 1:
        raise AsdError(
            f": not an attribute table with a {_COLUMN} column (it begins with {header[0][:80]!r})."
        )
    found: dict[str, tuple[str, int]] = {}
    for number, cells in lines:
        if len(cells) > len(header):
            raise AsdError(
                f", line {number}: {len(cells)} cells, where the first line has {len(header)}."
            )
        own = dict(zip(header, cells, strict=False))
        clip = _clip_of(own.pop(_COLUMN, ""))
        if not clip:
            raise AsdError(f", line {number}: names no file.")
        attributes = "_".join(value for value in own.values() if value)
        known, line = found.setdefault(clip, (attributes, number))
        if known != attributes:
            raise AsdError(
                f", line {number}: gives {clip} the attributes {attributes!r}, and line {line} "
                f"{known!r}; keep one of them."
            )
    return found


def _table_lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of every line that is not blank; empty cells at its end do not count."""
    first = text.lstrip().splitlines()[:1]
    mark = next((mark for mark in (",", ";", "\t") if mark in "".join(first)), ",")
    table = csv.reader(io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True)
    try:
        for row in table:
            cells = [cell.strip() for cell in row]
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                yield table.line_num, cells
    except csv.Error as error:
        raise AsdError(f", line {table.line_num}: not a table ({error}).") from None


def _table_text(path: Path) -> str:
    try:
        if not path.is_file():
            raise AsdError(": not a file (a folder, a pipe or a device).")
        if path.stat().st_size > _MOST_TABLE:
            raise AsdError(f": over {_MOST_TABLE:,} bytes; no attribute table is so long.")
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise AsdError(
            f", line {line}: not UTF-8 text (byte {content[error.start]:#04x}); save it as UTF-8."
        ) from None
    except OSError as error:
        raise AsdError(f": cannot be read ({error.strerror or error}).") from None


def _clip_of(path: str) -> str:
    """Name of a clip without its folders, which Windows parts otherwise."""
    return composed(path.replace("\\", "/").rpartition("/")[2])


def _examine(path: Path, spectra: Spectra, shortest: int) -> list[str]:
    """Content hash of a file and what is wrong with it, or an empty sentence."""
    content = wav.content_of(path)
    try:
        wrong = problem_of(*wav.decode(content), spectra, shortest)
    except AsdError as error:
        wrong = str(error)
    return [content_digest(content), f"{path}: {wrong}" if wrong else ""]


def _machine_problems(manifest: pd.DataFrame) -> list[str]:
    problems = []
    for machine, clips in manifest.groupby("machine"):
        for name, same in clips.groupby("name"):
            if same["split"].nunique() > 1:
                problems.append(f"{machine}: {name} lies in train/ and test/; names must differ.")
        train = clips[clips["split"] == "train"]
        if 0 < len(train) < 2:
            problems.append(f"{machine}: 1 training clip; at least 2 are needed.")
    return problems
