"""The recordings of a study: found or written, every clip checked before any work.

Notebooks: 06_decisions, 99_provenance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from asdlib import dataset, metrics
from asdlib.io import store
from asdlib.io.files import content_digest, digest, resolve, sweep
from asdlib.params import AsdError, Params
from asdlib.runtime import process
from asdlib.runtime.errors import plural
from asdlib.simulate import scenes

_SECONDS = "seconds.json"
NOTE = "data.json"
"""File of the folder that names its data set."""


@dataclass(frozen=True)
class Recordings:
    """The recordings of a study, checked.

    Attributes
    ----------
    root : the data set's folder.
    manifest : as of :func:`asdlib.dataset.scan`, with the content ``hash`` of every clip, and in
        ``identity`` all that the key of a result holds of it.
    digest : manifest hash.
    embedded : whether these are the simulated scenes.
    problems : one sentence per clip that cannot be used; see :func:`open_recordings`.
    """

    root: Path
    manifest: pd.DataFrame
    digest: str
    embedded: bool
    problems: tuple[str, ...] = ()

    @property
    def machines(self) -> list[str]:
        """Machine names, sorted."""
        return sorted(self.manifest["machine"].unique())

    @property
    def development(self) -> list[str]:
        """Machines with labelled test clips."""
        return sorted(metrics.labelled(self.manifest)["machine"].unique())

    @property
    def evaluation(self) -> list[str]:
        """Machines with concealed test clips."""
        concealed = self.manifest.query("split == 'test' and label == 'unknown'")
        return sorted(concealed["machine"].unique())

    def clips(self, machine: str, split: str | None = None) -> pd.DataFrame:
        """Rows of one machine, of one split if asked."""
        rows = self._by_machine.get(machine, self.manifest.iloc[:0])
        return rows if split is None else rows[rows["split"] == split]

    @cached_property
    def _by_machine(self) -> dict[str, pd.DataFrame]:
        """Rows of every machine: one pass, however many there are."""
        return {str(name): rows for name, rows in self.manifest.groupby("machine", sort=False)}

    def describe(self) -> str:
        """Name the data set in plain text."""
        kind = "the embedded simulated scenes" if self.embedded else f"the folder {self.root.name}"
        clips, machines = plural(len(self.manifest), "clip"), plural(len(self.machines), "machine")
        return f"{kind}, {clips} of {machines}, manifest {self.digest}"


def open_recordings(params: Params, *, progress: bool = False, strict: bool = True) -> Recordings:
    """Find or write the recordings, and check every clip before any work.

    Parameters
    ----------
    strict : raise for any clip that cannot be used. Otherwise :attr:`Recordings.problems` holds
        what is wrong, and an error is raised only without any clip or for the embedded scenes.

    Raises
    ------
    asdlib.dataset.Problems
        One sentence per clip that cannot be used.
    """
    results = resolve(params.results)
    sweep(results, depth=4)
    if params.data is None:
        root = results / f"scenes-{scenes.recipe(params.scenes)}"
        scenes.write(root, params.scenes, progress=progress)
    else:
        root = resolve(params.data)
    manifest, problems = dataset.survey(root, params.machines)
    cache = results / f"checked-{digest(str(root.absolute()))}.json"
    hashes, unusable = dataset.check(manifest, params.spectra, cache=cache, progress=progress)
    problems = problems + unusable
    if problems and (strict or params.data is None or manifest.empty):
        raise dataset.Problems(problems)
    lines = (manifest["machine"] + "/" + manifest["split"] + "/" + manifest["name"]) + " " + hashes
    name = content_digest("\n".join(sorted(lines)).encode())
    embedded = params.data is None
    identity = hashes.str.cat(manifest[["split", "domain", "label", "name"]], sep=" ")
    manifest = manifest.assign(hash=hashes, identity=identity)
    return Recordings(root, manifest, name, embedded, tuple(problems))


def stage_seconds(place: Path) -> dict[str, float]:
    """How long each stage took on this machine, when it was last computed.

    Parameters
    ----------
    place : the folder of :func:`place`.
    """
    return dict(store.load(place / _SECONDS) or {})


def remember(place: Path) -> None:
    """Keep how long the stages of this process took, for :func:`stage_seconds`."""
    if process.seconds:
        store.keep(stage_seconds(place) | process.seconds, place / _SECONDS)
    process.seconds.clear()


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
    found = store.load(folder / NOTE)
    if found is not None and not any(found[key] == own[key] for key in ("manifest", "folder")):
        raise AsdError(
            f"{folder}: holds the tables of other recordings ({found['about']}), and these are "
            f"{own['about']}; give these another name (name: in the parameter file, or a copy of "
            "it under another file name), or remove that folder."
        )
    if found != own:
        store.save(own, folder / NOTE)
    return folder
