"""IcGAN's networks (Perarnau et al. 2016, arXiv:1611.06355): a conditional DCGAN, and encoders.

z is 100 numbers from N(0, 1); y is [N, A], 1 for "has it" and -1 for "has not" of each attribute;
faces are [N, 3, 64, 64] RGB in -1..1, aligned as CelebA's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imgan_generate import net
from imgan_generate.net import initialise


class Generator(net.Generator):
    """DCGAN's generator with y beside z at its input: [N, 100] and [N, A] -> [N, 3, 64, 64].

    The first layer of both, side by side, is the sum of a layer of z and one of y; so the weights
    of a DCGAN fit, to start from.
    """

    def __init__(self, width: int, attributes: int) -> None:
        super().__init__(width)
        self.label = nn.Linear(attributes, 8 * width * 16)
        nn.init.normal_(self.label.weight, std=0.02)
        nn.init.zeros_(self.label.bias)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        of_z = self.layers[0](z[:, :, None, None])
        return self.layers[1:](of_z + self.label(y).view_as(of_z))

    @torch.no_grad()
    def start(self, dcgan: dict[str, Tensor], shifts: Tensor, mean: Tensor) -> None:
        """Make the faces that a DCGAN makes of z + (y - `mean`) `shifts`, [A] and [A, 100].

        Raises RuntimeError when the weights are of another width.
        """
        self.load_state_dict(dcgan, strict=False)
        first = dcgan["layers.0.weight"].flatten(1)  # [100, 8 width 16]
        self.label.weight.copy_((shifts @ first).T)
        self.label.bias.copy_(-mean @ shifts @ first)


class Discriminator(net.Discriminator):
    """DCGAN's discriminator with y, the same at every place, beside what its first layer gives:
    [N, 3, 64, 64] and [N, A] -> [N] logits."""

    FIRST = 2
    """Layers before y is joined: a convolution and its ReLU."""

    def __init__(self, width: int, attributes: int) -> None:
        super().__init__(width)
        self.layers[self.FIRST] = nn.Conv2d(width + attributes, 2 * width, 4, 2, 1, bias=False)
        self.apply(initialise)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        seen = self.layers[: self.FIRST](x)
        label = y[:, :, None, None].expand(-1, -1, *seen.shape[2:])
        joined = torch.cat([seen, label], 1).contiguous(memory_format=torch.channels_last)
        return self.layers[self.FIRST :](joined).flatten()


class Encoders(nn.Module):
    """E_z and E_y, independent of each other, the paper's best variant: a face to z and y."""

    def __init__(self, latent: nn.Module, label: nn.Module) -> None:
        super().__init__()
        self.latent, self.label = latent, label

    def forward(self, face: Tensor) -> tuple[Tensor, Tensor]:
        return self.latent(face), self.label(face).clamp(-1, 1)


def build(weights: dict[str, Tensor]) -> Generator:
    """A generator that such weights fit. Raises LookupError for those of another network."""
    inputs, attributes = weights["label.weight"].shape
    return Generator(inputs // (8 * 16), attributes)
