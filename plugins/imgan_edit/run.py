"""`imgan edit`: what is asked for is checked, then every face of every picture is edited."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from imgan import faces
from imgan.batch import run as batch
from imgan.batch.job import Job, Operation
from imgan.errors import Failure, Misuse
from imgan.faces import Face
from imgan.images import Picture
from imgan.images.metadata import COMPOSITE
from imgan.images.tensors import Floats
from imgan.models import store
from imgan.models.cards import ModelCard
from imgan_edit import Edit, judge, occlusion, receipt
from imgan_edit.attributes import SLUGS, check, parse
from imgan_edit.engines import Editor, open_editor
from imgan_edit.judge import Judge
from imgan_edit.occlusion import Finder
from imgan_edit.place import Found, Place
from imgan_edit.receipt import Witness, witnesses
from imgan_edit.stroke import Stroke, strokes

if TYPE_CHECKING:
    from imgan.batch.job import Process

STEPS = tuple(step / 4 for step in range(1, 13))
"""What `--auto-strength` tries, in parts of `--strength`."""

DRIFT = 0.1
"""How far `--auto-strength` may move a face where `--max-drift` does not say."""


def edit(job: Job, wish: Edit) -> None:
    """Edit every picture of the job. Raises Misuse for a wish that contradicts itself."""
    added, removed = parse(wish.add or []), parse(wish.remove or [])
    check(added, removed)
    if not added and not removed:
        raise Misuse("nothing to edit: name an attribute with --add or --remove (--list has them)")
    place, card = Place.of(wish), find_card(wish)
    # Before the plan: what the network knows decides whether the wish makes sense.
    editor = open_editor(card, job.device)
    editor.check([*added, *removed])
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
    deciding = [occlusion.card()]
    if plan.limited:
        deciding += witnesses()
    elif editor.implies(plan.change):
        deciding.append(judge.card())
    batch.run(
        job,
        Operation(
            name="edit",
            suffix="-".join([*added, *(f"no-{slug}" for slug in removed)]),
            settings=settings,
            models=tuple(known.sha256 for known in [card, *deciding]),
            start=lambda: _start(plan, card, editor, job.device),
            receipt=wish.receipt,
        ),
    )


def list_attributes(wish: Edit, as_json: bool) -> None:
    """Print the attributes and the editor's figures: how often adding and removing them is seen."""
    card = find_card(wish)
    for slug in open_editor(card, "cpu").knows:
        added, removed = (card.figures.get(key(slug)) for key in (added_figure, removed_figure))
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


def find_card(wish: Edit) -> ModelCard:
    """Of the editor that the wish names. Raises what `store.find` raises."""
    return store.find(store.installed(), wish.model or wish.engine.model, "edit")


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
    def limited(self) -> bool:
        """Whether what is measured has a say in the result."""
        return self.auto or self.max_drift is not None


@dataclass(frozen=True)
class Attempt:
    """An edit of a face, how strong it is, and why `--auto-strength` went no further."""

    stroke: Stroke
    strength: float
    ended: str | None = None


@dataclass(frozen=True)
class Editing:
    """The work on a picture, with the networks that the plan needs."""

    plan: Plan
    card: ModelCard
    editor: Editor
    finder: Finder
    judge: Judge | None
    """There if the editor asks what a face has."""
    witness: Witness | None
    """There if anything is measured."""

    def __call__(self, picture: Picture) -> tuple[Picture, Mapping[str, object]]:
        plan, found = self.plan, self.plan.place.find(picture)
        hidden = {i: self.finder.hidden(picture, found.faces[i]) for i in found.chosen}
        if plan.place.searched:
            found = found.without({i: occlusion.share(parts) for i, parts in hidden.items()})
        edit = self._raised if plan.auto else self._attempt
        made = {i: edit(picture, found.faces[i], hidden[i]) for i in found.chosen}
        if plan.change.any():
            found = found.but([i for i, attempt in made.items() if attempt.stroke.empty])
        attempts = [made[i] for i in found.chosen]
        edited = picture
        for attempt in attempts:
            edited = attempt.stroke.on(edited)
        facts = _facts(found)
        if self.witness is not None:
            facts |= self._measured(self.witness, picture, edited, found, attempts)
        source = replace(edited.source, notes=edited.source.notes + found.notes)
        if plan.stated:
            source = replace(source, made=COMPOSITE)
        return replace(edited, source=source), facts

    def _attempt(self, picture: Picture, face: Face, hidden: Floats, part: float = 1) -> Attempt:
        change = part * self.plan.change
        if self.judge is not None:
            change = self.editor.completed(change, self.judge.sees(picture, face))
        (stroke,) = strokes(self.editor, picture, face, change[None], hidden)
        return Attempt(stroke, part * self.plan.strength)

    def _raised(self, picture: Picture, face: Face, hidden: Floats) -> Attempt:
        """The weakest edit whose attributes the classifier sees, or the strongest within the limit.

        Raises Failure when the weakest is beyond it.
        """
        assert self.witness is not None
        plan = self.plan
        limit = DRIFT if plan.max_drift is None else plan.max_drift
        photo, seat = faces.cut(picture, face)
        best: Attempt | None = None
        for part in STEPS:
            attempt = self._attempt(photo, seat, hidden, part)
            moved = self.witness.compare(photo, attempt.stroke.on(photo), seat, plan.asked)
            if beyond := moved.beyond(limit):
                if best is None:
                    raise Failure(
                        f"even at strength {attempt.strength:g} {beyond}, over the limit of "
                        f"{limit:g} (--max-drift)"
                    )
                return replace(best, ended=f"at the next step {beyond}")
            best = replace(attempt, stroke=replace(attempt.stroke, face=face))
            if ((moved.after > 0.5) == (plan.change > 0))[list(plan.asked)].all():
                return replace(best, ended="seen by the classifier")
        assert best is not None
        return replace(best, ended="not seen at the last step")

    def _measured(
        self,
        witness: Witness,
        before: Picture,
        after: Picture,
        found: Found,
        attempts: Sequence[Attempt],
    ) -> dict[str, object]:
        """The facts of the edits. Raises Failure beyond `--max-drift`."""
        limit = self.plan.max_drift
        edits = []
        for index, attempt in zip(found.chosen, attempts, strict=True):
            moved = witness.compare(before, after, attempt.stroke.face, self.plan.asked)
            if limit is not None and (beyond := moved.beyond(limit)):
                raise Failure(
                    f"face {index + 1}: {beyond}, over --max-drift {limit:g}; not written"
                )
            ended = {} if attempt.ended is None else {"ended": attempt.ended}
            edits.append(
                {
                    "face": index + 1,
                    "box": _rounded(attempt.stroke.face),
                    "strength": attempt.strength,
                    **ended,
                    **moved.facts,
                }
            )
        return {
            "model": self.card.name,
            "model_sha256": self.card.sha256,
            "classifier": judge.JUDGE,
            "largest_change_outside_mask": receipt.change_outside(
                before, after, [attempt.stroke for attempt in attempts]
            ),
            "edits": edits,
        }


def _start(plan: Plan, card: ModelCard, editor: Editor, device: str) -> Process:
    return Editing(
        plan,
        card,
        editor,
        Finder.open(device),
        Judge.open(device) if editor.implies(plan.change) else None,
        Witness.open(device) if plan.limited or plan.measured else None,
    )


def _facts(found: Found) -> dict[str, object]:
    return {
        "faces": len(found.faces),
        "boxes": [_rounded(face) for face in found.faces],
        "edited": [i + 1 for i in found.chosen],
        "turned_away": [i + 1 for i in found.turned],
        "cut_off": [i + 1 for i in found.cut],
        "hidden": [i + 1 for i in found.hidden],
        "unmoved": [i + 1 for i in found.unmoved],
        "too_small": [_rounded(face) for face in found.small],
    }


def _rounded(face: Face) -> list[float]:
    return [round(side, 1) for side in face.box]


def _percent(figure: float | str | None) -> str:
    return f"{figure:.0%}" if isinstance(figure, int | float) else "not measured"
