"""CycleGAN's training: two generators, there and back, each against a discriminator."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    interpolate,
    l1_loss,
    normalize,
    pad,
)

from imgan.errors import Misuse
from imgan.images.tensors import Bytes
from imgan.training.augment import augmented
from imgan.training.data import shuffled
from imgan.training.discriminator import FeatureDiscriminator
from imgan.training.loop import linear, set_rate
from imgan.training.optim import Optim
from imgan.training.perceptual import Features, load_beside
from imgan.training.task import Task
from imgan_translate import CycleGANSettings, TranslateSettings
from imgan_translate.classifier import SIDE, find_classifier
from imgan_translate.net import Patch, ResNet, begin
from imgan_translate.training.classifier import load_robust_classifier
from imgan_translate.training.color_transfer import color_transfer
from imgan_translate.training.photos import cropped, read, rows

ROWS = 6
"""Of a sample sheet."""

LAYERS = ("conv1_2", "conv2_2", "conv3_2", "conv4_2")
"""What the discriminators of `--projected` see of a picture, in the bundled features."""

PALETTE = 200
"""Training pictures of each domain from which a palette is taken."""

BORDER = 48
"""Pixels of a picture's mirror image around it when a palette is taken."""

PATCHES, TEMPERATURE, CODE = 256, 0.07, 256
"""The contrastive loss (Park et al. 2020): patches a view, tau, and numbers a patch becomes."""


class CycleGANTask(Task[CycleGANSettings]):
    """CycleGAN (Zhu et al. 2017): forward G: A -> B and backward F: B -> A, Adam, beta1 0.5.

    The generators learn, each way, with the discriminator D of the domain they lead to:

    - adversarial: (D(G(a)) - 1)^2, least squares (Mao et al. 2017);
    - cycle: |F(G(a)) - a|, equation 2;
    - identity: |G(b) - b|, section 5.2, in parts of the cycle's weight;
    - contrastive: `contrast`, what CUT (Park et al. 2020) has in the cycle's place;
    - guidance: the cross-entropy of what an adversarially robust classifier sees in G(a), with
      the domain that it is to be of.

    The discriminators learn (D(b) - 1)^2 / 2 + D(p)^2 / 2, where p comes from a pool of earlier
    results (Shrivastava et al. 2017). The rate is constant, then falls to 0 along a line.
    """

    shipped = "forward"

    def __init__(self, data: Path, settings: CycleGANSettings) -> None:
        super().__init__(settings)
        self.data = data
        generators: list[nn.Parameter] = []
        for name in ("forward", "backward"):
            self.networks[name] = network = resnet(settings)
            begin(network)
            self.average(name)
            generators += network.parameters()
            if settings.contrastive:
                self.networks[f"{name} codes"] = codes = Codes(network)
                generators += codes.parameters()
        self.optimizers["generators"] = _adam(generators, settings)
        for name in ("forward", "backward"):
            discriminator = self._new_discriminator()
            self.networks[self._discriminator(name)] = discriminator
            self.networks[f"{name} pool"] = Pool(settings.pool, settings.crop)
            self.optimizers[self._discriminator(name)] = _adam(
                [*discriminator.parameters()], settings
            )

    def _discriminator(self, name: str) -> str:
        """Of one way. The two kinds have two names: `--init-from` takes what fits."""
        kind = "projected discriminator" if self.settings.projected else "discriminator"
        return f"{name} {kind}"

    def _new_discriminator(self) -> nn.Module:
        if self.settings.projected:
            return FeatureDiscriminator(LAYERS, self.settings.discriminator_width)
        discriminator = Patch(3, self.settings.discriminator_width)
        begin(discriminator)
        return discriminator

    @cached_property
    def features(self) -> Features:
        """What the discriminators of `--projected` look through."""
        return load_beside(self.networks["forward"])

    @cached_property
    def photos(self) -> tuple[list[Bytes], list[Bytes]]:
        """Of A and of B; read at the first step: an export needs no pictures."""
        a, b = (read(self.data / f"train{side}", self.settings.shorter_side) for side in "AB")
        ends = self.settings.source, self.settings.target
        if self.settings.top_fraction == 1:
            return a, b
        return self._top_fraction(a, *reversed(ends)), self._top_fraction(b, *ends)

    def _top_fraction(self, photos: list[Bytes], other: str, own: str) -> list[Bytes]:
        """Raises Misuse when no classifier of the two domains is installed."""
        classifier = find_classifier(other, own, "cpu")
        if classifier is None:
            raise Misuse(
                f"--top-fraction: no classifier of {other} and {own} is among `imgan models`"
            )
        order = np.argsort([-classifier.logit(photo) for photo in photos])
        return [photos[i] for i in order[: max(1, round(self.settings.top_fraction * len(photos)))]]

    @cached_property
    def robust_classifier(self) -> nn.Module | None:
        """Read at the first step; None without `--robust-classifier`."""
        source = self.settings.robust_classifier
        if not source:
            return None
        device = next(self.networks["forward"].parameters()).device
        return load_robust_classifier(source).to(device)

    @torch.no_grad()
    def product(self, name: str | None = None) -> nn.Module:
        """A generator and, with `--palette`, the palette of where it leads."""
        generator = super().product(name)
        if self.settings.palette:
            crops = map(self.batch, range(math.ceil(PALETTE / self.settings.batch_size)))
            pairs = (pair if self.chosen(name) == "forward" else pair[::-1] for pair in crops)
            generator.palette = color_transfer(
                (_bordered(generator, inputs).clamp(-1, 1), targets) for inputs, targets in pairs
            )
        return generator

    def prepare(self, device: torch.device) -> None:
        _ = self.robust_classifier, self.features if self.settings.projected else None

    def batch(self, step: int) -> tuple[Tensor, ...]:
        settings = self.settings
        rng = np.random.default_rng([settings.seed, step])
        crops: list[Tensor] = []
        for seed, photos in enumerate(self.photos):
            # Another seed for each, or equally many photos of A and B would always meet.
            chosen = shuffled(len(photos), settings.batch_size, 2 * settings.seed + seed, step)
            crops += cropped([[photos[i]] for i in chosen], settings, rng)
        return tuple(crops)

    def step(self, step: int, batch: tuple[Tensor, ...], optim: Optim) -> Mapping[str, Tensor]:
        for optimizer in self.optimizers.values():
            set_rate(optimizer, linear(self.settings, step))
        made: dict[str, Tensor] = {}
        losses: dict[str, Tensor] = {}
        with optim.autocast():
            for name, inputs, targets in self._ways(batch):
                made[name] = self.networks[name](inputs)
                for term, loss in self._terms(name, inputs, targets, made[name]).items():
                    losses[term] = losses.get(term, 0) + loss
            weighted = [self._weight(term) * loss for term, loss in losses.items()]
        optim.minimise(torch.stack(weighted).sum(), self.optimizers["generators"])
        for name, _, targets in self._ways(batch):
            fake = made[name].detach()
            losses[f"{name} discriminator"] = self._discriminate(name, targets, fake, optim)
        return {name: loss.detach() for name, loss in losses.items()}

    def _ways(self, batch: tuple[Tensor, ...]) -> tuple[tuple[str, Tensor, Tensor], ...]:
        a, b = batch
        return ("forward", a, b), ("backward", b, a)

    def _terms(self, name: str, inputs: Tensor, targets: Tensor, made: Tensor) -> dict[str, Tensor]:
        """The losses of one way that have a weight."""
        generator, settings = self.networks[name], self.settings
        back = self.networks["backward" if name == "forward" else "forward"]
        discriminator = self.networks[self._discriminator(name)].eval()
        terms = {"adversarial": lsgan_loss(self._logits(discriminator, made), 1)}
        if settings.cycle:
            terms["cycle"] = l1_loss(back(made), inputs)
        if settings.contrastive:
            codes = self.networks[f"{name} codes"]
            assert isinstance(generator, ResNet)
            assert isinstance(codes, Codes)
            terms["contrastive"] = contrast(generator, codes, inputs, made)
        if settings.identity and settings.cycle:
            terms["identity"] = l1_loss(generator(targets), targets)
        if self.robust_classifier:
            small = interpolate(made / 2 + 0.5, (SIDE, SIDE), mode="area")
            seen = self.robust_classifier(small)[:, 0].float()
            # B is 1 to it.
            wanted = torch.full_like(seen, name == "forward")
            terms["guidance"] = binary_cross_entropy_with_logits(seen, wanted)
        return terms

    def _weight(self, term: str) -> float:
        settings = self.settings
        weights = {
            "adversarial": 1.0,
            "cycle": settings.cycle,
            "identity": settings.cycle * settings.identity,
            "contrastive": settings.contrastive,
            "guidance": settings.guidance,
        }
        return weights[term]

    def _logits(self, discriminator: nn.Module, pictures: Tensor) -> list[Tensor]:
        """A discriminator's logits [N, 1, s, s], in each layer that it sees."""
        seen = augmented(pictures) if self.settings.augment else pictures
        if isinstance(discriminator, FeatureDiscriminator):
            return discriminator(self.features(seen / 2 + 0.5, LAYERS))
        return [discriminator(seen)]

    def _discriminate(self, name: str, real: Tensor, made: Tensor, optim: Optim) -> Tensor:
        """One update of a discriminator; its loss."""
        pool = self.networks[f"{name} pool"]
        discriminator = self.networks[self._discriminator(name)]
        assert isinstance(pool, Pool)
        earlier = pool.swap(made)
        with optim.autocast():
            # Together, for a discriminator that normalises what it sees of a batch.
            layers = self._logits(discriminator.train(), torch.cat([real, earlier]))
            on_real, on_made = zip(*(logits.chunk(2) for logits in layers), strict=True)
            loss = (lsgan_loss(on_real, 1) + lsgan_loss(on_made, 0)) / 2
        optim.minimise(loss, self.optimizers[self._discriminator(name)])
        return loss

    @torch.no_grad()
    def sample(self) -> Tensor:
        """Rows: of A, what it becomes, and back; of B likewise. Held-out photos where there are."""
        columns = []
        ways = (("A", "forward", "backward"), ("B", "backward", "forward"))
        for side, there, back in ways:
            folder = self.data / f"val{side}"
            if not folder.is_dir():
                folder = self.data / f"train{side}"
            photos = read(folder, self.settings.crop)
            chosen = [[photos[i * len(photos) // ROWS]] for i in range(ROWS)]
            (inputs,) = cropped(chosen, self.settings, np.random.default_rng(0))
            device = next(self.networks[there].parameters()).device
            made = self.trained(there)(inputs.to(device))
            columns += [inputs, made, self.trained(back)(made)]
        return rows(*columns)


def lsgan_loss(logits: Sequence[Tensor], wanted: float) -> Tensor:
    """Least squares (Mao et al. 2017): the logits' mean square distance to what they should be, the
    mean over layers."""
    return torch.stack([(layer.float() - wanted).square().mean() for layer in logits]).mean()


class Codes(nn.Module):
    """A small network a view, which turns the features of a patch into 256 numbers of length 1."""

    def __init__(self, generator: ResNet) -> None:
        super().__init__()
        with torch.no_grad():
            channels = [view.shape[1] for view in generator.views(torch.zeros(1, 3, 32, 32))]
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(count, CODE), nn.ReLU(), nn.Linear(CODE, CODE))
            for count in channels
        )
        begin(self)


def contrast(generator: ResNet, codes: Codes, inputs: Tensor, made: Tensor) -> Tensor:
    """PatchNCE (Park et al. 2020, equation 3), the mean over views.

    In the features of the generator's first half, a patch of the result is to be told by the patch
    of the input at the same place, among those at 255 other places of that input.
    """
    losses = []
    views = zip(codes.heads, generator.views(inputs), generator.views(made), strict=True)
    for head, old, new in views:
        places = torch.randperm(old[0, 0].numel(), device=old.device)[:PATCHES]
        key, query = (
            normalize(head(view.flatten(2)[:, :, places].transpose(1, 2)).float(), dim=2)
            for view in (old.detach(), new)
        )
        alike = query @ key.detach().transpose(1, 2) / TEMPERATURE
        right = torch.arange(len(places), device=alike.device).expand(len(alike), -1)
        losses.append(cross_entropy(alike.transpose(1, 2), right))
    return torch.stack(losses).mean()


class Pool(nn.Module):
    """Earlier results, in bytes. A network without parameters, so that checkpoints hold it."""

    def __init__(self, count: int, side: int) -> None:
        super().__init__()
        self.register_buffer("pictures", torch.zeros(count, 3, side, side, dtype=torch.uint8))
        self.register_buffer("filled", torch.zeros((), dtype=torch.long))
        self.pictures: Tensor
        self.filled: Tensor
        self.register_load_state_dict_pre_hook(_begin_pool)

    def swap(self, made: Tensor) -> Tensor:
        """Each picture of [N, 3, S, S] in -1..1 itself or, half of the time, an earlier one, whose
        place it takes. Until the pool is full they only go in."""
        shown = []
        for picture in made.float():
            held = ((picture + 1) * 127.5).round().byte()
            count = int(self.filled)
            if count < len(self.pictures):
                self.pictures[count] = held
                self.filled += 1
            elif torch.rand(()) < 0.5:
                place = int(torch.randint(count, ()))
                picture = self.pictures[place].float() / 127.5 - 1
                self.pictures[place] = held
            shown.append(picture)
        return torch.stack(shown)


def _begin_pool(pool: Pool, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Pictures of another size, as of a run that this one grows from, are left behind."""
    if state[f"{prefix}pictures"].shape != pool.pictures.shape:
        state |= {f"{prefix}{name}": own for name, own in pool.named_buffers()}


def _bordered(generator: nn.Module, pictures: Tensor) -> Tensor:
    """What a generator makes of pictures with a border of their mirror image, which counts in what
    it normalises by, as in `imgan translate`."""
    border = min(BORDER, pictures.shape[-1] // 2)
    made: Tensor = generator(pad(pictures, (border,) * 4, "reflect"))
    return made[..., border:-border, border:-border]


def resnet(settings: TranslateSettings) -> ResNet:
    """The generator that the settings describe."""
    return ResNet(
        settings.width,
        settings.blocks,
        settings.resize,
        settings.separable,
        settings.residual,
    )


def _adam(parameters: list[nn.Parameter], settings: CycleGANSettings) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, settings.lr, betas=(0.5, 0.999))
