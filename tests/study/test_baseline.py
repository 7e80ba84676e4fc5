"""The official baseline, against its description written out in numpy."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from asdlib import training
from asdlib.autoencoder import SeedAutoencoder
from asdlib.params import Params
from asdlib.spectra import Frames
from asdlib.study import baseline
from asdlib.study.rivals import OfficialDetector
from asdlib.training import shuffled

BANDS, STACK, SIZE = 6, 5, 32


def residual(vectors):
    """Stand in for a model: seed s sees (s + 1) times the vectors."""
    x = torch.from_numpy(np.array(vectors))
    return torch.stack([x, 2 * x])


@pytest.fixture
def frames(rng):
    mix = rng.standard_normal((BANDS, BANDS))
    lengths = [30, 25, 40, 30, 35, 30]
    clips = [(rng.standard_normal((n, BANDS)) @ mix + 0.3).astype(np.float32) for n in lengths]
    return Frames.join(clips, stack=STACK)


DOMAINS = ["source"] * 4 + ["target"] * 2


@pytest.fixture
def detector(frames):
    return OfficialDetector.fit(residual, frames, DOMAINS, batch_size=SIZE)


def covariance_by_hand(frames, domain):
    """Batch-centred differences; the divisor counts stacked vectors, not frames."""
    vectors = frames.windows()[frames.starts()]
    lengths = np.diff(frames.offsets) - STACK + 1
    of = np.repeat(DOMAINS, lengths)
    order = shuffled(len(vectors), 0, 0).numpy()
    total = np.zeros((BANDS, BANDS))
    for i in range(0, len(order), SIZE):
        batch = [j for j in order[i : i + SIZE] if of[j] == domain]
        single = vectors[batch].astype(float).reshape(-1, BANDS)
        if len(single):
            total += (single - single.mean(0)).T @ (single - single.mean(0))
    return total / np.sum(of == domain)


def test_the_covariance_has_its_quirks(frames, detector):
    for domain in ("source", "target"):
        expected = covariance_by_hand(frames, domain)
        found = detector.factors[domain] @ detector.factors[domain].mT
        assert np.allclose(found[0], expected, rtol=1e-5)
        assert np.allclose(found[1], 4 * expected, rtol=1e-5)
        vectors = frames.windows()[frames.starts()]
        lengths = np.diff(frames.offsets) - STACK + 1
        own = vectors[np.repeat(DOMAINS, lengths) == domain].astype(float).reshape(-1, BANDS)
        assert np.trace(expected) > 4 * np.trace(np.cov(own.T))  # five frames in a vector


def test_scores_are_the_description_written_out(frames, detector, rng):
    vectors = rng.standard_normal((20, STACK * BANDS)).astype(np.float32) + 1
    single = vectors.astype(float).reshape(-1, BANDS)
    mean = single.mean(0)
    inverse = {d: np.linalg.inv(covariance_by_hand(frames, d)) for d in ("source", "target")}
    of_mean = min(mean @ i @ mean for i in inverse.values())
    of_frames = min(np.einsum("ij,jk,ik->i", single, i, single).mean() for i in inverse.values())
    found = detector(vectors)
    assert found["mse"][0] == pytest.approx(np.mean(vectors.astype(float) ** 2))
    assert found["mahala"][0] == pytest.approx(of_mean, rel=1e-4)
    assert found["mahala_corrected"][0] == pytest.approx(of_frames, rel=1e-4)


def test_the_distance_of_the_mean_is_not_the_mean_of_the_distances(detector, rng):
    """Residuals that cancel over a clip vanish in the official distance, and only there."""
    half = rng.standard_normal((10, STACK * BANDS)).astype(np.float32)
    found = detector(np.concatenate([half, -half]))
    assert found["mahala"][0] < 1e-9 * found["mahala_corrected"][0]
    for _ in range(20):
        scores = detector(rng.standard_normal((15, STACK * BANDS)).astype(np.float32))
        assert (scores["mahala"] <= scores["mahala_corrected"]).all()  # Jensen


def test_the_network_is_the_official_one():
    shape = baseline.official(Params()).autoencoder
    model = SeedAutoencoder(640, [0], shape)
    sizes = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640]
    weights = sum(i * o + o for i, o in pairwise(sizes))
    norms = sum(2 * width for width in sizes[1:-1])
    assert model.parameters_per_seed == weights + norms
    norm = model.encoder[0].norm
    assert (norm.momentum, norm.eps) == (0.01, 1e-3)
    plain = model.encoder[1].eval()
    x = torch.randn(1, 4, 128)
    assert torch.equal(plain(x), plain.body(x))
    assert (model.eval()(torch.randn(1, 4, 640)) != 0).any()
    assert (model.encoder(torch.randn(1, 4, 640)) >= 0).all()  # ReLU at the bottleneck too
    loop = baseline.official(Params()).training
    assert (loop.weight_decay, loop.held_out, loop.epochs, loop.batch_size) == (0, 0.1, 100, 256)


def test_a_tenth_of_the_vectors_is_never_trained_on():
    kept = training._kept(torch.arange(100), [0, 3], 0.1)
    assert kept.shape == (2, 90)
    assert all(len(set(row.tolist())) == 90 for row in kept)
    assert not torch.equal(kept[0], kept[1])
    assert torch.equal(training._kept(torch.arange(100), [3], 0.1)[0], kept[1])
    assert torch.equal(training._kept(torch.arange(7), [0], 0.0)[0], torch.arange(7))
