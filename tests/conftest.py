"""Shared test data: small, seeded, and made once."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from jaxtyping import install_import_hook

install_import_hook("asdlib", "typechecker.check")

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "real"


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
