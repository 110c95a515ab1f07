"""`imgan edit`: what is asked for is checked, then every face of every picture is edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from imgan.errors import Failure
from imgan.faces import Face
from imgan.images import Picture
from imgan.images.tensors import Floats
from imgan.models.cards import ModelCard
from imgan.models.store import Models
from imgan.operations import Listing, Meter, Result, Runtime
from imgan_edit import Edit, attribute_classifier, kept_of, occlusion, receipt
from imgan_edit.artists import Artist, Mark, open_artist
from imgan_edit.attributes import HAIR_COLOURS, NAMED, SEEN_AS, spoken
from imgan_edit.engines import open_editor
from imgan_edit.occlusion import Finder
from imgan_edit.receipt import EditMetrics
from imgan_edit.regions.effects import EFFECTS
from imgan_edit.regions.kept import KEPT
from imgan_edit.selection import FaceSelection, FaceSelector

STEPS = tuple(step / 4 for step in range(1, 13))
"""What `--auto-strength` tries, in parts of `--strength`."""

FOUND, DRAWN = 0.3, 0.8
"""Shares of the work after which the faces are found, and their edits are made."""

DRIFT = 0.1
"""How far `--auto-strength` may move a face where `--max-drift` does not say."""


def open_editing(operation: Edit, runtime: Runtime) -> Editing:
    """Load the networks. Raises Misuse for attributes that the engine does not know."""
    added, removed = operation.added, operation.removed
    colors = HAIR_COLOURS if operation.hair_color else ()
    plan = Plan(
        selector=FaceSelector.of(operation),
        change=change(added, removed, operation.strength),
        asked={SEEN_AS[slug]: slug not in removed for slug in (*added, *removed, *colors)},
        auto=operation.auto_strength,
        max_drift=operation.max_drift,
        strength=operation.strength,
    )
    measured = operation.limited or runtime.measured
    return Editing(
        plan,
        operation.editor(runtime.models),
        open_artist(operation, runtime),
        Finder.open(runtime),
        EditMetrics.open(runtime) if measured else None,
        runtime.meter,
    )


PERCENT = (
    "percentages are of held-out faces: those in which a classifier sees the attribute once it is "
    "added, and no longer sees it once it is removed"
)
KEPT_BY_EYE = "kept by eye: of so many edits of held-out photos, those that a fresh eye would keep"


def list_attributes(operation: Edit, models: Models) -> Listing:
    """The attributes and the engine's figures: of those that it draws, how often they are kept by
    eye, of a network, how often adding and removing them is seen."""
    if operation.draws:
        return _kept()
    card = operation.editor(models)
    rows, records = [], []
    for slug in open_editor(card, Runtime("cpu", models)).knows:
        added, removed = (card.figures.get(key(slug)) for key in (added_figure, removed_figure))
        rows.append([slug, _percent(added), _percent(removed)])
        records.append({"attribute": slug, "added": added, "removed": removed})
    note = f"{PERCENT}; kept by eye: {kept}" if (kept := str(kept_of(card))) else PERCENT
    return Listing(["attribute", "seen once added", "gone once removed"], rows, records, note)


def _kept() -> Listing:
    rows, records = [], []
    for slug, there in EFFECTS:
        figure = KEPT.get((slug, there))
        option, word = spoken(slug, there)
        share = "not judged yet" if figure is None else str(figure)
        rows.append([option, word, share, figure.beware if figure else ""])
        record: dict[str, object] = {"attribute": slug, "direction": "add" if there else "remove"}
        if figure:
            record |= {"kept": figure.kept, "of": figure.of, "beware": figure.beware}
        records.append(record)
    return Listing(["option", "attribute", "kept by eye", "not well"], rows, records, KEPT_BY_EYE)


def added_figure(slug: str) -> str:
    """The key of an editor's card for how often the attribute is seen once added, 0..1."""
    return f"{slug} added"


def removed_figure(slug: str) -> str:
    """The key of an editor's card for how often the attribute is gone once removed, 0..1."""
    return f"{slug} removed"


def change(added: Mapping[str, float], removed: Mapping[str, float], strength: float) -> Floats:
    """What an artist takes, [41]: how much of each of `NAMED` to add, or below 0 to remove."""
    amounts = np.zeros(len(NAMED), np.float32)
    for sign, named in ((strength, added), (-strength, removed)):
        for slug, amount in named.items():
            amounts[NAMED.index(slug)] = sign * amount
    return amounts


@dataclass(frozen=True)
class Plan:
    """What is to be done to every picture."""

    selector: FaceSelector
    change: Floats
    """[41], of `strength`."""
    asked: Mapping[int, bool]
    """The attributes named, by their place in CelebA's order, and whether they are to be there."""
    auto: bool
    max_drift: float | None
    strength: float


@dataclass(frozen=True)
class Attempt:
    """An edit of a face, how strong it is, and why `--auto-strength` went no further."""

    face: Face
    mark: Mark
    strength: float
    ended: str | None = None


@dataclass(frozen=True)
class Editing:
    """The work on a picture, with the networks that the plan needs."""

    plan: Plan
    card: ModelCard
    artist: Artist
    finder: Finder
    metrics: EditMetrics | None
    """There if anything is measured."""
    meter: Meter = field(default_factory=Meter)

    def __call__(self, picture: Picture) -> Result:
        plan, found = self.plan, self.plan.selector.find(picture)
        self.meter(FOUND)
        hidden = {i: self.finder.hidden(picture, found.faces[i]) for i in found.chosen}
        if plan.selector.searched:
            found = found.without({i: occlusion.share(parts) for i, parts in hidden.items()})
        edit = self._raised if plan.auto else self._attempt
        made: dict[int, Attempt] = {}
        declined: dict[int, Failure] = {}
        for number, i in enumerate(found.chosen, 1):
            try:
                made[i] = edit(picture, found.faces[i], hidden[i])
            except Failure as failure:
                declined[i] = failure
            self.meter(FOUND + (DRAWN - FOUND) * number / len(found.chosen))
        if not made:
            raise next(iter(declined.values()))
        found = replace(
            found, chosen=list(made), declined={i: str(why) for i, why in declined.items()}
        )
        if plan.change.any():
            found = found.but([i for i, attempt in made.items() if attempt.mark.empty])
        attempts = [made[i] for i in found.chosen]
        edited = picture
        for number, attempt in enumerate(attempts, 1):
            edited = attempt.mark.on(edited)
            self.meter(DRAWN + (1 - DRAWN) * number / len(attempts))
        undone = [
            f"face {i + 1}: {why}: not done" for i in found.chosen for why in made[i].mark.notes
        ]
        facts = _facts(found)
        if self.metrics is not None:
            facts |= self._measured(self.metrics, picture, edited, found, attempts)
        return Result(edited, facts, (*found.notes, *undone))

    def _attempt(self, picture: Picture, face: Face, hidden: Floats, part: float = 1) -> Attempt:
        mark = self.artist(picture, face, self.plan.change, hidden, part)
        return Attempt(face, mark, part * self.plan.strength)

    def _raised(self, picture: Picture, face: Face, hidden: Floats) -> Attempt:
        """The weakest edit whose attributes the classifier sees, or the strongest within the limit.

        Raises Failure when the weakest is beyond it.
        """
        assert self.metrics is not None
        plan = self.plan
        limit = DRIFT if plan.max_drift is None else plan.max_drift
        photo, seat = self.artist.desk(picture, face)
        best: Attempt | None = None
        for part in STEPS:
            attempt = self._attempt(photo, seat, hidden, part)
            moved = self.metrics.compare(photo, attempt.mark.on(photo), seat, [*plan.asked])
            if beyond := moved.beyond(limit):
                if best is None:
                    raise Failure(
                        f"even at strength {attempt.strength:g} {beyond}, over the limit of "
                        f"{limit:g} (--max-drift)"
                    )
                return replace(best, ended=f"at the next step {beyond}")
            best = replace(attempt, face=face, mark=attempt.mark.moved(face))
            if all((moved.after[i] > 0.5) == there for i, there in plan.asked.items()):
                return replace(best, ended="seen by the classifier")
        assert best is not None
        return replace(best, ended="not seen at the last step")

    def _measured(
        self,
        metrics: EditMetrics,
        before: Picture,
        after: Picture,
        found: FaceSelection,
        attempts: Sequence[Attempt],
    ) -> dict[str, object]:
        """The facts of the edits. Raises Failure beyond `--max-drift`."""
        limit = self.plan.max_drift
        edits = []
        for index, attempt in zip(found.chosen, attempts, strict=True):
            moved = metrics.compare(before, after, attempt.face, [*self.plan.asked])
            if limit is not None and (beyond := moved.beyond(limit)):
                raise Failure(
                    f"face {index + 1}: {beyond}, over --max-drift {limit:g}; not written"
                )
            ended = {} if attempt.ended is None else {"ended": attempt.ended}
            edits.append(
                {
                    "face": index + 1,
                    "box": _rounded(attempt.face),
                    "strength": attempt.strength,
                    **ended,
                    **moved.facts,
                }
            )
        return {
            "model": self.card.name,
            "model_sha256": self.card.sha256,
            "classifier": attribute_classifier.CLASSIFIER,
            "largest_change_outside_mask": receipt.change_outside(
                before, after, [attempt.mark for attempt in attempts]
            ),
            "edits": edits,
        }


def _facts(found: FaceSelection) -> dict[str, object]:
    return {
        "faces": len(found.faces),
        "boxes": [_rounded(face) for face in found.faces],
        "edited": [i + 1 for i in found.chosen],
        "turned_away": [i + 1 for i in found.turned],
        "cut_off": [i + 1 for i in found.cut],
        "hidden": [i + 1 for i in found.hidden],
        "unmoved": [i + 1 for i in found.unmoved],
        "declined": [{"face": i + 1, "why": why} for i, why in found.declined.items()],
        "too_small": [_rounded(face) for face in found.small],
    }


def _rounded(face: Face) -> list[float]:
    return [round(side, 1) for side in face.box]


def _percent(figure: float | str | None) -> str:
    return f"{figure:.0%}" if isinstance(figure, int | float) else "not measured"
