"""The recordings of a study: found or written, every clip checked before any work.

Notebook: 99_provenance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from asdlib import dataset, metrics
from asdlib.io.files import digest, resolve
from asdlib.params import Params
from asdlib.simulate import scenes


@dataclass(frozen=True)
class Recordings:
    """The recordings of a study, checked.

    Attributes
    ----------
    root : the data set's folder.
    manifest : as of :func:`asdlib.dataset.scan`, with the content ``hash`` of every clip.
    digest : manifest hash.
    embedded : whether these are the simulated scenes.
    """

    root: Path
    manifest: pd.DataFrame
    digest: str
    embedded: bool

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
        clips = self.manifest
        concealed = clips[(clips["split"] == "test") & (clips["label"] == "unknown")]
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
        count = len(self.machines)
        return (
            f"{kind}, {len(self.manifest)} clips of {count} machine{'s' * (count != 1)}, "
            f"manifest {self.digest}"
        )


def open_recordings(params: Params, *, progress: bool = False) -> Recordings:
    """Find or write the recordings, and check every clip before any work.

    Raises
    ------
    asdlib.dataset.Problems
        One sentence per clip that cannot be used.
    """
    recordings, problems = look(params, progress=progress)
    if problems:
        raise dataset.Problems(problems)
    return recordings


def look(params: Params, *, progress: bool = False) -> tuple[Recordings, list[str]]:
    """Open the recordings of a study, with the sentences about what cannot be used beside them."""
    results = resolve(params.results)
    if params.data is None:
        root = results / f"scenes-{scenes.recipe(params.scenes)}"
        scenes.write(root, params.scenes, progress=progress)
    else:
        root = resolve(params.data)
    manifest, problems = dataset.survey(root, params.machines)
    cache = results / f"checked-{digest(str(root.absolute()))}.json"
    hashes, found = dataset.check(manifest, params.spectra, cache=cache, progress=progress)
    name = dataset.manifest_hash(manifest, hashes)
    recordings = Recordings(root, manifest.assign(hash=hashes), name, params.data is None)
    return recordings, problems + found
