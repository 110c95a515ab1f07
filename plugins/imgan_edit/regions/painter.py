"""What a network paints into hidden parts of a face, carried to the photo's own size.

The network sees little squares, so that colours are all that is its own. What is finer is borrowed
from the skin beside the hole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imgan.images.fields import Floats, blurred, boxed, resized, sampled, weighted_mean
from imgan.images.oklab import from_oklab, to_oklab
from imgan.models.sessions import Session
from imgan_edit.regions.view import View
from imgan_edit.regions.zones import Frame, grid, planes
from imgan_inpaint.membrane import Mask, grown, membrane

SIZE = 80
"""Pixels a side of what the network sees."""

RIM = 2
"""The network paints so many of its pixels more than is taken: it is not at its best there."""

HUES = 2.0
"""Over so many of its pixels hues are averaged, which it draws in stripes."""

LIGHT = 0.1
"""Where it is farther from the photo than this beside a hole, that is no skin."""

COARSE = 0.7
"""What is finer than so many of those pixels (sigma) is borrowed."""

PATCH = 0.1
"""Half the side of what is borrowed in one piece, in distances of the eyes."""

TRIES = 16
"""Pieces that are compared, of which the one is taken that is lit most alike and ..."""

CALM = 4.0
"""... has no wrinkles: how much the deviation of its detail counts against its light."""


@dataclass(frozen=True)
class Painter:
    """The network, warm."""

    session: Session

    def __call__(self, view: View, frame: Frame, hole: Floats, there: Floats, thing: str) -> Floats:
        """The view [h, w, 3] whose hole [h, w], in 0..1, is painted with a thing out of
        `zones.THINGS`, coarsely, at the pixels that are `there` [h, w]: the hole and a little
        around it."""
        small = view.at(SIZE / frame.side)
        x, y = _seats(small, frame)
        known = np.concatenate([small.pixels, resized(hole, *small.shape)[..., None]], 2)
        seen = sampled(known, x.ravel(), y.ravel()).reshape(SIZE, SIZE, -1).clip(0, 1)
        picture, inside = np.ascontiguousarray(seen[..., :3]), seen[..., 3] > 0.05
        mask = grown(inside, RIM)
        told = planes(thing, mask.astype(np.float32), np.zeros((SIZE, SIZE), np.float32))
        feeds = {
            "image": picture.transpose(2, 0, 1)[None],
            "mask": mask[None, None].astype(np.float32),
            "condition": told[None],
        }
        (made,) = self.session.run_many(feeds).values()
        filled = _met(picture, inside, mask, made[0].transpose(1, 2, 0))
        return _carried(view, frame, there, filled)


def _met(picture: Floats, inside: Mask, mask: Mask, made: Floats) -> Floats:
    """What was made of a frame [SIZE, SIZE, 3] where it was masked, with smooth hues, and lighter
    or darker as it takes to meet the picture around the hole, where that is skin."""
    lab = to_oklab(made.clip(0, 1).astype(np.float32))
    lab[mask, 1:] = blurred(lab[..., 1:], HUES)[mask]
    made = from_oklab(lab)
    apart = picture - made
    trusted = mask & ~inside & (np.abs(apart).max(2) < LIGHT)
    if trusted.any():
        made = made + membrane(np.ascontiguousarray(apart * trusted[..., None]), ~trusted)
    return np.where(mask[..., None], made, picture).astype(np.float32)


def _seats(view: View, frame: Frame) -> tuple[Floats, Floats]:
    """Columns and rows of the view at which the pixels of a frame lie, [SIZE, SIZE] each."""
    across, down = grid(frame, SIZE)
    angle, unit = np.radians(view.roll), view.eye_distance
    cos, sin = unit * np.cos(angle), unit * np.sin(angle)
    x, y = view.points[:2].mean(0) - 0.5
    return x + cos * across - sin * down, y + sin * across + cos * down


def _carried(view: View, frame: Frame, there: Floats, filled: Floats) -> Floats:
    """A frame's pixels [SIZE, SIZE, 3] in the view, where they are wanted."""
    taken = there > 0
    pixel = frame.side / SIZE
    across, down = view.frame
    x, y = (across[taken] - frame.x) / pixel, (down[taken] - frame.y) / pixel
    middle = np.float32((SIZE - 1) / 2)
    pixels = view.pixels.copy()
    pixels[taken] = sampled(filled, x + middle, y + middle)
    return pixels


def with_detail(
    view: View, painted: Floats, hole: Floats, skin: Floats, pixel: float, rng: np.random.Generator
) -> Floats:
    """What was `painted` [h, w, 3] into the hole [h, w], with pores and grain of the photo's `skin`
    [h, w]: pieces of what is finer than `pixel` pixels, laid over one another.

    Pieces are faded, and their sum is divided by the root of the sum of the squares of what is left
    of each: independent pieces of one variance then have it all over.
    """
    sigma, half = COARSE * pixel, max(3, round(PATCH * view.eye_distance))
    low = weighted_mean(view.pixels, skin, sigma)
    fine = view.pixels - low
    light = low.mean(2)
    sources = np.argwhere(_inside(skin, half))
    while not len(sources) and half > 3:
        half = half * 2 // 3
        sources = np.argwhere(_inside(skin, half))
    if not len(sources):
        return painted
    lively = np.sqrt(boxed((fine**2).mean(2), half).clip(0))
    window = np.hanning(2 * half + 3)[1:-1].astype(np.float32)
    window = np.outer(window, window)[..., None]
    added, squares = np.zeros_like(painted), np.full((*hole.shape, 1), 1e-6, np.float32)
    rows, columns = (np.flatnonzero((hole > 0).any(axis)) for axis in (1, 0))
    wanted = painted.mean(2)
    height, width = hole.shape
    for row in range(rows[0], rows[-1] + half, half):
        for column in range(columns[0], columns[-1] + half, half):
            r, c = min(max(row, half), height - half - 1), min(max(column, half), width - half - 1)
            here = slice(r - half, r + half + 1), slice(c - half, c + half + 1)
            if not (hole[here] > 0).any():
                continue
            tried = sources[rng.integers(len(sources), size=TRIES)]
            rows_tried, columns_tried = tried.T
            unlike = np.abs(light[rows_tried, columns_tried] - wanted[r, c])
            y, x = tried[(unlike + CALM * lively[rows_tried, columns_tried]).argmin()]
            piece = fine[y - half : y + half + 1, x - half : x + half + 1]
            added[here] += window * piece
            squares[here] += window**2
    return painted + added / np.sqrt(squares)


def _inside(mask: Floats, half: int) -> Mask:
    """Where a square lies wholly in a mask [h, w], and in the picture."""
    whole = boxed((mask > 0.9).astype(np.float32), half) > 0.999
    whole[:half] = whole[-half:] = whole[:, :half] = whole[:, -half:] = False
    return whole
