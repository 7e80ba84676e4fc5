"""What a front-end leaves of the anomaly, on truth made by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import small_params, write_wav

from asdlib import frontends
from asdlib.frontends import Near
from asdlib.measure import removal
from asdlib.report import charts_signals, style
from asdlib.study.recordings import Recordings, open_recordings

RATE = 16000


class Half(Near):
    """Halves the power of every cell."""

    title = "Half"

    def __call__(self, spectrum):
        return super().__call__(spectrum) / 2


class Low(Near):
    """Takes nine tenths of the power below 1.5 kHz."""

    title = "Low"

    def __call__(self, spectrum):
        out = super().__call__(spectrum)
        out[: int(1500 / RATE * 1024)] /= 10
        return out


def tone(frequency, level=0.05, seconds=1.0):
    """At both microphones."""
    t = np.arange(int(seconds * RATE)) / RATE
    return np.repeat(level * np.sin(2 * np.pi * frequency * t)[:, None], 2, axis=1)


def scene(root, rng, machine, faults):
    """A machine whose test clips hold these faults over white noise; no fault in the last clip."""
    for i in range(2):
        name = f"section_00_source_train_normal_{i:04d}_x.wav"
        write_wav(root / machine / "train" / name, 0.05 * rng.standard_normal((RATE, 2)))
    for i, fault in enumerate([*faults, np.zeros((RATE, 2))]):
        label = "anomaly" if fault.any() else "normal"
        name = f"section_00_source_test_{label}_{i:04d}_x.wav"
        hum, noise = tone(200), 0.05 * rng.standard_normal((RATE, 2))
        write_wav(root / machine / "test" / name, hum + fault + noise)
        parts = np.hstack([hum + fault, noise, fault])
        write_wav(root / machine / "truth" / name, parts)
    return root


def loss(case):
    return case.anomaly - case.noise


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Parameters and recordings, with two front-ends whose answers are known."""
    for name, kind in (("refsub", Half), ("adasub", Low)):
        monkeypatch.setitem(frontends.FRONT_ENDS, name, kind)
    chosen = small_params(
        tmp_path, data=str(tmp_path / "data"), front_ends=["near", "far", "refsub", "adasub"]
    )

    def opened() -> Recordings:
        return open_recordings(chosen)

    return chosen, tmp_path / "data", opened


def test_a_gain_of_one_removes_nothing(study, rng, monkeypatch):
    params, root, opened = study
    monkeypatch.setitem(frontends.FRONT_ENDS, "refsub", Near)
    scene(root, rng, "fan", [0.02 * rng.standard_normal((RATE, 2))])
    table = removal.audit(params, opened())
    same = table[table["front_end"] == "refsub"]
    assert same[["noise", "anomaly"]].to_numpy() == pytest.approx(0, abs=1e-6)


def test_half_the_power_everywhere_is_three_db_of_both_in_every_band(study, rng):
    params, root, opened = study
    scene(root, rng, "fan", [0.02 * rng.standard_normal((RATE, 2)), tone(3000)])
    table = removal.audit(params, opened())
    assert set(table["front_end"]) == {"refsub", "adasub"}  # not near, not far
    half = table[table["front_end"] == "refsub"]
    assert half["band"].tolist()[0] == removal.WHOLE
    assert len(half) == 1 + removal.BANDS
    assert half[["noise", "anomaly"]].to_numpy() == pytest.approx(10 * np.log10(2), abs=1e-4)
    assert half["share"].iloc[1:].sum() == pytest.approx(1)
    whole = removal.overall(table)
    assert whole.loc[whole["front_end"] == "refsub", "difference"].item() == pytest.approx(0)


def test_a_band_without_anomaly_has_no_retention(study, rng):
    params, root, opened = study
    scene(root, rng, "fan", [tone(3000, 0.02)])
    table = removal.audit(params, opened()).set_index("band")
    low = table[table["front_end"] == "adasub"]
    inside = [band for band in low.index[1:] if low.loc[band, "share"] > 0.99]
    assert len(inside) == 1
    bottom, top = map(float, inside[0].split("–"))
    assert bottom < 3 < top
    assert low["anomaly"].notna().tolist() == [band in {"all", *inside} for band in low.index]
    assert low["noise"].notna().all()
    assert low.loc[inside[0], "anomaly"] == pytest.approx(0, abs=1e-4)
    assert low.loc[low.index[1], "noise"] == pytest.approx(10, abs=1e-3)


def test_the_extremes_are_of_bands_that_hold_the_anomaly():
    rows = [
        ("all", 1.0, 20.0, 1.0),
        ("0–1", 1.0, 9.0, 0.02),
        ("1–2", 4.0, 6.0, 0.3),
        ("2–4", 5.0, 3.0, 0.5),
        ("4–6", 8.0, 1.0, 0.08),
        ("6–8", 2.0, 2.0, 0.1),
    ]
    table = pd.DataFrame(
        [("fan", "refsub", *row) for row in rows], columns=removal.COLUMNS
    )  # band, noise, anomaly, share
    assert [row["band"] for row in removal.extremes(table)] == ["1–2", "2–4"]


def test_energies_are_summed_over_clips_before_they_are_compared(study, rng):
    params, root, opened = study
    scene(root, rng, "fan", [tone(800, 0.08), tone(3000, 0.04)])
    table = removal.overall(removal.audit(params, opened())).set_index("front_end")
    expected = -10 * np.log10((0.08**2 / 10 + 0.04**2) / (0.08**2 + 0.04**2))
    assert table.loc["adasub", "anomaly"] == pytest.approx(expected, abs=0.02)


def test_no_truth_is_an_empty_table(study, rng):
    params, root, opened = study
    scene(root, rng, "fan", [tone(3000)])
    for path in (root / "fan" / "truth").iterdir():
        path.unlink()
    table = removal.audit(params, opened())
    assert table.empty
    assert list(table.columns) == removal.COLUMNS
    assert removal.overall(table).empty
    assert removal.extremes(table) == []
    assert removal.examples(params, opened()) == []


def test_examples_are_the_clearest_and_from_different_machines(study, rng):
    params, root, opened = study
    for machine, frequencies in (("a", (800, 900, 3000)), ("b", (3000, 700)), ("c", (5000,))):
        scene(root, rng, machine, [tone(f, 0.02) for f in frequencies])
    recordings = opened()
    cases = removal.examples(params, recordings)
    *losses, success = cases
    assert [loss(case) for case in cases] == sorted((loss(case) for case in cases), reverse=True)
    assert {case.clip["machine"] for case in losses} == {"a", "b", "c"}
    gaps = []
    for one in removal.clip_energies(params, recordings):
        noise, _, anomaly = removal.removed(one.energy.sum(axis=-1))
        if one.clip["label"] == "anomaly":
            gaps.append((anomaly - noise, one.clip["machine"]))
    assert loss(losses[0]) == pytest.approx(max(gaps)[0])
    assert loss(success) == pytest.approx(min(gaps)[0])
    assert loss(success) < 0
    for case in losses:  # the worst of its machine
        worst = max(gap for gap, machine in gaps if machine == case.clip["machine"])
        assert loss(case) == pytest.approx(worst)
    keys = [(c.clip["machine"], c.clip["name"], c.front_end) for c in cases]
    assert len(set(keys)) == len(keys) == 4


def test_one_machine_fills_the_examples_alone(study, rng):
    params, root, opened = study
    scene(root, rng, "a", [tone(800, 0.02), tone(3000, 0.02)])
    cases = removal.examples(params, opened(), count=9)
    assert len(cases) == 4  # two clips behind two front-ends
    assert removal.examples(params, opened(), count=1)[0].front_end == "adasub"
    assert len(removal.examples(params, opened(), count=1)) == 2


def test_where_nothing_goes_well_there_is_no_success(study, rng):
    params, root, opened = study
    scene(root, rng, "a", [tone(800, 0.02), tone(900, 0.02)])
    alone = params.model_copy(update={"front_ends": ("adasub",)})
    cases = removal.examples(alone, opened(), count=1)
    assert len(cases) == 1
    assert loss(cases[0]) > 0


def test_the_sounds_of_an_example_are_what_they_are_called(study, rng):
    params, root, opened = study
    scene(root, rng, "a", [tone(800, 0.02)])
    case = removal.examples(params, opened())[0]
    assert case.front_end == "adasub"
    assert case.anomaly == pytest.approx(10, abs=0.05)
    assert np.abs(case.fault - tone(800, 0.02)[:, 0]).max() < 2 / 2**15
    assert np.abs(case.left - case.fault / np.sqrt(10))[600:-600].max() < 1e-3
    tracks = case.tracks("AdaSub", params.spectra)
    assert list(tracks) == [
        "near microphone",
        "near after AdaSub",
        "the anomaly alone (truth)",
        "what is left of the anomaly",
    ]
    energy = [np.sum(signal**2) for signal, _ in tracks.values()]
    assert energy[1] < energy[0]
    assert 10 * np.log10(energy[2] / energy[3]) == pytest.approx(case.anomaly, abs=0.05)
    near, *_, left = [10 * np.log10(shown) for _, shown in tracks.values()]
    assert left.min() == pytest.approx(np.percentile(near, 10) - 10, abs=0.1)
    assert left.max() == pytest.approx(10 * np.log10((256 * 0.02) ** 2) - 10, abs=0.5)
    assert all(len(signal) == RATE for signal, _ in tracks.values())
    assert all(shown.shape == (513, 1 + RATE // 512) for _, shown in tracks.values())


def test_the_figure_frames_what_costs_more_than_it_brings(study, rng, tmp_path: Path):
    params, root, opened = study
    scene(root, rng, "fan", [tone(800, 0.02)])
    scene(root, rng, "pump", [tone(5000, 0.02)])
    scene(root, rng, "valve", [tone(5000, 0.02)])
    table = removal.audit(params, opened())
    fig = charts_signals.retention(table)
    style.save_figure(fig, "fig-x", tmp_path)
    shown = [ax for ax in fig.axes if ax.get_title()]
    assert [ax.get_title() for ax in shown] == ["fan", "pump", "valve"]
    for ax in shown:
        own = table[table["machine"] == ax.get_title()]
        frames = [patch for patch in ax.patches if not patch.get_fill()]
        assert len(frames) == (own["anomaly"] > own["noise"] + 0.05).sum()
    assert [label.get_text() for label in shown[0].get_yticklabels()][1:] == ["RefSub", "AdaSub"]
