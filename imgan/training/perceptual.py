"""Deep features: one network with named layers, and what is compared in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from imgan.errors import Failure, Misuse
from imgan.metrics import perceptual
from imgan.metrics.perceptual import EPSILON, SCALES
from imgan.models import store
from imgan.models.store import Models
from imgan.training.weights import read_weights

VGG16 = (2, 2, 3, 3, 3)
VGG19 = (2, 2, 4, 4, 4)
"""Convolutions at each of the five scales (Simonyan and Zisserman 2015, columns D and E)."""

WIDTHS = (64, 128, 256, 512, 512)
"""Their channels at each scale."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's RGB in 0..1, as torchvision's networks expect it."""


class Features(nn.Module):
    """VGG's 3x3 convolutions as named layers, "conv1_1" to "conv5_3" (VGG-19: "conv5_4").

    Five scales, with 2x2 max pooling between them; it begins with `(images - mean) / std`. Starts
    with random weights (He et al. 2015).
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        widths: Sequence[int],
        depths: Sequence[int],
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))
        scales = enumerate(depths, 1)
        names = [f"conv{scale}_{i}" for scale, depth in scales for i in range(1, depth + 1)]
        self.layers = tuple(names)
        channels = 3
        for name in self.layers:
            width = widths[int(name[4]) - 1]
            conv = nn.Conv2d(channels, width, 3, padding=1)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
            self.add_module(name, conv)
            channels = width

    @classmethod
    def half(cls) -> Features:
        """VGG-16 with half of its channels, 3.7 M parameters: the bundled network's shape."""
        return cls([width // 2 for width in WIDTHS], VGG16)

    def forward(self, images: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """The activations of the named layers after their ReLU, [N, C, H / 2^s, W / 2^s].

        `images` is [N, 3, H, W] RGB in 0..1, 16 px a side or more. Nothing deeper than the deepest
        of `layers` is computed. Raises Misuse for a layer that is not there.
        """
        if unknown := sorted(set(layers) - set(self.layers)):
            raise Misuse(f"no layer is called {unknown[0]}: there are {', '.join(self.layers)}")
        found: dict[str, Tensor] = {}
        x = self.normalise(images)
        for name in self.layers:
            if len(found) == len(set(layers)):
                break
            x = torch.relu(self.convolve(name, x))
            if name in layers:
                found[name] = x
        return found

    def normalise(self, images: Tensor) -> Tensor:
        """RGB in 0..1 as the first layer takes it."""
        return (images - self.mean.view(3, 1, 1)) / self.std.view(3, 1, 1)

    def convolve(self, layer: str, x: Tensor) -> Tensor:
        """One layer without its ReLU, of the layer before it; pooled first where a scale begins."""
        if layer.endswith("_1") and layer != self.layers[0]:
            x = max_pool2d(x, 2)
        convolved: Tensor = self.get_submodule(layer)(x)
        return convolved


def load(name: str = "bundled") -> Features:
    """Features to compute with: frozen, in evaluation mode, on the CPU.

    "bundled" is the distilled network that ships; "vgg19" is VGG-19 with torchvision's ImageNet
    weights, which torchvision fetches once.

    Raises Misuse for another name, Failure when the weights cannot be had.
    """
    if name not in ("bundled", "vgg19"):
        raise Misuse(f"--features {name}: known are bundled and vgg19")
    features = _bundled() if name == "bundled" else _vgg19()
    return features.requires_grad_(False).eval()


def load_beside(network: nn.Module, name: str = "bundled") -> Features:
    """`load`, to look at what a network makes that is being trained: on its device, and in its
    order of pixels, which takes a CPU down to half of the time."""
    # Any: not every torch declares `memory_format` here.
    features: Any = load(name)
    device = next(network.parameters()).device
    loaded: Features = features.to(device, memory_format=torch.channels_last)
    return loaded


def _bundled() -> Features:
    features = Features.half()
    file = store.path(perceptual.card(Models.installed()))
    features.load_state_dict(read_weights(file, perceptual.ROLE)[perceptual.ROLE])
    return features


def _vgg19() -> Features:
    try:
        from torchvision.models import VGG19_Weights
    except ModuleNotFoundError:
        raise Failure('--features vgg19 needs torchvision: pip install "imgan[train]"') from None
    except (RuntimeError, AttributeError) as error:
        # torchvision refuses a torch of another build at import, in more than one way.
        reason = str(error).splitlines()[0]
        raise Failure(
            f"--features vgg19: torchvision does not work here ({reason}); install the torchvision "
            "that belongs to this torch, or leave --features out"
        ) from None
    try:
        state = VGG19_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise Failure(
            f"--features vgg19: its weights cannot be fetched ({error}); go online once, or leave "
            "--features out"
        ) from None
    features = Features(WIDTHS, VGG19)
    # torchvision numbers all of "features." as one sequence; the order is the same.
    tensors = [tensor for key, tensor in state.items() if key.startswith("features.")]
    names = [key for key in features.state_dict() if key.startswith("conv")]
    features.load_state_dict(dict(zip(names, tensors, strict=True)), strict=False)
    return features


def distance(features: Features, a: Tensor, b: Tensor) -> Tensor:
    """How different pictures look, [N]: LPIPS without learned weights (Zhang et al. 2018, eq. 1).

    `a` and `b` are [N, 3, H, W] RGB in 0..1. At every place of a layer the channels are brought to
    unit length; their squared difference is averaged over the places, and then over `SCALES`.
    """
    return between(features(a, SCALES), features(b, SCALES))


def between(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> Tensor:
    """`distance`, [N], of pictures whose activations at `SCALES` are known."""
    return torch.stack([layer_distance(one[scale], other[scale]) for scale in SCALES]).mean(0)


def layer_distance(a: Tensor, b: Tensor) -> Tensor:
    """A layer's part of `distance`, [N], for its two activations [N, C, H, W]."""
    return (_unit(a) - _unit(b)).square().sum(1).mean((1, 2))


def _unit(activation: Tensor) -> Tensor:
    return activation * (activation.square().sum(1, keepdim=True) + EPSILON).rsqrt()


def gram(activation: Tensor) -> Tensor:
    """Which channels fire together: [N, C, H, W] to [N, C, C] (Gatys et al. 2016, eq. 3).

    Divided by the number of places, so that pictures of different sizes can be compared.
    """
    flat = activation.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]
