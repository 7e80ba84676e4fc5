"""How much is removed, from parts that are written by hand and front-ends whose gain is known."""

import numpy as np
import pandas as pd
import pytest
from conftest import small_params, write_wav

from asdlib import frontends
from asdlib.frontends import Near
from asdlib.measure import removal
from asdlib.measure.removal import clip_energies
from asdlib.report import charts_signals
from asdlib.study.recordings import open_recordings

RATE = 16000
QUARTER = 10 * np.log10(4)  # dB


class Quarter(Near):
    """Leaves a quarter of the power of every cell."""

    def __call__(self, spectrum):
        return super().__call__(spectrum) / 4


class Low(Near):
    """Leaves a hundredth of the power above 4 kHz."""

    def __call__(self, spectrum):
        out = super().__call__(spectrum)
        out[out.shape[0] // 2 :] /= 100
        return out


class Limiter(Near):
    """Leaves a tenth of the power of a loud clip, all of a quiet one."""

    def __call__(self, spectrum):
        out = super().__call__(spectrum)
        return out / 10 if out.mean() > 10 else out


def tone(frequency, level):
    """One second (sample, 2) of a sine with this amplitude, the same in both channels."""
    t = np.arange(RATE) / RATE
    return np.repeat(level * np.sin(2 * np.pi * frequency * t)[:, None], 2, axis=1)


NOTHING = tone(0, 0)


def write(root, machine, clips, rng):
    """Two training clips of noise, and test clips of (machine sound, noise, fault) with truth."""
    for i in range(2):
        name = f"section_00_source_train_normal_{i:04d}_x.wav"
        write_wav(root / machine / "train" / name, 0.05 * rng.standard_normal((RATE, 2)))
    for i, (sound, noise, fault) in enumerate(clips):
        label = "anomaly" if fault.any() else "normal"
        name = f"section_00_source_test_{label}_{i:04d}_x.wav"
        write_wav(root / machine / "test" / name, sound + fault + noise, subtype="FLOAT")
        parts = np.hstack([sound + fault, noise, fault])
        write_wav(root / machine / "truth" / name, parts, subtype="FLOAT")


@pytest.fixture
def study(tmp_path, monkeypatch, rng):
    """Write machines and return parameters and recordings; the front-ends have known gains."""
    for name, kind in (("refsub", Quarter), ("adasub", Low), ("cohgate", Limiter)):
        monkeypatch.setitem(frontends.FRONT_ENDS, name, kind)
    names = ["near", "far", "refsub", "adasub", "cohgate"]
    params = small_params(tmp_path, data=str(tmp_path / "data"), front_ends=names)

    def made(**machines):
        for machine, clips in machines.items():
            write(tmp_path / "data", machine, clips, rng)
        return params, open_recordings(params)

    return made


@pytest.fixture
def faulty(study, rng):
    """As ``study``, with tones for faults over white noise; no fault in the last clip."""

    def made(front_ends=("near", "refsub", "adasub"), **machines):
        def clips(faults):
            for fault in (*faults, NOTHING):
                yield tone(200, 0.05), 0.05 * rng.standard_normal((RATE, 2)), fault

        params, recordings = study(**{name: clips(faults) for name, faults in machines.items()})
        return params.model_copy(update={"front_ends": front_ends}), recordings

    return made


def audit(params, recordings):
    return removal.audit(clip_energies(params, recordings), params)


def row(table, front_end, machine="fan"):
    own = table[(table["front_end"] == front_end) & (table["machine"] == machine)]
    (found,) = own.to_dict("records")
    return found


def test_a_gain_removes_what_lies_where_it_is_low(study):
    low, high = tone(1000, 0.1), tone(6000, 0.1)
    table = removal.removal(
        clip_energies(*study(fan=[(low, high, NOTHING)], pump=[(high, low, NOTHING)]))
    )
    assert table["front_end"].unique().tolist() == ["refsub", "adasub", "cohgate"]  # not near, far
    for machine, expected in (("fan", [20, 0]), ("pump", [0, 20])):
        found = row(table, "adasub", machine)
        assert [found["noise"], found["machine_sound"]] == pytest.approx(expected, abs=0.05)
        everywhere = row(table, "refsub", machine)
        removed = [everywhere["noise"], everywhere["machine_sound"]]
        assert removed == pytest.approx([QUARTER] * 2, abs=1e-5)


def test_energies_are_summed_over_clips_also_where_only_some_hold_a_fault(study):
    loud, quiet, fault = tone(2000, 0.4), tone(2000, 0.1), tone(3000, 0.3)
    clips = [(tone(500, 0.3), loud, fault), (tone(500, 0.1), quiet, NOTHING)]
    opened = study(fan=clips, pump=clips[1:])
    measured = clip_energies(*opened)
    removed = removal.removal(measured)
    whole = removal.overall(removal.audit(measured, opened[0]))
    for name in ("refsub", "adasub", "cohgate"):
        assert row(whole, name)["noise"] == pytest.approx(row(removed, name)["noise"], abs=1e-9)
    limited = row(whole, "cohgate")
    assert limited["noise"] == pytest.approx(-10 * np.log10((16 / 10 + 1) / 17), abs=1e-4)
    assert limited["anomaly"] == pytest.approx(10, abs=1e-4)  # of the loud clip alone
    assert set(whole["machine"]) == {"fan"}  # no clip of the pump holds a fault
    assert set(removed["machine"]) == {"fan", "pump"}


def test_a_clip_whose_label_is_concealed_counts_too(study, tmp_path):
    study(fan=[(tone(500, 0.1), tone(2000, 0.4), tone(3000, 0.3))])
    for folder in ("test", "truth"):
        (path,) = (tmp_path / "data" / "fan" / folder).iterdir()
        path.rename(path.with_name("section_00_0000.wav"))
    found = row(removal.overall(audit(*study())), "refsub")
    assert found["noise"] == pytest.approx(QUARTER, abs=1e-5)
    assert found["anomaly"] == pytest.approx(QUARTER, abs=1e-5)


def test_without_truth_or_machine_sound_there_is_no_row(study, tmp_path):
    opened = study(fan=[(NOTHING, tone(2000, 0.1), NOTHING)])
    assert removal.removal(clip_energies(*opened)).empty
    (path,) = (tmp_path / "data" / "fan" / "truth").iterdir()
    path.unlink()
    measured = clip_energies(*opened)
    table, bands = removal.removal(measured), removal.audit(measured, opened[0])
    assert list(table.columns) == ["machine", "front_end", "noise", "machine_sound"]
    assert list(bands.columns) == removal.COLUMNS
    assert not [*table.index, *bands.index, *removal.overall(bands).index]
    assert removal.examples(clip_energies(*opened)) == []


def test_energies_are_sums_over_time_and_removed_is_their_ratio_in_db():
    part = np.zeros((3, 4), np.float32)
    part[1] = 4
    energy = removal.energies([part, 9 * part], [part / 4, 0 * part])
    assert energy.tolist() == [[[0, 16, 0], [0, 144, 0]], [[0, 4, 0], [0, 0, 0]]]
    removed = removal.removed(energy)
    assert removed[:, 1] == pytest.approx([QUARTER, 160])
    assert np.isnan(removed[:, [0, 2]]).all()  # nothing cannot be removed


def test_a_quarter_of_the_power_is_six_db_of_both_in_every_band(faulty, rng):
    white = 0.02 * rng.standard_normal((RATE, 2))
    table = audit(*faulty(fan=[white, tone(3000, 0.05)]))
    quarter = table[table["front_end"] == "refsub"]
    assert quarter["band"].iloc[0] == removal.WHOLE
    assert len(quarter) == 1 + removal.BANDS
    assert quarter[["noise", "anomaly"]].to_numpy() == pytest.approx(QUARTER, abs=1e-4)
    assert quarter["share"].iloc[1:].sum() == pytest.approx(1)
    assert row(removal.overall(table), "refsub")["difference"] == pytest.approx(0, abs=1e-5)


def test_a_band_without_anomaly_has_no_retention(faulty):
    table = audit(*faulty(fan=[tone(3000, 0.02)])).set_index("band")
    low = table[table["front_end"] == "adasub"]
    (inside,) = [band for band in low.index[1:] if low.loc[band, "share"] > 0.99]
    bottom, top = map(float, inside.split("–"))
    assert bottom < 3 < top
    assert low["anomaly"].notna().tolist() == [band in {"all", inside} for band in low.index]
    assert low["noise"].notna().all()
    assert low.loc[inside, "anomaly"] == pytest.approx(0, abs=1e-4)
    assert low["noise"].iloc[-1] == pytest.approx(20, abs=1e-3)


def test_examples_are_the_clearest_and_from_different_machines(faulty):
    tones = {"a": (6000, 6500, 3000), "b": (3000, 7000), "c": (5000,)}
    opened = faulty(**{name: [tone(f, 0.02) for f in own] for name, own in tones.items()})
    measured = list(clip_energies(*opened))
    every = [(own.clip["machine"], own.loss) for own in measured if own.clip["label"] == "anomaly"]
    worst = pd.DataFrame(every).groupby(0)[1].max().sort_values(ascending=False)
    *losses, success = removal.examples(measured)
    assert [(own.clip["machine"], own.loss) for own in losses] == [*worst.items()]
    assert success.loss == min(loss for _, loss in every) < 0
    opened = faulty(("adasub",), d=[tone(6000, 0.02), tone(6500, 0.02)])
    shown = [own.clip["machine"] for own in removal.examples(clip_energies(*opened), count=9)]
    assert shown.count("d") == 2  # a machine may fill the examples where no other one is left


def test_the_sounds_of_an_example_are_what_they_are_called(faulty):
    params, recordings = faulty(a=[tone(6000, 0.02)])
    case = removal.examples(clip_energies(params, recordings))[0]
    assert case.front_end == "adasub"
    assert case.removed[removal.ANOMALY] == pytest.approx(20, abs=0.05)
    tracks = removal.tracks(case, params, recordings)
    near, denoised, fault, left = (signal for signal, _ in tracks.values())
    assert np.abs(fault - tone(6000, 0.02)[:, 0]).max() < 1e-6
    assert np.abs(left - fault / 10)[600:-600].max() < 1e-3
    assert np.sum(denoised**2) < np.sum(near**2)
    assert 10 * np.log10(np.sum(fault**2) / np.sum(left**2)) == pytest.approx(20, abs=0.05)
    shown = [10 * np.log10(power) for _, power in tracks.values()]
    assert shown[-1].min() == pytest.approx(np.percentile(shown[0], 10) - 10, abs=0.1)
    assert {power.shape for power in shown} == {(513, 1 + RATE // 512)}


def test_the_figure_frames_what_costs_more_than_it_brings(faulty):
    table = audit(*faulty(fan=[tone(6000, 0.02)], pump=[tone(3000, 0.02)]))
    shown = [ax for ax in charts_signals.retention(table).axes if ax.get_title()]
    assert [ax.get_title() for ax in shown] == ["fan", "pump"]
    for ax in shown:
        own = table[table["machine"] == ax.get_title()]
        frames = [patch for patch in ax.patches if not patch.get_fill()]
        assert len(frames) == (own["anomaly"] > own["noise"] + 0.05).sum()
