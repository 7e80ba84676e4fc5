"""Errors that a user can cause, and the words of their sentences."""

from __future__ import annotations


class AsdError(Exception):
    """The base of every error a user can cause: one sentence, exit code 2, no traceback."""


def plural(count: int, thing: str) -> str:
    """Count things in words.

    >>> plural(1, "machine"), plural(0, "idea"), plural(1200, "clip")
    ('1 machine', 'no idea', '1,200 clips')
    """
    return f"{count:,} {thing}{'s' * (count != 1)}" if count else f"no {thing}"


def form(count: int, one: str, more: str) -> str:
    """Choose between two forms of a word.

    >>> form(1, "was", "were"), form(2, "was", "were"), form(0, "was", "were")
    ('was', 'were', 'was')
    """
    return more if count > 1 else one
