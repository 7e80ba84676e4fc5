"""``make lab`` in a real browser: open the explorer, run all cells, move a slider, listen."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from conftest import ROOT

pytestmark = pytest.mark.slow
LONG = 120_000  # ms: the kernel imports the package
MINE = {
    ".jupyter/labconfig/default_setting_overrides.json": '{"@jupyterlab/x": {"mine": true}}',
    ".jupyter/jupyter_lab_config.py": "c.ServerApp.root_dir = '/nowhere'",
}


@pytest.fixture(scope="module")
def folder(scenes_report, tmp_path_factory):
    """A project of its own with the explorer, at the shared report's parameters, and a home."""
    folder = tmp_path_factory.mktemp("lab")
    for name, text in MINE.items():
        (folder / "home" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "home" / name).write_text(text)
    shutil.copy(ROOT / "Makefile", folder)
    text = (ROOT / "notebooks" / "00_explore.py").read_text()
    values = scenes_report[0].model_dump(mode="json")
    injected = "".join(f"{name} = {value!r}\n" for name, value in values.items())
    before, setup, after = text.partition('# %% tags=["setup"]')
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "00_explore.py").write_text(f"{before}# %%\n{injected}\n{setup}{after}")
    return folder


@pytest.fixture(scope="module")
def lab(folder):
    """Address of what ``make lab`` starts there, with the programs of this Python."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    token = secrets.token_hex(16)
    own = {"HOME": str(folder / "home"), "JUPYTER_PORT": port, "JUPYTER_TOKEN": token}
    own |= {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    others = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
    options = {"env": {**others, **own, "BROWSER": "true"}, "start_new_session": True}
    command = ["make", "-o", "env", "lab", f"BIN={Path(sys.executable).parent}"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, **options)
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(300):
                assert server.poll() is None, (folder / "log").read_text()
                try:
                    urllib.request.urlopen(f"{address}/api", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.2)
            yield f"{address}/lab?token={token}"
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


@pytest.fixture(scope="module")
def page(lab, browser):
    """The notebook, opened by a double click, and all cells run."""
    page = browser.new_page(viewport={"width": 1500, "height": 1400})
    page.set_default_timeout(LONG)
    page.goto(lab)
    page.locator(".jp-DirListing-item", has_text="00_explore.py").dblclick()
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.wait_for_function(
        "document.querySelector('.widget-image')?.naturalWidth > 500"
        " && document.querySelectorAll('audio').length >= 4"
    )
    return page


def test_a_double_click_opens_a_notebook_and_a_users_settings_stay(page, folder):
    assert page.locator(".jp-Notebook").count() == 1
    assert page.locator("dialog, .jp-Dialog").count() == 0
    assert page.locator(".jp-OutputArea-output[data-mime-type*=error]").count() == 0
    found = (folder / "home" / ".jupyter").rglob("*")
    held = {str(p.relative_to(folder / "home")): p.read_text() for p in found if p.is_file()}
    assert held == MINE


def test_a_slider_changes_the_picture_and_the_denoised_sound(page):
    seen = """() => [document.querySelector('.widget-image').src,
        ...[...document.querySelectorAll('audio')].map(audio => audio.src)]"""
    picture, *sounds = page.evaluate(seen)
    assert len(sounds) == len(set(sounds)) == 4  # near, far, the machine alone, denoised
    slider = page.locator(".widget-slider", has_text="a_0").get_by_role("slider")
    slider.focus()
    for _ in range(6):
        slider.press("ArrowRight")
    page.wait_for_function(
        "old => [...document.querySelectorAll('audio')].at(-1).src != old", arg=sounds[-1]
    )
    page.wait_for_function("old => document.querySelector('.widget-image').src != old", arg=picture)
    assert page.evaluate(seen)[1:-1] == sounds[:-1]  # only the denoised sound is another one
