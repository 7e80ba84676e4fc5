"""The residual autoencoder with a leading seed axis (paper, section 3.1).

640 -> linear 512, batch norm, GELU -> 4 blocks x + GELU(BN(W x)) -> linear 16 -> the mirror -> 640.
All seeds of one machine are one model: every weight has the shape (seed, ...), every product is
batched over seeds, and no value ever crosses from one seed to another. Notebook: 02_seed_study.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from asdlib.params import Autoencoder as Shape

Inputs = Float[Tensor, "seed vector inputs"]
Outputs = Float[Tensor, "seed vector outputs"]


class SeedLinear(nn.Module):
    """One linear layer per seed: y_s = x_s W_s + b_s.

    Initialised as ``torch.nn.Linear``, uniform in +-1 / sqrt(inputs), each seed from its own
    generator.

    >>> generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    >>> SeedLinear(generators, 640, 16)(torch.zeros(2, 5, 640)).shape
    torch.Size([2, 5, 16])
    """

    def __init__(self, generators: Sequence[torch.Generator], inputs: int, outputs: int):
        super().__init__()
        bound = inputs**-0.5

        def draw(*shape: int) -> nn.Parameter:
            values = [torch.rand(shape, generator=g) * 2 * bound - bound for g in generators]
            return nn.Parameter(torch.stack(values))

        self.weight = draw(inputs, outputs)
        self.bias = draw(1, outputs)

    def forward(self, x: Inputs) -> Outputs:
        """Apply every seed's layer to its own vectors."""
        return torch.baddbmm(self.bias, x, self.weight)


class SeedBatchNorm(nn.Module):
    """Batch normalisation with statistics of each seed's own vectors.

    >>> x = torch.arange(8.0).view(2, 4, 1)
    >>> SeedBatchNorm(seeds=2, width=1)(x).mean(1).abs().max() < 1e-6
    tensor(True)
    """

    def __init__(self, seeds: int, width: int, momentum: float = 0.1, eps: float = 1e-5):
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.mean: Tensor
        self.var: Tensor
        self.weight = nn.Parameter(torch.ones(seeds, width))
        self.bias = nn.Parameter(torch.zeros(seeds, width))
        self.register_buffer("mean", torch.zeros(seeds, width))
        self.register_buffer("var", torch.ones(seeds, width))

    def forward(self, x: Float[Tensor, "seed vector width"]) -> Float[Tensor, "seed vector width"]:
        """Normalise over the vectors, seed by seed."""
        if self.training and not torch.compiler.is_compiling():
            return self._by_library(x)
        x = x.float()
        mean, var = self._of_batch(x) if self.training else (self.mean, self.var)
        scale = self.weight * torch.rsqrt(var + self.eps)
        return torch.addcmul((self.bias - mean * scale)[:, None], x, scale[:, None])

    def _by_library(self, x: Tensor) -> Tensor:
        """Normalise a batch in one call of the library, for which seeds become channels."""
        seeds, vectors, width = x.shape
        channels = x.transpose(0, 1).reshape(vectors, seeds * width)
        mean, var, weight, bias = (
            own.view(-1) for own in (self.mean, self.var, self.weight, self.bias)
        )
        y = F.batch_norm(channels, mean, var, weight, bias, True, self.momentum, self.eps)
        return y.view(vectors, seeds, width).transpose(0, 1)

    def _of_batch(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance over the vectors, which the running ones follow; compilers fuse it."""
        var, mean = torch.var_mean(x, 1, correction=0)
        vectors = x.shape[1]
        with torch.no_grad():
            self.mean.lerp_(mean, self.momentum)
            self.var.lerp_(var * (vectors / (vectors - 1)), self.momentum)
        return mean, var


class Dense(nn.Module):
    """Linear, batch norm, activation; the block of the network, and its outer hidden layers.

    >>> layer = Dense([torch.Generator().manual_seed(0)], 640, 512, Shape())
    >>> layer(torch.randn(1, 5, 640, generator=torch.Generator().manual_seed(1))).shape
    torch.Size([1, 5, 512])
    """

    def __init__(
        self, generators: Sequence[torch.Generator], inputs: int, outputs: int, shape: Shape
    ):
        super().__init__()
        self.linear = SeedLinear(generators, inputs, outputs)
        self.norm = SeedBatchNorm(len(generators), outputs, shape.momentum, shape.eps)
        self.activation = F.gelu if shape.activation == "gelu" else F.relu

    def forward(self, x: Inputs) -> Outputs:
        """Return GELU(BN(W x)), or with ReLU in its place."""
        return self.activation(self.norm(self.linear(x)))


class Block(nn.Module):
    """x + GELU(BN(W x)), with one linear layer by default; plain layers without the sum.

    >>> block = Block([torch.Generator().manual_seed(0)], Shape(width=8)).eval()
    >>> x = torch.ones(1, 5, 8)
    >>> torch.equal(block(x), x + block.body(x))
    True
    """

    def __init__(self, generators: Sequence[torch.Generator], shape: Shape):
        super().__init__()
        layers = range(shape.layers_per_block)
        width = shape.width
        self.body = nn.Sequential(*[Dense(generators, width, width, shape) for _ in layers])
        self.residual = shape.residual

    def forward(self, x: Float[Tensor, "seed vector width"]) -> Float[Tensor, "seed vector width"]:
        """Add the body's output to its input."""
        return x + self.body(x) if self.residual else self.body(x)


class SeedAutoencoder(nn.Module):
    """640 -> width, residual blocks -> bottleneck -> the mirror -> 640, for every seed.

    Parameters
    ----------
    values : length of a stacked vector, 640 in the paper.
    seeds : the initialisation of each comes from its own generator, so that seed 3 alone and
        seed 3 among ten are the same model.
    shape : width, blocks, bottleneck and what a block is; the official baseline's network is
        :func:`asdlib.study.baseline.official`'s.
    outputs : length of the output vector; ``values`` by default.

    Examples
    --------
    >>> model = SeedAutoencoder(640, seeds=range(10)).eval()
    >>> model(torch.zeros(10, 5, 640)).shape
    torch.Size([10, 5, 640])
    >>> model.encoder(torch.zeros(10, 5, 640)).shape
    torch.Size([10, 5, 16])
    """

    def __init__(
        self, values: int, seeds: Sequence[int], shape: Shape = Shape(), outputs: int | None = None
    ):
        super().__init__()
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        width = shape.width

        def blocks() -> list[nn.Module]:
            return [Block(generators, shape) for _ in range(shape.blocks)]

        self.encoder = nn.Sequential(
            Dense(generators, values, width, shape),
            *blocks(),
            Dense(generators, width, shape.bottleneck, shape)
            if shape.norm_bottleneck
            else SeedLinear(generators, width, shape.bottleneck),
        )
        self.decoder = nn.Sequential(
            Dense(generators, shape.bottleneck, width, shape),
            *blocks(),
            SeedLinear(generators, width, outputs or values),
        )

    def forward(self, x: Float[Tensor, "seed vector value"]) -> Float[Tensor, "seed vector output"]:
        """Reconstruct stacked vectors."""
        return self.decoder(self.encoder(x))

    @property
    def parameters_per_seed(self) -> int:
        """Trainable values of one seed's network."""
        return sum(p[0].numel() for p in self.parameters())
