"""The archives of the official data set, and what they hold.

The records on Zenodo: development 19336329, additional training 20151556, evaluation 20437238.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asdlib.params import AsdError

LICENCE = "The recordings are under the licence CC BY-NC-SA 4.0: share alike, no commercial use."
OLDER = {"dev_ToyCar.zip": "dev_ToyCar_r2.zip"}
"""Archives that were published again under another name."""


@dataclass(frozen=True)
class Archive:
    """One zip file of the official data set.

    Attributes
    ----------
    name : of the file.
    machine : the folder that it unpacks to.
    md5 : of the file, hexadecimal.
    record : number of the record on Zenodo.
    """

    name: str
    machine: str
    md5: str
    record: int

    def url(self, mirror: str | None = None) -> str:
        """Return where the file is.

        Parameters
        ----------
        mirror : address of a folder with all archives, in place of the public record.

        Examples
        --------
        >>> fan = Archive("dev_fan.zip", "fan", "58b7", 19336329)
        >>> fan.url()
        'https://zenodo.org/records/19336329/files/dev_fan.zip?download=1'
        >>> fan.url("http://127.0.0.1:8000/dcase/")
        'http://127.0.0.1:8000/dcase/dev_fan.zip'
        """
        if mirror is not None:
            return f"{mirror.rstrip('/')}/{self.name}"
        return f"https://zenodo.org/records/{self.record}/files/{self.name}?download=1"


def _archives(record: int, name: str, sums: dict[str, str]) -> tuple[Archive, ...]:
    return tuple(
        Archive(name.format(machine), machine.removesuffix("_r2"), md5, record)
        for machine, md5 in sums.items()
    )


SETS: dict[str, tuple[Archive, ...]] = {
    "development": _archives(
        19336329,
        "dev_{}.zip",
        {
            "ToyCar_r2": "353201db217e25377a7e7eccf9c1c8a7",
            "ToyCarEmu": "187b0b3f84d2452d8944d5c831305f15",
            "bearingEmu": "82c2d04c5f48d09842152c34ef273667",
            "fan": "58b79bac4b05bf14a11e9d53e6cdfae9",
            "gearboxEmu": "21ef8b6dea66472bc4e7c91a175efdb7",
            "sliderEmu": "1cbc87a09883a1aa05a6b2a4308efb83",
            "valveEmu": "f7f74e59773eefa512f24625d88d58f0",
        },
    ),
    "additional": _archives(
        20151556,
        "eval_data_{}_train.zip",
        {
            "BlowerDustCollector": "e79342948772cf51e50ff601cd9621f3",
            "Sander": "6cbcfbc65a09c4f3d00b9a55c50502ec",
            "SewingMachine": "74d08cacba3da88753badd69d19e577b",
            "ToothBrush": "6fa5f81796b5d37b3ed24bb8eff2ea25",
            "ToyDrone": "af3e4040ef7c67d7ee920608d0c38d82",
        },
    ),
    "evaluation": _archives(
        20437238,
        "eval_data_{}_test.zip",
        {
            "BlowerDustCollector": "ec90d56f189e84e6430fb2878c59cb84",
            "Sander": "05f81c9a80e91c7b3cea15f8e8559b44",
            "SewingMachine": "f0a1a96b48006c301e8cec25e9214046",
            "ToothBrush": "987395506fbb48c570d5d26babcab05e",
            "ToyDrone": "b36102371c188b630d201d443a00bab2",
        },
    ),
}
COUNTS: dict[str, dict[tuple[str, str, str], int]] = {
    "development": {
        ("test", domain, label): 50
        for domain in ("source", "target")
        for label in ("normal", "anomaly")
    },
    "additional": {("train", "source", "normal"): 990, ("train", "target", "normal"): 10},
    "evaluation": {("test", "unknown", "unknown"): 200},
}
"""Clips of a machine in each set, by split, domain and label."""
COUNTS["development"] |= COUNTS["additional"]


def chosen(kind: str, machines: Sequence[str] = ()) -> tuple[Archive, ...]:
    """Return the archives of a set, or those of some machines of it.

    Parameters
    ----------
    kind : a key of :data:`SETS`.
    machines : names; none: all.

    Raises
    ------
    AsdError
        For a set or a machine that does not exist.

    Examples
    --------
    >>> [archive.name for archive in chosen("development", ["ToyCar"])]
    ['dev_ToyCar_r2.zip']
    """
    if kind not in SETS:
        raise AsdError(f"{kind}: no such set; there are {', '.join(SETS)}.")
    archives = SETS[kind]
    known = [archive.machine for archive in archives]
    if strange := [machine for machine in machines if machine not in known]:
        raise AsdError(
            f"{strange[0]}: no machine of the {kind} set; its machines are {', '.join(known)}."
        )
    return tuple(archive for archive in archives if not machines or archive.machine in machines)
