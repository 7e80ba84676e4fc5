"""Shared test data: small, seeded, and made once."""

import os
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from filelock import FileLock
from hypothesis import settings
from jaxtyping import install_import_hook

# small models: a second thread only waits, and waits badly where another process wants the core
os.environ.setdefault("OMP_NUM_THREADS", "1")
install_import_hook("asdlib", "typechecker.check")

from asdlib import params, study  # noqa: E402  # after the hook, so that shapes are checked
from asdlib.monitor import Monitor, watch  # noqa: E402
from asdlib.report import build  # noqa: E402
from asdlib.simulate import scenes  # noqa: E402

settings.register_profile("untimed", deadline=None)  # machines are busy: speed is for make bench
settings.load_profile("untimed")
ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "real"


_LONG = (
    "report/test_chapters_left",
    "report/test_build",
    "browser/",
    "explore/",
    "monitor/",
    "study/",
)


def pytest_addoption(parser):
    parser.addoption("--every-fault", action="store_true", help="at every access, not at one")


def pytest_collection_modifyitems(items):
    """Put the longest files first, so that no process works alone at the end."""
    items.sort(key=lambda item: next((i for i, own in enumerate(_LONG) if own in item.nodeid), 9))


def pytest_runtest_setup(item):
    item.user_properties += [("kind", mark.args[0]) for mark in item.iter_markers("kind")]


def pytest_terminal_summary(terminalreporter, config):
    """List the kinds of faults that were tried."""
    found = Counter()
    for outcome in ("passed", "failed") if config.getoption("--every-fault") else ():
        for report in terminalreporter.getreports(outcome):
            kinds = [value for key, value in report.user_properties if key == "kind"]
            found.update((kind, outcome) for kind in kinds if report.when == "call")
    for kind in dict.fromkeys(kind for kind, _ in found):
        passed, failed = found[kind, "passed"], found[kind, "failed"]
        terminalreporter.write_line(f"{kind}: {passed} passed, {failed} failed")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def real():
    """The folder of real recordings, which is not part of the repository."""
    if not REAL.is_dir():
        pytest.skip(f"no real recordings beside the repository ({REAL.name}/ is absent)")
    return REAL


def write_wav(path, signal, rate=16000, subtype="PCM_16"):
    """Write (sample, channel) float samples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, signal, rate, subtype=subtype)
    return path


def two_channels(rng, seconds=1.0, rate=16000):
    return 0.1 * rng.standard_normal((int(seconds * rate), 2))


def machine_folder(root, rng, machine="fan", *, train=4, test=2, seconds=1.0, domains=("source",)):
    """A small machine in the DCASE layout, of noise."""
    for domain in domains:
        for i in range(train):
            name = f"section_00_{domain}_train_normal_{i:04d}_noAttribute.wav"
            write_wav(root / machine / "train" / name, two_channels(rng, seconds))
        for label in ("normal", "anomaly"):
            for i in range(test):
                name = f"section_00_{domain}_test_{label}_{i:04d}_spd_{i}.wav"
                write_wav(root / machine / "test" / name, two_channels(rng, seconds))
    return root


SMALL = {
    "name": "small",
    "seeds": [0, 1],
    "spectra": {"n_mels": 16},
    "autoencoder": {"width": 16, "blocks": 1, "bottleneck": 4},
    "training": {"epochs": 2, "batch_size": 64},
}


def small_report(folder, **changes):
    """Parameters of a small report whose every file lies in ``folder``, and its pages."""
    chosen = small_params(folder, **changes)
    return chosen, build.report(chosen, folder / "build", progress=False).parent


def small_params(folder, **changes):
    places = {name: str(folder / name) for name in ("results", "figures")}
    return params.load({**SMALL, **places, **changes})


def two_machines(root):
    """Two machines with both domains, one of them with clips of two lengths."""
    rng = np.random.default_rng(0)
    machine_folder(root, rng, "fan", domains=("source", "target"))
    machine_folder(root, rng, "valve", domains=("source", "target"))
    longer = root / "valve/train/section_00_source_train_normal_0099_noAttribute.wav"
    write_wav(longer, two_channels(rng, 1.7))
    return root


def shared_folder(tmp_path_factory, worker_id, name, make):
    """Return a folder that the first process makes; the others wait and use it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / name
    with FileLock(f"{folder}.lock"):
        if not (folder / "made").exists():
            make(folder)
            (folder / "made").touch()
    return folder


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory, worker_id):
    """A study of two machines with all that a report computes, to be copied."""

    def make(folder):
        data = str(two_machines(folder / "data"))
        own = params.load({**SMALL, "data": data, "results": str(folder / "results")})
        study.everything(own, study.open_recordings(own))

    return shared_folder(tmp_path_factory, worker_id, "trained", make)


@pytest.fixture
def trained(trained_folder, tmp_path):
    """Parameters of a study of one's own in which everything is computed already."""
    shutil.copytree(trained_folder, tmp_path, dirs_exist_ok=True)
    places = {name: str(tmp_path / name) for name in ("data", "results")}
    return params.load({**SMALL, **places})


@pytest.fixture(scope="session")
def scenes_report(tmp_path_factory, worker_id):
    """A report on small scenes with everything there is: truth, both domains, concealed clips.

    A machine and some of its clips have names that a browser would run. The first process that
    wants it makes it; the others wait and take it.
    """

    def make(folder):
        small_report(folder, data=str(scenes_with_hostile_names(folder / "data")))

    folder = shared_folder(tmp_path_factory, worker_id, "scenes_report", make)
    return small_params(folder, data=str(folder / "data")), folder / "build" / "html"


HOSTILE, SCRIPT = "<b>", "<img src=x onerror=alert(1)> `$x$`"


def scenes_with_hostile_names(root):
    """Small scenes, one machine named like markup, and every fourth clip of it like a script."""
    sizes = {"train_source": 5, "train_target": 3, "test_per_cell": 4, "truth": 2}
    machines = ("SimFan", "SimValve", "SimPump")
    scenes.write(root, params.Scenes(seconds=1.5, machines=machines, **sizes))
    machine = (root / "SimValve").rename(root / HOSTILE)
    for path in machine.glob("t*/*_0003_*.wav"):
        path.rename(path.with_name(path.name.replace("_0003_", f"_0003_{SCRIPT}_")))
    (table,) = machine.glob("*.csv")
    names = table.read_text().replace("SimValve/", f"{HOSTILE}/")
    table.write_text(names.replace("_0003_", f"_0003_{SCRIPT}_"))
    return root


SCRIPTED = '<img src=x onerror=alert(1)> "&amp; $x$.wav'


@pytest.fixture(scope="session")
def watched(tmp_path_factory, worker_id):
    """A folder with a model of noise, and the log of a watch: 3 of 6 alarms, one name a script."""

    def make(folder):
        rng = np.random.default_rng(0)
        for i in range(12):
            write_wav(folder / f"normal/2026-05-0{1 + i // 6}/{i:02d}.wav", two_channels(rng))
        monitor = Monitor.fit(folder / "normal")
        monitor.save(folder / "noise.safetensors")
        for i, name in enumerate(["a.wav", "b.wav", "c.wav", "d.wav", "e.wav", SCRIPTED]):
            path = write_wav(folder / "in" / name, (1 + 3 * (i > 2)) * two_channels(rng))
            os.utime(path, (1778000000 + 86400 * i,) * 2)  # from 5 May 2026
        how = {"every": 0.02, "once": True, "log": folder / "log.jsonl"}
        assert len(list(watch.watch(monitor, folder / "in", **how))) == 6

    return shared_folder(tmp_path_factory, worker_id, "watched", make)


@pytest.fixture(scope="session")
def chromium():
    """Where the browser is."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium on this machine (apt install chromium)")
    return found


@pytest.fixture(scope="session")
def pages(request):
    """The folder of HTML pages to look at: ASD_HTML, or those of the small report."""
    if "ASD_HTML" in os.environ:
        return Path(os.environ["ASD_HTML"]).resolve()
    return request.getfixturevalue("scenes_report")[1]


@pytest.fixture(scope="module")
def browser(chromium):
    """Debian's browser, without a window; pages may play sound unasked."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium,
            args=[
                "--no-sandbox",
                "--disable-background-networking",
                "--autoplay-policy=no-user-gesture-required",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def opened(browser):
    """Open any file in a fresh profile; at the end nothing was wrong, and nothing far asked for."""
    opener = Opener(browser)
    yield opener.open
    opener.close()
    assert opener.wrong == []


@pytest.fixture
def visit(opened, pages):
    """Open a page of the report."""
    return lambda name, width=1280: opened(pages / f"{name}.html", width)


class Opener:
    def __init__(self, browser):
        self.context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
        self.wrong, self.close = [], self.context.close

    def open(self, path, width=1280):
        page, wrong = self.context.new_page(), self.wrong
        page.set_viewport_size({"width": width, "height": 900})
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on("requestfailed", lambda request: wrong.append(request.url[:200]))
        page.on(
            "request",
            lambda r: None if re.match("(file|data|blob):", r.url) else wrong.append(r.url),
        )
        page.goto(path.as_uri(), wait_until="load")
        page.wait_for_timeout(300)
        return page
