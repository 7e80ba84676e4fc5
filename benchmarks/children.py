"""What is measured, each in a process of its own: ``python children.py NAME '{"argument": 1}'``.

A process of its own has its own peak memory, and its own settings of threads and allocator: what is
compared with this package runs as it would without it. Its files lie in the folder ASD_BENCH.
"""

import json
import os
import resource
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path


def milliseconds(step, *, warm=3, steps=12):
    times = []
    for number in range(warm + steps):
        start = time.perf_counter()
        step()
        if number >= warm:
            times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def imports():
    """Seconds to import the package."""
    start = time.perf_counter()
    import asdlib  # noqa: F401

    return time.perf_counter() - start


def plain(width=512, blocks=4, bottleneck=16):
    """The report's network, one seed, float32, batches of 256: ms of a step of the usual loop."""
    import torch
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

    torch.manual_seed(0)
    network = nn.Sequential(*half(640, bottleneck), *half(bottleneck, 640)).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=1e-4)
    vectors = torch.randn(20_000, 640)

    def step():
        x = vectors[torch.randint(len(vectors), (256,))]
        loss = nn.functional.mse_loss(network(x), x)
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
    layers = []
    for inputs, outputs in pairwise([640, 128, 128, 128, 128, 8, 128, 128, 128, 128]):
        norm = nn.BatchNorm1d(outputs, momentum=0.01, eps=1e-3)
        layers += [nn.Linear(inputs, outputs), norm, nn.ReLU()]
    network = nn.Sequential(*layers, nn.Linear(128, 640)).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    data = torch.randn(256 * 40, 640, dtype=torch.float64).numpy()
    loader = torch.utils.data.DataLoader(Vectors(data), batch_size=256, shuffle=True)
    batches = iter(loader)
    torch.autograd.set_detect_anomaly(True)

    def step():
        x = next(batches)[0].float()
        optimiser.zero_grad()
        loss = nn.functional.mse_loss(network(x), x)
        loss.backward()
        optimiser.step()
        loss.item()

    return milliseconds(step, warm=5, steps=35)


def ours(network="ours", seeds=10, compiled="auto", device="cpu"):
    """ms of a step and seed of this package's loop, and the values of one seed's network."""
    import numpy as np

    from asdlib import params, training
    from asdlib.runtime import hardware
    from asdlib.spectra import Frames
    from asdlib.study import baseline

    whole = params.Params(seeds=tuple(range(seeds)))
    shape = whole.autoencoder if network == "ours" else baseline.official(whole).autoencoder
    steps = 12 if device == "cpu" else 120
    values = np.random.default_rng(0).standard_normal((256 * steps + 4, 128)).astype(np.float32)
    hardware.WORTH_COMPILING = 0  # as for a long training
    marks = []
    model, _ = training.train(
        Frames.join([values]),
        seeds=whole.seeds,
        autoencoder=shape,
        training=whole.training.model_copy(update={"epochs": 5, "compiled": compiled}),
        device=device,
        on_epoch=lambda epoch: marks.append(time.perf_counter()),
    )
    step = statistics.median(np.diff(marks)[2:]) * 1e3 / steps
    return {"ms": step / seeds, "values": model.parameters_per_seed}


def products(seeds=10, device="cpu"):
    """GFLOP/s of plain 512-wide matrix products of all seeds, in bfloat16 or as `auto` decides."""
    import torch

    from asdlib.runtime import hardware, parallel

    parallel.keep_memory()
    dtype = hardware.precision("auto", device)
    a = torch.randn(seeds, 256, 512, device=device).to(dtype)
    b = torch.randn(seeds, 512, 512, device=device).to(dtype)
    if device == "cpu":
        ms = milliseconds(lambda: torch.bmm(a, b), warm=20, steps=200)
    else:  # without the time that each launch takes
        torch.bmm(a, b)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(50):
                torch.bmm(a, b)
        ms = milliseconds(lambda: (graph.replay(), torch.cuda.synchronize())) / 50
    return {"gflops": 2 * seeds * 256 * 512 * 512 / ms / 1e6, "dtype": str(dtype)}


def has_gpu():
    import torch

    return torch.cuda.is_available()


def front_ends(clips=8, rounds=5):
    """ms per clip: read, spectra of both channels, front-end, log-mel; librosa's near log-mel."""
    import librosa
    import numpy as np
    import soundfile

    from asdlib import dataset, frontends, spectra
    from asdlib.noise import Floors
    from asdlib.runtime import parallel

    constants = spectra.Spectra()

    def spectrum(path):
        return spectra.stft(dataset.read(path, constants), constants)

    def ours(name):
        front_end = frontends.FRONT_ENDS[name](floors=floors)
        return lambda path: spectra.log_mel(front_end(spectrum(path)), constants)

    def theirs(path):
        near = soundfile.read(path, dtype="float32", always_2d=True)[0][:, 0]
        sizes = {"n_fft": 1024, "hop_length": 512, "n_mels": 128, "pad_mode": "constant"}
        mel = librosa.feature.melspectrogram(y=np.ascontiguousarray(near), sr=16000, **sizes)
        return librosa.power_to_db(mel, top_db=None, amin=1e-16)

    with parallel.one_thread():
        paths = noise_clips(clips, 10.0)
        floors = Floors.fit(map(spectrum, paths[:2]))
        ways = {"librosa": theirs, **{name: ours(name) for name in frontends.FRONT_ENDS}}
        times = {name: [] for name in ways}
        for number in range(1 + rounds):
            for path in paths:
                for name, way in ways.items():  # in turn: all of them meet the same load
                    start = time.perf_counter()
                    way(path)
                    if number:
                        times[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def scoring(clips=200, seeds=10, width=512, frames=313):
    """Seconds to score clips of 10 s with ready statistics, all scorers of the report.

    Also the seconds of their matrix products alone.
    """
    import numpy as np
    import torch

    from asdlib import params, scoring
    from asdlib.autoencoder import SeedAutoencoder, SeedLinear
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
    weights = [layer.weight for layer in model.modules() if isinstance(layer, SeedLinear)]
    inputs = [torch.randn(seeds, frames - 4, weight.shape[1]) for weight in weights]
    columns = torch.randn(seeds, 640, frames - 4)

    def products(vectors):
        with torch.inference_mode():
            for x, weight in zip(inputs, weights, strict=True):
                torch.bmm(x, weight)
            for factor in detector._factors.values():
                torch.linalg.solve_triangular(factor, columns, upper=False)

    def seconds(way):
        vectors = (own.clip(c % 24) for c in range(clips))
        start = time.perf_counter()
        assert sum(1 for _ in parallel.clip_by_clip(way, vectors)) == clips
        return time.perf_counter() - start

    return {"seconds": seconds(detector), "products": seconds(products)}


def studied(clips, test, seconds=10.0, machines=1, seeds=1, foretell=False, **changes):
    """Seconds of a study of noise, from files to fused scores, and to read it back.

    Also bytes of memory at most, files of results, and, with the variants that a forecast counts,
    the seconds that were foretold.
    """
    from asdlib import params, study
    from asdlib.compare import statistics

    root = noise_folder(clips, test, seconds, machines)
    places = {"data": str(root), "results": str(root.parent / "results")}
    given = {"name": "bench", "seeds": list(range(seeds)), "baseline": False, "extras": []}
    own = params.load(given | places | changes)
    found = {}
    if foretell:
        recordings = study.open_recordings(own)
        found["foretold"] = study.forecast(own, recordings).seconds
    marks = [time.perf_counter()]
    if foretell:
        study.everything(own, recordings)
    for _ in range(2):
        table = study.run(own)
        marks.append(time.perf_counter())
    assert len(statistics.ensemble(table)) % machines == 0
    found["seconds"], found["again"] = (b - a for a, b in pairwise(marks))
    found["files"] = sum(path.is_file() for path in Path(own.results).rglob("*"))
    return found | {"peak": peak_memory()}


def monitor():
    """Seconds to fit a machine of one's own on 100 clips of 10 s, ms to score one of its files."""
    from asdlib import params
    from asdlib.monitor import Monitor
    from asdlib.simulate import scenes

    own = params.Scenes(machines=["SimPump"], train_source=90, train_target=10, test_per_cell=6)
    scenes.write(folder := place() / "scenes", own)
    rounds = []
    for _ in range(3):
        start = time.perf_counter()
        fitted = Monitor.fit(folder / "SimPump")
        rounds.append(time.perf_counter() - start)
    clips = iter(sorted((folder / "SimPump" / "test").iterdir()))
    ms = milliseconds(lambda: fitted.score(next(clips)))
    return {"fit": statistics.median(rounds), "first": rounds[0], "score": ms}


def omegas():
    """Omega of six seeds on small scenes, in float32 and in bfloat16."""
    from asdlib import params, study
    from asdlib.compare.statistics import Results

    changes = {
        **{"name": "bench", "results": str(place()), "seeds": list(range(6)), "extras": []},
        **{"front_ends": ["adasub"], "scorers": ["eq1"], "baseline": False},
        "autoencoder": {"width": 128},
    }
    found = {}
    for kind in ("float32", "bfloat16"):
        own = params.load(changes | {"training": {"epochs": 5, "precision": kind}})
        found[kind] = list(map(float, Results(study.run(own)).omegas("adasub", "eq1")))
    return found


def place():
    return Path(os.environ["ASD_BENCH"])


def noise_clips(count, seconds):
    import numpy as np
    import soundfile

    rng = np.random.default_rng(0)
    paths = [place() / f"{number}.wav" for number in range(count)]
    for path in paths:
        soundfile.write(path, 0.1 * rng.standard_normal((int(16000 * seconds), 2)), 16000)
    return paths


def noise_folder(clips, test, seconds, machines):
    """Recordings of noise in the DCASE layout: many names of sixteen files."""
    pool, root = noise_clips(16, seconds), place() / "data"
    for number in range(machines):
        for split, count in (("train", clips), ("test", test)):
            folder = root / f"machine{number}" / split
            folder.mkdir(parents=True)
            for i in range(count):
                name = f"section_00_source_{split}_normal_{i:04d}_noAttribute.wav"
                (folder / name).hardlink_to(pool[i % 16])
    return root


def peak_memory():
    """Bytes; getrusage would count what this process was before it became a Python of its own."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    lines = status.read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](**json.loads(sys.argv[2]))))
