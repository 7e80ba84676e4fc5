"""The ``asd`` command. Exit code 0 when everything asked for was done, 2 for a user's error.

Only ``asd score`` has others, see :mod:`asdlib.cli_machine`. A command is a function with its
arguments above it; its docstring is its help.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import asdlib
from asdlib import cli_machine  # noqa: F401  # adds fit, refit, score and watch
from asdlib.io import files
from asdlib.params import AsdError, Params, Scenes, load
from asdlib.runtime import process
from asdlib.runtime.commands import Replaces, argument, parser
from asdlib.runtime.errors import printable, sentence
from asdlib.runtime.process import say


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; a request to end, by whichever signal, ends it as Ctrl-C does."""
    process.open_streams()
    options = parser("asd", asdlib.__doc__).parse_args(arguments)
    os.environ["MPLBACKEND"] = "agg"  # figures go to files; a window may be impossible here
    files.sweep()
    try:
        process.check_threads()
        with process.stoppable():
            code = options.run(options) or 0
            print(end="", flush=True)  # a full disk is told now
            return code
    except KeyboardInterrupt as request:
        resumes = options.run in (_study, _report)
        say("Stopped; the same command resumes." if resumes else "Stopped.")
        return 128 + (request.args or (2,))[0]  # the signal's number, or SIGINT's
    except ModuleNotFoundError as error:
        say(f"{error.name} is not installed; pip install 'asdlib[report]' brings it.")
        return 2
    except (AsdError, OSError, MemoryError) as error:
        say(sentence(process.output_error() or error))
        return 2


def _folder(path: str) -> str:
    return str(Path(path).expanduser().absolute())


@argument("out", "folder to write")
@argument("--params", "YAML with a scenes: section")
@argument("--seed", "another data set of the same kind", int)
@argument("--truth", "write the ground truth of all clips", bool, action="store_const", const=-1)
@argument("--noise", "folder of real noise clips", str, dest="noise_folder")
@argument("--impulse-responses", "of measured rooms", str, dest="impulse_response_folder")
@argument("--own-machine", "pump, fan, ...: recordings to practise fit and score with", str)
def _scenes(options: argparse.Namespace) -> None:
    """Write the embedded two-microphone data set."""
    from asdlib.simulate import own, scenes

    if options.own_machine:
        return print(own.write(options.out, options.own_machine, options.seed or 0))
    base = load(options.params)
    given = {n: v for n, v in vars(options).items() if n in Scenes.model_fields and v is not None}
    changed = load(base, scenes={**base.scenes.model_dump(), **given}).scenes
    digest = scenes.write(options.out, changed, progress=True)
    print(f"{options.out}: embedded scenes, seed {changed.seed}, manifest {digest}")


@argument("kind", "set of the challenge", str, choices=("development", "additional", "evaluation"))
@argument("out", "folder of the data set; all three may share it")
@argument("--machine", "only this one; repeatable", str, action="append", default=[])
@argument("--mirror", "address of a folder that holds the archives", str, default="")
@argument("--keep", "keep the archives", bool)
def _download(options: argparse.Namespace) -> None:
    """Fetch the official recordings, unpacked for all that follows."""
    from asdlib.io import official

    kind, out, machines = options.kind, options.out, options.machine
    print(official.download(kind, out, machines, mirror=options.mirror, keep=options.keep))


@argument("data", "folder with <machine>/train and <machine>/test, or of one machine", _folder)
@argument("--params", "also say what a study with these parameters would take")
@argument("--resample", "convert other sample rates", bool)
@argument("--mono", "one microphone", bool)
def _doctor(options: argparse.Namespace) -> None:
    """Check a folder of recordings before any work."""
    from asdlib.io import folders
    from asdlib.monitor import recordings
    from asdlib.report import provenance

    root, params = Path(options.data), load(options.params, data=options.data)
    given = {name: True for name in ("resample", "mono") if getattr(options, name)}
    params = load(params, spectra=params.spectra.model_dump() | given)
    of_one, of_study = recordings.told, partial(provenance.before_work, cost=bool(options.params))
    is_one = folders.is_one_machines(root)
    for line in of_one(root, params.spectra) if is_one else of_study(params):
        print(printable(line))


def _opened(options: argparse.Namespace, forecast: Callable[..., Any]) -> tuple[Params, Any]:
    """The parameters and recordings of a study, checked; told with what the study will take."""
    from asdlib import study

    params = load(options.params, data=options.data)
    recordings = study.open_recordings(params, progress=True)
    study.place(params, recordings)  # before any work
    say(f"Recordings: {recordings.describe()}. {forecast(params, recordings)}")
    return params, recordings


@argument("--params", "a file, or demo, quick, dev, ...", required=True)
@argument("--data", "recordings; without it the embedded scenes", _folder)
def _study(options: argparse.Namespace) -> None:
    """Compute what is missing of a study."""
    from asdlib import study
    from asdlib.compare import statistics, systems
    from asdlib.report import provenance

    params, recordings = _opened(options, study.forecast)
    study.everything(params, recordings, progress=True)
    if apart := provenance.trained_apart(params, recordings):
        say(apart)
    results = statistics.results(params, recordings)
    folder = study.place(params, recordings)
    study.remember(folder)
    print(*systems.write_tables(results, params.scoring.quantile, folder), sep="\n")


@argument("--params", "a file, or demo, quick, dev, ...", required=True)
@argument("--data", "recordings; without it the embedded scenes", _folder)
@argument("--out", "default: _build, or with --machine a file beside the log")
@argument("--single-file", "also one HTML file that can be mailed", bool)
@argument("--machine", "in place of --params: model of asd fit", action=Replaces, other="params")
@argument("--log", "with --machine: what asd watch wrote; one page is made of it")
@argument("--false-alarms", "with --machine: as given to asd watch", float)
def _report(options: argparse.Namespace) -> None:
    """Study, chapters and HTML; with --machine, one page on a machine of one's own."""
    if (options.machine is None) != (options.log is None):
        raise AsdError("--machine MODEL and --log LOG go together.")
    if options.machine:
        from asdlib.report import machine

        given = (options.machine, options.log, options.out, options.false_alarms)
        page = machine.write(*given)
    else:
        from asdlib.report import build

        out, single = options.out or Path("_build"), options.single_file
        params, recordings = _opened(options, partial(build.forecast, out=out))
        page = build.report(params, out, recordings=recordings, single_file=single)
    say(f"The report is ready. To open it: xdg-open {shlex.quote(str(page))}")
    print(page)


@argument("scores", "CSV whose file names hold domain and label")
def _metrics(options: argparse.Namespace) -> None:
    """Official score of a file,score table."""
    from asdlib import metrics
    from asdlib.compare import score_files

    table = metrics.evaluate(score_files.read_table(options.scores))
    print(table.to_string(float_format=lambda value: f"{100 * value:.2f}"))
    print(f"official score {100 * metrics.omega(table)} %")


@argument("folder", "folder with anomaly_score_*.csv, or above such")
@argument("--truth", "folder of ground truth, for concealed clips")
@argument("--params", "of a study: its systems, beside them")
@argument("--data", "recordings of that study", _folder)
def _compare(options: argparse.Namespace) -> None:
    """Set scores that others left beside those of a study."""
    from asdlib import metrics, study
    from asdlib.compare import score_files, statistics, systems

    theirs, ours = score_files.read(options.folder, options.truth), None
    if options.params is not None:
        params = load(options.params, data=options.data)
        recordings = study.open_recordings(params, progress=True)
        results = statistics.results(params, recordings, progress=True)
        ours = metrics.labelled(systems.decisions(results, params.scoring.quantile))
    print(*score_files.lines_to_print(theirs, ours), sep="\n")


@argument("package", "folder or zip")
@argument("--data", "recordings whose test clips the package must cover", _folder)
def _validate(options: argparse.Namespace) -> None:
    """Check a submission folder or zip."""
    from asdlib.compare import validation

    expected = validation.expected_clips(options.data) if options.data else None
    if problems := validation.validate(options.package, expected):
        raise AsdError("\n".join(problems))
    print(f"{options.package}: no problems found.")


if __name__ == "__main__":
    sys.exit(main())
