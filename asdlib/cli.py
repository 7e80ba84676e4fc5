"""The ``asd`` command. Exit code 0 when everything asked for was done, 2 for a user's error.

Only ``asd score --fail-on-alarm`` has another one: 1 where a recording is an alarm.
"""

from __future__ import annotations

import argparse
import io
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import asdlib
from asdlib.io import files
from asdlib.io.files import replacing, resolve
from asdlib.params import AsdError, Params, load
from asdlib.runtime import process
from asdlib.runtime.errors import printable, sentence

if TYPE_CHECKING:
    from asdlib.monitor import Monitor
    from asdlib.study import Recordings

_PICTURES = (".png", ".svg", ".pdf")
_DEPTH = 4  # of a study's folder of results


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; a request to end, by whichever signal, ends it as Ctrl-C does."""
    process.open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may not know every letter
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int | None] = options.run
    os.environ["MPLBACKEND"] = "agg"  # figures go to files; a window may be impossible here
    files.sweep(Path(tempfile.gettempdir()))
    try:
        with process.stoppable():
            code = run(options) or 0
            print(end="", flush=True)  # a full disk is told now
            return code
    except AsdError as error:
        print(printable(str(error)), file=sys.stderr)
        return 2
    except KeyboardInterrupt as request:
        resumes = run in (_study, _report)
        print("Stopped; the same command resumes." if resumes else "Stopped.", file=sys.stderr)
        return 128 + (request.args or (signal.SIGINT,))[0]
    except BrokenPipeError:
        process.output_error()  # what is still to be printed goes nowhere
        print("Nobody reads standard output any more.", file=sys.stderr)
        return 2
    except OSError as error:
        print(printable(sentence(process.output_error() or error)), file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="asd", description=asdlib.__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, run: Callable, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    command = add("scenes", _scenes, "write the embedded two-microphone data set")
    command.add_argument("out", type=Path, help="folder to write")
    command.add_argument("--params", type=Path, help="YAML with a scenes: section")
    command.add_argument("--seed", type=int, help="another data set of the same kind")
    command.add_argument("--truth", action="store_true", help="write the ground truth of all clips")
    command.add_argument("--noise", help="folder of real noise clips to use instead")
    command.add_argument("--impulse-responses", help="folder of measured two-channel responses")

    command = add(
        "download", _download, "fetch the official recordings, unpacked for all that follows"
    )
    command.add_argument("kind", choices=("development", "additional", "evaluation"))
    command.add_argument("out", type=Path, help="folder of the data set; all three may share it")
    command.add_argument("--machine", action="append", default=[], help="only this one; repeatable")
    command.add_argument("--mirror", help="address of a folder that holds the archives")
    command.add_argument("--keep", action="store_true", help="keep the archives")

    command = add("doctor", _doctor, "look at a folder of recordings before any work")
    command.add_argument("data", help="folder with <machine>/train and <machine>/test")
    command.add_argument("--params", type=Path, help="forecast for these parameters")

    for name, action, text in (
        ("study", _study, "compute what is missing of a study"),
        ("report", _report, "study, chapters and HTML"),
    ):
        command = add(name, action, text)
        command.add_argument("--params", type=Path, required=True, help="a file of params/")
        command.add_argument("--data", help="recordings; without it the embedded scenes")
        if name == "report":
            command.add_argument("--out", type=Path, default=Path("_build"), help="default: _build")
            command.add_argument(
                "--single-file", action="store_true", help="also one HTML file that can be mailed"
            )

    command = add("fit", _fit, "learn what is normal from one machine's normal recordings")
    command.add_argument("folder", type=Path, help="normal recordings, near and far channel")
    command.add_argument("--out", type=Path, required=True, help="model file to write")
    command.add_argument(
        "--false-alarms",
        type=float,
        default=0.1,
        help="wanted share of alarms among normal recordings, 0.1",
    )
    command.add_argument("--resample", action="store_true", help="convert other sample rates")

    command = add("score", _score, "score recordings with a model file of asd fit")
    command.add_argument("model", type=Path, help="file of asd fit")
    command.add_argument("clips", type=Path, nargs="+", help="recordings, or folders of them")
    command.add_argument("--json", action="store_true", help="a line of JSON per recording")
    command.add_argument(
        "--picture", type=Path, help="draw the reasons of one recording: a PNG, SVG or PDF file"
    )
    command.add_argument(
        "--fail-on-alarm", action="store_true", help="exit code 1 where a recording is an alarm"
    )

    command = add("watch", _watch, "score recordings as they arrive in a folder, as lines of JSON")
    command.add_argument("model", type=Path, help="file of asd fit")
    command.add_argument("folder", type=Path, help="where recordings arrive; subfolders too")
    command.add_argument("--every", type=float, default=1.0, help="seconds between two looks, 1")
    command.add_argument(
        "--patience",
        type=float,
        default=10.0,
        help="seconds without a change until a file that cannot be scored is a problem, 10",
    )
    command.add_argument("--once", action="store_true", help="score what is there, then end")
    command.add_argument(
        "--log", type=Path, help="file to append the lines to; what is in it is left out"
    )

    command = add("metrics", _metrics, "official score of a file,score table")
    command.add_argument("scores", type=Path, help="CSV whose file names hold domain and label")

    command = add("compare", _compare, "set scores that others left beside those of a study")
    command.add_argument("folder", type=Path, help="folder with anomaly_score_*.csv, or above such")
    command.add_argument("--truth", type=Path, help="folder of ground truth, for concealed clips")
    command.add_argument("--params", type=Path, help="a file of params/: its systems, beside them")
    command.add_argument("--data", help="recordings of that study")

    command = add("validate", _validate, "check a submission folder or zip")
    command.add_argument("package", type=Path)
    command.add_argument("--data", help="recordings whose test clips the package must cover")
    return parser


def _scenes(options: argparse.Namespace) -> None:
    from asdlib.simulate import scenes

    base = load(options.params).scenes if options.params else Params().scenes
    changes = {
        "seed": options.seed,
        "truth": -1 if options.truth else None,
        "noise_folder": options.noise,
        "impulse_response_folder": options.impulse_responses,
    }
    given = {key: value for key, value in changes.items() if value is not None}
    changed = load({"scenes": {**base.model_dump(), **given}}).scenes
    files.sweep(options.out.absolute().parent)
    digest = scenes.write(options.out, changed, progress=True)
    print(f"{options.out}: embedded scenes, seed {changed.seed}, manifest {digest}")


def _download(options: argparse.Namespace) -> None:
    from asdlib.io import official

    official.download(
        options.kind, options.out, options.machine, mirror=options.mirror, keep=options.keep
    )
    print(options.out)


def _doctor(options: argparse.Namespace) -> None:
    from asdlib import dataset, study
    from asdlib.io import folders, official
    from asdlib.measure import truth
    from asdlib.monitor import recordings as own

    root = Path(options.data)
    params = load(options.params, data=str(root.absolute()))
    if folders.is_one_machines(root):
        print(*map(printable, own.told(root, params.spectra)), sep="\n")
        return
    table, problems = dataset.survey(root)
    print(dataset.overview(table).to_string() if len(table) else "No clip was found.")
    hashes, unusable = dataset.check(table, params.spectra, progress=True)
    if problems or unusable:
        raise dataset.Problems(problems + unusable)
    recordings = study.Recordings(
        root, table.assign(hash=hashes), dataset.manifest_hash(table, hashes), False
    )
    print(f"\nManifest {recordings.digest}: all {len(table)} clips can be read.\n")
    print(truth.levels(params, recordings).to_string())
    remarks = folders.remarks(recordings.manifest) + official.lacking(recordings.manifest, root)
    print(*map(printable, remarks), sep="\n")
    for machine in recordings.machines:
        for told in own.faults(recordings.clips(machine), params.spectra):
            print(printable(f"{machine}: {told}"))
    print(f"\nWith these parameters: {study.forecast(params, recordings)}")


def _opened(options: argparse.Namespace) -> tuple[Params, Recordings]:
    """The parameters and recordings of a study, checked; told with what the study will take."""
    from asdlib import study

    params = _with_data(options)
    files.sweep(resolve(params.results), depth=_DEPTH)
    recordings = study.open_recordings(params, progress=True)
    study.place(params, recordings)  # before any work
    cost = study.forecast(params, recordings)
    print(printable(f"Recordings: {recordings.describe()}. {cost}"), file=sys.stderr)
    return params, recordings


def _study(options: argparse.Namespace) -> None:
    from asdlib import study
    from asdlib.compare import statistics, systems
    from asdlib.report import provenance

    params, recordings = _opened(options)
    study.everything(params, recordings, progress=True)
    if apart := provenance.trained_apart(params, recordings):
        print(printable(apart), file=sys.stderr)
    results = statistics.results(params, recordings)
    folder = study.place(params, recordings)
    print(*systems.write_tables(results, params.scoring.quantile, folder), sep="\n")


def _report(options: argparse.Namespace) -> None:
    from asdlib.report import build

    for folder, depth in ((resolve(_with_data(options).figures), 0), (options.out, 1)):
        files.sweep(folder, depth=depth)
    params, recordings = _opened(options)
    print("The chapters take a few minutes more.", file=sys.stderr)
    page = build.report(params, options.out, recordings=recordings, single_file=options.single_file)
    print(f"The report is ready. To open it: xdg-open {shlex.quote(str(page))}", file=sys.stderr)
    print(page)


def _fit(options: argparse.Namespace) -> None:
    from asdlib.monitor import Monitor, model_file, recordings

    model_file.check_place(options.out)  # before any work
    files.sweep(options.out.parent)
    monitor = Monitor.fit(options.folder, options.false_alarms, resample=options.resample)
    monitor.save(options.out)
    told = [recordings.counted(options.folder, len(monitor.known)), *monitor.faulty]
    print(monitor.promise, *map(printable, told), options.out, sep="\n")


def _score(options: argparse.Namespace) -> int:
    from asdlib.monitor import Monitor, recordings
    from asdlib.monitor.reasons import drift

    monitor = Monitor.load(options.model)
    clips = recordings.listed(options.clips)
    if options.fail_on_alarm and monitor.alarm.remark:
        raise AsdError(f"--fail-on-alarm: {monitor.alarm.remark}")
    if options.picture:
        _draw(monitor, clips, options.picture)
    if not options.json:
        print(monitor.promise)
    alarms, problems = 0, 0
    p_values: list[float] = []
    for clip in clips:
        try:
            reading = monitor.score(clip, name=str(clip))
        except AsdError as error:
            problems += 1
            print(printable(str(error)), file=sys.stderr)
            continue
        alarms += reading.alarm
        p_values.append(reading.p_value)
        print(reading.json() if options.json else printable(str(reading)), flush=True)
    if not options.json and (told := drift(p_values, monitor.false_alarms)[1]):
        print(told)
    if problems:
        raise AsdError(f"{problems} of {len(clips)} recordings could not be scored.")
    return 1 if alarms and options.fail_on_alarm else 0


def _draw(monitor: Monitor, clips: list[Path], path: Path) -> None:
    """Draw one recording's reasons."""
    import matplotlib.pyplot as plt

    from asdlib.report import charts_evidence, style

    if len(clips) != 1:
        raise AsdError(f"--picture draws one recording; {len(clips)} were given.")
    if path.suffix.lower() not in _PICTURES:
        raise AsdError(f"{path}: a picture is one of {', '.join(_PICTURES)}.")
    style.style()
    figure = charts_evidence.readings([monitor.evidence(clips[0])])
    try:
        with replacing(path) as beside:
            figure.savefig(beside, format=path.suffix[1:].lower(), dpi=150)
    finally:
        plt.close(figure)


def _watch(options: argparse.Namespace) -> None:
    from asdlib.monitor import Monitor
    from asdlib.monitor.watch import watch

    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):  # the recording at hand is finished first
        signal.signal(number, lambda got, _: stopped.append(got))

    def say(sentence: str) -> None:
        print(printable(sentence), file=sys.stderr, flush=True)

    monitor = Monitor.load(options.model)
    say(monitor.promise)
    for line in watch(
        monitor,
        options.folder,
        every=options.every,
        patience=options.patience,
        once=options.once,
        log=options.log,
        stop=lambda: bool(stopped),
        say=say,
    ):
        print(line, flush=True)


def _metrics(options: argparse.Namespace) -> None:
    from asdlib import metrics
    from asdlib.compare import score_files

    table = metrics.evaluate(score_files.read_table(options.scores))
    print(table.to_string(float_format=lambda value: f"{100 * value:.2f}"))
    print(f"official score {100 * metrics.omega(table)} %")


def _compare(options: argparse.Namespace) -> None:
    from asdlib import study
    from asdlib.compare import score_files, statistics, systems

    theirs, ours = score_files.read(options.folder, options.truth), {}
    if options.params is not None:
        params = _with_data(options)
        recordings = study.open_recordings(params, progress=True)
        results = statistics.results(params, recordings, progress=True)
        ours = score_files.of_study(systems.apply_all(results, params.scoring.quantile))
    print(*score_files.lines_to_print(ours, theirs), sep="\n")


def _validate(options: argparse.Namespace) -> None:
    from asdlib import dataset
    from asdlib.compare import validation

    expected = validation.expected_clips(dataset.scan(options.data)) if options.data else None
    problems = validation.validate(options.package, expected)
    if problems:
        raise AsdError("\n".join(problems))
    print(f"{options.package}: no problems found.")


def _with_data(options: argparse.Namespace) -> Params:
    if options.data is None:
        return load(options.params)
    return load(options.params, data=str(Path(options.data).expanduser().absolute()))


if __name__ == "__main__":
    sys.exit(main())
