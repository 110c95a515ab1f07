"""`imgan edit`: what is asked for is checked, then every face of every picture is edited."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from imgan import batch, faces, store
from imgan.cards import ModelCard
from imgan.errors import Failure, Misuse
from imgan.faces import Face
from imgan.images import Picture
from imgan.job import Job, Operation
from imgan.metadata import COMPOSITE
from imgan.perceptual import Perceptual, open_features
from imgan.session import open_session
from imgan_edit import Edit, judge, receipt
from imgan_edit.attributes import SLUGS, check, parse
from imgan_edit.judge import Judge, drift
from imgan_edit.place import Found, Place
from imgan_edit.vector import Floats, Vector

if TYPE_CHECKING:
    from imgan.job import Process

STEPS = tuple(step / 4 for step in range(1, 13))
"""What `--auto-strength` tries, in parts of `--strength`."""

DRIFT = 0.1
"""How far `--auto-strength` may move the other attributes where `--max-drift` does not say."""


def edit(job: Job, wish: Edit) -> None:
    """Edit every picture of the job. Raises Misuse for a wish that contradicts itself."""
    added, removed = parse(wish.add or []), parse(wish.remove or [])
    check(added, removed)
    if not added and not removed:
        raise Misuse("nothing to edit: name an attribute with --add or --remove (--list has them)")
    place, card = Place.of(wish), editor(wish)
    plan = Plan(
        place=place,
        change=change(added, removed, wish.strength),
        asked=tuple(SLUGS.index(slug) for slug in [*added, *removed]),
        auto=wish.auto_strength,
        max_drift=wish.max_drift,
        strength=wish.strength,
        measured=job.json or wish.receipt is not None,
        stated=not wish.no_provenance,
    )
    settings = {
        "add": added,
        "remove": removed,
        "strength": wish.strength,
        "face": wish.face,
        "aligned": wish.aligned,
        "auto_strength": wish.auto_strength,
        "max_drift": wish.max_drift,
        "receipt": wish.receipt,
        "provenance": plan.stated,
    }
    judges = (judge.card().sha256,) if plan.judged else ()
    batch.run(
        job,
        Operation(
            name="edit",
            suffix="-".join([*added, *(f"no-{slug}" for slug in removed)]),
            settings=settings,
            models=(card.sha256, *judges),
            start=lambda: _start(plan, card, job.device),
            receipt=wish.receipt,
        ),
    )


def list_attributes(wish: Edit, as_json: bool) -> None:
    """Print the attributes and the editor's figures: how often adding and removing them is seen."""
    figures = editor(wish).figures
    for slug in SLUGS:
        added, removed = figures.get(added_figure(slug)), figures.get(removed_figure(slug))
        if as_json:
            print(json.dumps({"attribute": slug, "added": added, "removed": removed}))
        else:
            print(f"{slug:20} added {_percent(added):>12}   removed {_percent(removed):>12}")


def added_figure(slug: str) -> str:
    """The key of an editor's card for how often the attribute is seen once added, 0..1."""
    return f"{slug} added"


def removed_figure(slug: str) -> str:
    """The key of an editor's card for how often the attribute is gone once removed, 0..1."""
    return f"{slug} removed"


def editor(wish: Edit) -> ModelCard:
    """The card that the wish names. Raises what `store.find` raises."""
    return store.find(store.installed(), wish.model or f"edit-{wish.engine}", "edit")


def change(added: Mapping[str, float], removed: Mapping[str, float], strength: float) -> Floats:
    """What an editor takes, [40]: how much of each attribute to add, or below 0 to remove."""
    amounts = np.zeros(len(SLUGS), np.float32)
    for sign, named in ((strength, added), (-strength, removed)):
        for slug, amount in named.items():
            amounts[SLUGS.index(slug)] = sign * amount
    return amounts


@dataclass(frozen=True)
class Plan:
    """What is to be done to every picture."""

    place: Place
    change: Floats
    """[40], of `strength`."""
    asked: Sequence[int]
    """The attributes named, by their place in CelebA's order."""
    auto: bool
    max_drift: float | None
    strength: float
    measured: bool
    """Whether anybody reads what is measured."""
    stated: bool
    """Whether the result says that it was edited."""

    @property
    def judged(self) -> bool:
        """Whether the classifier has a say in the result."""
        return self.auto or self.max_drift is not None


@dataclass(frozen=True)
class Stroke:
    """An edit of one face: what is pasted, [size, size, 3] in 255ths, where, and how it came."""

    face: Face
    moved: Floats
    mask: Floats
    strength: float
    ended: str | None = None
    """Why `--auto-strength` went no further."""

    def on(self, picture: Picture) -> Picture:
        return faces.paste(picture, self.face, self.moved, self.mask)


@dataclass(frozen=True)
class Editing:
    """The work on a picture, with the networks that the plan needs."""

    plan: Plan
    card: ModelCard
    networks: Vector
    judge: Judge | None
    features: Perceptual | None

    def __call__(self, picture: Picture) -> tuple[Picture, Mapping[str, object]]:
        plan, found = self.plan, self.plan.place.find(picture)
        strokes = [
            self._raised(picture, face) if plan.auto else self._stroke(picture, face)
            for face in (found.faces[i] for i in found.chosen)
        ]
        edited = picture
        for stroke in strokes:
            edited = stroke.on(edited)
        facts = _facts(found)
        if self.judge is not None:
            facts |= self._judged(picture, edited, found, strokes)
        source = replace(edited.source, notes=edited.source.notes + found.notes)
        if plan.stated:
            source = replace(source, made=COMPOSITE)
        return replace(edited, source=source), facts

    def _stroke(self, picture: Picture, face: Face, part: float = 1) -> Stroke:
        crops = faces.align(picture, face, self.networks.size)[None]
        moved, masks = self.networks(crops, part * self.plan.change[None])
        if picture.source.grey:
            # A grey photo stays grey: only the lightness moves (ITU-R BT.601).
            lightness = moved @ np.array([0.299, 0.587, 0.114], np.float32)
            moved = np.repeat(lightness[..., None], 3, -1)
        return Stroke(face, moved[0], masks[0], part * self.plan.strength)

    def _raised(self, picture: Picture, face: Face) -> Stroke:
        """The weakest edit whose attributes the classifier sees, or the strongest within the limit.

        Raises Failure when the weakest is beyond it.
        """
        assert self.judge is not None
        plan = self.plan
        limit = DRIFT if plan.max_drift is None else plan.max_drift
        photo, seat = faces.cut(picture, face)
        before = self.judge.sees(photo, seat)
        best: Stroke | None = None
        for part in STEPS:
            stroke = self._stroke(photo, seat, part)
            after = self.judge.sees(stroke.on(photo), seat)
            moved = drift(before, after, plan.asked)
            if moved > limit:
                if best is None:
                    raise Failure(
                        f"even at strength {stroke.strength:g} the other attributes move by "
                        f"{moved:.3f}, over the limit of {limit:g} (--max-drift)"
                    )
                return replace(best, ended=f"at the next step the others move by {moved:.3f}")
            best = replace(stroke, face=face)
            if ((after > 0.5) == (plan.change > 0))[list(plan.asked)].all():
                return replace(best, ended="seen by the classifier")
        assert best is not None
        return replace(best, ended="not seen at the last step")

    def _judged(
        self, before: Picture, after: Picture, found: Found, strokes: Sequence[Stroke]
    ) -> dict[str, object]:
        """What is measured, if anybody reads it. Raises Failure beyond `--max-drift`."""
        assert self.judge is not None
        limit = self.plan.max_drift
        edits = []
        for index, stroke in zip(found.chosen, strokes, strict=True):
            old, new = (self.judge.sees(photo, stroke.face) for photo in (before, after))
            moved = drift(old, new, self.plan.asked)
            if limit is not None and moved > limit:
                raise Failure(
                    f"face {index + 1}: the other attributes moved by {moved:.3f}, over "
                    f"--max-drift {limit:g}; not written"
                )
            if self.features is None:
                continue
            ended = {} if stroke.ended is None else {"ended": stroke.ended}
            edits.append(
                {
                    "face": index + 1,
                    "box": _rounded(stroke.face),
                    "strength": stroke.strength,
                    **ended,
                    **receipt.of_face(
                        before, after, stroke.face, (old, new), self.plan.asked, self.features
                    ),
                }
            )
        if self.features is None:
            return {}
        placed = [(stroke.face, stroke.mask) for stroke in strokes]
        return {
            "model": self.card.name,
            "model_sha256": self.card.sha256,
            "classifier": judge.JUDGE,
            "largest_change_outside_mask": receipt.change_outside(before, after, placed),
            "edits": edits,
        }


def _start(plan: Plan, card: ModelCard, device: str) -> Process:
    return Editing(
        plan,
        card,
        Vector(open_session(store.path(card), device)),
        Judge.open(device) if plan.judged or plan.measured else None,
        open_features(device) if plan.measured else None,
    )


def _facts(found: Found) -> dict[str, object]:
    return {
        "faces": len(found.faces),
        "boxes": [_rounded(face) for face in found.faces],
        "edited": [i + 1 for i in found.chosen],
        "turned_away": [i + 1 for i in found.turned],
        "too_small": [_rounded(face) for face in found.small],
    }


def _rounded(face: Face) -> list[float]:
    return [round(side, 1) for side in face.box]


def _percent(figure: float | str | None) -> str:
    return f"{figure:.0%}" if isinstance(figure, int | float) else "not measured"
