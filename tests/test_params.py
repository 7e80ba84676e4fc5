import pytest
import yaml
from conftest import ROOT

from asdlib import params
from asdlib.params import AsdError, Params
from asdlib.study import variants


def test_defaults_are_the_reports():
    p = Params()
    assert (p.spectra.n_fft, p.spectra.hop_length, p.spectra.n_mels, p.spectra.stack) == (
        1024,
        512,
        128,
        5,
    )
    d = p.denoising
    assert (d.percentile, d.a_s, d.beta, d.a_0, d.a_min, d.a_max) == (20, 1.5, 0.10, 3, 1, 4)
    assert (p.training.epochs, p.training.batch_size, len(p.seeds)) == (100, 256, 10)
    assert (p.scoring.alpha, p.scoring.percentile, p.scoring.quantile) == (0.2, 90, 0.9)


@pytest.mark.parametrize(
    "name", ["smoke", "demo", "full_demo", "quick", "phase", "dev", "dev_quick", "eval"]
)
def test_shipped_files_load_and_name_themselves(name):
    path = ROOT / "params" / f"{name}.yaml"
    assert params.load(path).name == name
    assert yaml.safe_load(path.read_text())["name"] == name


@pytest.mark.parametrize(("name", "some"), [("quick", False), ("dev_quick", False), ("dev", True)])
def test_the_quick_files_train_nothing(name, some):
    assert variants.trained(params.load(ROOT / "params" / f"{name}.yaml")) == some


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("training: {epoch: 3}", "unknown key 'training.epoch'; did you mean 'epochs'?"),
        ("training: {epochs: -3}", "training.epochs is -3; input should be greater than 0."),
        ("sedes: [1]", "did you mean 'seeds'?"),
        ("seeds: []", "seeds is []; at least one value is needed, and each once."),
        ("scorers: [pm, pm]", "at least one value is needed, and each once."),
        ("denoising: {beta: .nan}", "denoising.beta"),
        ("training: 3", "training is 3"),
        ("[1, 2]", "found list, expected 'key: value' lines"),
        ("a: [", "not valid YAML"),
        ("seeds: [1]\ntraining: {}\nseeds: [2]", "the key 'seeds' is given 2 times"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nname: *b", "aliases are not allowed"),
        ("seeds: [" + 5000 * "1" + "]", "not valid YAML"),
        ("seeds: [4294967296]", "seeds.0 is 4294967296; input should be less than 4294967296."),
        ("name: " + 9000 * "x", "name is 'xxx"),
        ("denoising: {a_min: 5}", "denoising: a_min 5 must not lie above a_max 4."),
        (2**20 * " " + "\n", "bytes, where at most 1,048,576 are allowed"),
        ("seeds: 3", "seeds is 3; a list is needed, in square brackets."),
        ("results: /", "results is '/'; a folder of its own is needed"),
        ("figures: ''", "figures is ''; a folder of its own is needed"),
        ('results: "a\\0b"', "a folder of its own is needed"),
        ("1: 2", "1 is no key; a key is a word"),
        ("spectra: {n_fft: 1}", "spectra: n_mels is 128, and n_fft 1 gives 1 bins."),
        ("spectra: {stack: 100000}", "spectra: n_mels times stack is over 16,384, the longest"),
        ("autoencoder: {width: 10000000000}", "autoencoder.width is 10000000000; input should be"),
        ("seeds: !!int ''", "not valid YAML (a value does not fit its tag)."),
    ],
)
def test_bad_files_get_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(AsdError) as error:
        params.load(path)
    assert sentence in str(error.value)
    assert "mine.yaml" in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < len(str(path)) + 500


def test_a_notebook_runs_what_its_parameter_file_says(monkeypatch):
    monkeypatch.chdir(ROOT / "notebooks")
    untouched = dict.fromkeys(Params.model_fields)
    assert params.from_notebook(untouched) == params.load(ROOT / "params" / "demo.yaml")
    injected = untouched | yaml.safe_load((ROOT / "params" / "smoke.yaml").read_text())
    assert params.from_notebook(injected) == params.load(ROOT / "params" / "smoke.yaml")
    more = params.from_notebook({"name": "smoke", "data": None, "training": {"epochs": 3}})
    assert more.training.epochs == 3
    assert more.spectra == params.load(ROOT / "params/smoke.yaml").spectra
    own = untouched | {"name": "mine", "seeds": [4]}
    assert params.from_notebook(own) == params.load({"name": "mine", "seeds": [4]})


def test_a_notebook_refuses_what_papermill_would_pass_over():
    import numpy

    values = dict.fromkeys(Params.model_fields) | {"In": [], "Out": {}, "_i": "", "np": numpy}
    assert params.from_notebook(values).name == "demo"
    with pytest.raises(AsdError, match="unknown key 'sedes'; did you mean 'seeds'"):
        params.from_notebook(values | {"name": "demo", "sedes": [1]})
    with pytest.raises(AsdError, match="name is missing"):
        params.from_notebook(values | {"seeds": [1]})


@pytest.mark.parametrize("imported", [params, Params, params.load])
def test_a_chapters_own_values_are_no_parameters_when_its_cells_run_again(imported):
    parameters = {"name": "demo", "seeds": [1]}
    again = parameters | {"imported": imported, "caption": "text", "rows": [1, 2]}
    assert params.from_notebook(again) == params.from_notebook(parameters)
    with pytest.raises(AsdError, match="unknown key 'epoch'"):
        params.from_notebook({"epoch": 3} | again)
