"""Which faces of a photo are edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from imgan import faces
from imgan.errors import Failure, Misuse, Skip
from imgan.faces import Face
from imgan.images import Picture, to_srgb
from imgan_edit import Edit

LEAST = 48
"""Longer side of the smallest face that is edited, in pixels of the photo. What the detector takes
for a smaller one is often none, and a network that sees 64 pixels would paint what is not there."""


FRONTAL = (0.1, 0.9)
"""Where the nose of a face that is edited lies on the way from the left eye, 0, to the right, 1.
Of 154 faces found in photos of LFW, 4 lie beyond, all of them near profiles."""


HIDDEN_MOST = 0.4
"""How much of a face that is edited may be hidden; of what is left little would be seen."""

TURNED, CUT, HIDDEN = "is turned away", "is cut off by the edge", "is hidden in large part"
UNMOVED = "is not changed by the network, as often when something is before it"
"""Why a face is left alone, in words."""

MEND = "and such faces are not edited; box it with --face x,y,width,height to edit it all the same"


@dataclass(frozen=True)
class FaceSelection:
    """The faces of a photo from left to right, and the indices of those to edit."""

    faces: Sequence[Face]
    chosen: Sequence[int]
    turned: Sequence[int] = ()
    """Profiles, which were meant and are left alone."""
    cut: Sequence[int] = ()
    """Likewise, faces of which eyes, nose or mouth lie beyond the photo's edge."""
    hidden: Sequence[int] = ()
    """Likewise, faces with something before them."""
    unmoved: Sequence[int] = ()
    """Faces in which the network would change nothing."""
    small: Sequence[Face] = ()
    """What is under `LEAST`, and is not counted."""
    declined: Mapping[int, str] = field(default_factory=dict)
    """Faces on which what was asked for cannot be done well, and why."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know, a line each."""
        notes = [f"face {index + 1} {TURNED}: left alone" for index in self.turned]
        notes += [f"face {index + 1} {CUT}: left alone" for index in self.cut]
        notes += [f"face {index + 1} {HIDDEN}: left alone" for index in self.hidden]
        notes += [f"face {index + 1} {UNMOVED}: left alone" for index in self.unmoved]
        notes += [f"face {index + 1}: {why}: left alone" for index, why in self.declined.items()]
        if self.small:
            counted = "1 face" if len(self.small) == 1 else f"{len(self.small)} faces"
            notes.append(f"{counted} under {LEAST} pixels left alone")
        return tuple(notes)

    def without(self, shares: Mapping[int, float]) -> FaceSelection:
        """The same, less those of the chosen that are hidden for the most part: `shares` says how
        much of each is. Raises Skip when none is left."""
        hidden = [i for i in self.chosen if shares[i] > HIDDEN_MOST]
        chosen = [i for i in self.chosen if i not in hidden]
        if not chosen:
            raise Skip(f"the face {HIDDEN} ({max(shares.values()):.0%}), {MEND}", code="face-unfit")
        return replace(self, chosen=chosen, hidden=hidden)

    def but(self, unmoved: Sequence[int]) -> FaceSelection:
        """The same, less those of the chosen in which nothing would change. Raises Skip when
        none is left."""
        chosen = [i for i in self.chosen if i not in unmoved]
        if not chosen:
            raise Skip(f"the face {UNMOVED}; --engine vector may change it", code="face-unfit")
        return replace(self, chosen=chosen, unmoved=unmoved)


@dataclass(frozen=True)
class FaceSelector:
    """Which faces of a photo: all that are found, or one."""

    number: int | None = None
    """Counted from the left, from 1."""
    box: tuple[float, float, float, float] | None = None
    """x, y, width, height in pixels of the upright photo."""
    aligned: bool = False

    @classmethod
    def of(cls, operation: Edit) -> FaceSelector:
        """Read `--face` and `--aligned`. Raises Misuse."""
        if operation.face is None:
            return cls(aligned=operation.aligned)
        try:
            match [float(part) for part in operation.face.split(",")]:
                case [number] if number >= 1 and number.is_integer():
                    return cls(number=int(number))
                case [x, y, width, height] if min(width, height) > 0 and np.isfinite(x + y):
                    return cls(box=(x, y, width, height))
        except ValueError:
            pass
        raise Misuse(
            f"--face {operation.face}: give a number from 1, counted from the left, or "
            "x,y,width,height in pixels"
        )

    @property
    def searched(self) -> bool:
        """Whether the faces are those that are found, and not one that a person points at."""
        return self.box is None and not self.aligned

    def find(self, picture: Picture) -> FaceSelection:
        """Raises Skip when there is no face, or not the one that is asked for; Failure for a
        box that does not fit."""
        height, width = picture.pixels.shape[:2]
        if self.aligned:
            return _one(faces.whole(width, height))
        if self.box:
            x, y, w, h = self.box
            if x >= width or y >= height or x + w <= 0 or y + h <= 0 or w > width or h > height:
                raise Failure(
                    f"the box of --face does not fit a picture of {width}x{height} pixels"
                )
            return _one(faces.boxed(*self.box))
        every = faces.find(to_srgb(picture.pixels, picture.source))
        small = [face for face in every if _side(face) < LEAST]
        found = [face for face in every if _side(face) >= LEAST]
        if not every:
            raise Skip(
                "no face found; box it with --face x,y,width,height, or give --aligned if the "
                "picture is a face and nothing else",
                code="no-face",
            )
        if not found:
            raise Skip(_too_small(max(small, key=_side)), code="face-too-small")
        if self.number is not None and self.number > len(found):
            raise Skip(
                f"no face {self.number}: {len(found)} found; --face counts from the left",
                code="no-face",
            )
        meant = range(len(found)) if self.number is None else [self.number - 1]
        turned = [index for index in meant if _is_turned(found[index])]
        cut = [i for i in meant if i not in turned and _is_cut(found[i], width, height)]
        chosen = [index for index in meant if index not in (*turned, *cut)]
        if not chosen:
            raise Skip(f"the face {TURNED if turned else CUT}, {MEND}", code="face-unfit")
        return FaceSelection(found, chosen, turned, cut, small=small)


def _one(face: Face) -> FaceSelection:
    if _side(face) < LEAST:
        raise Skip(_too_small(face), code="face-too-small")
    return FaceSelection([face], [0])


def _side(face: Face) -> float:
    return max(face.box[2:])


def _is_turned(face: Face) -> bool:
    left, right, nose = face.points[:3]
    across = right - left
    nearest, farthest = FRONTAL
    return not nearest <= (nose - left) @ across / (across @ across) <= farthest


def _is_cut(face: Face, width: int, height: int) -> bool:
    return bool(((face.points < 0) | (face.points > (width, height))).any())


def _too_small(face: Face) -> str:
    return (
        f"the face is {_side(face):.0f} pixels high, and under {LEAST} it is not edited; "
        "`imgan upscale x4` the photo first"
    )
