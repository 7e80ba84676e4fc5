"""Keys that cannot miss code: a digest of all that a result's code reaches.

Notebook: 99_provenance.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from asdlib.io.files import digest

PACKAGE = Path(__file__).parents[1]
# a module whose values, not whose code, are in a key
BY_VALUE = ("params",)
# the code that runs is that of the moment of import, whatever happens to its files afterwards
_SOURCES = {path: path.read_text("utf-8") for path in PACKAGE.rglob("*.py")}

Name = tuple[str, ...]
"""Of a module, or of what it defines."""

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@lru_cache
def code_digest(*roots: str, package: Path = PACKAGE) -> str:
    """Sixteen hexadecimal digits that name all code of the package that a result depends on.

    Every function, class and constant that a root names is followed, then what these name, and so
    on. Of a root that is a method, the class's other members count where it takes them from
    ``self``. An import counts by what a used name is bound to; unused imports, comments and
    docstrings do not count. Neither does :mod:`asdlib.params`: a key holds the values of the
    parameters. What cannot be seen in the text is not followed: an attribute that is named by a
    string, or a dictionary that another module changes.

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
    """Top level of one file: what it defines, what it imports, and what else it does.

    ``imports`` holds the full name, the package's included, of everything that an import binds.
    """

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
    tree = ast.parse(_SOURCES[file] if file in _SOURCES else file.read_text("utf-8"))
    definitions: dict[str, list[ast.stmt]] = {}
    rest = []
    for node in tree.body:
        targets = _targets(node)
        for target in targets:
            definitions.setdefault(target, []).append(node)
        if not targets and not _only_imports(node) and not _is_docstring(node):
            rest.append(node)
    bound = [node for node in tree.body if not isinstance(node, _SCOPES)]
    return _Module(definitions, _imported(bound), rest)


def _targets(node: ast.stmt) -> list[str]:
    """Names that a statement defines."""
    if isinstance(node, _SCOPES):
        return [node.name]
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets = [node.target]
    return [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]


def _only_imports(node: object) -> bool:
    if isinstance(node, ast.If):
        return all(map(_only_imports, [*node.body, *node.orelse]))
    return isinstance(node, ast.Import | ast.ImportFrom)


def _is_docstring(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _imported(nodes: list[ast.stmt]) -> dict[str, Name]:
    """Full names of all that imports bind, anywhere in some statements."""
    found: dict[str, Name] = {}
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        if isinstance(node, ast.ImportFrom):
            if node.level or any(alias.name == "*" for alias in node.names):
                raise LookupError(f"An import that keys cannot follow: {ast.unparse(node)}")
            home = tuple(str(node.module).split("."))
            found |= {alias.asname or alias.name: (*home, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                whole = tuple(alias.name.split("."))
                found[alias.asname or whole[0]] = whole if alias.asname else whole[:1]
    return found


def _resolve(package: Path, name: Name, *, members: bool = False) -> Name | None:
    """Follow imports to where a name is defined; none for what is not code that keys hold.

    Parameters
    ----------
    name : below the package.
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
            first, *below = module.imports[rest[0]]
            if first == package.name:
                return _resolve(package, (*below, *rest[1:]), members=members)
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
        nodes = _member(nodes[0], rest[1])
        used += [
            _resolve(package, (*path, rest[0], attributes[0]), members=True)
            for node in nodes
            for variable, *attributes in _chains(node)
            if variable in ("self", "cls") and attributes
        ]
    nodes = [*nodes, *module.rest]
    own = {defined: (package.name, *path, defined) for defined in module.definitions}
    bound = set()
    for node in nodes:
        known = own | dict(module.imports) | _imported([node])
        for variable, *attributes in _chains(node):
            if variable in known:
                first, *below = known[variable]
                found = None
                if first == package.name:
                    found = _resolve(package, (*below, *attributes))
                used.append(found)
                bound.add((variable, ".".join(found or known[variable])))
    return _text(nodes) + str(sorted(bound)), used


def _member(kind: ast.ClassDef, name: str) -> list[ast.stmt]:
    """One member of a class with what acts on all: decorators, bases and special methods."""
    own = [node for node in kind.body if name in _targets(node)]
    if not own:
        return [kind]  # inherited
    special = [node for node in kind.body if any(t.startswith("__") for t in _targets(node))]
    return [*own, *special, *map(ast.Expr, (*kind.decorator_list, *kind.bases))]


def _text(nodes: list[ast.stmt]) -> str:
    return "\n".join(map(_dump, nodes))


def _dump(node: Any) -> str:
    """Write a tree as text that is the same in every version of Python.

    What does nothing is left out: imports, and strings that stand alone.
    """
    if isinstance(node, list):
        return f"[{', '.join(map(_dump, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    kept = ((name, _without_idle(value)) for name, value in ast.iter_fields(node))
    fields = ((name, value) for name, value in kept if value not in (None, []))
    return f"{type(node).__name__}({', '.join(f'{n}={_dump(v)}' for n, v in fields)})"


def _without_idle(value: Any) -> Any:
    """Value of a node's field, without statements that do nothing."""
    if isinstance(value, list):
        return [node for node in value if not (_only_imports(node) or _is_docstring(node))]
    return value


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
