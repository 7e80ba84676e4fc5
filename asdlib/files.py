"""Files of a study: written beside their place and renamed, and named by what they depend on.

A key holds digests of values (:func:`digest`) and of code (:func:`code_digest`).
"""

from __future__ import annotations

import ast
import copy
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import torch

PACKAGE = Path(__file__).parent
# a module whose values, not whose code, are in a key
BY_VALUE = ("params",)

Name = tuple[str, ...]
"""Of a module, or of what it defines, below the package."""


def project_root() -> Path:
    """Return the nearest folder at or above the working one with notebooks, else that one.

    >>> project_root().is_absolute()
    True
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").exists() and (folder / "notebooks").is_dir():
            return folder
    return here


def resolve(path: str | Path) -> Path:
    """Make a path of the parameters absolute: relative ones start at the project's root.

    >>> resolve("results") == project_root() / "results"
    True
    """
    path = Path(path).expanduser()
    return path if path.is_absolute() else project_root() / path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside ``path`` to write to, and rename it to ``path`` at the end.

    A reader sees the old file or the whole new one, never a part. After an error ``path`` is as
    it was, and the part is removed.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
    >>> with replacing(path) as beside:
    ...     _ = beside.write_text("whole")
    >>> path.read_text(), [file.name for file in path.parent.iterdir()]
    ('whole', ['notes.txt'])
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(text: str, path: Path) -> None:
    """Write text as UTF-8 with the line ends that it has.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
    >>> write_text("Ω", path)
    >>> len(path.read_bytes())
    2
    """
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as parquet or CSV, by the ending of the name.

    >>> import tempfile
    >>> import pandas as pd
    >>> path = Path(tempfile.mkdtemp()) / "scores.csv"
    >>> write_table(pd.DataFrame({"name": ["a.wav"], "score": [0.5]}), path)
    >>> path.read_text().split()
    ['name,score', 'a.wav,0.5']
    """
    with replacing(path) as beside:
        if path.suffix == ".csv":
            table.to_csv(beside, index=False)
        else:
            table.to_parquet(beside, index=False)


def write_tensors(tensors: Mapping[str, torch.Tensor], path: Path, **metadata: str) -> None:
    """Write tensors as a safetensors file.

    >>> import tempfile, safetensors.torch, torch
    >>> path = Path(tempfile.mkdtemp()) / "one.safetensors"
    >>> write_tensors({"x": torch.ones(2)}, path, unit="dB")
    >>> safetensors.torch.load_file(path)["x"].tolist()
    [1.0, 1.0]
    """
    import safetensors.torch  # brings torch, which takes seconds

    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as beside:
        safetensors.torch.save_file(contiguous, beside, metadata=metadata)


def content_digest(content: bytes) -> str:
    """Sixteen hexadecimal digits that name the content of a file.

    >>> content_digest(b"")
    'e3b0c44298fc1c14'
    """
    return hashlib.sha256(content).hexdigest()[:16]


def digest(value: Any) -> str:
    """Sixteen hexadecimal digits that name a JSON-like value or a group of parameters.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    return content_digest(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


@lru_cache
def code_digest(*roots: str, package: Path = PACKAGE) -> str:
    """Sixteen hexadecimal digits that name all code of the package that a result depends on.

    Every function, class and constant that a root names is followed, then what these name, and so
    on. Of a root that is a method, the class's other members count where it takes them from
    ``self``. Imports, comments and docstrings do not count. Neither does :mod:`asdlib.params`: a
    key holds the values of the parameters.

    Parameters
    ----------
    roots : names below the package, such as ``training.train`` or ``study.unit.Unit.compute``.
    package : folder of the package.

    Raises
    ------
    LookupError
        For a root that is not defined.

    Examples
    --------
    >>> code_digest("spectra.stft") == code_digest("spectra.stft", "spectra.power")
    False
    """
    found: dict[Name, str] = {}
    waiting = []
    for root in roots:
        name = _resolve(package, tuple(root.split(".")), members=True)
        if name is None:
            raise LookupError(f"{root} is not defined in {package.name}.")
        waiting.append(name)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name], used = _code(package, name)
        waiting += [other for other in used if other is not None]
    return digest(sorted([".".join(name), text] for name, text in found.items()))


@dataclass(frozen=True)
class _Module:
    """Top level of one file: what it defines, what it imports, and what else it does."""

    definitions: Mapping[str, list[ast.stmt]]
    imports: Mapping[str, Name]
    rest: list[ast.stmt]


@lru_cache
def _module(package: Path, name: Name) -> _Module | None:
    """Read a module by its name below the package; none where there is no such file."""
    files = (package.joinpath(*name, "__init__.py"), package.joinpath(*name).with_suffix(".py"))
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return None
    tree = ast.parse(file.read_text("utf-8"))
    definitions: dict[str, list[ast.stmt]] = {}
    rest = []
    for node in tree.body:
        targets = _targets(node)
        for target in targets:
            definitions.setdefault(target, []).append(node)
        if not targets and not _only_imports(node) and not _is_docstring(node):
            rest.append(node)
    return _Module(definitions, _imported(package, tree), rest)


def _targets(node: ast.stmt) -> list[str]:
    """Names that a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [n.id for t in targets if t is not None for n in ast.walk(t) if isinstance(n, ast.Name)]


def _only_imports(node: ast.stmt) -> bool:
    if isinstance(node, ast.If):
        return all(map(_only_imports, [*node.body, *node.orelse]))
    return isinstance(node, ast.Import | ast.ImportFrom)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


class _Stripped(ast.NodeTransformer):
    """Removes what does nothing: imports, and strings that stand alone."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [n for n in body if not (_only_imports(n) or _is_docstring(n))]  # type: ignore[attr-defined]
        return super().generic_visit(node)


def _imported(package: Path, tree: ast.AST) -> dict[str, Name]:
    """Names that imports of the package bind anywhere in a tree."""
    found: dict[str, Name] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            first, *below = (node.module or "").split(".")
            if first == package.name:
                found |= {alias.asname or alias.name: (*below, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                first, *below = alias.name.split(".")
                if first == package.name:
                    found[alias.asname or first] = tuple(below) if alias.asname else ()
    return found


def _resolve(package: Path, name: Name, *, members: bool = False) -> Name | None:
    """Follow imports to where a name is defined; none for what is not code that keys hold.

    Parameters
    ----------
    members : keep the name of a class's member; else the whole class counts.
    """
    for split in range(len(name), -1, -1):
        module = _module(package, name[:split])
        if module is None:
            continue
        path, rest = name[:split], name[split:]
        if path == BY_VALUE:
            return None
        if not rest or rest[0] in module.definitions:
            return (*path, *rest[: 2 if members else 1])
        if rest[0] in module.imports:
            return _resolve(package, (*module.imports[rest[0]], *rest[1:]), members=members)
        return None
    return None


@lru_cache
def _code(package: Path, name: Name) -> tuple[str, list[Name | None]]:
    """What defines a resolved name, as text, and the resolved names that it uses."""
    split = len(name)
    while (module := _module(package, name[:split])) is None:
        split -= 1
    path, rest = name[:split], name[split:]
    if not rest:  # a module that is passed on as a whole
        everything = [_resolve(package, (*path, defined)) for defined in module.definitions]
        return _text(module.rest), everything
    nodes: list[ast.stmt] = module.definitions[rest[0]]
    used: list[Name | None] = []
    if len(rest) == 2 and isinstance(nodes[0], ast.ClassDef):
        own = [node for node in nodes[0].body if rest[1] in _targets(node)]
        nodes = own or nodes  # inherited: the whole class
        used += [
            _resolve(package, (*path, rest[0], attributes[0]), members=True)
            for node in own
            for variable, *attributes in _chains(node)
            if variable in ("self", "cls") and attributes
        ]
    nodes = [*nodes, *module.rest]
    for node in nodes:
        known = {own: (*path, own) for own in module.definitions}
        known |= dict(module.imports) | _imported(package, node)
        for variable, *attributes in _chains(node):
            if variable in known:
                used.append(_resolve(package, (*known[variable], *attributes)))
    return _text(nodes), used


def _text(nodes: list[ast.stmt]) -> str:
    return "\n".join(ast.dump(_Stripped().visit(copy.deepcopy(node))) for node in nodes)


def _chains(tree: ast.AST) -> set[tuple[str, ...]]:
    """Every variable in a tree, with the attributes that are taken of it."""
    found, inner = set(), set()
    for node in ast.walk(tree):  # an attribute comes before what it is taken of
        attributes: list[str] = []
        while isinstance(node, ast.Attribute) and node not in inner:
            attributes.insert(0, node.attr)
            node = node.value
            inner.add(node)
        if isinstance(node, ast.Name) and (attributes or node not in inner):
            found.add((node.id, *attributes))
    return found
