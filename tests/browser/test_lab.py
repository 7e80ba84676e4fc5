"""The explorer in JupyterLab, in a real browser: run all cells, move a slider, look and listen."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request

import jupytext
import nbformat
import pytest
from conftest import ROOT

playwright = pytest.importorskip("playwright.sync_api")
SLOW = 120_000  # ms: the kernel imports the package and compiles


@pytest.fixture(scope="module")
def lab(scenes_report, tmp_path_factory):
    """Address of JupyterLab on a folder with the explorer, at the small report's parameters."""
    params, _ = scenes_report
    folder = tmp_path_factory.mktemp("lab")
    notebook = jupytext.read(ROOT / "notebooks" / "00_explore.py")
    (place,) = (
        i for i, c in enumerate(notebook.cells) if "parameters" in c.metadata.get("tags", [])
    )
    values = params.model_dump(mode="json")
    injected = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(injected))
    nbformat.write(notebook, folder / "00_explore.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    places = {
        f"JUPYTER{name}_DIR": str(folder / name.lower())
        for name in ("_CONFIG", "_DATA", "_RUNTIME", "LAB_SETTINGS", "LAB_WORKSPACES")
    }
    quiet = folder / "lab_settings" / "@jupyterlab" / "apputils-extension"
    quiet.mkdir(parents=True)  # no question that covers a button, no news from the network
    (quiet / "notification.jupyterlab-settings").write_text(
        json.dumps({"fetchNews": "false", "checkForUpdates": False})
    )
    log = (folder / "log").open("w")
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--allow-root",
            "--ip=127.0.0.1",
            f"--port={port}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={token}",
            f"--ServerApp.root_dir={folder}",
        ],
        cwd=ROOT,
        env={**os.environ, **places},
        stdout=log,
        stderr=log,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=1).close()
                break
            except OSError:
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.2)
        yield f"{address}/lab/tree/00_explore.ipynb?token={token}"
    finally:
        server.terminate()
        server.wait(30)
        log.close()


@pytest.fixture(scope="module")
def page(lab, chromium):
    """The notebook, all cells run."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1500, "height": 1400})
        page.set_default_timeout(SLOW)
        page.goto(lab)
        page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=SLOW)
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=SLOW)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        page.locator("div[role=status]").wait_for(state="attached", timeout=SLOW)
        page.wait_for_function(
            "document.querySelector('.widget-image')?.naturalWidth > 500"
            " && document.querySelectorAll('audio').length >= 4",
            timeout=SLOW,
        )
        yield page
        browser.close()


def seen(page):
    """What the picture and the denoised player hold."""
    return page.evaluate(
        """async () => {
            const bytes = await (await fetch(document.querySelector('.widget-image').src)).blob();
            const text = await bytes.arrayBuffer();
            const sha = new Uint8Array(await crypto.subtle.digest('SHA-256', text)).join();
            return [sha, [...document.querySelectorAll('audio')].map(audio => audio.src)];
        }"""
    )


def settled(page):
    """The same, once it stays for two seconds: a value that still travels undoes a reset."""
    last = None
    while last != (last := seen(page)):
        page.wait_for_timeout(2000)
    return last


def test_a_slider_changes_the_picture_and_the_sound(page):
    before, sounds = seen(page)
    assert len(sounds) == len(set(sounds))
    slider = page.locator(".widget-slider", has_text="a_0").get_by_role("slider")
    slider.focus()
    for _ in range(6):
        slider.press("ArrowRight")
    page.wait_for_function(
        "old => [...document.querySelectorAll('audio')].at(-1).src != old", arg=sounds[-1]
    )
    after, moved = settled(page)
    assert after != before
    assert moved[:-1] == sounds[:-1]  # only the denoised sound is another one
    page.get_by_role("button", name="reset").click()
    page.wait_for_function(
        "old => [...document.querySelectorAll('audio')].at(-1).src == old", arg=sounds[-1]
    )


def test_every_sound_can_be_played(page):
    lengths = page.evaluate(
        """() => Promise.all([...document.querySelectorAll('audio')].map(audio => new Promise(
            done => audio.readyState ? done(audio.duration)
                : audio.addEventListener('loadedmetadata', () => done(audio.duration)))))"""
    )
    assert len(lengths) == 4  # near, far, the machine alone, denoised
    assert min(lengths) > 1


def test_players_lie_in_one_grid(page):
    boxes = [player.bounding_box() for player in page.locator("audio").all()]
    assert len(boxes) == 4
    assert len({round(box["width"]) for box in boxes}) == 1
    columns = {round(box["x"]) for box in boxes}
    rows = {round(box["y"]) for box in boxes}
    assert len(columns) > 1
    assert len(rows) == -(-4 // len(columns))


def test_a_clip_is_named_with_its_domain_and_decisions(page):
    clips = page.locator(".widget-dropdown", has_text="clip").locator("option")
    assert "(test, source, anomaly)" in clips.first.inner_text().replace("\xa0", " ")
    assert page.get_by_text("S1: z = ").count() == 1


def test_an_impossible_combination_is_a_sentence(page):
    slider = page.locator(".widget-slider", has_text="a_min").get_by_role("slider")
    slider.focus()
    slider.press("End")
    sentence = page.get_by_text("a_min must not lie above a_max")
    sentence.wait_for()
    assert "Move a slider." in sentence.inner_text()
    page.get_by_role("button", name="reset").click()
    sentence.wait_for(state="detached")


def test_there_is_no_traceback(page):
    assert page.locator(".jp-OutputArea-output[data-mime-type*=error]").count() == 0
    assert page.get_by_text("Traceback").count() == 0
