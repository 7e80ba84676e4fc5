"""Errors that a user can cause, and the words of their sentences."""

from __future__ import annotations

import difflib
import os
import re
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError


_ALIKE = 3  # sentences of one cause that are told one by one


class AsdError(Exception):
    """The base of every error a user can cause: one sentence, exit code 2, no traceback."""


class FileError(AsdError, OSError):
    """What the system refuses for a file: one sentence that names it.

    Attributes
    ----------
    errno : number of the system's error.
    filename : of the file.
    strerror : what the system says.
    """

    def __init__(self, path: Path | str, error: OSError, done: str = "read or written"):
        super().__init__(f"{printable(os.fsdecode(path))}: cannot be {done} ({reason(error)}).")
        self.errno, self.filename = error.errno, os.fsdecode(path)
        self.strerror, self._done = reason(error), done

    def __reduce__(self) -> tuple:
        """Come through from a worker of a cluster as what it is."""
        return FileError, (self.filename, OSError(self.errno, self.strerror), self._done)

    def __str__(self) -> str:
        """Return the sentence."""
        return str(self.args[0])


def reason(error: OSError) -> str:
    """Return what the system says, without a number and a full stop.

    >>> reason(OSError(28, "No space left on device"))
    'No space left on device'
    """
    said = error.strerror or " ".join(map(str, error.args)) or type(error).__name__
    return said.rstrip(".")


def sentence(error: Exception) -> str:
    """Return the sentence for an error of ours, of memory, or of the system by a library.

    >>> print(sentence(OSError(28, "No space left on device", "scores.csv")))
    scores.csv: cannot be read or written (No space left on device).
    """
    if isinstance(error, MemoryError):
        return "More memory is needed than there is here; shorter recordings need less."
    if isinstance(error, AsdError) or not isinstance(error, OSError):
        return str(error)
    if error.filename is None:
        return f"The system reports an error ({reason(error)})."
    return str(FileError(os.fsdecode(error.filename), error))


def invalid(error: ValidationError, model: type[BaseModel]) -> str:
    """Say which value of a group of parameters is wrong first, and why.

    >>> from pydantic import ValidationError
    >>> from asdlib.params import Denoising
    >>> try:
    ...     Denoising(a_min=5)
    ... except ValidationError as error:
    ...     print(invalid(error, Denoising))
    a_min 5 must not lie above a_max 4.
    """
    first = error.errors()[0]
    name, said = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        section: Any = model
        for parent in first["loc"][:-1]:
            section = section.model_fields[parent].annotation
        return unknown_key(name, section)
    if first["type"] == "value_error" and isinstance(first["input"], Mapping):
        return f"{name}: {said}.".removeprefix(": ")
    if first["type"] == "invalid_key":
        return f"{name} is no key; a key is a word, as in 'name: x'."
    if first["type"] == "tuple_type":
        said = "a list is needed, in square brackets"
    return f"{name} is {reprlib.repr(first['input'])}; {said[0].lower()}{said[1:]}."


def gathered(sentences: Iterable[str]) -> list[str]:
    """Put many sentences about files that have the same cause into two.

    >>> gathered(f"{number}.wav: {number} samples long." for number in range(9))[1]
    'The same is true of 8 others, the last one 8.wav.'
    """
    alike: dict[str, list[str]] = {}
    for sentence in sentences:
        cause = re.sub(r"\d+", "0", sentence.partition(": ")[2] or sentence)
        alike.setdefault(cause, []).append(sentence)
    told = []
    for own in alike.values():
        if len(own) > _ALIKE:
            last = own[-1].partition(": ")[0]
            own[1:] = [f"The same is true of {len(own) - 1} others, the last one {last}."]
        told += own
    return told


def unknown_key(name: str, model: type[BaseModel]) -> str:
    """Say that a group of parameters does not know a key, and which it knows."""
    known = sorted(model.model_fields)
    close = difflib.get_close_matches(name.split(".")[-1], known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"unknown key {name!r}; {hint}known here: {', '.join(known)}."


def printable(text: str) -> str:
    r"""Return text for a terminal: a file name brings no line, colour or cursor of its own.

    >>> printable(chr(27) + "[31mred.wav")
    '\\x1b[31mred.wav'
    """
    shown = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in shown)


def plural(count: int, thing: str) -> str:
    """Count things in words.

    >>> plural(1, "machine"), plural(0, "idea"), plural(1200, "clip")
    ('1 machine', 'no idea', '1,200 clips')
    """
    return f"{count:,} {thing}{'s' * (count != 1)}" if count else f"no {thing}"


def p_text(p: float) -> str:
    """Return a p value as text; a very small one is not rounded to 0.

    >>> p_text(0.0123), p_text(2e-5)
    ('0.012', '< 0.001')
    """
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def form(count: int, one: str, more: str) -> str:
    """Choose between two forms of a word.

    >>> form(1, "was", "were"), form(2, "was", "were"), form(0, "was", "were")
    ('was', 'were', 'was')
    """
    return more if count > 1 else one
