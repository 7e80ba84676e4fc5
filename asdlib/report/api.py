"""Pages of the package's functions and classes, which Sphinx makes from their docstrings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import asdlib

_PACKAGE = Path(asdlib.__file__).parent
_ENTRY = re.compile(r"(?P<names>\w[\w, ]*) : (?P<text>.+)")
# napoleon would make every attribute's name a link, to any class that has one of that name
_LISTS = {"Returns": ":returns:", "Attributes": ":attributes:"}
_INDEX = """# API

One page for every module of the method, then one for every folder that builds on it. Every function
says what it takes, with shapes and units, and what it returns.

```{{toctree}}
:maxdepth: 1
{pages}
```
"""
_MODULE = """{heading}

```{{eval-rst}}
.. automodule:: {module}
   :members:
```
"""


def pages() -> list[str]:
    """Return the names of the pages: modules of the method, then wings, each by alphabet."""
    return [path.stem for path in _modules(_PACKAGE)] + [path.name for path in _wings()]


def write(folder: Path) -> None:
    """Write one page per module of the method and one per wing, and their table of contents.

    Parameters
    ----------
    folder : for the MyST pages.
    """
    texts = {path.stem: _page(f"asdlib.{path.stem}") for path in _modules(_PACKAGE)}
    for wing in _wings():
        own = [f"asdlib.{wing.name}.{path.stem}" for path in _modules(wing)]
        parts = [_page(f"asdlib.{wing.name}"), *(_page(module, level=2) for module in own)]
        texts[wing.name] = "\n".join(parts)
    texts["index"] = _INDEX.format(pages="\n".join(pages()))
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")


def _modules(folder: Path) -> list[Path]:
    return sorted(folder.glob("[!_]*.py"))


def _wings() -> list[Path]:
    return sorted(path.parent for path in _PACKAGE.glob("[!_]*/__init__.py"))


def _page(module: str, level: int = 1) -> str:
    return _MODULE.format(heading=f"{'#' * level} {module}", module=module)


def readable(lines: list[str]) -> list[str]:
    """Rewrite a docstring of this house for napoleon, whose entries read ``name : type``.

    Here the text after the colon describes the value, and the text below Returns is a sentence.

    Parameters
    ----------
    lines : of the docstring.

    Returns
    -------
    Lines in which descriptions stand below their names, and fields in place of the sections Returns
    and Attributes.
    """
    found: list[str] = []
    section = ""
    for i, line in enumerate(map(_without_substitutions, lines)):
        if re.fullmatch("-{3,}", line) and i:
            section = lines[i - 1]
            if section in _LISTS:
                found[-1:] = ["", _LISTS[section]]  # a second blank line ends the section before
                continue
        elif not line:
            section = section if _continues(lines[i + 1 :]) else ""
        entry = _ENTRY.fullmatch(line)
        if section in _LISTS and entry:  # several values: a list
            found.append(f"    * **{entry['names']}**: {entry['text']}")
        elif section in _LISTS:
            found.append(f"    {'  ' * line.startswith(' ')}{line.strip()}".rstrip())
        elif section == "Parameters" and entry:
            found += [entry["names"], f"    {entry['text']}"]
        else:
            found.append(line)
    return found


def _without_substitutions(line: str) -> str:
    """Escape the bars of an absolute value, outside literals: they would mark a substitution."""
    if line.lstrip().startswith(">>>"):
        return line
    parts = line.split("``")
    return "``".join(part if i % 2 else part.replace("|", r"\|") for i, part in enumerate(parts))


def _continues(rest: list[str]) -> bool:
    """Tell whether a section goes on after a blank line: no heading follows, and something does."""
    return bool(rest) and bool(rest[0]) and not (len(rest) > 1 and rest[1].startswith("---"))


def setup(app: Any) -> None:
    """Make Sphinx read docstrings through :func:`readable`, before napoleon does."""

    def rewrite(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
        lines[:] = readable(lines)

    app.connect("autodoc-process-docstring", rewrite, priority=400)
