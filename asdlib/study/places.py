"""Where the final tables and packages of a study are: a folder that belongs to one data set.

Notebook: 08_submission.
"""

from __future__ import annotations

from pathlib import Path

from asdlib.io import kept
from asdlib.io.files import resolve
from asdlib.params import AsdError, Params
from asdlib.study.recordings import Recordings

NOTE = "data.json"
"""File of the folder that names its data set."""


def place(params: Params, recordings: Recordings) -> Path:
    """Return ``results/<name>``, and keep it for these recordings.

    Recordings are the same if they lie in the same folder, more or fewer than before, or if they
    have the same manifest, wherever they lie.

    Raises
    ------
    AsdError
        If the folder holds the tables of other recordings.
    """
    folder = resolve(params.results) / params.name
    home = "" if recordings.embedded else str(recordings.root.absolute())
    own = {"manifest": recordings.digest, "folder": home, "about": recordings.describe()}
    found = kept.json_value(folder / NOTE)
    if found is not None and not any(found[key] == own[key] for key in ("manifest", "folder")):
        raise AsdError(
            f"{folder}: holds the tables of other recordings ({found['about']}), and these are "
            f"{own['about']}; give these another name (name: in the parameter file, or a copy of "
            "it under another file name), or remove that folder."
        )
    if found != own:
        kept.write_json(own, folder / NOTE)
    return folder
