import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from asdlib import training
from asdlib.autoencoder import SeedAutoencoder
from asdlib.params import AsdError, Autoencoder, Training
from asdlib.runtime import hardware
from asdlib.spectra import Frames

SMALL = Autoencoder(width=16, blocks=2, bottleneck=3)
SHORT = Training(epochs=3, batch_size=32, precision="float32")


@pytest.fixture
def frames(rng):
    return Frames.join([rng.standard_normal((n, 6)).astype(np.float32) for n in (40, 25, 60)])


def test_every_vector_is_seen_once_an_epoch_in_an_order_of_the_seeds_own():
    orders = [training.shuffled(50, seed, epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert all(sorted(o.tolist()) == list(range(50)) for o in orders)
    assert len({tuple(o.tolist()) for o in orders}) == 3


def test_a_run_cut_off_goes_on_to_the_same_bytes(frames, tmp_path):
    keen = Training(epochs=4, batch_size=32, checkpoint_seconds=0)
    own = {"seeds": [0, 1], "autoencoder": SMALL, "training": keen}
    whole, losses = training.train(frames, **own)

    class Cut(Exception):
        pass

    def cut(epoch):
        if epoch == 2:
            raise Cut

    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Cut):
        training.train(frames, **own, checkpoint=path, on_epoch=cut)
    assert path.exists()
    begun = []
    resumed, again = training.train(frames, **own, checkpoint=path, on_epoch=begun.append)
    assert begun[0] == 2
    assert np.array_equal(losses, again)
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_training_tells_all_that_it_ran_on(frames, tmp_path, monkeypatch):
    keen = SHORT.model_copy(update={"checkpoint_seconds": 0})
    path = tmp_path / "checkpoint.safetensors"
    here = hardware.describe_training("cpu")
    assert here.endswith(f"{torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}")
    training.train(frames, seeds=[0], autoencoder=SMALL, training=keen, checkpoint=path)
    monkeypatch.setattr(hardware, "describe_training", lambda wanted: "torch 9 on the moon")
    assert training.ran_on(path, "cpu") == [here, "torch 9 on the moon"]


def test_a_loss_that_is_not_finite_stops_the_run_before_anything_is_saved(frames, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    wild = SHORT.model_copy(update={"learning_rate": 1e30, "checkpoint_seconds": 0})
    own = {"seeds": [0, 1], "autoencoder": SMALL, "training": wild, "checkpoint": path}
    with pytest.raises(AsdError, match="seeds 0, 1 diverged: the loss of epoch 1 is not finite"):
        training.train(frames, **own)
    assert not path.exists()


def test_a_gpu_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert hardware.choose_device("auto") == "cpu"
    with pytest.raises(AsdError, match="sees no GPU"):
        hardware.choose_device("cuda")


def plain_loop(frames, seed, shape, constants):
    """The specification: one seed, ordinary layers, one batch after the other."""
    seeded = SeedAutoencoder(frames.stack * frames.values.shape[1], [seed], shape)

    def dense(source):
        linear = torch.nn.Linear(*source.linear.weight.shape[1:])
        linear.weight.data = source.linear.weight[0].detach().T.clone()
        linear.bias.data = source.linear.bias[0, 0].detach().clone()
        return [linear, torch.nn.BatchNorm1d(linear.out_features), torch.nn.GELU()]

    def plain(source):
        linear = torch.nn.Linear(*source.weight.shape[1:])
        linear.weight.data = source.weight[0].detach().T.clone()
        linear.bias.data = source.bias[0, 0].detach().clone()
        return linear

    class Residual(torch.nn.Sequential):
        def forward(self, x):
            return x + super().forward(x)

    def half(parts):
        first, *blocks, last = parts
        inner = [Residual(*dense(block.body[0])) for block in blocks]
        return [*dense(first), *inner, plain(last)]

    network = torch.nn.Sequential(*half(seeded.encoder), *half(seeded.decoder)).train()
    optimiser = torch.optim.Adam(
        network.parameters(), lr=constants.learning_rate, weight_decay=constants.weight_decay
    )
    vectors = torch.from_numpy(frames.windows()[frames.starts()].copy())
    losses = []
    for epoch in range(constants.epochs):
        errors = []
        for batch in training.shuffled(len(vectors), seed, epoch).split(constants.batch_size):
            error = torch.nn.functional.mse_loss(network(vectors[batch]), vectors[batch])
            optimiser.zero_grad()
            error.backward()
            optimiser.step()
            errors.append(error.item())
        losses.append(np.mean(errors))
    return network.eval(), losses


def test_ten_seeds_at_once_are_the_plain_loop_one_by_one(frames):
    model, losses = training.train(frames, seeds=range(10), autoencoder=SMALL, training=SHORT)
    x = torch.from_numpy(frames.windows()[frames.starts()].copy())
    together = model(x.expand(10, -1, -1))
    for seed in (0, 4, 9):
        network, expected = plain_loop(frames, seed, SMALL, SHORT)
        assert np.allclose(losses[:, seed], expected, rtol=1e-4)
        assert torch.allclose(together[seed], network(x), atol=1e-3)


def test_bfloat16_products_keep_float32_weights_and_nearly_the_loss(frames):
    half = SHORT.model_copy(update={"precision": "bfloat16"})
    model, losses = training.train(frames, seeds=[0, 1], autoencoder=SMALL, training=half)
    _, whole = training.train(frames, seeds=[0, 1], autoencoder=SMALL, training=SHORT)
    assert {value.dtype for value in model.state_dict().values()} == {torch.float32}
    assert not np.array_equal(losses, whole)
    assert np.allclose(losses, whole, rtol=0.02)


def test_precision_follows_the_processor(monkeypatch):
    assert hardware.precision("float32", "cpu") == torch.float32
    assert hardware.precision("bfloat16", "cpu") == torch.bfloat16
    for able, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda able=able: able)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        assert hardware.precision("auto", "cpu") == expected


def test_only_long_trainings_are_compiled():
    assert not hardware.worth_compiling(1e12, "auto")
    assert not hardware.worth_compiling(1e16, "never")
    assert hardware.worth_compiling(1e16, "auto")


@pytest.mark.parametrize("step", ["forward", "backward"])
def test_where_compiling_fails_the_training_is_the_uncompiled_one_and_told_once(
    step, frames, monkeypatch, capsys
):
    def failing(model, *others):
        loss = training._error(model, *others)  # changes the batch statistics
        if step == "backward":
            loss.sum().backward()
        raise OSError("clang: 1\n  fatal error: Python.h: No such file or directory\n")

    def trained():
        return training.train(frames, seeds=[0, 1], autoencoder=SMALL, training=SHORT)

    expected, expected_losses = trained()
    monkeypatch.setattr(torch, "compile", lambda function, **options: failing)
    monkeypatch.setattr(hardware, "WORTH_COMPILING", 0.0)
    hardware._compiled.cache_clear()
    hardware._FAILED.clear()
    for told in (1, 0):
        model, losses = trained()
        said = capsys.readouterr().err.splitlines()
        assert len(said) == told
        assert all("(fatal error: Python.h: No such file or directory)" in line for line in said)
        assert np.array_equal(losses, expected_losses)
        for name, value in model.state_dict().items():
            assert torch.equal(value, expected.state_dict()[name]), name
    hardware._compiled.cache_clear()
    hardware._FAILED.clear()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler on this machine")
def test_compiled_it_is_the_same_training():
    code = """
import numpy as np, torch
from asdlib import training
from asdlib.runtime import hardware
from asdlib.params import Autoencoder, Training
from asdlib.spectra import Frames
rng = np.random.default_rng(0)
frames = Frames.join([rng.standard_normal((70, 6)).astype(np.float32) for _ in range(3)])
shape = Autoencoder(width=16, blocks=1, bottleneck=3)
constants = Training(epochs=3, batch_size=32, precision="float32")
def trained(worth):
    hardware.WORTH_COMPILING = worth
    return training.train(frames, seeds=[0, 1], autoencoder=shape, training=constants)
(eager, a), (compiled, b) = trained(1e30), trained(0)
from asdlib.runtime import hardware
assert hardware._compiled.cache_info().misses == 1
assert not hardware._FAILED
assert np.allclose(a, b, rtol=1e-4), (a, b)
for (name, x), y in zip(eager.state_dict().items(), compiled.state_dict().values()):
    assert torch.allclose(x, y, atol=1e-3), name
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_interpolation_learns_what_its_neighbours_tell(rng):
    """A slow sine is foretold by its neighbours; independent noise is not."""
    phase = rng.uniform(0, 6, 20)
    time = 0.3 * np.arange(80)[:, None]
    slow = [np.hstack([np.sin(time + p), np.cos(time + p)]).astype(np.float32) for p in phase]
    noise = [rng.standard_normal((80, 2)).astype(np.float32) for _ in range(20)]
    loop = Training(epochs=20, batch_size=64, objective="interpolate")
    network = Autoencoder(width=16, blocks=1, bottleneck=4)
    of_slow, of_noise = (
        training.train(Frames.join(c), seeds=[0], autoencoder=network, training=loop)[1][-1, 0]
        for c in (slow, noise)
    )
    assert of_slow < 0.1
    assert of_noise > 0.9  # nothing to copy: no better than the mean
