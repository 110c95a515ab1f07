"""Super-resolution networks of other projects: ESRGAN, SwinIR, and what else spandrel knows."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten

from spandrel import MAIN_REGISTRY, ImageModelDescriptor, UnsupportedModelError
from torch import Tensor, nn
from torch.nn.functional import pad

from imgan.errors import Failure
from imgan.models.cards import Description, name_of
from imgan.training.ports import Form, Port
from imgan_exporters.checkpoints import foreign, read_table
from imgan_exporters.onnx import Parity, write
from imgan_upscale import DEFAULT_MODELS

UPSCALER = Form((Port("input", (1, 3, "height", "width")),))
"""One picture of any size, RGB in 0..1: transformers come out wrong for batches of any size."""


class AnySize(nn.Module):
    """A network that takes multiples of so many pixels, for pictures [1, 3, H, W] of any size."""

    def __init__(self, network: nn.Module, multiple: int, scale: int) -> None:
        super().__init__()
        self.network = network
        self.multiple = multiple
        self.scale = scale

    def forward(self, small: Tensor) -> Tensor:
        height, width = small.shape[-2:]
        margins = (0, -width % self.multiple, 0, -height % self.multiple)
        # Even without margins: some networks write into their input, and this is a copy.
        large: Tensor = self.network(pad(small, margins, "replicate"))
        return large[..., : self.scale * height, : self.scale * width]


def convert(file: Path, target: Path) -> Parity:
    """Write an upscaler as ONNX.

    Raises UnsupportedFile for what spandrel does not know; Failure for what `imgan upscale` cannot
    use or PyTorch cannot export, and as `read_table` and `write` do.
    """
    table = read_table(file)
    try:
        found = MAIN_REGISTRY.load(table)
    except UnsupportedModelError:
        raise foreign(table) from None
    except Exception as error:  # whatever an architecture makes of tensors that do not fit
        raise Failure(f"{file}: spandrel cannot build it: {shorten(str(error), 160)}") from None
    kind, scale = found.architecture.name, found.scale
    if not isinstance(found, ImageModelDescriptor) or found.purpose != "SR":
        raise Failure(f"{file} is for {found.purpose} ({kind}); super-resolution (SR) is read")
    if (found.input_channels, found.output_channels) != (3, 3):
        raise Failure(f"{file} ({kind}) is not from RGB to RGB")
    if all(scale % wanted for wanted in DEFAULT_MODELS):
        scales = " or ".join(f"x{wanted}" for wanted in DEFAULT_MODELS)
        raise Failure(f"{file} ({kind}) enlarges {scale} times: `imgan upscale` is {scales}")
    for module in found.model.modules():
        # SPAN makes its kernels anew at every call, and the exporter crashes on that.
        if callable(update := getattr(module, "update_params", None)):
            update()
            module.update_params = lambda: None
    card = Description(
        name=name_of(file),
        operation="upscale",
        input="RGB 0..1, any size",
        traits={"architecture": kind, "scale": scale},
    )
    network = AnySize(found.model, found.size_requirements.multiple_of, scale)
    try:
        return write(network, UPSCALER, target, card)
    except Failure:
        raise
    except Exception:  # PyTorch's exporter and onnxruntime raise what they like
        raise Failure(f"{file}: PyTorch cannot export {kind} for pictures of any size") from None
