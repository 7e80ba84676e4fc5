"""Ideas that do not help: each is what it says and is compared with the champion."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from known_scores import HALF, OMEGA_OF_HALF, PERFECT, joined, rows
from sklearn.metrics import roc_auc_score

from asdlib import params, pipeline, study, training
from asdlib.compare import negative, systems
from asdlib.compare.statistics import Results
from asdlib.noise import Floors
from asdlib.params import AsdError
from asdlib.scorers import VARIANTS
from asdlib.spectra import log_mel, power
from asdlib.study import baseline, stages, variants
from asdlib.study.recordings import Recordings

GAIN = 1 - OMEGA_OF_HALF
RECORDINGS = Recordings(Path("data"), pd.DataFrame(), "", embedded=False)


def test_views_of_a_vector():
    x = torch.arange(10.0)  # five frames of two values
    assert all(torch.equal(v, x) for v in training.views(x, "reconstruct", 5))
    others, middle = training.views(x, "interpolate", 5)
    assert others.tolist() == [0, 1, 2, 3, 6, 7, 8, 9]
    assert middle.tolist() == [4, 5]
    noisier, clean = training.views(x, "denoise", 5)
    assert noisier.tolist() == [1, 3, 5, 7, 9]
    assert clean.tolist() == [0, 2, 4, 6, 8]
    with pytest.raises(AsdError, match=r"parameters: .*needs a spectra\.stack of 3 or more\."):
        params.load({"spectra": {"stack": 2}, "training": {"objective": "interpolate"}})


def test_denoising_frames_hold_the_noise_added_once_more(trained):
    recordings = study.open_recordings(trained)
    clips = recordings.clips("fan")
    own = variants.objective(trained, "denoise")
    of_both = [stages.branch_of(stages.Task(one, clips, "adasub")) for one in (own, trained)]
    values, plain = next(stages.walk(own, of_both, clips))
    bands = own.spectra.n_mels
    assert values.shape[1] == 2 * bands
    assert np.array_equal(values[:, :bands], plain)
    near, far = power(pipeline.spectrum(clips["path"].iloc[0], own.spectra))
    noisier = near + stages.floors(own, clips).transfer[:, None] * far
    assert np.allclose(values[:, bands:], log_mel(noisier.astype(np.float32), own.spectra))


def test_what_cannot_be_run_is_refused_before_any_training(trained, monkeypatch):
    monkeypatch.setattr("asdlib.training.train", None)  # nothing is trained first
    own = params.load(trained, training={"objective": "interpolate"}, scorers=["mse"])
    with pytest.raises(AsdError, match="scorer 'mse' looks at whole vectors"):
        study.run(own)


def test_the_build_up_goes_from_the_official_network_to_ours():
    whole = params.Params()
    steps = variants.build_up(whole)
    first, *_, last = steps.values()
    assert first.autoencoder == baseline.official(whole).autoencoder
    assert first.training == last.training == whole.training
    assert last.autoencoder == whole.autoencoder
    networks = [step.autoencoder for step in steps.values()]
    assert len(networks) == 7
    assert all(a != b for a, b in itertools.pairwise(networks))
    narrow = params.load(whole, autoencoder={"width": 128, "blocks": 3})
    assert list(variants.build_up(narrow)) == [
        "all vectors, weight decay",
        "linear bottleneck, our batch norm",
        "GELU",
        "bottleneck of 16",
        "residual blocks",
    ]


def planted(rng):
    """Scores where AdaSub tells anomalies of high-G_m machines, CohGate those of the others."""
    rows, floors = [], {}
    for machine, high in zip("abcdef", [True, False] * 3, strict=True):
        floors[machine] = Floors(np.full(5, 10.0 if high else 0.1), np.ones(5))
        for domain, label, n in itertools.product(
            ("source", "target"), ("normal", "anomaly"), range(30)
        ):
            signal = 3.0 * (label == "anomaly")
            z = rng.standard_normal(2) * 1.5 + [signal * high, signal * (not high)]
            clip = ["test", domain, label, f"{domain}{label}{n}"]
            for name, value in zip(("adasub", "cohgate"), z, strict=True):
                rows += [[machine, name, scorer, 0, *clip, value] for scorer in ("s1", "eq1")]
    columns = ["machine", "front_end", "scorer", "seed", "split", "domain", "label", "name"]
    return pd.DataFrame(rows, columns=[*columns, "score"]), floors


def test_the_gate_is_learnt_on_the_other_machines_labels(rng):
    table, floors = planted(rng)
    gated = negative.gate_scores(table, floors)
    assert len(gated) == 6 * 120 * 2
    for _, own in gated.groupby(["machine", "scorer"]):
        assert roc_auc_score(own["label"] == "anomaly", own["score"]) > 0.85
    of_c = table["machine"] == "c"
    turned = table["label"].map({"normal": "anomaly", "anomaly": "normal"})
    again = negative.gate_scores(table.assign(label=table["label"].mask(of_c, turned)), floors)
    first, second = (
        own.set_index(["machine", "scorer", "name"])["score"].sort_index() for own in (gated, again)
    )
    assert np.array_equal(first["c"], second["c"])
    assert not np.allclose(first["a"], second["a"])
    assert negative.gate_scores(table[table["machine"] == "a"], floors).empty
    assert negative.gate_refusal(table).startswith("refused by the guard: numpy.mean")


def test_every_idea_is_compared_or_says_why_not(trained):
    recordings = study.open_recordings(trained)
    table = study.everything(trained, recordings)
    ideas, reasons = negative.idea_scores(trained, recordings, table)
    assert set(reasons) == {"exposure", "exposure_fused", "lora", "lora_fused", "gate_tested"}
    compared = negative.against_champion(ideas, reasons).set_index("idea")
    assert len(compared) == 1 + len(negative.IDEAS)
    run = compared.loc[[negative.IDEAS[k] for k in negative.IDEAS if k not in reasons]]
    values = ["omega", "mean", "std", "low", "high", "eq1"]
    assert np.isfinite(run[values].to_numpy(float)).all()
    champion = compared.loc["the champion", "omega"]
    assert np.allclose(run["omega"] - champion, run["mean"])
    fused = ideas.table.set_index(["scorer", "seed", "machine", "name"]).groupby("front_end")
    parts = {name: rows["score"].sort_index() for name, rows in fused}
    assert np.allclose(parts["knn_fused"], (parts["knn"] + parts["adasub"]) / 2)
    results = Results(table)
    steps = negative.build_up(trained, recordings, results)
    assert np.array_equal(steps.iloc[:, -1], results.omegas("near", "eq1"))
    summary = negative.build_up_steps(steps)
    assert summary["step"].tolist() == steps.columns.tolist()
    assert summary["mean"].isna().tolist() == [True] + [False] * (len(summary) - 1)
    changes = steps.iloc[:, 1] - steps.iloc[:, 0]
    assert summary["most"][1] == changes[changes.abs().idxmax()]
    assert summary["mean"].sum() == pytest.approx(
        summary["omega"].iloc[-1] - summary["omega"].iloc[0]
    )


def test_ideas_that_were_not_run_say_why():
    """Without a study: a table of scores is enough."""
    chosen = params.load({"extras": [], "front_ends": ["adasub"], "scorers": ["s1", "eq1"]})
    seeds = {0: HALF, 1: PERFECT}
    table = joined(*(rows("fan", "adasub", s, seeds, train=[0.0]) for s in ("s1", "eq1")))
    ideas, reasons = negative.idea_scores(chosen, RECORDINGS, table)
    assert reasons["flow"] == "was left out (extras: [bottleneck] runs it)"
    assert reasons["knn_fused"] == reasons["flow"]
    assert reasons["interpolate"] == "was left out (extras: [objectives] runs it)"
    assert reasons["gate"].startswith("needs adasub and cohgate, with normal and anomalous test")
    compared = negative.against_champion(ideas, reasons)
    assert compared["omega"].notna().tolist() == [True] + [False] * len(negative.IDEAS)
    assert compared["verdict"].tolist() == ["", *(reasons[name] for name in negative.IDEAS)]
    untested = table[table["split"] == "train"]
    other = params.load(chosen, front_ends=["near"])
    for own, scores, why in (
        (chosen, untested, "needs test clips"),
        (other, table, "needs adasub with the scorers s1 and eq1, which were not run"),
    ):
        nothing = negative.idea_scores(own, RECORDINGS, scores)
        assert set(nothing[1].values()) == {why}
        verdicts = negative.against_champion(*nothing)["verdict"].tolist()
        assert verdicts == ["", *[why] * len(negative.IDEAS)]
    assert negative.build_up(params.Params(), RECORDINGS, Results(untested)).empty
    assert negative.build_up(chosen, RECORDINGS, Results(table)).empty
    assert systems.SYSTEMS[0].missing_reason(Results(untested).per_seed) == "S1 needs test clips."


def test_studies_beside_the_main_one_are_those_that_can_be_run():
    whole = params.Params()
    flat = params.load(whole, spectra={"stack": 2}, extras=["objectives"])
    objectives = [own.training.objective for own in variants.studies(flat)]
    assert objectives[-2:] == ["reconstruct", "denoise"]
    assert variants.lacking(flat, "interpolate") == params.INTERPOLATION_NEEDS
    for change in ({"baseline": False}, {"front_ends": ["adasub"]}, {"scorers": ["s1"]}):
        why = variants.lacking(params.load(whole, **change), "build_up")
        assert why.startswith("needs the base")
    half = variants.studies(params.load(whole, scorers=["eq1"], baseline=False, extras=[]))
    assert [own.scorers[:2] for own in half] == [("eq1", "p95")]  # chapter 05's


def test_changes_are_differences_to_equation_1_of_the_frozen_defaults(monkeypatch):
    """All is half right but p95, and eq. 1 by gamma_normal and, at one seed, per band."""

    half, right = {0: HALF, 1: HALF}, {0: PERFECT, 1: PERFECT}

    def run(chosen, recordings):
        eq1 = right if chosen.scoring.standardise == "gamma_normal" else half
        if chosen.spectra.standardise == "per_band":
            eq1 = {0: PERFECT, 1: HALF}
        seeds = {"eq1": eq1, "p95": right}
        return joined(*(rows("fan", "adasub", s, seeds.get(s, half)) for s in chosen.scorers))

    monkeypatch.setattr(study, "run", run)
    chosen = params.Params(front_ends=("adasub",), extras=("per_band",))
    changes = negative.sensitivity(chosen, RECORDINGS).set_index("variant")
    assert changes.index.tolist() == ["p95", *VARIANTS, "mse", "gamma_normal", "per_band"]
    assert (changes.loc[["p95", "gamma_normal"]] - [GAIN, 0, GAIN]).abs().max(axis=None) < 1e-12
    assert changes.loc["per_band"].tolist() == pytest.approx([GAIN / 2, GAIN / np.sqrt(2), GAIN])
    assert (changes.loc[[*VARIANTS]] == 0).all(axis=None)
    less = negative.sensitivity(params.Params(front_ends=("adasub",), extras=()), RECORDINGS)
    assert "per_band" not in less["variant"].tolist()
    assert negative.sensitivity(params.Params(front_ends=("near",)), RECORDINGS).empty
