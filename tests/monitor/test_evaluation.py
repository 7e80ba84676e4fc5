"""A monitor on labelled test clips of a small study."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
from conftest import machine_folder, two_channels, write_wav
from test_monitor import sound, write

from asdlib import study
from asdlib.monitor import evaluation
from asdlib.params import load
from asdlib.report import charts_evidence


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for split, label, numbers in (
        ("train", "normal", range(30)),
        ("test", "normal", range(30, 36)),
        ("test", "anomaly", range(40, 44)),
    ):
        name = f"section_00_source_{split}_{label}_{{:04d}}_noAttribute.wav"
        write(root / "fan" / split, numbers, name=name)
    for louder in (root / "fan" / "test").glob("*_normal_*"):  # a gain, which a reading removes
        signal, rate = soundfile.read(louder)
        soundfile.write(louder, 1.6 * signal, rate)
    write(root / "pump" / "train", range(50, 54))
    own = load({"data": str(root), "results": str(root / "results"), "scorers": ["pm"]})
    return own, study.open_recordings(own)


@pytest.fixture(scope="module")
def monitor(recordings):
    return evaluation.fitted(*recordings, "fan")


def test_a_labelled_machine_is_looked_at_and_its_alarms_are_counted(recordings, monitor):
    _, found = recordings
    machine = evaluation.chosen(found)
    assert machine == "fan"  # no clip of the pump has a label
    clips = found.clips(machine, "test")
    table = evaluation.readings(monitor, clips)
    alone = [monitor.score(path) for path in clips["path"]]
    assert table["score"].tolist() == [reading.score for reading in alone]
    assert table["alarm"].tolist() == [reading.alarm for reading in alone]
    counted = evaluation.counted(table, machine)
    assert counted["clips"].tolist() == [4, 6]
    normal = table[table["label"] == "normal"]
    assert counted["alarms"].tolist()[1] == normal["alarm"].sum()
    assert evaluation.clearest(table)["label"].tolist() == ["anomaly"]
    assert evaluation.clearest(table[:0]).empty


def test_fewer_recordings_promise_less(recordings, monitor):
    clips = recordings[1].clips("fan", "test")
    often = replace(monitor, false_alarms=0.5)  # so that there are alarms to count
    curve = evaluation.enough(often, clips, counts=(5, 20))
    assert curve["recordings"].tolist() == [5, 20, 30]
    assert (np.diff(curve["high"] - curve["low"]) < 0).all()
    shares = evaluation.readings(often, clips).groupby("label")["alarm"].mean()
    assert shares.min() > 0
    last = curve.iloc[-1]
    assert (last["false_alarms"], last["hits"]) == (shares["normal"], shares["anomaly"])
    line = charts_evidence.enough(curve).axes[0].lines[-1]
    assert line.get_ydata().tolist() == curve["hits"].tolist()
    few = evaluation.enough(monitor, clips, counts=(5,))
    assert few[["false_alarms", "hits"]].isna().all(axis=1).tolist() == [True, False]  # no alarm
    both = monitor.known.assign(domain=["source"] * 20 + ["target"] * 10)
    curve = evaluation.enough(monitor.on(monitor.values, both), clips, counts=(4, 15))
    assert curve["recordings"].tolist() == [8, 25, 30]  # of each condition as many as it has
    unlabelled = evaluation.enough(monitor, clips[:0], counts=(5,))
    assert unlabelled["hits"].isna().all()
    again = monitor.on(monitor.values, monitor.known)
    assert again.score(sound(99)).score == pytest.approx(monitor.score(sound(99)).score)


def test_a_study_at_another_sample_rate_is_converted_for_the_monitor(tmp_path, rng):
    machine_folder(tmp_path / "data", rng, "fan", train=6, test=1)
    for path in (tmp_path / "data").rglob("*.wav"):
        write_wav(path, two_channels(rng, 1, 48000), 48000)
    places = {"data": str(tmp_path / "data"), "results": str(tmp_path / "results")}
    own = load({**places, "scorers": ["pm"], "spectra": {"sample_rate": 48000}})
    monitor = evaluation.fitted(own, study.open_recordings(own), "fan")
    assert len(monitor.known) == 6


def test_faults_are_looked_for_in_every_machine_among_some_recordings(recordings, monkeypatch):
    params, found = recordings
    assert evaluation.faulty(params, found, most=5) == {"fan": [], "pump": []}
    monkeypatch.setattr(evaluation, "faults", lambda clips, spectra: clips["name"].tolist())
    for machine, names in evaluation.faulty(params, found, most=2).items():
        assert names == [found.clips(machine, "train")["name"].iloc[i] for i in (0, -1)]
