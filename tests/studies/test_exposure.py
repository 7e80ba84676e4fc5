"""Outlier exposure over an audio encoder: a tiny model from a folder, through the same code."""

import json
import shutil

import exposure
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import SMALL, two_channels, write_wav
from safetensors.torch import load_file, save_file

from asdlib import params, study
from asdlib.params import AsdError

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """An audio spectrogram transformer of a few thousand random weights."""
    folder = tmp_path_factory.mktemp("encoder") / "ast"
    shape = {"num_mel_bins": 32, "max_length": 64}
    config = transformers.ASTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, **shape
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.ASTModel(config)
    model.save_pretrained(folder)
    transformers.ASTFeatureExtractor(**shape).save_pretrained(folder)
    return folder


@pytest.fixture
def data_folder(tmp_path, rng):
    """Two machines that hum at different pitches; anomalies hum at the other's."""
    hum = {"fan": 300.0, "pump": 3000.0}
    time = np.arange(16000) / 16000
    for machine, pitch in hum.items():
        other = hum["pump" if machine == "fan" else "fan"]
        for split, label, f, count in (
            ("train", "normal", pitch, 6),
            ("test", "normal", pitch, 4),
            ("test", "anomaly", other, 4),
        ):
            for i in range(count):
                tone = 0.3 * np.sin(2 * np.pi * f * time)[:, None]
                name = f"section_00_source_{split}_{label}_{i:04d}_noAttribute.wav"
                write_wav(tmp_path / "data" / machine / split / name, tone + two_channels(rng) / 10)
    return tmp_path / "data"


def opened(tmp_path, data_folder):
    own = params.load({**SMALL, "data": str(data_folder), "results": str(tmp_path / "results")})
    return own, study.open_recordings(own)


def constants(**changes):
    settings = {"epochs": 30, "batch_size": 4, "lora_rank": 2, "lora_epochs": 2, **changes}
    return exposure.Constants(**settings)


def test_clips_that_sound_like_another_machine_score_higher(tmp_path, data_folder, encoder):
    opened_folder = opened(tmp_path, data_folder)
    table = exposure.scores(*opened_folder, encoder, constants())
    rows = table.groupby(["machine", "front_end", "seed"]).size()
    assert len(rows) == 2 * 2 * 2
    assert (rows == 14).all()
    assert np.isfinite(table["score"]).all()
    test = table[(table["split"] == "test") & (table["front_end"] == "exposure")]
    for _, clips in test.groupby(["machine", "seed"]):
        by_label = clips.groupby("label")["score"]
        assert by_label.min()["anomaly"] > by_label.max()["normal"]


def test_low_rank_adaptation_changes_the_encoder(tmp_path, data_folder, encoder, monkeypatch):
    optimiser, trained = torch.optim.AdamW, []

    def watched(weights, **constants):
        trained.append(weights)
        return optimiser(weights, **constants)

    monkeypatch.setattr(torch.optim, "AdamW", watched)
    table = exposure.scores(*opened(tmp_path, data_folder), encoder, constants(lora_epochs=1))
    head, *adapted = trained
    assert len(head) == 4
    assert len(adapted) == 2
    for weights in adapted:  # pairs A and B, B from zero; then the head
        assert len(weights) > 6
        assert all(bool(b.any()) for b in weights[1:-4:2])
    assert np.isfinite(table["score"]).all()


def test_the_command_keeps_scores_that_the_report_compares(
    tmp_path, data_folder, encoder, monkeypatch, capsys
):
    own, recordings = opened(tmp_path, data_folder)
    given = tmp_path / "own.yaml"
    given.write_text(own.model_dump_json())
    arguments = ["--params", str(given), "--encoder", str(encoder), "--lora-rank", "0"]
    monkeypatch.setattr("sys.argv", ["exposure.py", *arguments])
    assert study.beside(own, recordings, "exposure").empty
    exposure.main()
    assert "chapter 05 compares them" in capsys.readouterr().out
    found = study.beside(own, recordings, "exposure")
    assert set(found["front_end"]) == {"exposure"}
    assert set(found["seed"]) == {*own.seeds}


def test_one_machine_alone_is_one_sentence(tmp_path, data_folder, encoder):
    own, _ = opened(tmp_path, data_folder)
    one = own.model_copy(update={"machines": ("fan",)})
    with pytest.raises(AsdError, match=r"needs two machines or more, found \['fan'\]"):
        exposure.scores(one, study.open_recordings(one), encoder, constants())


def test_a_folder_that_is_no_encoder_is_one_sentence(tmp_path, data_folder, encoder):
    def refused(reason):
        told = rf"broken cannot be used \({reason}.*\); it must hold a transformers audio model: "
        with pytest.raises(AsdError, match=told):
            exposure.AudioEncoder(own, broken)

    own, _ = opened(tmp_path, data_folder)
    broken = tmp_path / "broken"
    refused("FileNotFoundError: no config.json")
    shutil.copytree(encoder, broken)
    exposure.AudioEncoder(own, broken)
    weights = broken / "model.safetensors"
    bent = {f"x.{name}": value for name, value in load_file(weights).items()}
    save_file(bent, weights, metadata={"format": "pt"})
    refused("LookupError: weights of the model are missing, such as ")
    weights.write_text("version https://git-lfs.github.com/spec/v1")
    refused("SafetensorError")
    shutil.copytree(encoder, broken, dirs_exist_ok=True)
    settings = json.loads((broken / "preprocessor_config.json").read_text())
    settings["sampling_rate"] = 8000
    (broken / "preprocessor_config.json").write_text(json.dumps(settings))
    refused("ValueError: it wants 8000 Hz and the study has 16000 Hz")


def test_what_was_computed_is_used_again(tmp_path, data_folder, encoder, monkeypatch):
    own, recordings = opened(tmp_path, data_folder)
    first = exposure.scores(own, recordings, encoder, constants())
    monkeypatch.setattr(exposure.AudioEncoder, "__call__", None)
    again = exposure.scores(own, recordings, encoder, constants())
    pd.testing.assert_frame_equal(first, again)
    more = own.model_copy(update={"seeds": (0, 1, 2)})  # the clips are embedded already
    table = exposure.scores(more, recordings, encoder, constants(lora_rank=0))
    both = first.merge(table, on=["machine", "front_end", "seed", "name"])
    assert len(both) == len(first) / 2
