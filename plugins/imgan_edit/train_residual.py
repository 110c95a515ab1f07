"""Training the network of the engine `residual`: editor against critic."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits

from imgan.errors import Failure
from imgan.images.tensors import Floats, decode
from imgan.training import perceptual
from imgan.training.celeba import ATTRIBUTES_FILE, held_out, read_attributes, read_faces
from imgan.training.discriminator import Critic
from imgan.training.faces import Faces, centred, taken
from imgan.training.loop import cosine, set_rate
from imgan.training.optim import Descent
from imgan.training.perceptual import Features
from imgan.training.task import Task
from imgan_edit import ResidualSettings
from imgan_edit.attributes import HAIR_COLOURS, RESIDUAL, SLUGS, brings, parse
from imgan_edit.critic import LAYERS, doubt, hinge, look
from imgan_edit.disturb import covered, disturbed
from imgan_edit.engines import Residual, in_255ths
from imgan_edit.guide import load_guide
from imgan_edit.place import HIDDEN_MOST
from imgan_edit.reach import agreement, reach, soft_mask
from imgan_edit.residual import Editor, apply
from imgan_edit.train import SIZE

EDITED = np.array([SLUGS.index(slug) for slug in RESIDUAL])
"""Where the editor's attributes stand among the 40."""

MALE = SLUGS.index("male")

HUES = np.isin(RESIDUAL, HAIR_COLOURS)
"""Which of these give hair another colour and nothing another form."""

SHOWN = ("bangs", "blond-hair", "eyeglasses", "male", "mustache", "smiling", "young")
"""The columns of a sample sheet, after the face as it is."""

ROWS = 6

LEAST = 0.25
"""Of several attributes that change at once the weakest does by at least this much."""

FASTER = 4
"""How much faster than the editor the critic learns (Heusel et al. 2017, section 2)."""

COVERED = 0.25
"""The part of the faces that have something before them."""

SELDOM = 0.01
"""A sex that has fewer of the faces with an attribute, or of those without it, is not made so."""


class ResidualTask(Task[ResidualSettings]):
    """Editor and critic in turn: Adam with beta1 0.5, the rate falls to zero along half a cosine.

    The critic learns the hinge loss (Miyato et al. 2018, equation 16), on each attribute, there
    and not there, by itself. The editor learns, on one
    screen, from the critic and from the guides, which are frozen and see 64 pixels, each by itself:

    - adversarial: what the critic takes for a photo of such a face, on half of the batch;
    - classification: cross-entropy of the attributes that change with what they are to be;
    - preservation: how far the other ones, of all 40, are from what was seen in the face
      (cross-entropy less its least value, the entropy);
    - cycle: L1 between a face and itself after an edit there and back, on half of the batch;
    - mask: its mean, so that what need not change does not; smoothness: its total variation;
    - cover: its mean where something is before the face.

    The terms are those of STGAN (Liu et al. 2019) and GANimation (Pumarola et al. 2018), all as
    means; their weights are of the same order as there.
    """

    shipped = "editor"

    def __init__(self, data: Path, settings: ResidualSettings) -> None:
        super().__init__(settings)
        self.data = data
        self.networks["editor"] = Editor(settings.size, settings.width)
        self.networks["critic"] = Critic(LAYERS, settings.critic_width, 2 * len(EDITED))
        for name, network in self.networks.items():
            self.optimizers[name] = torch.optim.Adam(
                network.parameters(), settings.lr, betas=(0.5, 0.999)
            )
        self.average("editor")

    @cached_property
    def guides(self) -> list[nn.Module]:
        """Read at the first step: an export needs none."""
        return [load_guide(source).to(self._device) for source in self.settings.guide.split(",")]

    @property
    def _device(self) -> torch.device:
        return next(self.networks["editor"].parameters()).device

    @cached_property
    def features(self) -> Features:
        """What the critic looks through."""
        return perceptual.load_beside(self.networks["editor"])

    @cached_property
    def wishes(self) -> Wishes:
        """Read at the first step: an export needs no pictures."""
        settings = self.settings
        return Wishes(self.data, settings.size, settings.more, parse([settings.often]))

    def batch(self, step: int) -> tuple[Tensor, ...]:
        # What is missing is told as such here; in a step it would look like a run that diverged.
        # And what is built in a step would draw from its random numbers.
        _ = self.guides, self.features
        rng = np.random.default_rng([self.settings.seed, step])
        return self.wishes.draw(rng, self.settings.batch_size)

    def step(self, step: int, batch: tuple[Tensor, ...], descent: Descent) -> Mapping[str, Tensor]:
        rate = cosine(self.settings, step)
        set_rate(self.optimizers["editor"], rate)
        set_rate(self.optimizers["critic"], FASTER * rate)
        faces, change, labels, wanted, drawn = centred(batch[0]), *batch[1:]
        faces, cover = covered(disturbed(faces), COVERED)
        editor, critic = self.networks["editor"], self.networks["critic"]
        # Every second one: of single changes, which come first, and of several at once.
        half = slice(None, None, 2)
        with descent.autocast():
            edited, mask, shown = edited_by(editor, faces, change)
            with torch.no_grad():
                photos = look(self.features, faces[half])
            made = look(self.features, edited[half])
            was, is_to_be = kinds(labels[half], drawn[half]), kinds(wanted[half], drawn[half])
            critic.train()
            both = {layer: torch.cat([photos[layer], made[layer].detach()]) for layer in photos}
            logits = critic(both, torch.cat([was, is_to_be]))
            on_photos, on_made = zip(*(each.chunk(2) for each in logits), strict=True)
            criticism = hinge(on_photos, on_made, shown[half])
        descent.minimise(criticism, self.optimizers["critic"])
        critic.eval()
        with descent.autocast():
            moved, kept = self._attributes(small(faces), small(edited), labels, wanted)
            # The less is to be seen of a face the less is wished of it, down to where
            # `imgan edit` refuses it.
            to_be_seen = (1 - cover.mean((1, 2, 3)) / HIDDEN_MOST).clamp(min=0)
            back, *_ = edited_by(editor, edited[half], -change[half])
            terms = {
                "adversarial": doubt(critic(made, is_to_be), shown[half]),
                "classification": (to_be_seen * moved).mean(),
                "preservation": kept.mean(),
                "cycle": (back - faces[half]).abs().mean(),
                "mask": mask.mean(),
                "cover": (cover * mask).sum() / cover.sum().clamp(min=1),
                "smoothness": total_variation(mask),
            }
            weighted = [getattr(self.settings, name) * term for name, term in terms.items()]
            loss = torch.stack(weighted).sum()
        descent.minimise(loss, self.optimizers["editor"])
        return {name: term.detach() for name, term in (terms | {"critic": criticism}).items()}

    def _attributes(
        self, before: Tensor, after: Tensor, labels: Tensor, wanted: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`attribute_losses` as the guides see it, in the mean: what fools one seldom fools all.

        Each looks from elsewhere, at both faces alike: what fools it in one place only is no edit.
        """
        losses = []
        for guide in self.guides:
            was, became = disturbed(torch.cat([before, after], 1)).chunk(2, 1)
            with torch.no_grad():
                own = guide(was).float().sigmoid()
            losses.append(attribute_losses(guide(became).float(), own, labels, wanted))
        moved, kept = (torch.stack(loss).mean(0) for loss in zip(*losses, strict=True))
        return moved, kept

    @torch.no_grad()
    def sample(self) -> Tensor:
        """Rows of held-out faces: as it is, then each attribute of `SHOWN` made what it is not."""
        faces, labels = self._held_out
        editor = self.trained("editor")
        device = next(editor.parameters()).device
        columns = [faces]
        for slug in SHOWN:
            wanted = np.stack([flipped(row, SLUGS.index(slug)) for row in labels])
            change = torch.from_numpy((wanted - labels)[:, EDITED])
            columns.append(edited_by(editor, faces.to(device), change.to(device))[0].cpu())
        sheet = torch.cat(columns, 3) / 2 + 0.5
        return torch.cat(list(sheet), 1)

    @cached_property
    def _held_out(self) -> tuple[Tensor, Floats]:
        paths = held_out(self.data)[:ROWS]
        pixels = read_faces(paths, self.settings.size)
        _, table = read_attributes(self.data / ATTRIBUTES_FILE)
        faces = centred(taken(pixels, np.arange(ROWS)))
        return faces, np.stack([table[path.name] for path in paths])


class Wishes:
    """Faces, and what is to change in them: those of `data` and, with their labels, of `more`.

    An attribute that `often` gives a number is drawn so many times as often as the others.

    Raises Failure when a folder has no attributes, or for one of the 17 no face with it or none
    without.
    """

    def __init__(
        self, data: Path, size: int, more: str = "", often: Mapping[str, float] | None = None
    ) -> None:
        weights = np.array([(often or {}).get(slug, 1.0) for slug in RESIDUAL])
        self._chances = weights / weights.sum()
        folders = [Faces(data, size)]
        if more:
            folders.append(Faces(Path(more), size, held_out=0))
        labels = []
        for faces in folders:
            if faces.labels is None:
                raise Failure(
                    f"{faces.folder}: no {ATTRIBUTES_FILE} in it, which the editor learns from"
                )
            labels.append(faces.labels)
        self.pixels = np.concatenate([faces.pixels for faces in folders])
        self.labels = np.concatenate(labels)
        self._having = [
            tuple(changeable(self.labels, attribute, has) for has in (False, True))
            for attribute in EDITED
        ]
        for slug, having in zip(RESIDUAL, self._having, strict=True):
            if not all(map(len, having)):
                raise Failure(f"{data}: it takes faces with and without {slug} to learn it")

    def draw(self, rng: Generator, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Faces [N, 3, S, S] in bytes, mirrored or not, the change [N, 17], labels [N, 40], what
        they are to be, [N, 40] in 0..1, and for which of the 17 attributes each was drawn, [N].

        An attribute is drawn first, then whether the face has it, then the face, one of
        `changeable`: what is rare among faces comes as often as the rest. In three quarters of the
        batch that attribute becomes what it is not, with what that brings. In the rest all become
        what those of another face are, each to a degree of its own. So an edit cannot be told by
        what it shows: the critic sees each attribute about as often in edited faces as in photos.
        """
        drawn = rng.choice(len(EDITED), size=count, p=self._chances)
        has = rng.integers(2, size=count)
        indices = np.array(
            [rng.choice(self._having[a][h]) for a, h in zip(drawn, has, strict=True)]
        )
        labels = self.labels[indices]
        wanted = labels.copy()
        single = (3 * count + 1) // 4
        for i in range(single):
            wanted[i] = flipped(labels[i], EDITED[drawn[i]])
        others = labels[single:, EDITED]
        degrees = rng.uniform(LEAST, 1, others.shape) * (np.roll(others, 1, 0) - others)
        # The largest is 1: the network never sees how strong a change is as a whole.
        degrees /= np.abs(degrees).max(1, keepdims=True, initial=LEAST)
        wanted[single:, EDITED] += degrees
        change = (wanted - labels)[:, EDITED]
        return (
            taken(self.pixels, indices, rng.random(count) < 0.5),
            torch.from_numpy(change),
            torch.from_numpy(labels),
            torch.from_numpy(wanted),
            torch.from_numpy(drawn),
        )


def changeable(labels: Floats, attribute: int, has: bool) -> NDArray[np.int64]:
    """Which faces, of labels [N, 40], that have an attribute, or have it not, are made otherwise.

    Women are not given moustaches, nor men make-up: hardly a photo shows what to draw, and
    the critic would tell such an edit by the sex alone.
    """
    male = labels[:, MALE].astype(int)
    otherwise = labels[:, attribute] != has
    women_and_men = np.bincount(male[otherwise], minlength=2)
    seldom = (women_and_men < SELDOM * otherwise.sum()) & (attribute != MALE)
    return np.flatnonzero(~otherwise & ~seldom[male])


def edited_by(editor: nn.Module, faces: Tensor, change: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The edited faces, the network's mask, and the mask as far as the engine follows it."""
    residual, mask = editor(faces, change)
    shown = mask * within_reach(faces, change, mask * residual)
    return apply(faces, residual, shown), mask, shown


@torch.no_grad()
def within_reach(faces: Tensor, change: Tensor, added: Tensor) -> Tensor:
    """How much the engine keeps of what is added to faces, [N, 1, S, S] in 0..1: what it does not
    keep is not worth learning. Changes of hair colours alone keep to the edges of the face."""
    changes, size = change.float().cpu().numpy(), faces.shape[-1]
    kept = (soft_mask(size, Residual.rim) * reach(changes, size))[:, None]
    for i in np.flatnonzero((changes[:, ~HUES] == 0).all(1)):
        crop = decode(faces[[i]].float().cpu().numpy())[0]
        kept[i] *= agreement(in_255ths(added[[i]].float().cpu().numpy())[0], crop)[..., 0]
    return torch.from_numpy(kept).to(faces.device)


def kinds(labels: Tensor, drawn: Tensor) -> Tensor:
    """Which branch of the critic a face [N] belongs to, by whether it has what it was drawn for."""
    has = labels[:, EDITED].gather(1, drawn[:, None])[:, 0] >= 0.5
    return 2 * drawn + has


def flipped(labels: Floats, attribute: int) -> Floats:
    """Labels [40] with one made what it is not, and what that brings."""
    wanted = labels.copy()
    wanted[attribute] = 1 - labels[attribute]
    for slug, there in brings(SLUGS[attribute], bool(wanted[attribute])).items():
        wanted[SLUGS.index(slug)] = there
    return wanted


def attribute_losses(
    logits: Tensor, own: Tensor, labels: Tensor, wanted: Tensor
) -> tuple[Tensor, Tensor]:
    """Of each face, the mean over what was to change and over what was not: [N] each, of [N, 40].

    The first is the cross-entropy with `wanted`. The second is that with `own`, the probabilities
    before the edit, less their entropy: it is 0 where nothing moved.
    """
    changes = (wanted != labels).float()
    target = torch.where(changes > 0, wanted, own)
    cross = binary_cross_entropy_with_logits(logits, target, reduction="none")
    sure = own.clamp(1e-6, 1 - 1e-6)
    entropy = -(sure * sure.log() + (1 - sure) * (1 - sure).log())
    stays = 1 - changes
    moved = (changes * cross).sum(1) / changes.sum(1).clamp(min=1)
    kept = (stays * (cross - entropy)).sum(1) / stays.sum(1).clamp(min=1)
    return moved, kept


def small(faces: Tensor) -> Tensor:
    """[N, 3, S, S] as the guide sees them, at 64 pixels."""
    return avg_pool2d(faces, faces.shape[-1] // SIZE)


def total_variation(mask: Tensor) -> Tensor:
    """Mean difference of neighbours, down and across."""
    return mask.diff(dim=2).abs().mean() + mask.diff(dim=3).abs().mean()
