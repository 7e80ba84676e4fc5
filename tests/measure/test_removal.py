"""How much is removed, from parts that are written by hand and front-ends whose gain is known."""

import numpy as np
import pytest
from conftest import small_params, write_wav

from asdlib import frontends
from asdlib.frontends import Near
from asdlib.measure import removal
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
        write_wav(root / machine / "test" / name, sound + noise, subtype="FLOAT")
        parts = np.hstack([sound, noise, fault])
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


def row(table, front_end, machine="fan"):
    (found,) = table[(table["front_end"] == front_end) & (table["machine"] == machine)].to_dict(
        "records"
    )
    return found


def test_a_quarter_of_the_power_is_six_db_of_everything(study, rng):
    noise = 0.05 * rng.standard_normal((RATE, 2))
    table = removal.removal(*study(fan=[(tone(500, 0.1), noise, NOTHING)]))
    assert table["front_end"].tolist() == ["refsub", "adasub", "cohgate"]  # not near, not far
    found = row(table, "refsub")
    assert [found["noise"], found["machine_sound"]] == pytest.approx([QUARTER] * 2, abs=1e-5)


def test_a_gain_removes_what_lies_where_it_is_low(study):
    clips = [(tone(1000, 0.1), tone(6000, 0.1), NOTHING)]
    table = removal.removal(*study(fan=clips, pump=[(clips[0][1], clips[0][0], NOTHING)]))
    fan, pump = row(table, "adasub"), row(table, "adasub", "pump")
    assert fan["noise"] == pytest.approx(20, abs=0.05)
    assert fan["machine_sound"] == pytest.approx(0, abs=0.05)
    assert pump["noise"] == pytest.approx(0, abs=0.05)
    assert pump["machine_sound"] == pytest.approx(20, abs=0.05)


def test_energies_are_summed_over_clips_before_they_are_compared(study):
    loud, quiet = tone(2000, 0.4), tone(2000, 0.1)
    clips = [(tone(500, 0.3), loud, NOTHING), (tone(500, 0.1), quiet, NOTHING)]
    found = row(removal.removal(*study(fan=clips)), "cohgate")
    kept = {"noise": (16 / 10 + 1) / 17, "machine_sound": (9 / 10 + 1) / 10}
    for part, share in kept.items():
        assert found[part] == pytest.approx(-10 * np.log10(share), abs=1e-4)


def test_noise_removed_is_one_number_also_where_only_some_clips_hold_a_fault(study):
    loud, quiet, fault = tone(2000, 0.4), tone(2000, 0.1), tone(3000, 0.3)
    clips = [(tone(500, 0.1) + fault, loud, fault), (tone(500, 0.1), quiet, NOTHING)]
    opened = study(fan=clips, pump=clips[1:])
    removed, whole = removal.removal(*opened), removal.overall(removal.audit(*opened))
    for name in ("refsub", "adasub", "cohgate"):
        assert row(whole, name)["noise"] == pytest.approx(row(removed, name)["noise"], abs=1e-9)
    limited = row(whole, "cohgate")
    assert limited["noise"] == pytest.approx(-10 * np.log10((16 / 10 + 1) / 17), abs=1e-4)
    assert limited["anomaly"] == pytest.approx(10, abs=1e-4)  # of the loud clip alone
    assert set(whole["machine"]) == {"fan"}  # no clip of the pump holds a fault
    assert set(removed["machine"]) == {"fan", "pump"}


def test_a_clip_whose_label_is_concealed_counts_too(study, tmp_path):
    noise, fault = tone(2000, 0.4), tone(3000, 0.3)
    study(fan=[(tone(500, 0.1) + fault, noise, fault)])
    for folder in ("test", "truth"):
        (path,) = (tmp_path / "data" / "fan" / folder).iterdir()
        path.rename(path.with_name("section_00_0000.wav"))
    found = row(removal.overall(removal.audit(*study())), "refsub")
    assert [found["noise"], found["anomaly"]] == pytest.approx([QUARTER] * 2, abs=1e-5)


def test_without_truth_or_machine_sound_there_is_no_row(study, tmp_path):
    opened = study(fan=[(NOTHING, tone(2000, 0.1), NOTHING)])
    assert removal.removal(*opened).empty
    for path in (tmp_path / "data" / "fan" / "truth").iterdir():
        path.unlink()
    table = removal.removal(*opened)
    assert table.empty
    assert list(table.columns) == ["machine", "front_end", "noise", "machine_sound"]


def test_nothing_cannot_be_removed_and_a_part_that_is_gone_is_160_db():
    energy = np.array([[4.0, 0.0, 1.0, 2.0], [1.0, 0.0, 0.0, 4.0]])
    six, nothing, gone, more = removal.removed(energy)
    assert six == pytest.approx(QUARTER)
    assert np.isnan(nothing)
    assert gone == 160
    assert more == pytest.approx(-10 * np.log10(2))


def test_energies_are_sums_over_time_of_the_near_microphone():
    part = np.zeros((2, 3, 4), np.complex64)
    part[0, 1] = 2j  # power 4 in four frames
    part[1] = 100
    found = removal.energies([part, 3 * part], lambda one: np.abs(one[0]) ** 2 / 2)
    assert found.tolist() == [[[0, 16, 0], [0, 144, 0]], [[0, 8, 0], [0, 72, 0]]]


def test_the_strength_is_the_mean_of_the_clips_decibels(study):
    loud, quiet = tone(2000, 0.4), tone(2000, 0.1)
    table = removal.strength(*study(fan=[(NOTHING, loud, NOTHING), (NOTHING, quiet, NOTHING)]))
    assert table["front_end"].tolist() == ["near", "refsub", "adasub", "cohgate"]
    values = table.set_index("front_end")["attenuation"]
    assert values["near"] == 0
    assert values["refsub"] == pytest.approx(QUARTER, abs=1e-5)
    assert values["cohgate"] == pytest.approx(5, abs=1e-5)  # 10 and 0


def test_attenuation_is_told_at_the_local_snr_of_the_cells(study, tmp_path, rng, monkeypatch):
    monkeypatch.setitem(frontends.FRONT_ENDS, "adasub", frontends.RefSub)
    study(fan=[])
    for path in (tmp_path / "data" / "fan" / "train").iterdir():  # G_m is 1
        write_wav(path, np.repeat(0.05 * rng.standard_normal((RATE, 1)), 2, axis=1))
    snr = 6.25  # dB, the middle of a bin
    noise = np.repeat(0.05 * rng.standard_normal((RATE, 1)), 2, axis=1)
    near_louder = noise * [10 ** (snr / 20), 1]
    name = "section_00_source_test_normal_0000_x.wav"
    write_wav(tmp_path / "data" / "fan" / "test" / name, near_louder, subtype="FLOAT")
    table = removal.attenuation(*study()).set_index("front_end")
    assert (table["snr"] == snr).all()
    refsub = 10 * np.log10(1 - 1.5 * 10 ** (-snr / 10))  # eq. 3 with a_s = 1.5
    for front_end, expected in (("refsub", -QUARTER), ("adasub", refsub), ("cohgate", 0)):
        found = table.loc[front_end, ["mean", "low", "high"]].tolist()
        assert found == pytest.approx([expected] * 3, abs=0.01), front_end


def test_without_test_clips_there_is_no_attenuation(study):
    opened = study(fan=[])
    assert removal.attenuation(*opened).empty
    assert removal.strength(*opened).empty
