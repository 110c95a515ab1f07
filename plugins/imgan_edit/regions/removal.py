"""Things taken away from a face: what is under them is painted as bare skin.

A moustache is hidden where hair may grow, glasses where their rims are; what is seen
through clear lenses stays as it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgan.errors import Failure
from imgan.images.fields import Floats, blurred, grown, resized, smoothstep, weighted_mean
from imgan.images.oklab import to_oklab
from imgan_edit.regions.finish import greyed
from imgan_edit.regions.painter import SIZE, with_detail
from imgan_edit.regions.view import Change, View, frontal
from imgan_edit.regions.zones import FRAMES, Frame, Zone
from imgan_inpaint.membrane import Mask, depth
from imgan_inpaint.membrane import grown as extended

MOST_TURNED = 30.0

FADE = 0.03
"""How wide what is painted fades, in distances of the eyes."""

LEAST_HAIR = 0.08
"""How much darker than the cheeks, in Oklab's lightness, skin with hair on it is."""


def remove_moustache(view: View, amount: float, rng: np.random.Generator) -> Change:
    """The upper lip shaven. Raises Failure where there is no moustache, and for a head that is
    turned far."""
    frontal(view, MOST_TURNED, "a face without its moustache")
    x, y = _by_mouth(view)
    unit = view.eye_distance
    skin, nose = view.part("skin"), view.part("nose")
    lips = view.part("upper_lip", "lower_lip", "mouth")
    face = (skin + nose + lips).clip(0, 1)
    lab = to_oklab(view.pixels)
    cheeks = skin * (1 - Zone(1.6).goatee(x, y)) * (np.abs(x) < 0.9) * (y < 1.3)
    usual = weighted_mean(lab, cheeks * (y > 0.3), 0.4 * unit)
    darker, redder = usual[..., 0] - lab[..., 0], lab[..., 1] - usual[..., 1]
    hairy = smoothstep(blurred(darker, 0.02 * unit), 0.05, 0.1)
    # Of a moustache that hangs over the lip the parser takes the lower part for the lip.
    over = smoothstep(darker, 0.08, 0.14) * smoothstep(-redder, -0.03, -0.01)
    lips = lips * (1 - over * smoothstep(-y, -1.03, -0.99))
    free = (1 - np.maximum(lips, nose * smoothstep(-y, -0.8, -0.72))).clip(0, 1)
    # Not over the edge of the face.
    free *= smoothstep(blurred(face, 0.05 * unit), 0.75, 0.95)
    likely, near = (Zone(scale, soft=0.1).mustache(x, y) * free for scale in (1.12, 1.4))
    if float((darker * likely).sum() / likely.sum().clip(1)) < LEAST_HAIR:
        raise Failure("no moustache is seen on the face")
    hair = grown(near * hairy, 0.03 * unit)
    hole = np.maximum(grown(likely, 0.02 * unit), hair) * free
    return _bare(view, hole, free, amount, rng, FRAMES["chin"])


def _by_mouth(view: View) -> tuple[Floats, Floats]:
    """`View.frame`, stretched and moved so that the corners of the mouth are where CelebA's are."""
    x, y = view.frame
    right, below = view.placed(view.points).T
    middle = (right[3] + right[4]) / 2
    nose, mouth = below[2], (below[3] + below[4]) / 2
    tall = (mouth - nose) / 0.44
    return (x - np.float32(middle)).astype(np.float32), (
        (y - np.float32(mouth)) / np.float32(tall) + np.float32(1.06)
    ).astype(np.float32)


def _bare(
    view: View, hole: Floats, free: Floats, amount: float, rng: np.random.Generator, frame: Frame
) -> Change:
    """A hole [h, w] in 0..1 painted as bare skin, which fades into the photo around it where that
    is `free` [h, w]."""
    assert view.painter is not None
    unit = view.eye_distance
    where = smoothstep(blurred(hole, FADE * unit), 0.03, 0.5) * free
    painted = view.painter(view, frame, hole, where, "bare")
    skin = view.part("skin") * (1 - grown(hole, 0.04 * unit))
    pixel = frame.side * unit / SIZE
    painted = with_detail(view, painted, where, skin, pixel, rng)
    painted = greyed(view.pixels, painted)
    return Change(painted.clip(0, 1), min(amount, 1.0) * where)


FINE = 72.0
"""Distance of the eyes, in pixels, at which rims are looked for at most."""

DARK, MIRROR, TINT = 0.17, 0.15, 0.03
"""How much darker than the skin around them, in Oklab's lightness, lenses hide the eyes, how much
lighter they mirror, and how far their hue is off."""

UNLIKE = 0.055
"""What is so far from the skin around it, in Oklab, is no skin."""


def remove_eyeglasses(view: View, amount: float, rng: np.random.Generator) -> Change:
    """Rims, bridge and arms become skin; what is seen through the lenses stays. Raises Failure
    where there are no glasses, for lenses that are dark or mirror, and for a head turned far."""
    frontal(view, 25.0, "a face without its glasses")
    small = view.at(FINE)
    unit = small.eye_distance
    worn = small.parts["glasses"]
    if worn.sum() < 0.12 * unit**2:
        raise Failure("no eyeglasses are seen on the face")
    lab = to_oklab(small.pixels)
    x, y = small.frame
    skin = small.part("skin", "nose") * (1 - grown(worn, 0.05 * unit))
    if skin.sum() < 0.5 * unit**2:
        raise Failure("too little skin is seen around the glasses")
    off = lab - weighted_mean(lab, skin, 0.3 * unit)
    eyes = np.hypot((np.abs(x) - 0.5) / 0.27, y / 0.11) < 1
    deep = depth(worn > 0.5, max(2, round(0.25 * unit)))
    _check_lenses(off[(deep > 0.1 * unit) & ~eyes & (y > 0.05)], off[deep > 0.1 * unit])
    strange = np.sqrt((off**2).sum(2))
    rim = _rim(strange, deep, y, eyes, unit)
    inner = np.where(y < 0, 1.4 * rim, rim) + 0.025 * unit
    # The parser's border is rough: what is near it and unlike skin is rim, too, or its shadow.
    beside = extended(worn > 0.5, round(0.12 * unit)) & (deep <= inner + 0.03 * unit)
    others = small.part("hair", "hat", "left_brow", "right_brow", "background") > 0.4
    missed = (beside & (strange > UNLIKE) & ~(others & (deep == 0))).astype(np.float32)
    hole = grown(worn, 0.04 * unit) * ((deep <= inner) | (np.abs(x) > 0.9))
    hole = np.maximum(hole, grown(missed, 0.02 * unit))
    # The side that is turned to the camera shows more of its temple.
    seen = FRAMES["eyes"]._replace(x=float(-0.9 * np.sin(np.radians(small.yaw))))
    hole = np.maximum(hole, grown(_arms(small, lab[..., 0], x - seen.x, y), 0.02 * unit))
    free = (~eyes & (np.abs(x - seen.x) < 1.3) & (np.abs(y - 0.1) < 1.2)).astype(np.float32)
    hole, free = (resized(p.astype(np.float32), *view.shape) for p in (hole * free, free))
    return _bare(view, hole, free, amount, rng, seen)


def _arms(view: View, light: Floats, x: Floats, y: Floats) -> Floats:
    """Where temples lie on skin, [h, w] of 0 and 1: dark, and light above and below."""
    thin = np.zeros(view.shape, bool)
    for reach in (0.09, 0.18):
        rows = max(1, round(reach * view.eye_distance))
        above, below = np.roll(light, rows, 0), np.roll(light, -rows, 0)
        thin |= np.minimum(above, below) - light > 0.05
    beside = (np.abs(x) > 0.8) & (np.abs(y) < 0.3)
    bare = view.part("skin", "left_ear", "right_ear") > 0.5
    return (thin & beside & bare).astype(np.float32)


def _check_lenses(skin: Floats, lens: Floats) -> None:
    """Raises Failure when what is seen through lenses, by how it differs in Oklab from the skin
    around them [n, 3], is no skin; `lens` is that with the eyes."""
    if len(skin) < 8:
        return
    tint = np.median(skin, 0)
    if tint[0] < -DARK:
        raise Failure("the lenses are dark, and what is behind them is not known")
    if float((lens[:, 0] > MIRROR).mean()) > 0.04:
        raise Failure("the lenses mirror, and what is behind them is not known")
    if float(np.hypot(*tint[1:])) > TINT:
        raise Failure("the lenses are tinted, and would leave their colour")


def _rim(off: Floats, deep: NDArray[np.uint8], y: Floats, eyes: Mask, unit: float) -> float:
    """How thick a rim is, in pixels: how deep in the glasses [h, w] colours are those of the rim
    and no longer skin's, below the eyes."""
    low = (y > 0.12) & ~eyes
    most = max(3, round(0.17 * unit))
    profile = np.array(
        [np.median(off[low & (deep == d)]) if (low & (deep == d)).sum() > 8 else 0.0
         for d in range(1, most + 1)]
    )  # fmt: skip
    within = off[low & (deep > most)]
    base = float(np.median(within)) if len(within) > 8 else float(profile.min())
    edge = base + 0.35 * (profile[: max(2, most // 2)].max() - base)
    return float(np.flatnonzero(profile >= edge).max(initial=0) + 1)
