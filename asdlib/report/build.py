"""Notebooks to papermill to Sphinx: the report from parameters, in one call.

An executed chapter is kept and used again as long as its text, the package, the parameters and
the recordings are the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import logging
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from pathlib import Path

import jupytext
import nbformat
from tqdm import tqdm

import asdlib
from asdlib import study
from asdlib.io import kept, owned
from asdlib.io.files import content_digest, digest, project_root, replacing, resolve
from asdlib.params import AsdError, Params
from asdlib.report import left_out, provenance, single
from asdlib.report.alone import alone
from asdlib.report.kernels import Kernel, kernel
from asdlib.runtime.process import bar as progressing
from asdlib.study import exposure

CHAPTERS = (
    "index",
    "01_noise_floor",
    "02_front_ends",
    "03_phase",
    "04_seed_study",
    "05_without_training",
    "06_rescoring",
    "07_negative_results",
    "08_submission",
    "09_own_machine",
    "98_performance",
    "99_provenance",
)
AT_A_TIME = 2
"""Chapters that run beside one another: each kernel holds the study's table in memory."""
_LONG = ("03_phase", "02_front_ends")  # begun first, so that no one waits for them at the end
_FOLDERS = ("doctrees", "figures", "html", "notebooks", "source")
_LABEL = re.compile(r'"((?:fig|tab)-[\w-]+)"')


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
    for chapter in CHAPTERS:  # before any work
        path = _notebook(chapter)
        check_parameters(path, jupytext.read(path))
    with alone(out):
        return _report(params, out, recordings, single_file, progress)


def _report(
    params: Params,
    out: Path,
    recordings: study.Recordings | None,
    single_file: bool,
    progress: bool,
) -> Path:
    for own in _FOLDERS:
        owned.folder(out / own, owned.OUT)
    for name in _names():
        owned.refuse_foreign(resolve(params.figures) / name, owned.FIGURES)
    recordings = recordings or study.open_recordings(params, progress=progress)
    place = study.place(params, recordings)
    study.everything(params, recordings, progress=progress)
    if apart := provenance.trained_apart(params, recordings):
        tqdm.write(apart, file=sys.stderr)
    key = digest([recordings.digest, exposure.fingerprint(params), provenance.benchmarks(params)])
    figures = out / "figures"
    chapter_params = params.model_copy(update={"figures": str(figures.absolute())})
    if params.data is not None:
        chapter_params = chapter_params.model_copy(
            update={"data": str(resolve(params.data).absolute())}
        )
    waiting = iter(sorted(CHAPTERS, key=lambda name: name not in _LONG))
    bar = progressing("chapters", len(CHAPTERS) + 1, "chapter", progress=progress)
    with alone(place), bar:
        kernels: list[Kernel] = []

        def work() -> None:
            with kernel() as own:
                kernels.append(own)
                for chapter in waiting:
                    execute(chapter, chapter_params, out / "notebooks", key, own)
                    bar.update()

        with ThreadPoolExecutor(AT_A_TIME) as pool:
            workers = [pool.submit(work) for _ in range(AT_A_TIME)]
            try:
                for done in as_completed(workers):
                    done.result()
            except KeyboardInterrupt:
                list(waiting)
                while wait(workers, timeout=0.1).not_done:
                    for started in kernels:
                        started.kill()
                raise
            finally:
                list(waiting)  # of a failing chapter's report, nothing new is begun
        bar.set_description("HTML")
        index = html(out)
        if single_file:
            index = single.write(index.parent, out / "report.html")
        bar.update()
    _publish(figures, resolve(params.figures))
    return index


def execute(
    chapter: str, params: Params, folder: Path, key: str = "", executor: Kernel | None = None
) -> Path:
    """Execute one chapter with papermill, unless the very same is there already.

    Parameters
    ----------
    key : what the chapter depends on besides its text, the parameters and the package.
    executor : the kernel of other chapters; one of its own by default.
    """
    if executor is None:
        with kernel() as own:
            return execute(chapter, params, folder, key, own)
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    path = _notebook(chapter)
    text = path.read_text(encoding="utf-8")
    notebook = jupytext.reads(text, "py:percent")
    values = params.model_dump(mode="json")
    key = digest([text, values, key, _package_digest()])
    done = folder / f"{chapter}.ipynb"
    if _is_done(done, key, Path(params.figures)):
        return done
    logging.getLogger("papermill").addFilter(_not_of_parameters)
    failed = folder / f".{chapter}.part.ipynb"
    with replacing(done) as beside:
        try:
            executed = papermill.execute_notebook(
                notebook,
                str(beside).replace("{", "{{").replace("}", "}}"),  # papermill fills in braces
                parameters=values,
                progress_bar=False,
                km=executor.fresh(),
            )
        except PapermillExecutionError as error:
            beside.replace(failed)
            raise AsdError(
                f"Chapter {chapter} failed in cell {error.exec_count}: {error.ename}: "
                f"{error.evalue} (the notebook up to there: {failed})."
            ) from None
        except DeadKernelError:
            raise AsdError(
                f"Chapter {chapter}: its process was ended by the system or another program, "
                "perhaps for lack of memory; the same command resumes."
            ) from None
        if told := without_stderr(executed):
            tqdm.write(f"{chapter} said:\n{told}", file=sys.stderr)
        for cell in executed.cells:
            if cell.cell_type == "code":
                tags = {*cell.metadata.get("tags", [])}
                cell.metadata["tags"] = sorted(tags | {shown(tags)})
        executed = nbformat.reads(nbformat.writes(executed), as_version=4)  # as it will be read
        files = [Path(params.figures) / name for name in sorted(_names(text))]
        drawn = {file.name: content_digest(file.read_bytes()) for file in files if file.exists()}
        executed.metadata["asd"] = {"key": key, "drawn": drawn, "digest": digest(executed.cells)}
        nbformat.write(executed, beside)
    failed.unlink(missing_ok=True)
    return done


def _not_of_parameters(record: logging.LogRecord) -> bool:
    """Drop papermill's warning of keys that the cell does not name: the chapter checks them all."""
    return not record.getMessage().startswith("Passed unknown parameter")


def shown(tags: set[str]) -> str:
    """How much of a code cell the pages show."""
    if tags & {"parameters", "injected-parameters"}:
        return "remove-cell"  # they stand in the chapter on provenance
    return "remove-input" if "setup" in tags else "hide-input"  # the data set is the first line


def check_parameters(path: Path, notebook: nbformat.NotebookNode) -> None:
    """Refuse a chapter without exactly one parameters cell, after which papermill injects."""
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise AsdError(f"{path}: {len(tagged)} cells are tagged 'parameters'; one is needed.")


def without_stderr(notebook: nbformat.NotebookNode) -> str:
    """Take out of a chapter what its environment says, and return that text.

    >>> cell = nbformat.v4.new_code_cell(outputs=[
    ...     nbformat.v4.new_output("stream", name="stderr", text="building the font cache")])
    >>> without_stderr(nbformat.v4.new_notebook(cells=[cell]))
    'building the font cache'
    >>> cell.outputs
    []
    """
    told = ""
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        told += "".join(o["text"] for o in outputs if o.get("name") == "stderr")
        outputs[:] = [o for o in outputs if o.get("name") != "stderr"]
    return told.strip()


def html(out: Path) -> Path:
    """Build the HTML from executed chapters, strictly: a warning fails the build.

    The pages of the last build stay until the new ones are whole.
    """
    from sphinx.cmd.build import main as sphinx_build

    from asdlib.report import api

    source = out / "source"
    shutil.copytree(project_root() / "report", owned.emptied(source, owned.OUT), dirs_exist_ok=True)
    (source / "notebooks").mkdir()
    chapters = {f"{c}.ipynb": nbformat.read(out / "notebooks" / f"{c}.ipynb", 4) for c in CHAPTERS}
    left_out.resolve(chapters.values())
    for name, notebook in chapters.items():
        folder = source if name == "index.ipynb" else source / "notebooks"
        nbformat.write(notebook, folder / name)
    api.write(source / "api")
    damaged = shutil.ignore_patterns(f"*{kept.SET_ASIDE}")
    shutil.copytree(out / "figures", source / "figures", ignore=damaged)
    shutil.copy(_mathjax(), source / "_static" / "mathjax.js")
    for script in _bokeh():
        shutil.copy(script, source / "_static")
    log = io.StringIO()
    doctrees = ["-d", str(out / "doctrees")]
    arguments = ["-n", "-W", "--keep-going", "-q", "-E", "-j", "2", *doctrees, "-b", "html"]
    with owned.replacing_folder(out / "html", owned.OUT) as pages:
        with contextlib.redirect_stderr(log), contextlib.redirect_stdout(log):
            status = sphinx_build([*arguments, str(source), str(pages)])
        if status:
            raise AsdError(f"The HTML build failed:\n{log.getvalue().strip()}")
        for unused in (pages / "_static").rglob("*.map"):  # megabytes for the theme's authors
            unused.unlink()
    return out / "html" / "index.html"


def _publish(figures: Path, folder: Path) -> None:
    """Put this run's figures and tables into the project's folder, in place of the last run's."""
    if figures.absolute() == folder.absolute():
        return
    new = [p for p in figures.iterdir() if p.is_file() and p.suffix != kept.SET_ASIDE]
    for old in owned.marked(folder):
        if old.name not in {path.name for path in new}:
            owned.remove(old)
    for path in new:
        owned.copy(path, folder / path.name, owned.FIGURES)


def _names(text: str | None = None) -> set[str]:
    """Files that chapters may write, by the labels in their text; that of all by default."""
    if text is None:
        text = "".join(_notebook(chapter).read_text(encoding="utf-8") for chapter in CHAPTERS)
    return {
        f"{label}.{'svg' if label.startswith('fig') else 'csv'}" for label in _LABEL.findall(text)
    }


def _notebook(chapter: str) -> Path:
    path = project_root() / "notebooks" / f"{chapter}.py"
    if not path.exists():
        raise AsdError(f"{path}: no such chapter; run asd report inside the project's folder.")
    return path


def _is_done(done: Path, key: str, figures: Path) -> bool:
    """Whether a chapter was executed, and it and all that it drew are as they were then."""

    def reader(path: Path) -> dict[str, str] | None:
        found = nbformat.read(path, as_version=4)
        about = found.metadata.get("asd", {})
        if about.get("key") != key:
            return None
        if about["digest"] != digest(found.cells):
            raise kept.Damaged
        return dict(about["drawn"])

    drawn = kept.read(done, reader)
    return drawn is not None and all(kept.same(figures / name, drawn[name]) for name in drawn)


def _package_digest() -> str:
    folder = Path(asdlib.__file__).parent
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".js"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _bokeh() -> list[Path]:
    """Return the scripts that draw panels, from the installed package: no network at reading."""
    from bokeh.util.paths import static_path

    return [Path(static_path()) / "js" / f"{name}.min.js" for name in ("bokeh", "bokeh-widgets")]


def _mathjax() -> Path:
    """MathJax with its fonts in one file, from the installed package: no network at reading."""
    package = importlib.util.find_spec("sphinx-mathjax-offline")
    if package is None or package.origin is None:
        raise AsdError("sphinx-mathjax-offline is not installed: run make env.")
    return Path(package.origin).parent / "static" / "mathjax" / "tex-svg.js"
