"""The guide of the engine `residual`: a classifier that is hard to fool, and its training.

Of edits that an editor's own critic saw in 97 %, the judge saw 39 %.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn.functional import silu

from imgan.training.adversarial_examples import disguised
from imgan.training.optim import Descent
from imgan.training.weights import Weights, frozen
from imgan_edit import GuideSettings
from imgan_edit.disturb import disturbed
from imgan_edit.net import ATTRIBUTE_COUNT
from imgan_edit.train import ClassifierTask


class Guide(nn.Module):
    """[N, 3, 64, 64] in -1..1 to logits [N, 40]: strided convolutions, group normalisation, and a
    linear layer that knows where in the face it looks or, `pooled`, sees the mean of all places.
    With `fine` there are also blocks at 64 and 32 pixels, which cost as much as all the others."""

    def __init__(self, width: int = 32, pooled: bool = False, fine: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        if fine:
            before = width // 2
            layers = [nn.Conv2d(3, before, 3, padding=1), ResidualBlock(before)]
        for power in (1, 2, 4, 8):
            layers += [nn.Conv2d(before, power * width, 4, 2, 1)]
            if fine or power > 1:
                layers += [ResidualBlock(power * width)]
            before = power * width
        self.layers = nn.Sequential(*layers)
        self.gather = nn.AdaptiveAvgPool2d(1) if pooled else nn.Identity()
        self.head = nn.Linear(8 * width * (1 if pooled else 16), ATTRIBUTE_COUNT)

    def forward(self, face: Tensor) -> Tensor:
        return self.head(self.gather(silu(self.layers(face))).flatten(1))


class ResidualBlock(nn.Module):
    """x + conv(silu(norm(x)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(silu(self.norm(x)))


class GuideTask(ClassifierTask):
    """The judge's training, but in disguise."""

    def network(self) -> nn.Module:
        settings = cast(GuideSettings, self.settings)
        return Guide(settings.width, settings.pooled, settings.fine)

    def shown(self, faces: Tensor, labels: Tensor, descent: Descent) -> Tensor:
        def loss(seen: Tensor) -> Tensor:
            with descent.autocast():
                return self.cross_entropy(self.networks["classifier"](seen), labels)

        radius = cast(GuideSettings, self.settings).perturbation
        return disguised(disturbed(faces), radius, loss)


def load_guide(source: str) -> nn.Module:
    """The guide of a run or file. Raises what `frozen` raises."""

    def build(weights: Weights) -> nn.Module:
        first, seen = weights["layers.0.weight"], weights["head.weight"].shape[1]
        fine = first.shape[-1] == 3
        width = len(first) * (2 if fine else 1)
        return Guide(width, pooled=seen == 8 * width, fine=fine)

    return frozen("--guide", source, "edit-guide", GuideTask.shipped, build)
