"""DCGAN (Radford, Metz, Chintala 2016) for 64x64 faces.

Z = 100 numbers from N(0, 1); pictures are [N, 3, 64, 64] RGB in -1..1.
"""

from __future__ import annotations

from torch import Tensor, nn

from imgan_generate import LATENT


def initialise(module: nn.Module) -> None:
    """Weights from N(0, 0.02), as the paper has them; batch normalisation's from N(1, 0.02)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, std=0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class Generator(nn.Module):
    """Fractionally-strided convolutions, 1x1 to 64x64 (figure 1): [N, 100] -> [N, 3, 64, 64]."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = LATENT
        for power, stride, padding in ((8, 1, 0), (4, 2, 1), (2, 2, 1), (1, 2, 1)):
            layers += [
                nn.ConvTranspose2d(channels, power * width, 4, stride, padding, bias=False),
                nn.BatchNorm2d(power * width),
                nn.ReLU(inplace=True),
            ]
            channels = power * width
        layers += [nn.ConvTranspose2d(channels, 3, 4, 2, 1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(initialise)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z[:, :, None, None])


class Discriminator(nn.Module):
    """Strided convolutions from 64x64 to one logit a picture: [N, 3, 64, 64] -> [N]."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        channels = width
        for power in (2, 4, 8):
            layers += [
                nn.Conv2d(channels, power * width, 4, 2, 1, bias=False),
                nn.BatchNorm2d(power * width),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            channels = power * width
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, 1, 4))
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten()


class Encoder(nn.Module):
    """DeepConv: strided convolutions, the generator's mirror: [N, 3, 64, 64] -> [N, `outputs`]."""

    def __init__(self, width: int = 48, outputs: int = LATENT) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for power in (1, 2, 4, 8):
            layers += [
                nn.Conv2d(channels, power * width, 4, 2, 1, bias=False),
                nn.BatchNorm2d(power * width),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            channels = power * width
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 16, outputs))

    def forward(self, face: Tensor) -> Tensor:
        return self.layers(face)
