"""One command with faults: what it leaves, and whether the next run makes it good."""

import contextlib
import json
import shutil
from pathlib import Path

import disk
import walks

_SPHINX = "The HTML build failed:"  # and what Sphinx says
_PUT_TOGETHER = "build/source/"  # what Sphinx reads, made anew by every report


class Trial:
    """A command in a folder that is put back before every fault.

    Attributes
    ----------
    counts : accesses of an undisturbed run, by their kind.
    after : what an undisturbed run leaves.
    new : files among it that it has written, and ``seen`` those that the faults could reach.
    """

    def __init__(self, base, name):
        self.walk, self.data, self.work = walks.WALKS[name], base / "data", base / "work"
        self.copy = base / f"before {name}"
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        self.walk.prepare(self.data, self.work)
        shutil.copytree(self.work, self.copy, symlinks=True)
        self.before, self.own = disk.held(self.copy), disk.held(self.data)
        counting = disk.Disk(self.data, self.work)
        with counting.mounted():
            self.said = walks.run(self.walk, self.data, self.work)
        assert self.said.code == 0, self.said.told
        self.counts, self.after = counting.counts, disk.held(self.work)
        self.new = {n for n, content in self.after.items() if self.before.get(n) != content}
        self.seen = counting.written

    def restore(self):
        """Put the folder back as the command found it."""
        shutil.rmtree(self.work)
        shutil.copytree(self.copy, self.work, symlinks=True)

    def fault(self, **fault):
        """Say what is wrong after a fault, and after the same command without it.

        Returns
        -------
        A sentence, empty if all is well; None where the command ended before the fault's turn.
        """
        self.restore()
        failing = disk.Disk(self.data, self.work, **fault)
        try:
            with failing.mounted():
                said = walks.run(self.walk, self.data, self.work)
        except Exception as error:
            return f"{failing.what}: {type(error).__name__}: {error}"
        if not failing.what:
            return None
        wrong = self._words(said, failing.what, lasting=fault.get("lasting", False))
        wrong += self._files() if said.code else self._results("")
        again = walks.run(self.walk, self.data, self.work)
        if again != self.said:
            wrong.append(f"the next run says {again}")
        wrong += self._results(" after the next run")
        if disk.held(self.data) != self.own:
            wrong.append("the recordings were changed")
        return f"{failing.what}: {'; '.join(wrong)}" if wrong else ""

    def _words(self, said, what, *, lasting):
        """There is one sentence, and it names what failed or the place of what it was a part of.

        While a fault lasts, a library's log of the first one may fail too, and be named.
        """
        told = [line for line in said.told if line not in self.said.told]
        if said.code == 0:
            return [f"it ended well, but said {told}"] if told else []
        path = Path(what.partition(" ")[2])
        if said.code == 2 and told[:1] == [_SPHINX] and any(path.name in line for line in told[1:]):
            return []
        within = [own for own in (path, *path.parents) if {self.work, self.data} & {*own.parents}]
        names = {part for name in self.after for part in Path(name).parts}
        parts = [own.with_name(n) for own in within for n in names if _is_part(own.name, n)]
        parts += [self.work / "tmp"] * lasting
        if (
            said.code == 2
            and len(told) <= 2  # of one recording, and that it could not be scored
            and all(line.endswith(".") for line in told)
            and any(str(own) in told[0] for own in (*within, *parts))
        ):
            return []
        return [f"exit code {said.code}, and it said {told}"]

    def _files(self):
        """After a fault, every file is as it was, or as it will be."""
        now = disk.held(self.work)
        return [
            f"{name} is {'not whole' if name in now else 'missing'}"
            for name in filter(_counts, self.after | now | self.before)
            if not name.startswith(_PUT_TOGETHER)
            and not any(_same(name, now, other) for other in (self.before, self.after))
        ]

    def _results(self, when):
        """The results are those of a run without a fault, and nothing lies beside them."""
        now = disk.held(self.work)
        return [
            f"{name} is {'not the same' if name in now else 'missing'}{when}"
            for name in filter(_counts, self.after | now)
            if not _same(name, now, self.after, final=bool(when))
        ]


def _is_part(part, name):
    return part.startswith(".") and name in part


def _counts(name):
    """Tell all other files from parts, which may stay where they cannot be removed."""
    hidden = [part for part in Path(name).parts if part.startswith(".") and part != ".asd"]
    passing = name.startswith(("tmp/", "build/doctrees/"))  # of no run, and Sphinx's memory
    passing |= name.endswith(("checkpoint.safetensors", ".lock"))
    return not (hidden or passing)


def _same(name, held, others, *, final=False):
    """Compare a file: of a cache, that it can be read counts, and of a log its whole lines."""
    found, wanted = held.get(name), others.get(name)
    if name.endswith(".jsonl"):
        found, wanted = _lines(found), _lines(wanted)
        return found == wanted if final else found.items() <= wanted.items()
    if Path(name).name.startswith("checked-") and found and wanted:
        return isinstance(json.loads(found), dict)
    return found == wanted


def _lines(log):
    """The last line about every file; one that was cut, or tells of an error, says nothing."""
    known = {}
    for line in (log or b"").splitlines():
        with contextlib.suppress(ValueError):
            told = json.loads(line)
            if "problem" not in told:
                known[told["name"]] = line
    return known
