"""The failure gallery and the worst errors: chosen by scores, explained by residuals."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import machine_folder, small_params, write_wav

from asdlib import scoring, study
from asdlib.compare import comparison, failures, systems
from asdlib.params import Scoring
from asdlib.report import browse, charts_evidence, style


def table_of(rows):
    """System, label, name, score; one machine, whose ten normal clips score 0 to 9."""
    normal = [(s, "normal", f"n{i}", float(i)) for s in ("S1", "S2") for i in range(10)]
    table = pd.DataFrame(normal + rows, columns=["system", "label", "name", "score"])
    table = table.assign(machine="fan", domain="source", threshold=3.0)
    limit = 8.1  # the 0.9 quantile of 0 to 9
    return table.assign(limit=limit, found=table["score"] > limit)


def test_the_gallery_begins_with_the_clearest():
    table = table_of(
        [
            ("S1", "anomaly", "lost", 1.0),
            ("S2", "anomaly", "lost", 2.0),
            ("S1", "anomaly", "close", 7.0),
            ("S2", "anomaly", "close", 1.0),
            ("S1", "anomaly", "one", 3.0),
            ("S2", "anomaly", "one", 9.0),
            ("S1", "anomaly", "alone", 50.0),
            ("S2", "anomaly", "alone", 0.0),
            ("S1", "anomaly", "both", 20.0),
            ("S2", "anomaly", "both", 20.0),
        ]
    )
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


def test_worst_errors_are_the_loudest_normals_and_the_quietest_anomalies():
    table = table_of([("S1", "anomaly", f"a{i}", float(i)) for i in range(6)])
    table = table[table["system"] == "S1"]
    names = [name for _, name in browse.worst(table, {"fan": 3.0}, 2)]
    assert names == ["n9", "n8", "a0", "a1"]


@pytest.mark.parametrize("name", [*scoring.SCORERS, "ledoit_wolf", "max", "alpha_1"])
def test_terms_over_time_give_the_score_where_one_term_counts(rng, name):
    """With alpha 0 or 1 a percentile of the terms is the score itself."""
    source, target, clip = rng.standard_normal((3, 30, 6)).astype(np.float32)

    def residual(vectors):
        return torch.from_numpy(np.stack([vectors, vectors**3]))

    scorers = {**scoring.SCORERS, **scoring.VARIANTS}
    for alpha in (0.0, 1.0):
        chosen = {name: scorers[name]}
        detector = scoring.Detector.fit(
            residual,
            [("source", source), ("target", target)],
            scorers=chosen,
            constants=Scoring(alpha=alpha),
            workers=1,
        )
        terms, own = detector.over_time(clip, name)
        np.testing.assert_allclose(own, residual(clip).numpy(), atol=1e-6)
        assert terms.shape == (2, 30)
        np.testing.assert_allclose(detector.level(terms, name), detector(clip)[name], rtol=1e-4)


def test_evidence_of_a_report(scenes_report):
    params, _ = scenes_report
    recordings = study.open_recordings(params)
    table = study.run(params, recordings=recordings)
    per_seed = comparison.summary(table).per_seed
    results = systems.apply_all(table, per_seed, params.scoring.quantile)
    clips = failures.findings(results, recordings)
    normal = clips[(clips["label"] == "normal") & (clips["system"] == "S1")]
    for _, own in normal.groupby("machine"):
        assert (own["score"] > own["limit"]).mean() <= failures.FALSE_ALARMS + 1 / len(own)
    anomaly = clips[(clips["label"] == "anomaly") & (clips["system"] == "S3")].iloc[0]
    row = pd.Series({**anomaly, "kind": "found by one"})
    shown = failures.evidence(params, recordings, table, row)
    assert shown.front_end in ("adasub", "cohgate")
    assert shown.residual.shape == (params.spectra.stack, params.spectra.n_mels)
    assert len(shown.terms) == len(shown.frames) - params.spectra.stack + 1
    assert abs(shown.terms[shown.place] - shown.level) == np.abs(shown.terms - shown.level).min()


TONE = 1000  # Hz


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A study without autoencoders in which one anomaly has a tone: parameters, recordings."""
    folder = tmp_path_factory.mktemp("untrained")
    rng = np.random.default_rng(3)
    data = machine_folder(folder / "data", rng, train=12, domains=("source", "target"))
    t = np.arange(16000) / 16000
    sound = 0.1 * rng.standard_normal((16000, 2))
    sound[:, 0] += 0.05 * np.sin(2 * np.pi * TONE * t)
    write_wav(data / "fan/test/section_00_source_test_anomaly_0000_spd_0.wav", sound)
    scorers = ["fine", "near/fine", "adals/pmsd", "psd"]
    chosen = small_params(
        folder, data=str(data), front_ends=["adasub"], scorers=scorers, baseline=False
    )
    return chosen, study.open_recordings(chosen)


def evidence_of(params, recordings, system, name):
    table = study.run(params, recordings=recordings)
    row = pd.Series({"machine": "fan", "name": name, "system": system, "kind": "found by one"})
    return table, failures.evidence(params, recordings, table, row)


def test_evidence_without_training_is_the_view_with_the_highest_score(untrained):
    params, recordings = untrained
    name = "section_00_source_test_anomaly_0000_spd_0.wav"
    table, shown = evidence_of(params, recordings, "S5", name)
    own = table[table["name"] == name].set_index(["front_end", "scorer"])["score"]
    best = max(systems.UNTRAINED.views, key=own.__getitem__)
    assert isinstance(shown, failures.Contributions)
    assert (shown.front_end, shown.scorer) == best
    assert shown.z == own[best]
    assert shown.frames.shape[1] == params.spectra.n_mels
    most = shown.table.loc[shown.table["contribution"].idxmax()]
    assert most["frequency"] == pytest.approx(TONE, rel=0.15)
    assert f"fan: {name}, S5 alone finds it" == shown.title
    lifted = table.copy()
    other = next(view for view in systems.UNTRAINED.views if view != best)
    at = (lifted["front_end"] == other[0]) & (lifted["scorer"] == other[1])
    lifted.loc[at, "score"] += 1000
    lifted.loc[lifted["scorer"] == "psd", "score"] += 9999  # no part of the system
    row = pd.Series({"machine": "fan", "name": name, "system": "S5", "kind": "found by none"})
    again = failures.evidence(params, recordings, lifted, row)
    assert (again.front_end, again.scorer) == other


def test_one_figure_draws_evidence_of_both_kinds(untrained, rng):
    params, recordings = untrained
    _, shown = evidence_of(
        params, recordings, "S5", "section_00_source_test_anomaly_0000_spd_0.wav"
    )
    terms = rng.random(28)
    trained = failures.Evidence(
        "title",
        "adasub",
        rng.random((32, 16)),
        terms,
        float(terms[4]),
        4,
        rng.random((5, 16)),
        0.03,
    )
    fig = charts_evidence.evidence([trained, shown])
    labels = [(ax.get_xlabel(), ax.get_ylabel()) for ax in fig.axes]
    assert labels[:3] == [
        ("time (s)", "mel band $b$"),
        ("time (s)", "term of $A(x)$"),
        ("frame of the stack", ""),
    ]
    assert labels[3:] == [
        ("time (s)", "mel band $b$"),
        ("frequency (kHz)", "contribution to $D^2$"),
    ]
    bars = fig.axes[-1]
    squared = shown.table["contribution"].sum()
    (said,) = (text.get_text() for text in bars.texts)
    assert f"$D^2$ = {squared:.0f}, $z$ = {shown.z:.2f}" in said
    heights = [patch.get_data() for patch in bars.patches]
    drawn = sum((data.values - data.baseline).sum() for data in heights)
    assert drawn == pytest.approx(squared)
    top = heights[-1]
    peak = top.values.argmax()
    assert top.edges[peak] < TONE / 1000 * 1.15
    assert top.edges[peak + 1] > TONE / 1000 / 1.15
    names = shown.table["statistic"].unique()
    assert [text.get_text() for text in bars.get_legend().get_texts()] == [
        style.STATISTIC_NAMES[name] for name in names
    ]
