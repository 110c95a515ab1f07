"""What translators and classifiers of domains take and give."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from imgan.training.ports import Form, Port
from imgan.training.task import Task
from imgan_translate import STEP, Network, Preprocess, TranslateSettings
from imgan_translate.local_regression import SIDE
from imgan_translate.traits import Direction, Faces, Upsampling

_CLASSIFIER = Form((Port("input", ("batch", 3, "height", "width")),))


def translator_form(side: int | None) -> Form:
    """Pictures to pictures, RGB in -1..1: of `side` pixels a side, or of any multiples of STEP."""
    shape = ("batch", 3, side or "height", side or "width")
    return Form((Port("input", shape, -1, 1, step=STEP),))


def cyclegan(task: Task[Any], name: str, network: nn.Module) -> Form:
    """One of two generators: "backward" goes from the second of the data's domains to the first."""
    backward = name == "backward"
    return replace(translator_form(None), traits=_traits(task.settings, backward, backward))


def pix2pix(task: Task[Any], name: str, network: nn.Module) -> Form:
    """Trained with `--swap` it goes backward, and `--source` and `--target` name its own ends."""
    settings = task.settings
    traits = _traits(settings, settings.swap, False)
    if settings.faces:
        traits["faces"] = Faces.aligned
    if settings.pairs and not settings.swap:
        traits["preprocess"] = str(settings.pairs)
    form = translator_form(settings.crop if settings.generator == Network.unet else None)
    return replace(form, traits=traits)


def colorize(task: Task[Any], name: str, network: nn.Module) -> Form:
    """Grey pictures, whose colours go under their own luminance."""
    settings = task.settings
    traits: dict[str, float | str] = {
        "from": settings.source,
        "to": settings.target,
        "side": settings.side,
        "preprocess": Preprocess.gray,
        "upsampling": Upsampling.chroma,
    }
    return replace(translator_form(settings.side), traits=traits)


def sketch_face(task: Task[Any], name: str, network: nn.Module) -> Form:
    """Aligned sketches, of which the borders are taken first."""
    traits: dict[str, float | str] = {
        "from": task.settings.source,
        "to": task.settings.target,
        "side": SIDE,
        "direction": Direction.backward,
        "faces": Faces.aligned,
        "preprocess": Preprocess.paper,
        "upsampling": Upsampling.enlarged,
    }
    return replace(translator_form(SIDE), traits=traits)


def _traits(settings: TranslateSettings, backward: bool, turned: bool) -> dict[str, float | str]:
    ends = (settings.target, settings.source) if turned else (settings.source, settings.target)
    traits: dict[str, float | str] = {"from": ends[0], "to": ends[1], "side": settings.crop}
    if backward:
        traits["direction"] = Direction.backward
    return traits


def classifier(task: Task[Any], name: str, network: nn.Module) -> Form:
    """Pictures of any size, RGB in 0..1, to a logit of the domain that the card calls "to"."""
    ends = {"from": task.settings.source, "to": task.settings.target}
    return replace(_CLASSIFIER, traits=ends)
