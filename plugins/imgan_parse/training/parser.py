"""The training of the face parser."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imgan.training.faces import centred
from imgan.training.loop import cosine, set_rate
from imgan.training.optim import Optim
from imgan.training.task import Task
from imgan_parse import CLASSES, ParserSettings
from imgan_parse.net import Parser
from imgan_parse.sheet import COLOURS
from imgan_parse.training.data import ALIGNED, HELD_OUT, RARE, ParsedFaces

SHOWN = 16

WARM_UP = 100
"""Steps in which the rate rises: batch normalisation knows nothing at first."""


class ParserTask(Task[ParserSettings]):
    """Weighted cross-entropy of the pixels' classes and a soft Dice loss (Milletari et al. 2016).

    Cross-entropy alone lets go of what is small: rare classes weigh more in it, and in the other
    every class counts the same. AdamW, cosine.
    """

    shipped = "parser"

    def __init__(self, data: Path, settings: ParserSettings) -> None:
        super().__init__(settings)
        self.data = data
        parser = self.networks["parser"] = Parser(settings.width)
        self.optimizers["parser"] = torch.optim.AdamW(
            parser.parameters(), settings.lr, weight_decay=0.02
        )
        self.average("parser")

    @cached_property
    def sets(self) -> list[ParsedFaces]:
        """The labelled faces, and more; read at the first step: an export needs no pictures."""
        folder = self.settings.more
        more = [ParsedFaces(Path(folder), square=ALIGNED)] if folder else []
        return [ParsedFaces(self.data, last=-HELD_OUT), *more]

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        return np.concatenate([faces.shares() for faces in self.sets])

    @cached_property
    def chances(self) -> NDArray[np.float64]:
        """How often each face is drawn: labelled ones as often as all others together."""
        often = np.concatenate([np.full(len(faces), 1 / len(faces)) for faces in self.sets])
        for name, times in RARE.items():
            often[self.shares[:, CLASSES.index(name)] > 0.005] *= times
        return often / often.sum()

    @cached_property
    def weights(self) -> Tensor:
        """What a pixel of each class counts."""
        share = self.shares.mean(0).clip(1e-4)
        return torch.from_numpy((share / share.max()) ** -0.15).float()

    def batch(self, step: int) -> tuple[Tensor, ...]:
        rng = np.random.default_rng([self.settings.seed, step])
        drawn = rng.choice(len(self.chances), self.settings.batch_size, p=self.chances)
        pairs = []
        for index in drawn:
            faces, place = self.sets[0], int(index)
            if place >= len(faces):
                faces, place = self.sets[1], place - len(faces)
            pairs.append(faces.varied(place, self.settings.size, rng))
        pixels, classes = (np.stack(each) for each in zip(*pairs, strict=True))
        return centred(torch.from_numpy(pixels).permute(0, 3, 1, 2)), torch.from_numpy(classes)

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        rate = cosine(self.settings, step) * min(1.0, (step + 1) / WARM_UP)
        set_rate(self.optimizers["parser"], rate)
        faces, classes = batch[0], batch[1].long()
        with optim.autocast():
            logits = self.networks["parser"](faces).float()
        entropy, dice = losses(logits, classes, self.weights.to(logits.device))
        optim.minimise(entropy + dice, self.optimizers["parser"])
        right = (logits.detach().argmax(1) == classes).float().mean()
        return {"cross_entropy": entropy.detach(), "dice": dice.detach(), "accuracy": right}

    @torch.no_grad()
    def sample(self) -> Tensor:
        """Held-out faces, above the classes that the network sees in them."""
        faces = ParsedFaces(self.data, first=-HELD_OUT)
        network = self.trained("parser")
        device = next(network.parameters()).device
        images = torch.from_numpy(np.stack(faces.images[:SHOWN]))
        pictures = centred(images.permute(0, 3, 1, 2))
        seen = network(pictures.to(device)).argmax(1).cpu()
        colours = torch.from_numpy(COLOURS)[seen].permute(0, 3, 1, 2).float() / 255
        pairs = torch.cat([pictures / 2 + 0.5, colours], 2)
        return torch.cat([torch.cat(list(row), 2) for row in pairs.split(8)], 1)


def losses(logits: Tensor, classes: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy, and 1 - 2 |A and B| / (|A| + |B|), mean over the classes that occur.

    `logits` are [N, 19, H, W], `classes` [N, H, W], where 19 is unknown, `weights` [19].
    """
    count = logits.shape[1]
    rows, truth = logits.permute(0, 2, 3, 1).reshape(-1, count), classes.flatten()
    known = (truth < count).to(rows.dtype)
    truth = truth.clamp_max(count - 1)
    chances = rows.log_softmax(1)
    right = chances.gather(1, truth[:, None])[:, 0]
    each = weights[truth] * known
    entropy = -(each * right).sum() / each.sum()
    both, there = (
        torch.zeros(count, device=rows.device).index_add(0, truth, of)
        for of in (right.exp() * known, known)
    )
    dice = 1 - 2 * both / (known @ chances.exp() + there).clamp_min(1)
    return entropy, dice[there > 0].mean()
