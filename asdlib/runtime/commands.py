"""Subcommands of a command line: functions with their arguments above them as decorators."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

_COMMANDS: dict[Callable, list[tuple[str, dict[str, Any]]]] = {}
"""Functions with their arguments, in the order in which they are defined."""


def argument(name: str, text: str, kind: Callable = Path, **more: Any) -> Callable:
    """Give a command an argument: a value of some kind, or a flag (bool).

    The command has the name of the function without its first character, and its docstring as help.

    Parameters
    ----------
    text : help of the argument.
    more : options of argparse.
    """
    options = {"help": text, **({"action": "store_true"} if kind is bool else {"type": kind})}

    def added(run: Callable) -> Callable:
        _COMMANDS.setdefault(run, []).insert(0, (name, options | more))
        return run

    return added


class Replaces(argparse.Action):
    """An option that stands in place of another argument, which then need not be given.

    Parameters
    ----------
    other : name of that argument.
    """

    def __init__(self, *, other: str, **options: Any) -> None:
        super().__init__(**options)
        self.other = other

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        """Keep the value."""
        setattr(namespace, self.dest, values)
        for action in parser._actions:
            action.required = action.required and action.dest != self.other


def parser(name: str, about: str | None) -> argparse.ArgumentParser:
    """Return a parser of all commands; ``run`` of what it parses is the function.

    >>> parser("asd", "Anomalous sounds").prog
    'asd'
    """
    made = argparse.ArgumentParser(prog=name, description=about)
    commands = made.add_subparsers(required=True, metavar="command")
    for run, arguments in _COMMANDS.items():
        command = commands.add_parser(run.__name__[1:], help=run.__doc__, description=run.__doc__)
        command.set_defaults(run=run)
        for own, options in arguments:
            command.add_argument(own, **options)
    return made
