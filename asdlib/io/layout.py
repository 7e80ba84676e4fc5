"""What a look at a data set's folders and names can tell: machines out of place, odd clips."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from asdlib.io.listing import is_foreign, wavs_below

SPLITS = ("train", "test")


def is_machine(folder: Path) -> bool:
    """Tell whether a folder is that of a machine: one with ``train/`` or ``test/``.

    >>> is_machine(Path("nowhere"))
    False
    """
    return not is_foreign(folder.name) and any((folder / split).is_dir() for split in SPLITS)


def is_one_machines(root: Path) -> bool:
    """Tell whether a folder holds recordings of one machine for ``asd fit``, and no data set.

    The recordings lie in it or in subfolders, which are sessions and have other names than
    ``train`` and ``test``.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "monday").mkdir()
    >>> (root / "monday" / "a.wav").touch()
    >>> is_one_machines(root)
    True
    """
    parts = [path.relative_to(root).parts[:-1] for path in wavs_below(root)]
    return bool(parts) and not any(part.lower() in SPLITS for own in parts for part in own)


def misplaced(root: Path, machines: Collection[str]) -> list[str]:
    """Return a sentence for everything in a data set's folder that seems to be a machine unread.

    Parameters
    ----------
    machines : names of the folders that are read.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "dev_fan.zip").touch()
    >>> misplaced(root, ["valve"])[0].partition(": ")[2]
    'still packed; unzip it, or move it out of this folder.'
    >>> misplaced(root, ["fan"])
    []
    """
    told = _capitals(root)
    for path in sorted(root.iterdir()):
        if is_foreign(path.name):
            continue
        if path.suffix.lower() == ".zip":
            if not any(name.lower() in path.stem.lower() for name in machines):
                told.append(f"{path}: still packed; unzip it, or move it out of this folder.")
            continue
        told += _capitals(path)
        inside = [] if is_machine(path) else sorted(_folders(path))
        told += [
            f"{path / name}: lies one folder too deep and is not read; move it to {root / name}."
            for name in inside
            if is_machine(path / name)
        ]
    return told


def below(folder: Path) -> list[str]:
    """Return a sentence where recordings lie in folders below ``train/`` or ``test/``, unread.

    >>> below(Path("nowhere"))
    []
    """
    deeper = [path for path in wavs_below(folder) if path.parent != folder]
    if not deeper:
        return []
    return [
        f"{folder}: {len(deeper)} wav in folders below it, such as {deeper[0]}; clips lie in "
        f"{folder.name}/ itself."
    ]


def remarks(manifest: pd.DataFrame) -> list[str]:
    """Return what is worth a look in a data set that can be read, in one sentence each.

    Parameters
    ----------
    manifest : of :func:`asdlib.dataset.scan`, with the ``hash`` of every clip.

    Examples
    --------
    >>> clip = {"machine": "fan", "split": "train", "name": "a.wav", "hash": "0f"}
    >>> for told in remarks(pd.DataFrame([clip, clip | {"name": "b.wav"}])):
    ...     print(told.partition(";")[0])
    fan: no clip in test/
    fan: 2 of 2 clips have no DCASE name, such as a.wav
    fan: 1 clip has the content of another one, such as train/b.wav.
    """
    told = []
    for machine, clips in manifest.groupby("machine"):
        if not (clips["split"] == "test").any():
            told.append(
                f"{machine}: no clip in test/; the machine can be learnt, and nothing is scored."
            )
        if len(own := clips[~clips["name"].str.startswith("section_")]):
            told.append(
                f"{machine}: {len(own)} of {len(clips)} clips have no DCASE name, such as "
                f"{own['name'].iloc[0]}; they are normal in train/, without a label in test/."
            )
        if len(copies := clips[clips.duplicated("hash")]):
            first = copies.iloc[0]
            told.append(
                f"{machine}: {len(copies)} clip{'s have' if len(copies) > 1 else ' has'} the "
                f"content of another one, such as {first['split']}/{first['name']}."
            )
    return told


def _capitals(folder: Path) -> list[str]:
    """A sentence for ``Train`` or ``TEST``, which is another folder than the one that is read."""
    return [
        f"{folder / name}: rename it to {name.lower()}; it is not read so."
        for name in sorted(_folders(folder))
        if name.lower() in SPLITS and name not in SPLITS
    ]


def _folders(folder: Path) -> list[str]:
    """Names of the folders in a folder; none where it may not be read."""
    return next(os.walk(folder), ("", [], []))[1]
