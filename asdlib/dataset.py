"""A folder in the DCASE 2026 layout: one row per clip, reading, and checks before any work.

The layout is ``<machine>/{train,test}/*.wav``. Names of DCASE give section, domain and label, see
:func:`scan`; the table ``attributes_00.csv`` of a machine gives attributes where names do not.
A clip has two channels, near and far, and full scale is 1. Notebook: 01_far_microphone.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PureWindowsPath

import numpy as np
import pandas as pd
from jaxtyping import Float

from asdlib.io import folders, store, wav
from asdlib.io.files import cells_of, content_digest, named, read_bytes
from asdlib.params import AsdError, Spectra
from asdlib.runtime.errors import gathered
from asdlib.runtime.process import bar as progressing
from asdlib.spectra import format_problem, problem_of, resampled

COLUMNS = [
    *("machine", "section", "split", "domain", "label", "name"),
    *("path", "seconds", "sample_rate", "channels", "attributes"),
]
ATTRIBUTES = "attributes_00.csv"
"""Table of a machine: a row per clip, and columns d1p, d1v, d2p, ...: a parameter and its value."""

NAME = re.compile(
    r"section_(?P<section>\d{2})_(?P<domain>source|target)_(?P<split>train|test)_"
    r"(?P<label>normal|anomaly)_\d{4,}(?:_(?P<attributes>.*?))?(?i:\.wav)?"
)
"""Of an official clip, with its ending or without."""

_EXPECTED = (
    "section_00_{source|target}_{train|test}_{normal|anomaly}_0000_<attributes>.wav or "
    "section_00_0000.wav."
)
_CONCEALED = re.compile(r"section_(?P<section>\d{2})_\d{4,}(?i:\.wav)")
_SETTLED = 2 * 10**9  # ns: a younger file may change again within one tick of the clock


class Problems(AsdError):
    """What is wrong with a folder of recordings: a sentence per file, and one for many alike."""

    def __init__(self, sentences: list[str]):
        self.sentences = sentences
        super().__init__("\n".join(gathered(sentences)))


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
    if wrong := folders.not_text(root):
        raise AsdError(wrong)
    inside = [root] if folders.is_machine(root) else sorted(root.iterdir())
    held = {place: _name(place) for place in inside if folders.is_machine(place)}
    names = set(held.values())
    wanted = {folders.composed(name) for name in machines} or names
    if names and (missing := ", ".join(sorted(wanted - names))):
        raise AsdError(f"{root}: no machine {missing}; it holds {', '.join(sorted(names))}.")
    unread = [] if machines else folders.misplaced(root, names)
    if not held:
        found = f"{root}: found no machine folder, <machine>/train/*.wav."
        raise Problems([f"{found} Recordings without these folders are for asd fit.", *unread])
    chosen = [place for place, name in held.items() if name in wanted]
    rows: list[dict] = []
    problems = folders.twins(chosen) + unread
    for place in chosen:
        own: list[dict] = []
        for split in folders.SPLITS:
            paths = folders.wavs(place / split)
            problems += folders.twins(paths)
            if len(folders.below(place / split)) > len(paths):
                problems.append(f"{place}: wav in folders below {split}/; clips lie in it itself.")
            if split == "train" and not paths:
                problems.append(f"{place}: no wav in train/; training needs normal clips there.")
            for path in paths:
                try:
                    own.append({"machine": held[place], **_row(path, split)})
                except AsdError as error:
                    problems.append(str(error))
        try:
            attributes = read_attributes(place, [row["name"] for row in own])
        except AsdError as error:
            problems.append(str(error))
            attributes = {}
        if len(sections := sorted({row["section"] for row in own})) > 1:
            what = "a section is a machine of its own, give each a folder"
            problems.append(f"{place}: clips of the sections {', '.join(sections)}; {what}.")
        rows += [r | {"attributes": r["attributes"] or attributes.get(r["name"], "")} for r in own]
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
        raise AsdError(f"{path}: the file has changed since it was checked; run the command again.")
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

    known: dict[str, list[str]] = (None if cache is None else store.load(cache)) or {}
    shortest = (spectra.stack - 1) * spectra.hop_length
    settings = [spectra.model_dump_json(), shortest, store.code("dataset")]

    def one(path: str) -> tuple[str, list[str]]:
        """How the cache names the file, empty where it may still change, and what it holds."""
        try:
            with named(Path(path)):
                status = os.stat(path)
            # the time of change (ctime) cannot be set back, unlike that of modification
            names = ("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
            file = [os.path.abspath(path), *(getattr(status, name) for name in names)]
            key = json.dumps(file + settings)
            settled = time.time_ns() - status.st_ctime_ns > _SETTLED
            return key if settled else "", known.get(key) or _examine(path, spectra, shortest)
        except AsdError as error:
            return "", ["", str(error)]

    found = []
    with progressing("checking clips", len(manifest), "clip", progress=progress) as bar:
        for key, examined in clip_by_clip(one, manifest["path"]):
            found.append(examined)
            if key:
                known[key] = examined
            bar.update()
    if cache is not None:
        store.keep(known, cache)
    hashes = pd.Series([content for content, _ in found], index=manifest.index, name="hash")
    problems = [problem for _, problem in found if problem]
    for machine, clips in manifest.groupby("machine"):
        train, test = (clips.loc[clips["split"] == split, "name"] for split in folders.SPLITS)
        for name in sorted({*train} & {*test}):
            problems.append(f"{machine}: {name} lies in train/ and test/; names must differ.")
        if len(train) == 1:
            problems.append(f"{machine}: 1 training clip; at least 2 are needed.")
    return hashes, problems


def _name(folder: Path) -> str:
    """Name a machine by its folder as given, not by what a link leads to."""
    return folders.composed(os.path.basename(os.path.abspath(folder)))


def _row(path: Path, split: str) -> dict:
    """The row of a file; an error says what is wrong with its kind or its name."""
    if wrong := folders.not_text(path):
        raise AsdError(wrong)
    name = folders.composed(path.name)
    match = NAME.fullmatch(name) or _CONCEALED.fullmatch(name)
    said = match.groupdict() if match else {}
    train, named_as, label = split == "train", said.get("split", split), said.get("label")
    for is_wrong, told in (
        (not path.is_file(), "not a file (a folder, a pipe or a broken link)."),
        (name.startswith("section_") and not match, f"not a DCASE 2026 name; expected {_EXPECTED}"),
        (train and match and not label, "a concealed test name (section_NN_NNNN.wav) in train/."),
        (named_as != split, f"named as a {named_as} clip, but lies in {split}/."),
        (
            train and label != "normal" and folders.says_faulty(name),
            "named as an anomaly, in train/; training clips must be normal.",
        ),
    ):
        if is_wrong:
            raise AsdError(f"{path}: {told}")
    domain, label = ("source", "normal") if train else ("unknown", "unknown")
    attributes = said.pop("attributes", None) or "noAttribute"
    own = {"attributes": "" if attributes == "noAttribute" else attributes}
    row = {"section": "00", "domain": domain, "label": label, "split": split, **said, **own}
    return {**row, "name": name, "path": str(path), **wav.header(path)}


def read_attributes(folder: Path, clips: Collection[str]) -> dict[str, str]:
    r"""Read the attribute table of a machine, also as other programs have saved it again.

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
    >>> _ = (folder / ATTRIBUTES).write_text("file_name,d1p,d1v\nfan/train/a.wav,spd,1\n")
    >>> read_attributes(folder, ["a.wav", "b.wav"])
    {'a.wav': 'spd_1'}
    """
    path = folder / ATTRIBUTES
    if not path.exists():
        return {}
    found: dict[str, str] = {}
    lines = [own for own in enumerate(cells_of(read_bytes(path, 2**26), path), 1) if own[1]]
    (_, first), *lines = lines or [(1, [])]
    header = [cell.strip() for cell in first]
    if "file_name" not in header:
        raise AsdError(f"{path}: not an attribute table with a file_name column.")
    for number, cells in lines:
        where = f"{path}, line {number}"
        if any(cells[len(header) :]):
            raise AsdError(f"{where}: more cells than in the first line.")
        own = {column: cell.strip() for column, cell in zip(header, cells, strict=False)}
        clip = folders.composed(PureWindowsPath(own.pop("file_name", "")).name)  # or of Unix
        attributes = "_".join(filter(None, own.values()))
        if attributes and not clip:
            raise AsdError(f"{where}: names no file.")
        if found.setdefault(clip, attributes) != attributes:
            raise AsdError(f"{where}: {clip} has other attributes above; keep one line.")
    if found and clips and not found.keys() & set(clips):
        raise AsdError(f"{path}: names {next(iter(found))!r} and no clip of this machine.")
    return found


def _examine(path: str, spectra: Spectra, shortest: int) -> list[str]:
    """Content hash of a file and what is wrong with it, or an empty sentence."""
    content = wav.content_of(path)
    try:
        wrong = problem_of(*wav.decode(content), spectra, shortest)
    except AsdError as error:
        wrong = str(error)
    return [content_digest(content), f"{path}: {wrong}" if wrong else ""]
