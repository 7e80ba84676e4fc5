"""What carries a fault, on made values where the answer is known."""

import numpy as np
import pytest
from test_untrained import BANDS, made

from asdlib import clipstats
from asdlib.compare import faults
from asdlib.compare.untrained import Measured
from asdlib.params import load

PARAMS = load({"spectra": {"n_mels": BANDS}})


def steadier(values):
    """The first fault is the smallest, and all lie in s of the third band."""
    values[:, 2, 2] += 10 + np.arange(len(values))


@pytest.fixture
def own(rng):
    return made(rng, train=80, fault=steadier)


def test_shares_add_up_to_the_squared_distance_and_tell_statistic_and_band(own):
    (fan,) = faults.carried(PARAMS, [own])
    assert (fan.machine, fan.statistics, fan.anomalies, fan.normals) == ("fan", "pmsd", 24, 24)
    normal = clipstats.Normal.fit(own.values[own.train], own.clips["domain"][own.train].to_numpy())
    squared = normal.distance(own.values) ** 2
    of_clip = dict(zip(own.clips["name"], squared, strict=True))
    assert fan.faults["squared"].tolist() == pytest.approx(
        [of_clip[name] for name in fan.faults["name"]]
    )
    assert fan.shares.sum(axis=(1, 2)) == pytest.approx(fan.faults["squared"].to_numpy())
    assert {divmod(int(share.argmax()), BANDS) for share in fan.shares} == {(2, 2)}
    normals = squared[(own.test & (own.clips["label"] == "normal")).to_numpy()]
    assert fan.usual.sum() == pytest.approx(normals.mean())
    assert fan.faults["above"].tolist() == [24] * 24


def test_the_clearest_fault_comes_first_and_those_that_are_kept_span_all(own):
    (fan,) = faults.carried(PARAMS, [own])
    assert (np.diff(fan.faults["squared"]) < 0).all()
    assert fan.faults["rank"].tolist() == list(range(1, 25))
    (few,) = faults.carried(PARAMS, [own], most=3 * 4 * BANDS)
    assert few.faults["rank"].tolist() == [1, 13, 24]
    assert few.faults["name"].tolist() == fan.faults["name"].iloc[[0, 12, 23]].tolist()
    assert (few.shares == fan.shares[[0, 12, 23]]).all()
    assert few.anomalies == 24


def test_neighbouring_bands_are_added_up(rng):
    bands = 80  # more than a page shows
    one = made(rng)
    values = rng.normal(size=(len(one.clips), 4 * bands))
    params = load({"spectra": {"n_mels": bands}})
    (fan,) = faults.carried(params, [Measured("fan", "pmsd", one.clips, values)])
    assert fan.shares.shape == (24, 4, 27)  # of three bands each, the last one of two
    assert fan.usual.shape == (4, 27)
    centres = clipstats.centres("pmsd", params.spectra)
    assert len(fan.edges) == 28
    assert fan.edges[0] < centres[0] < centres[2] < fan.edges[1] < centres[3]
    assert centres[-3] < fan.edges[-2] < centres[-2] < centres[-1] < fan.edges[-1]
    assert fan.shares.sum(axis=(1, 2)) == pytest.approx(fan.faults["squared"].to_numpy())


def test_a_machine_without_anomalies_is_left_out_and_one_without_normal_clips_is_not(rng):
    def of(label):
        one = made(rng)
        kept = ((one.clips["split"] == "train") | (one.clips["label"] == label)).to_numpy()
        return Measured(label, "pmsd", one.clips[kept].reset_index(drop=True), one.values[kept])

    (found,) = faults.carried(PARAMS, [of("normal"), of("anomaly")])
    assert (found.machine, found.anomalies, found.normals) == ("anomaly", 24, 0)
    assert not found.usual.any()
    assert not found.faults["above"].any()
    assert faults.carried(PARAMS, []) == []
