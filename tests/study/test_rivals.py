"""Flow and nearest neighbours at the bottleneck, against what is known of both."""

import numpy as np
import pytest
import torch

from asdlib.params import Bottleneck
from asdlib.spectra import Frames
from asdlib.study.rivals import BottleneckDetector

LATENT, STACK = 3, 2
CONSTANTS = Bottleneck(epochs=30, neighbours=2)


def bottleneck(vectors):
    """Stand in for a model: seed s sees (s + 1) times the first values."""
    x = torch.from_numpy(np.array(vectors))[:, :LATENT]
    return torch.stack([x, 2 * x])


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(0)
    clips = [rng.standard_normal((60, LATENT)).astype(np.float32) for _ in range(8)]
    return Frames.join(clips, stack=STACK)


@pytest.fixture(scope="module")
def detector(frames):
    return BottleneckDetector.fit(bottleneck, frames, [0, 1], constants=CONSTANTS)


def test_the_flow_learns_the_density(detector):
    """Of a standard normal distribution: log p = -|x|^2 / 2 - n log(2 pi) / 2."""
    x = torch.randn(500, LATENT, generator=torch.Generator().manual_seed(1))
    true = -x.square().sum(1) / 2 - LATENT * np.log(2 * np.pi) / 2
    for flow in detector.flows:
        with torch.inference_mode():
            found = flow().log_prob(x)
        assert float((found - true).abs().median()) < 0.15


def test_the_unusual_scores_higher_and_all_is_positive(detector, frames, rng):
    usual = detector(rng.standard_normal((60, LATENT * STACK)).astype(np.float32))
    unusual = detector(4 + rng.standard_normal((60, LATENT * STACK)).astype(np.float32))
    for name in ("flow", "knn"):
        assert (unusual[name] > usual[name]).all()
        train = np.stack([detector(frames.clip(c))[name] for c in range(len(frames))])
        assert (train > 0).all()
        assert (unusual[name] > train.max(0)).all()
    crowd = detector(np.zeros((60, LATENT * STACK), np.float32))  # denser than any training clip
    assert (crowd["flow"] > 0).all()


def test_neighbours_by_hand(detector, frames, rng):
    clips = [bottleneck(frames.clip(c)) for c in range(len(frames))]
    whole = torch.cat(clips, 1)
    mean, std = whole.mean(1, keepdim=True), whole.std(1, keepdim=True)
    centres = torch.stack([((x - mean) / std).mean(1) for x in clips], 1)
    vectors = rng.standard_normal((40, LATENT * STACK)).astype(np.float32)
    own = ((bottleneck(vectors) - mean) / std).mean(1)
    for seed in (0, 1):
        distances = (centres[seed] - own[seed]).norm(dim=1).sort().values
        assert detector(vectors)["knn"][seed] == pytest.approx(float(distances[:2].mean()), 1e-4)
        # a training clip is not its own neighbour
        distances = (centres[seed] - centres[seed, 3]).norm(dim=1).sort().values
        found = detector(frames.clip(3))["knn"][seed]
        assert found == pytest.approx(float(distances[1:3].mean()), 1e-4)


def test_a_seed_alone_is_the_seed_among_others(detector, frames, rng):
    alone = BottleneckDetector.fit(
        lambda v: bottleneck(v)[1:], frames, [1], constants=CONSTANTS, percentile=90
    )
    vectors = rng.standard_normal((30, LATENT * STACK)).astype(np.float32)
    for name, values in alone(vectors).items():
        assert values[0] == detector(vectors)[name][1]


def test_one_clip_to_learn_from_gives_a_score(rng):
    one = Frames.join([rng.standard_normal((60, LATENT)).astype(np.float32)], stack=STACK)
    detector = BottleneckDetector.fit(bottleneck, one, [0, 1], constants=CONSTANTS)
    for values in detector(one.clip(0)).values():
        assert np.isfinite(values).all()
