"""The walk of one clip: a golden table guards every step from the file to the decision."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import write_wav

from asdlib import clipstats, frontends, params, pipeline
from asdlib.autoencoder import SeedAutoencoder
from asdlib.calibration import Calibration
from asdlib.spectra import Frames, Standardiser
from asdlib.study import autoencoders

GOLDEN = Path(__file__).parent / "golden" / "walk.csv"
KEYS = ["clip", "scorer", "seed"]
SMALL = params.load(
    {
        "seeds": [0, 3],
        "scorers": ["eq1", "s1", "mean"],
        "spectra": {"n_mels": 8, "stack": 3},
        "autoencoder": {"width": 16, "blocks": 1, "bottleneck": 4},
    }
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Ten clips of a hum in noise that both microphones hear; the last two are anomalies."""
    rng = np.random.default_rng(2026)
    folder, paths = tmp_path_factory.mktemp("clips"), []
    t = np.arange(24000) / 16000
    for number in range(10):
        pitch, anomaly = (120, 180)[number in (4, 5, 9)], number > 7
        hum = 0.05 * np.sin(2 * np.pi * pitch * t * (1 + 0.5 * anomaly)) * (1 + np.sin(9 * t))
        noise = 0.02 * rng.standard_normal(len(t))
        own = 0.002 * rng.standard_normal((2, len(t)))
        pair = np.stack([hum + noise, 0.1 * hum + 0.8 * noise]) + own
        paths.append(write_wav(folder / f"{number}.wav", pair.T))
    return paths


@pytest.fixture(scope="module")
def fitted(clips):
    """What the first six clips teach, with the weights that the seeds draw and no training."""
    p, train, domains = SMALL, clips[:6], ["source"] * 4 + ["target"] * 2
    spectra = [pipeline.spectrum(path, p.spectra) for path in train]
    front_end = frontends.AdaSub(p.denoising).fit(spectra)
    raw = Frames.join([pipeline.frames(s, front_end, p.spectra) for s in spectra], p.spectra.stack)
    standardise = Standardiser.fit(raw)
    frames = Frames(standardise(raw.values), raw.offsets, raw.stack)
    model = SeedAutoencoder(frames.windows().shape[1], p.seeds, p.autoencoder).eval()
    found = autoencoders.detectors(model, frames, domains, p, p.scorers)
    bare = pipeline.Fitted(front_end, p.spectra, None, standardise, found, {})
    a = [bare.a(frames.clip(c)) for c in range(len(frames))]
    gammas = {
        (scorer, seed): Calibration.fit(np.array([one[scorer][i] for one in a]))
        for scorer in p.scorers
        for i, seed in enumerate(p.seeds)
    }
    return pipeline.Fitted(front_end, p.spectra, None, standardise, found, gammas)


def walk(fitted, clips):
    """A, z and decision of every clip, each scored alone."""
    rows = []
    for path in clips:
        spectrum = pipeline.spectrum(path, fitted.spectra)
        a = fitted.a(fitted.vectors(fitted.frames(spectrum)))
        for (scorer, seed), z in fitted(path).items():
            decision = int(z > fitted.gammas[scorer, seed].threshold)
            value = a[scorer][SMALL.seeds.index(seed)]
            rows.append([int(path.stem), scorer, seed, value, z, decision])
    return pd.DataFrame(rows, columns=[*KEYS, "A", "z", "decision"])


def test_every_step_of_the_walk_gives_the_golden_numbers(fitted, clips):
    golden = pd.read_csv(GOLDEN)
    found = walk(fitted, clips)
    assert len(found) == 10 * 3 * 2
    pd.testing.assert_frame_equal(found[[*KEYS, "decision"]], golden[[*KEYS, "decision"]])
    np.testing.assert_allclose(found["A"], golden["A"], rtol=1e-4)
    np.testing.assert_allclose(found["z"], golden["z"], rtol=1e-3, atol=1e-3)


@pytest.fixture(scope="module")
def views():
    """Every detector without training on noise, whose target clips are 6 dB louder."""
    rng, near = np.random.default_rng(5), frontends.Near()
    gains = np.repeat([0.1, 0.2], 12)[:, None, None]
    clips = (gains * rng.standard_normal((24, 2, 16000))).astype(np.float32)
    domains, folds = ["source"] * 12 + ["target"] * 12, np.arange(24) // 4
    found = {}
    for scorer, view in clipstats.VIEWS.items():
        values = np.stack([pipeline.statistics(clip, view.kind, near) for clip in clips])
        normal = clipstats.Normal.fit(
            clipstats.chosen(values, clipstats.VIEWS[scorer].statistics), domains, folds
        )
        found[scorer] = pipeline.FittedView(scorer, near, normal)
    return found


STEADY, BURST = 1000, 3000  # Hz


@pytest.mark.parametrize(
    ("scorer", "pitch", "statistic"),
    [
        ("pm", STEADY, "m"),  # in noise, the mean level rises more than the level of the mean
        ("pms", STEADY, "m"),
        ("pmsd", STEADY, "m"),
        ("fine", STEADY, "pm"),  # either: few of the bins in its band hear the tone
        ("psd", STEADY, "psd"),
        ("pm", BURST, "p"),
        ("psd", BURST, "psd"),
    ],
)
def test_a_tone_makes_its_band_the_largest_contribution(views, scorer, pitch, statistic):
    view, t = views[scorer], np.arange(16000) / 16000
    noise = 0.1 * np.random.default_rng(7).standard_normal((2, 16000))
    tone = np.sin(2 * np.pi * pitch * t) * (0.05 if pitch == STEADY else 0.4 * (t < 0.1))
    clip = (noise + tone).astype(np.float32)
    table = view.explain(clip)
    most = table.loc[table["contribution"].idxmax()]
    assert most["statistic"] in statistic
    assert most["frequency"] == pytest.approx(pitch, rel=0.06)
    assert most["deviation"] > 1
    assert (table["contribution"] >= 0).all()
    squared = view.normal.distance(view.values(clip)[None]).item() ** 2
    assert table["contribution"].sum() == pytest.approx(squared, rel=1e-9)


def test_deviations_are_from_the_nearest_domain_in_standard_deviations(views):
    view, rng = views["pm"], np.random.default_rng(8)
    for gain in (0.1, 0.2):  # of either domain
        table = view.explain((gain * rng.standard_normal((2, 16000))).astype(np.float32))
        assert abs(table["deviation"].mean()) < 0.2
    quiet = view.explain((0.05 * rng.standard_normal((2, 16000))).astype(np.float32))
    assert quiet["deviation"].mean() == pytest.approx(-2, abs=0.2)  # the domains' are at -1 and 1
