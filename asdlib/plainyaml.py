"""YAML of plain values, read with one reason where it is no such thing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import yaml


class _Plain(yaml.SafeLoader):
    """Of plain values: a key once, and nothing that unfolds to more than what is written."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := [key for key, count in Counter(keys).items() if count > 1]:
            problem = f"the key {twice[0]!r} is given {keys.count(twice[0])} times"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def parse(text: str, *, aliases: bool = False) -> Any:
    """Return the value that a text stands for.

    Parameters
    ----------
    aliases : accept them, and keys that are given twice, as most readers of YAML do.

    Raises
    ------
    ValueError
        With the reason in one line.

    Examples
    --------
    >>> parse("seeds: [0, 1]")
    {'seeds': [0, 1]}
    >>> parse("seeds: !!int ''")
    Traceback (most recent call last):
    ValueError: a value does not fit its tag
    """
    try:
        return yaml.load(text, Loader=yaml.SafeLoader if aliases else _Plain)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())) from None
    except (LookupError, AttributeError, TypeError):  # as of !!bool x
        raise ValueError("a value does not fit its tag") from None
