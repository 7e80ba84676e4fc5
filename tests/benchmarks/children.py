"""What is measured, each in a process of its own: ``python children.py NAME '{"argument": 1}'``.

A process of its own has its own peak memory, and its own settings of threads and allocator: what is
compared with this package runs as it would without it.
"""

import json
import resource
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path


def milliseconds(step, *, warm=3, steps=12):
    for _ in range(warm):
        step()
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def plain_network(width, blocks, bottleneck):
    from torch import nn

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.norm = nn.Linear(width, width), nn.BatchNorm1d(width)

        def forward(self, x):
            return x + nn.functional.gelu(self.norm(self.linear(x)))

    def half(inputs, outputs):
        first = [nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.GELU()]
        return [*first, *[Residual() for _ in range(blocks)], nn.Linear(width, outputs)]

    return nn.Sequential(*half(640, bottleneck), *half(bottleneck, 640))


def plain():
    """The report's network, one seed, float32, batches of 256: ms of a step of the usual loop."""
    import torch
    from torch.nn.functional import mse_loss

    torch.manual_seed(0)
    network = plain_network(512, 4, 16).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=1e-4)
    vectors = torch.randn(20_000, 640)

    def step():
        x = vectors[torch.randint(len(vectors), (256,))]
        loss = mse_loss(network(x), x)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return milliseconds(step)


def official():
    """The official network the official way: ms of a step of one seed."""
    import torch
    from torch import nn

    class Vectors(torch.utils.data.Dataset):
        """One float64 vector at a time, with the name of its file."""

        def __init__(self, data):
            self.data = data

        def __len__(self):
            return len(self.data)

        def __getitem__(self, i):
            name = f"section_00_source_train_normal_{i // 309:04d}_noAttribute.wav"
            return self.data[i], 0, name, i

    torch.manual_seed(0)
    sizes = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128]
    layers = []
    for inputs, outputs in pairwise(sizes):
        norm = nn.BatchNorm1d(outputs, momentum=0.01, eps=1e-3)
        layers += [nn.Linear(inputs, outputs), norm, nn.ReLU()]
    network = nn.Sequential(*layers, nn.Linear(128, 640)).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    data = torch.randn(256 * 40, 640, dtype=torch.float64).numpy()
    loader = torch.utils.data.DataLoader(Vectors(data), batch_size=256, shuffle=True)
    torch.autograd.set_detect_anomaly(True)
    times = []
    start = time.perf_counter()
    for batch in loader:
        x = batch[0].float()
        optimiser.zero_grad()
        loss = nn.functional.mse_loss(network(x), x)
        loss.backward()
        optimiser.step()
        _ = loss.item()
        now = time.perf_counter()
        times.append((now - start) * 1e3)
        start = now
    return statistics.median(times[5:])


def ours(network="ours", seeds=10, precision="auto", compiled="auto", device="cpu"):
    """ms of a step and seed of this package's loop, and the rate of its matrix products."""
    import numpy as np

    from asdlib import params, training
    from asdlib.runtime import hardware
    from asdlib.spectra import Frames
    from asdlib.study import baseline

    whole = params.Params(seeds=tuple(range(seeds)))
    shape = whole.autoencoder if network == "ours" else baseline.official(whole).autoencoder
    steps, epochs = (12 if device == "cpu" else 120), 5
    frames = Frames.join(
        [np.random.default_rng(0).standard_normal((256 * steps + 4, 128)).astype(np.float32)]
    )
    constants = whole.training.model_copy(
        update={"epochs": epochs, "precision": precision, "compiled": compiled}
    )
    hardware.WORTH_COMPILING = 0  # as for a long training
    marks = []
    model, _ = training.train(
        frames,
        seeds=whole.seeds,
        autoencoder=shape,
        training=constants,
        device=device,
        on_epoch=lambda epoch: marks.append(time.perf_counter()),
    )
    step = statistics.median(np.diff(marks)[2:]) * 1e3 / steps
    return {"ms": step / seeds, "values": model.parameters_per_seed}


def products(seeds=10, device="cpu"):
    """GFLOP/s of plain 512-wide matrix products of all seeds, in bfloat16 or as `auto` decides."""
    import torch

    from asdlib.runtime import hardware

    hardware.keep_memory()
    dtype = hardware.precision("auto", device)
    a = torch.randn(seeds, 256, 512, device=device).to(dtype)
    b = torch.randn(seeds, 512, 512, device=device).to(dtype)

    def product():
        torch.bmm(a, b)

    ms = milliseconds(product, warm=20, steps=200) if device == "cpu" else _in_a_graph(product)
    return {"gflops": 2 * seeds * 256 * 512 * 512 / ms / 1e6, "dtype": str(dtype)}


def _in_a_graph(step, calls=50):
    """ms of a step on a GPU, without the time that each launch takes."""
    import torch

    step()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(calls):
            step()

    def replay():
        graph.replay()
        torch.cuda.synchronize()

    return milliseconds(replay) / calls


def gpu():
    """Whether there is one."""
    import torch

    return torch.cuda.is_available()


def front_ends(seconds=10.0, clips=8, rounds=5):
    """ms per clip: read, spectra of both channels, front-end, log-mel; librosa's near log-mel."""
    import tempfile

    import librosa
    import numpy as np
    import soundfile

    from asdlib import dataset, frontends, spectra
    from asdlib.noise import Floors
    from asdlib.runtime import parallel

    rng = np.random.default_rng(0)
    constants = spectra.Spectra()
    with tempfile.TemporaryDirectory() as folder, parallel.one_thread():
        paths = [Path(folder) / f"{i}.wav" for i in range(clips)]
        for path in paths:
            noise = 0.1 * rng.standard_normal((int(16000 * seconds), 2))
            soundfile.write(path, noise, 16000)
        floors = Floors.fit(spectra.stft(dataset.read(p, constants), constants) for p in paths[:2])

        def way(name):
            front_end = frontends.FRONT_ENDS[name](floors=floors)
            return lambda path: spectra.log_mel(
                front_end(spectra.stft(dataset.read(path, constants), constants)), constants
            )

        def theirs(path):
            near = soundfile.read(path, dtype="float32", always_2d=True)[0][:, 0]
            mel = librosa.feature.melspectrogram(
                y=np.ascontiguousarray(near),
                sr=16000,
                n_fft=1024,
                hop_length=512,
                n_mels=128,
                pad_mode="constant",
            )
            return librosa.power_to_db(mel, top_db=None, amin=1e-16)

        ways = {"librosa": theirs, **{name: way(name) for name in frontends.FRONT_ENDS}}
        times = {name: [] for name in ways}
        for function in ways.values():
            function(paths[0])
        for _ in range(rounds):
            for path in paths:
                for name, function in ways.items():
                    start = time.perf_counter()
                    function(path)
                    times[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def scoring(clips=200, seeds=10, width=512, frames=313):
    """Seconds to score clips of 10 s with ready statistics, all scorers of the report."""
    import numpy as np
    import torch

    from asdlib import params, scoring
    from asdlib.autoencoder import SeedAutoencoder
    from asdlib.runtime import parallel
    from asdlib.spectra import Frames

    model = SeedAutoencoder(640, range(seeds), params.Autoencoder(width=width)).eval()

    def residual(vectors):
        x = torch.from_numpy(np.array(vectors))
        with torch.inference_mode():
            return x - model(x.expand(seeds, -1, -1))

    rng = np.random.default_rng(0)
    own = Frames.join([rng.standard_normal((frames, 128)).astype(np.float32) for _ in range(24)])
    domains = ["source"] * 16 + ["target"] * 8
    detector = scoring.Detector.fit(residual, zip(domains, map(own.clip, range(24)), strict=True))
    vectors = (own.clip(c % 24) for c in range(clips))
    start = time.perf_counter()
    scores = list(parallel.clip_by_clip(detector, vectors))
    assert len(scores) == clips
    return time.perf_counter() - start


class Trained(Exception):
    """Enough has been measured."""


def unit(
    folder,
    clips,
    test=0,
    seconds=10.0,
    seeds=10,
    width=512,
    blocks=4,
    epochs=1,
    machines=1,
    whole=False,
):
    """Seconds and peak memory of whole units, or of features and the first epoch."""
    from asdlib import params, study
    from asdlib.study import scores

    root = noise_folder(folder, clips, test, seconds, machines)
    own = params.load(
        {
            "name": "bench",
            "data": str(root),
            "results": f"{folder}/results",
            "front_ends": ["adasub"],
            "scorers": ["eq1", "s1"],
            "seeds": list(range(seeds)),
            "baseline": False,
            "autoencoder": {"width": width, "blocks": blocks},
            "training": {"epochs": epochs},
        }
    )
    recordings = study.open_recordings(own)

    def tick(what, steps):
        if "epoch 1/" in what and not whole:
            raise Trained

    start = time.perf_counter()
    for one in study.tasks(own, recordings):
        try:
            scores.compute([one], tick=tick)
        except Trained:
            continue
    seconds_taken = time.perf_counter() - start
    return {"seconds": seconds_taken, "peak": peak_memory()}


def untrained(folder, clips, test, seconds=10.0, foretell=False):
    """Seconds and peak memory of one machine without training, from wav files to fused scores.

    With ``foretell``, also the seconds that ten seeds of autoencoders would take.
    """
    from asdlib import params, study
    from asdlib.compare import statistics

    root = noise_folder(folder, clips, test, seconds, machines=1)
    own = params.load(
        {
            "name": "bench",
            "data": str(root),
            "results": f"{folder}/results",
            "front_ends": ["near"],
            "scorers": ["adasub/pmsd", "adals/pmsd", "near/psd"],
            "baseline": False,
            "extras": [],
        }
    )
    start = time.perf_counter()
    recordings = study.open_recordings(own)
    fused = statistics.ensemble(study.run(own, recordings=recordings))
    found = {"seconds": time.perf_counter() - start, "peak": peak_memory()}
    assert len(fused) == clips + test
    if foretell:
        changes = {"front_ends": ("adasub",), "scorers": ("eq1",), "seeds": tuple(range(10))}
        trained = own.model_copy(update=changes)
        found["trained"] = study.forecast(trained, recordings).seconds
    return found


def many(folder, machines, trained):
    """Seconds of a study of small machines, and to read it back; its files and peak memory."""
    from asdlib import params, study

    kind = {"front_ends": ["adasub"], "scorers": ["eq1"], "seeds": [0, 1]}
    own = params.load(
        {
            "name": "bench",
            "data": str(noise_folder(folder, 12, 4, 1.0, machines)),
            "results": f"{folder}/results",
            "front_ends": ["near"],
            "scorers": ["adasub/pmsd"],
            "baseline": False,
            "extras": [],
            "autoencoder": {"width": 8, "blocks": 1},
            "training": {"epochs": 1},
        }
        | (kind if trained else {})
    )
    marks = [time.perf_counter()]
    for _ in range(2):
        table = study.run(own)
        marks.append(time.perf_counter())
    assert table["machine"].nunique() == machines
    seconds, again = (b - a for a, b in pairwise(marks))
    files = sum(path.is_file() for path in Path(own.results).rglob("*"))
    return {"seconds": seconds, "again": again, "files": files, "peak": peak_memory()}


def monitor(folder):
    """Seconds to fit a machine of one's own on 100 clips of 10 s, ms to score one of its files."""
    from asdlib import params
    from asdlib.monitor import Monitor
    from asdlib.simulate import scenes

    own = params.Scenes(machines=["SimPump"], train_source=90, train_target=10, test_per_cell=6)
    scenes.write(Path(folder), own)
    rounds = []
    for _ in range(3):
        start = time.perf_counter()
        fitted = Monitor.fit(Path(folder) / "SimPump")
        rounds.append(time.perf_counter() - start)
    clips = iter(sorted((Path(folder) / "SimPump" / "test").iterdir()))
    ms = milliseconds(lambda: fitted.score(next(clips)))
    return {"fit": statistics.median(rounds), "first": rounds[0], "score": ms}


def noise_folder(folder, clips, test, seconds, machines):
    """Recordings of noise in the DCASE layout: many names of sixteen files."""
    import numpy as np
    import soundfile

    rng = np.random.default_rng(0)
    root = Path(folder) / "data"
    pool = root.parent / "pool"
    pool.mkdir()
    for i in range(16):
        noise = 0.1 * rng.standard_normal((int(16000 * seconds), 2))
        soundfile.write(pool / f"{i}.wav", noise, 16000)
    for m in range(machines):
        for split, count in (("train", clips), ("test", test)):
            place = root / f"machine{m}" / split
            place.mkdir(parents=True)
            for i in range(count):
                name = f"section_00_source_{split}_normal_{i:04d}_noAttribute.wav"
                (place / name).hardlink_to(pool / f"{i % 16}.wav")
    return root


def peak_memory():
    """Bytes; getrusage would count what this process was before it became a Python of its own."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    lines = status.read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def imports():
    """Seconds to import the package."""
    start = time.perf_counter()
    import asdlib  # noqa: F401

    return time.perf_counter() - start


if __name__ == "__main__":
    arguments = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    print(json.dumps(globals()[sys.argv[1]](**arguments)))
