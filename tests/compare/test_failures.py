"""The failure gallery, and what made a score."""

import numpy as np
import pandas as pd
import pytest
from conftest import machine_folder, small_params, write_wav

from asdlib import study
from asdlib.compare import failures, statistics, systems

TONE = 1000  # Hz


def test_the_gallery_begins_with_the_clearest():
    """Found is a clip above what a tenth of its machine's normal ones exceed: 8.1 of 0 to 9."""
    scores = {
        "lost": (1.0, 2.0),
        "close": (7.0, 1.0),
        "one": (3.0, 9.0),
        "alone": (50.0, 0.0),
        "both": (20.0, 20.0),
    }
    rows = [
        (system, "anomaly", name, own[i] + 10 * i)
        for name, own in scores.items()
        for i, system in enumerate(("S1", "S2"))
    ]
    normal = [(("S1", "S2")[i // 10], "normal", f"n{i % 10}", float(i)) for i in range(20)]
    table = pd.DataFrame(normal + rows, columns=["system", "label", "name", "score"])
    table = table.assign(machine="fan", split="test", domain="source")
    other = table.assign(machine="pump", score=table["score"] + 100)
    both = failures.found_clips(pd.concat([table, other, table.assign(label="unknown")]))
    assert set(both["label"]) == {"normal", "anomaly"}
    limits = both.groupby(["machine", "system"])["limit"].unique()
    assert np.concatenate([*limits]).tolist() == pytest.approx([8.1, 18.1, 108.1, 118.1])
    table = both[both["machine"] == "fan"]
    shown = failures.gallery(table)
    assert shown["name"].tolist() == ["lost", "close", "alone", "one"]
    assert shown["system"].tolist() == ["S2", "S1", "S1", "S2"]
    assert shown["kind"].tolist() == ["found by none"] * 2 + ["found by one"] * 2
    assert len(failures.gallery(table, 1)) == 2
    (row,) = failures.tally(table).to_dict("records")
    assert row == {"machine": "fan", "anomalies": 5, "by none": 2, "by one": 2, "by several": 1}
    empty = table[table["label"] == "normal"]
    assert failures.gallery(empty).empty
    assert failures.tally(empty).empty


def test_evidence_without_training_is_the_view_with_the_highest_score(tmp_path):
    rng = np.random.default_rng(3)
    data = machine_folder(tmp_path / "data", rng, train=12, domains=("source", "target"))
    name = "section_00_source_test_anomaly_0000_spd_0.wav"
    sound = 0.1 * rng.standard_normal((16000, 2))
    sound[:, 0] += 0.05 * np.sin(2 * np.pi * TONE * np.arange(16000) / 16000)
    write_wav(data / "fan" / "test" / name, sound)
    own = {"front_ends": ["adasub"], "scorers": ["checkedsub/fine", "checkedls/pmsd", "psd"]}
    params = small_params(tmp_path, data=str(data), baseline=False, **own)
    recordings = study.open_recordings(params)
    table = study.run(params, recordings=recordings)
    row = pd.Series({"machine": "fan", "name": name, "system": "S5", "kind": "found by one"})
    shown = failures.evidence(params, recordings, table, row)
    scores = table[table["name"] == name].set_index(["front_end", "scorer"])["score"]
    best = max(systems.UNTRAINED.views, key=scores.__getitem__)
    assert shown.title == f"fan: {name}, S5 alone finds it"
    assert (shown.front_end, shown.scorer) == best
    assert shown.z == scores[best]
    assert shown.frames.shape[1] == params.spectra.n_mels
    most = shown.table.loc[shown.table["contribution"].idxmax()]
    assert most["frequency"] == pytest.approx(TONE, rel=0.15)
    other = next(view for view in systems.UNTRAINED.views if view != best)
    table.loc[statistics.among(table, [other]), "score"] += 1000
    table.loc[table["scorer"] == "psd", "score"] += 9999  # no part of the system
    again = failures.evidence(params, recordings, table, row)
    assert (again.front_end, again.scorer) == other
