"""What made a report: parameters, versions, machine, and what it costs there.

Notebooks: 98_performance, 99_provenance.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from typing import Any

import pandas as pd

import asdlib
from asdlib.io.files import digest, project_root, resolve
from asdlib.params import AsdError, Params

_PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "torch",
    "scikit-learn",
    "librosa",
    "pyroomacoustics",
    "papermill",
    "sphinx",
    "myst-nb",
)


def parameters(params: Params) -> pd.DataFrame:
    """Every parameter with its value, nested names dotted."""
    flat = pd.json_normalize(params.model_dump(mode="json", exclude={"figures", "results", "data"}))
    values = [str(value) for value in flat.iloc[0]]
    return pd.DataFrame({"parameter": flat.columns, "value": values})


def versions() -> pd.DataFrame:
    """Versions of the package, of its revision, of the libraries, and the machine."""
    rows = {
        "asdlib": asdlib.__version__,
        "revision": revision(),
        "Python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
        "system": platform.system(),
        "processor": f"{platform.machine()}, {os.cpu_count()} cores",
        "defaults": digest(Params()),
    }
    return pd.DataFrame({"what": rows.keys(), "version": rows.values()})


def benchmarks(params: Params) -> dict[str, Any]:
    """What ``make bench`` measured, from the folder of results; empty where it was not run."""
    path = resolve(params.results) / "benchmarks.json"
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError:
        raise AsdError(
            f"{path}: not what make bench writes; remove it or run make bench."
        ) from None


def revision() -> str:
    """Short git revision of the project, with a mark for uncommitted changes."""
    git = shutil.which("git")
    if git is None or not (project_root() / ".git").exists():
        return "unknown"
    command = [git, "-C", str(project_root()), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
