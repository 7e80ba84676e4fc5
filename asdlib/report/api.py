"""Pages of the package's functions and classes, which Sphinx makes from their docstrings."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent
from typing import Any

import asdlib

_PACKAGE = Path(asdlib.__file__).parent
_ENTRY = re.compile(r"^(\w[\w, ]*) : ", re.MULTILINE)
# napoleon would make every attribute's name a link, to any class that has one of that name
_LISTED = re.compile(r"^(Returns|Attributes)\n-+\n((?:.+\n)+)", re.MULTILINE)
_BAR = re.compile(r"^ *>>>.*$|``.*?``|\|", re.MULTILINE)  # outside code it marks a substitution
_INDEX = """# API

One page for every module of the method, then one for every folder that builds on it. Every function
says what it takes, with shapes and units, and what it returns.

```{{toctree}}
:maxdepth: 1
{pages}
```
"""
_MODULE = """{level} {module}

```{{eval-rst}}
.. automodule:: {module}
   :members:
```
"""


def pages() -> dict[str, list[Path]]:
    """Name every page and its files: a module of the method, or a folder with its modules."""
    found = {path.stem: [path] for path in sorted(_PACKAGE.glob("[!_]*.py"))}
    for room in sorted(path.parent for path in _PACKAGE.glob("[!_]*/__init__.py")):
        found[room.name] = [room, *sorted(room.glob("[!_]*.py"))]
    return found


def write(folder: Path) -> None:
    """Write the pages and their table of contents, as MyST."""
    folder.mkdir(parents=True)
    for name, files in pages().items():
        modules = [".".join(p.relative_to(_PACKAGE.parent).with_suffix("").parts) for p in files]
        parts = [_MODULE.format(level="##", module=module) for module in modules]
        (folder / f"{name}.md").write_text("\n".join(parts)[1:], encoding="utf-8")  # "#": the title
    text = _INDEX.format(pages="\n".join(pages()))
    (folder / "index.md").write_text(text, encoding="utf-8")


def described(text: str) -> str:
    r"""Rewrite a docstring of this house, whose entries describe values, for napoleon.

    There an entry reads ``name : type``, and below Returns stands a type.

    >>> described("Parameters\n---\nx : a signal").splitlines()
    ['Parameters', '---', 'x', '    a signal']
    """

    def listed(found: re.Match[str]) -> str:  # a second blank line ends the section before
        entries = _ENTRY.sub(r"* **\1**: ", found[2].replace("\n    ", "\n  "))
        return f"\n:{found[1].lower()}:\n" + indent(entries, "    ")

    text = _BAR.sub(lambda found: r"\|" if found[0] == "|" else found[0], text + "\n")
    return _ENTRY.sub(r"\1\n    ", _LISTED.sub(listed, text))


def setup(app: Any) -> None:
    """Make Sphinx read docstrings through :func:`described`, before napoleon does."""

    def rewrite(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
        lines[:] = described("\n".join(lines)).split("\n")

    app.connect("autodoc-process-docstring", rewrite, priority=400)
