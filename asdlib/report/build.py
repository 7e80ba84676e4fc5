"""Notebooks to papermill to Sphinx: the report from parameters, in one call.

An executed chapter is kept and used again as long as its text, the package, the parameters, the
recordings and what it wrote are the same. The pages of the package's functions and classes are made
from their docstrings.
"""

from __future__ import annotations

import base64
import contextlib
import io
import os
import pickle
import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import indent
from typing import Any

import nbformat
from filelock import FileLock, Timeout
from tqdm import tqdm

import asdlib
from asdlib import study
from asdlib.io import files
from asdlib.io.folders import MARK, emptied, managed, replacing_folder
from asdlib.params import AsdError, Params
from asdlib.report import markup, provenance, single
from asdlib.report.chapter import FIGURES, resolve_references
from asdlib.report.execution import AT_A_TIME, CHAPTERS, execute_all, is_done, read
from asdlib.runtime.process import bar as progressing
from asdlib.runtime.process import clock
from asdlib.study.costs import Cost

_CHAPTER, _PER_CLIP, _PAGES = 7.5, 0.011, 18.0  # seconds on a machine that needs ...
_SUMMED, _SUM_SECONDS = 1_000_000, 0.07  # ... so long to sum so many squares
_MEMORY = 2.3e9  # bytes, of two kernels and the command
_FOLDERS = ("doctrees", "figures", "html", "notebooks", "source")
_OUT = "--out"  # how another folder is given
_PACKAGE = Path(asdlib.__file__).parent
_MODULE = "{level} {module}\n\n```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```\n"
_ENTRY = re.compile(r"^(\w[\w, ]*) : ", re.MULTILINE)
# napoleon would make every attribute's name a link, to any class that has one of that name
_LISTED = re.compile(r"^(Returns|Attributes)\n-+\n((?:.+\n)+)", re.MULTILINE)
_SOUND = re.compile(r"data:audio/(flac|mpeg);base64,([A-Za-z0-9+/=]+)")
_BAR = re.compile(r"^ *>>>.*$|``.*?``|\|", re.MULTILINE)  # outside code it marks a substitution


def report(
    params: Params,
    out: Path,
    *,
    recordings: study.Recordings | None = None,
    single_file: bool = False,
    progress: bool = True,
) -> Path:
    """Run the study, execute the chapters, build the HTML.

    Parameters
    ----------
    out : folder for the executed notebooks, the figures and ``html/``.
    recordings : the checked recordings, where they are at hand.
    single_file : all pages in one file as well, ``report.html``, that can be mailed.

    Returns
    -------
    Path of ``index.html``, or of the single file.

    Raises
    ------
    AsdError
        For a failing chapter or an unclean build, naming it; what is computed stays.
    """
    if sys.flags.optimize > 1:  # before any work
        raise AsdError("Python runs without docstrings (-OO, PYTHONOPTIMIZE=2); pages need them.")
    for chapter in CHAPTERS:
        read(chapter)
    with alone(out):
        for own in _FOLDERS:
            managed(out / own, _OUT)
        managed(files.resolve(params.figures), FIGURES)
        recordings = recordings or study.open_recordings(params, progress=progress)
        place = study.place(params, recordings)
        study.everything(params, recordings, progress=progress)
        study.remember(place)
        if apart := provenance.trained_apart(params, recordings):
            tqdm.write(apart, file=sys.stderr)
        key = _key(params, recordings)
        figures, published = out / "figures", files.resolve(params.figures)
        shown = progressing("chapters", len(CHAPTERS) + 1, "chapter", progress=progress)
        with alone(place), shown as bar:
            execute_all(_placed(params, out), out / "notebooks", key, place, bar)
            bar.set_description_str("pages")
            with clock("pages"):
                index = html(out)
                if single_file:
                    index = one_file(out)
            bar.update()
        study.remember(place)
        if figures.absolute() != published.absolute():
            with replacing_folder(published, FIGURES) as folder:
                shutil.copytree(figures, folder, dirs_exist_ok=True)
        return index


def forecast(params: Params, recordings: study.Recordings, out: Path) -> Cost:
    """What is left to compute of a report: the study, the chapters and the pages.

    A chapter takes as long as when it was last executed on this machine, or, where it never was,
    its share of what all take on another machine, by the speed of this one.
    """
    study_cost, key = study.forecast(params, recordings), _key(params, recordings)
    own, folder = _placed(params, out), out / "notebooks"
    left = [name for name in CHAPTERS if not is_done(name, own, folder, key)]
    took, slowness = study.stage_seconds(study.place(params, recordings)), _slowness()
    typical = slowness * (_CHAPTER + _PER_CLIP * len(recordings.manifest))
    seconds = sum(took.get(f"chapter {name}", typical) for name in left) / AT_A_TIME
    seconds += took.get("pages", slowness * _PAGES)
    whole = study_cost.seconds + seconds
    memory = max(study_cost.memory, _MEMORY)
    return replace(study_cost, seconds=whole, chapters=len(left), memory=memory)


def _slowness() -> float:
    """How many times slower this machine is than the one with the typical times."""
    start = time.perf_counter()
    sum(n * n for n in range(_SUMMED))
    return (time.perf_counter() - start) / _SUM_SECONDS


def _key(params: Params, recordings: study.Recordings) -> str:
    """Names what all chapters depend on besides their texts and the parameters."""
    code = [path for path in _PACKAGE.rglob("*") if path.suffix in (".py", ".js")]
    package = files.content_digest(b"".join(path.read_bytes() for path in sorted(code)))
    beside = [study.beside(params, recordings, name).to_csv() for name in study.BESIDE]
    return files.digest([recordings.digest, *beside, package])


def _placed(params: Params, out: Path) -> Params:
    """Parameters for chapters, which run in another folder."""
    places = {"figures": str((out / "figures").absolute())}
    if params.data is not None:
        places["data"] = str(files.resolve(params.data).absolute())
    return params.model_copy(update=places)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until no other report works in a folder, and let no other one begin.

    The system drops the lock of a process that ends in any way.

    Examples
    --------
    >>> import tempfile
    >>> with alone(Path(tempfile.mkdtemp())):
    ...     print("ours")
    ours
    """
    lock = FileLock(folder / MARK / "lock")
    with files.named(folder, "written"):
        (folder / MARK).mkdir(parents=True, exist_ok=True)
        try:
            held = lock.acquire(blocking=False)
        except Timeout:
            said = f"{folder}: another report is being built there; this one goes on after it."
            tqdm.write(said, file=sys.stderr)
            held = lock.acquire()
    with held:
        yield


def html(out: Path) -> Path:
    """Build the HTML from executed chapters, strictly: a warning fails the build.

    The pages of the last build stay until the new ones are whole.
    """
    source = out / "source"
    shutil.copytree(files.shipped("report"), emptied(source, _OUT), dirs_exist_ok=True)
    (source / "notebooks").mkdir()
    chapters = {name: nbformat.read(out / "notebooks" / f"{name}.ipynb", 4) for name in CHAPTERS}
    resolve_references(chapters)
    for name, notebook in chapters.items():
        folder = source if name == "index" else source / "notebooks"
        nbformat.write(notebook, folder / f"{name}.ipynb")
    write_api(source / "api")
    shutil.copytree(out / "figures", source / "figures")
    for script in _bokeh():  # from the installed package: no network at reading
        shutil.copy(script, source / "_static")
    with replacing_folder(out / "html", _OUT) as pages:
        _sphinx(out, "html", pages, nitpicky=True)
        for unused in ("*.map", "fontawesome.js"):  # for authors; icons that a style sheet has
            for file in list((pages / "_static").rglob(unused)):
                file.unlink()
        for page in pages.rglob("*.html"):
            _lighten(page, pages)
    return out / "html" / "index.html"


def _lighten(page: Path, pages: Path) -> None:
    """Take scripts without use out of a page, and put its sounds into files beside the pages."""

    def outside(found: re.Match[str]) -> str:
        sound = base64.b64decode(found[2])
        file = pages / "_sounds" / f"{files.content_digest(sound)}.{found[1]}"
        file.parent.mkdir(exist_ok=True)
        files.write_bytes(sound, file)
        return os.path.relpath(file, page.parent)

    text = single.ICONS.sub("", page.read_text(encoding="utf-8"))
    if page.stem != "search":
        text = single.SEARCH.sub("", text)
    files.write_text(_SOUND.sub(outside, text), page)


def one_file(out: Path) -> Path:
    """Write the pages that :func:`html` has built as one file, without those of the package."""
    with files.temporary_folder() as folder:
        _sphinx(out, "singlehtml", folder, exclude_patterns=["_build", "api"])
        return single.write(folder / "index.html", out / "report.html")


def _sphinx(out: Path, builder: str, target: Path, **changed: Any) -> None:
    """Let Sphinx build pages; the strict build, of the site, reads all sources anew."""
    from sphinx.application import Sphinx
    from sphinx.errors import SphinxError
    from sphinx.util.console import nocolor
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    source, log, strict = out / "source", io.StringIO(), "nitpicky" in changed
    options: Any = {"warningiserror": strict, "freshenv": strict, "status": None, "warning": log}
    nocolor()
    try:
        with files.named(out, "read or written"), patch_docutils(source), docutils_namespace():
            places = (source, source, target, out / "doctrees")
            app = Sphinx(*places, builder, changed, parallel=2, **options)
            app.build()
    except (SphinxError, EOFError, pickle.UnpicklingError) as error:  # what a process of its says
        raise AsdError(f"{out}: the pages cannot be built there ({error}).") from None
    if app.statuscode:
        raise AsdError(f"The HTML build failed:\n{log.getvalue().strip()}")


def write_api(folder: Path) -> None:
    """Write a page for every module of the method, and for every folder with its modules."""
    for place in _PACKAGE.glob("[!_]*"):
        paths = [place, *sorted(place.glob("[!_]*.py"))]
        modules = [".".join(p.relative_to(_PACKAGE.parent).with_suffix("").parts) for p in paths]
        parts = [_MODULE.format(level="##", module=module) for module in modules]
        text = "\n".join(parts)[1:]  # "#": the title
        files.write_text(text, folder / f"{place.stem}.md")


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
    """Make Sphinx read docstrings by :func:`described`, and write what a page needs into it.

    Formulas and drawings are markup, and only pages with charts load Bokeh.
    """

    def rewrite(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
        lines[:] = described("\n".join(lines)).split("\n")

    def draws(app: Any, name: str, template: str, context: dict[str, Any], tree: Any) -> None:
        context["body"] = markup.inlined(context.get("body", ""), Path(app.srcdir))
        for script in _bokeh() if "asd-live" in context["body"] else ():
            app.add_js_file(script.name)

    app.connect("autodoc-process-docstring", rewrite, priority=400)
    app.connect("html-page-context", draws)
    app.add_html_math_renderer("mathml", (markup.formula, None), (markup.formula, None))


def _bokeh() -> list[Path]:
    """Return the scripts that draw panels."""
    from bokeh.util.paths import static_path

    return [Path(static_path()) / "js" / f"{name}.min.js" for name in ("bokeh", "bokeh-widgets")]
