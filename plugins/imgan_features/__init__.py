"""`imgan train features`: the bundled perceptual network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Option

from imgan.hookspecs import hookimpl
from imgan.models.cards import ModelCard, read_cards
from imgan.recipes import Evaluation, Recipe, Settings


@dataclass(frozen=True)
class FeaturesSettings(Settings):
    steps: Annotated[int, Option(help="Updates in the whole run.")] = 500
    batch_size: Annotated[int, Option(help="Pairs of crops a step, over all processes.")] = 4
    lr: Annotated[float, Option(help="Learning rate at the start; a cosine takes it to 0.")] = 3e-4
    ema_decay: Annotated[float, Option(help="Decay of the moving average that is shipped.")] = 0.98
    crop: Annotated[int, Option(help="Side of a crop, in pixels; a multiple of 16.")] = 128
    sample: Annotated[int, Option(help="Crops that the first, closed-form weights come from.")] = (
        384
    )
    checkpoint_every: Annotated[int, Option(help="Steps between checkpoints.")] = 50
    sample_every: Annotated[int, Option(help="Steps between sample sheets.")] = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.crop % 16 == 0, "crop", "a multiple of 16")


@hookimpl
def register_models() -> Iterable[ModelCard]:
    return read_cards(Path(__file__).parent / "models.toml")


@hookimpl
def register_recipes() -> Iterable[Recipe]:
    return [
        Recipe(
            name="features",
            summary="The bundled perceptual network, distilled from a VGG-16 that a package holds.",
            entry="imgan_features.training.distillation:FeaturesTask",
            settings=FeaturesSettings,
            data="A folder of photos, paintings and faces, with all that is below it.",
            ports="imgan_features.ports:FEATURES",
            operation="features",
            input="RGB 0..1, any size of 16 px a side or more",
            paper="Simonyan, Zisserman 2015, arXiv:1409.1556; Zhang et al. 2018, arXiv:1801.03924",
        )
    ]


@hookimpl
def register_evaluations() -> Iterable[Evaluation]:
    return [
        Evaluation(
            name="features",
            summary="Correlation of the distance with the teacher's, over distorted pictures.",
            entry="imgan_features.evaluate:evaluate",
        )
    ]
