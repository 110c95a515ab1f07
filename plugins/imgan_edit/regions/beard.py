"""Moustache, goatee and beard, drawn hair by hair over the shadow of stubble.

Lengths are in distances of the eyes, places by `View.frame` moved so that the middle between the
corners of the mouth is (0, 0): across to the right, down below.
"""

from __future__ import annotations

import numpy as np

from imgan.errors import Failure
from imgan.images.fields import Floats, Place, blurred, reached, resized, smoothstep
from imgan.images.upsampling import LUMA
from imgan_edit.regions import strands
from imgan_edit.regions.finish import settled, softness
from imgan_edit.regions.view import Change, View, bounds, frontal, within

MOST_TURNED = 30.0

FINE = 240.0
"""Hairs are drawn for eyes some so many pixels apart, and made as large or small as the face: on
a small one each hair would else be as wide as a pixel."""

BROWN = np.array([0.1, -0.02, -0.1], np.float32)
"""How brown hair differs from a grey of its lightness."""

FACE = (1.7, -0.8, 2.3)
"""How far the face reaches to both sides, up and down from the eyes: only that is looked at."""

PALETTE = 60.0
"""Distance of the eyes, in pixels, at which the colour of hair is looked for."""

DARKER = 0.8
"""Beards against the hair of the head, which is out of doors more."""


def add_moustache(view: View, amount: float, rng: np.random.Generator) -> Change:
    """A moustache; `amount` is how dense it is. Raises Failure for a head that is turned far."""
    return _grown(view, amount, rng, moustache=True)


def add_goatee(view: View, amount: float, rng: np.random.Generator) -> Change:
    """A moustache and a beard of the chin around the mouth. As `add_moustache`."""
    return _grown(view, amount, rng, moustache=True, chin=True)


def add_beard(view: View, amount: float, rng: np.random.Generator) -> Change:
    """A full beard, trimmed short. As `add_moustache`."""
    return _grown(view, amount, rng, moustache=True, chin=True, cheeks=True)


def add_stubble(view: View, amount: float, rng: np.random.Generator) -> Change:
    """The beard of a day or two. As `add_moustache`."""
    return _grown(view, amount, rng, moustache=True, chin=True, cheeks=True, short=True)


def _grown(
    view: View,
    amount: float,
    rng: np.random.Generator,
    moustache: bool = False,
    chin: bool = False,
    cheeks: bool = False,
    short: bool = False,
) -> Change:
    frontal(view, MOST_TURNED, "a beard")
    if amount <= 0:
        return Change(view.pixels, np.zeros(view.shape, np.float32))
    whole, face = view, _face(view)
    view = whole.cut(face)
    small = view.at(FINE)
    density = _density(small, rng, moustache, chin, cheeks)
    if density.sum() < 0.02 * small.eye_distance**2:
        raise Failure("too little skin around the mouth to grow a beard on")
    colour = _colour(whole.at(PALETTE))
    hairs = _hairs(small, density * min(amount, 1.2), colour, short, rng)
    soft = max(0.0, softness(small.pixels.mean(2)) - 0.5)
    # Photos of small faces are looked at enlarged, and hold nothing as sharp as one pixel.
    soft = 0.3 + soft + (0.1 if 2 * small.eye_distance < FINE else 0.0)
    hairs = blurred(hairs, soft)
    under = blurred(density, 0.03 * small.eye_distance)
    place = reached(bounds(hairs[..., 3] + under > 1e-4), small.shape, view.shape)
    hairs = resized(hairs, *view.shape, place).clip(0, 1)
    # Under the hairs the skin is darker and takes their hue: roots, and their shadows.
    under = resized(under, *view.shape, place).clip(0, 1)
    view = view.cut(place)
    deep = (0.30 if short else 0.62) * min(amount, 1.0) * under
    tinted = view.pixels * (0.35 + 0.65 * colour / max(float(colour.max()), 0.05)) * 0.62
    tinted = (tinted + (tinted @ LUMA)[..., None]) / 2  # skin under stubble is less red
    after = view.pixels + deep[..., None] * (tinted - view.pixels)
    after = after * (1 - hairs[..., 3:]) + hairs[..., :3]
    pixels, changed = settled(view.pixels, after, hairs[..., 3], view.part("skin"), rng)
    return Change(pixels, changed.astype(np.float32), within(face, place))


def _face(view: View) -> Place:
    """Rows and columns of the view that hold the face, however it leans."""
    side, top, bottom = FACE
    cos, sin = np.cos(np.radians(view.roll)), np.sin(np.radians(view.roll))
    corners = np.array([(x, y) for x in (-side, side) for y in (top, bottom)])
    corners = view.points[:2].mean(0) + view.eye_distance * corners @ [[cos, sin], [-sin, cos]]
    (left, top), (right, bottom) = np.floor(corners.min(0)), np.ceil(corners.max(0))
    height, width = view.shape
    rows = slice(int(max(0, top)), int(min(height, bottom)))
    return rows, slice(int(max(0, left)), int(min(width, right)))


def _mouth(view: View) -> tuple[Floats, Floats]:
    """Across and down from the middle between the corners of the mouth."""
    across, down = view.frame
    x, y = view.placed(view.points[3:]).mean(0)
    return (across - np.float32(x)).astype(np.float32), (down - np.float32(y)).astype(np.float32)


def _density(
    view: View, rng: np.random.Generator, moustache: bool, chin: bool, cheeks: bool
) -> Floats:
    """How dense hairs grow, [h, w] in 0..1, with soft borders that wander a little."""
    x, y = _mouth(view)
    unit = view.eye_distance
    height, width = view.shape
    waves = rng.standard_normal((height, width), np.float32)
    waves = blurred(waves, 0.05 * unit)
    waves = waves / (waves.std() + 1e-6)
    wide = np.abs(x) + 0.012 * waves
    low = y + 0.012 * waves
    nose = view.points[2] - view.points[3:].mean(0)
    base = float(-0.62 * np.hypot(*nose) / unit)
    corner = float(np.hypot(*(view.points[4] - view.points[3])) / unit / 2)
    total = np.zeros(view.shape, np.float32)
    if moustache:
        # From under the nose down and outward, a little past the corners.
        upper = base * 0.95 + 0.42 * (wide / (corner + 0.2)) ** 2 * abs(base)
        part = smoothstep(low - upper, -0.04, 0.10) * smoothstep(
            -wide, -corner - 0.17, -corner + 0.03
        )
        part = part * smoothstep(-low, -0.10, -0.01)
        # The groove of the philtrum is barer.
        part = part * (1 - 0.35 * np.exp(-((x / 0.05) ** 2)))
        total = np.maximum(total, part)
    if chin:
        around = smoothstep(-wide, -corner - 0.2, -corner + 0.04) * smoothstep(low, 0.0, 0.12)
        bare = np.exp(-(((wide - 0.22) / 0.12) ** 2) - ((low - 0.24) / 0.06) ** 2)
        total = np.maximum(total, around * (1 - 0.55 * bare))
    if cheeks:
        # Up to a line from the corner of the mouth to the ear.
        upper = 0.02 - 0.42 * ((wide - corner) / 0.6).clip(0) ** 1.4
        side = smoothstep(low - upper, -0.12, 0.16) * smoothstep(wide, corner - 0.1, corner + 0.05)
        total = np.maximum(total, 0.92 * side * smoothstep(low, -0.75, -0.35))
    skin = view.part("skin")
    lips = view.part("upper_lip", "lower_lip", "mouth")
    grow = skin * (1 - blurred(lips, 0.012 * unit)).clip(0, 1)
    # Fainter towards the border of the face, where it turns away.
    return total * smoothstep(blurred(grow, 0.02 * unit), 0.35, 0.85)


def _colour(view: View) -> Floats:
    """Of the beard [3]: the darker part of the hair and the brows."""
    where = np.maximum(view.part("left_brow", "right_brow"), 0.999 * view.part("hair")) > 0.9
    _, down = view.frame
    where &= down < 0.8
    skin = view.pixels[view.part("skin") > 0.9]
    if where.sum() < 60 or not len(skin):
        raise Failure("no hair is seen that a beard could take its colour from")
    hair = view.pixels[where]
    bright = hair @ LUMA
    dark = hair[bright <= np.quantile(bright, 0.6)].mean(0) * DARKER
    # Hair is grey or more or less brown, whatever the light and the glasses at the brows add.
    light = float(dark @ LUMA)
    dark = light + max(0.0, float((dark - light) @ BROWN) / float(BROWN @ BROWN)) * BROWN
    # Never lighter than skin allows to see.
    limit = 0.6 * float((skin @ LUMA).mean())
    return (dark * min(1.0, limit / max(float(dark @ LUMA), 1e-3))).astype(np.float32)


def _hairs(
    view: View, density: Floats, colour: Floats, short: bool, rng: np.random.Generator
) -> Floats:
    """Short curved hairs [h, w, 4], as `strands.drawn` gives."""
    unit = view.eye_distance
    x, y = _mouth(view)
    zoom = max(1, round(FINE / unit))
    wide = zoom * unit / 110
    count = int((0.16 if short else 0.26) * density.sum() * zoom**2 * min(1.0, 1 / wide) + 50)
    flat = density.ravel().astype(np.float64)
    chosen = rng.choice(flat.size, count, p=flat / flat.sum())
    row, column = np.divmod(chosen, view.shape[1])
    start = np.stack([column, row], 1) + rng.random((count, 2))
    px, py = x[row, column], y[row, column]
    # Down and outward; above the lip mostly outward, on the cheeks down.
    above = smoothstep(-py, -0.02, 0.10) * smoothstep(-np.abs(px), -0.62, -0.45)
    outward = np.where(above > 0.5, np.tanh(px / 0.10) * 0.95, 0.35 * np.tanh(px / 0.3))
    angle = np.arctan2(np.ones(count), outward) + rng.normal(0, 0.28, count)
    length = unit * (0.035 if short else 0.105) * rng.uniform(0.5, 1.2, count)
    length = length * (0.4 + 0.6 * density[row, column]) * (1 - 0.35 * above)
    k = max(5, int(zoom * length.max() / 0.7))
    t = np.linspace(0, 1, k)[None, :, None]
    roll = np.radians(view.roll)
    bend = rng.normal(0, 0.35, count)
    first, last = angle + roll - bend, angle + roll + bend
    way = [np.stack([np.cos(a), np.sin(a)], 1)[:, None] for a in (first, last)]
    places = start[:, None] + length[:, None, None] * (
        way[0] * (t - t * t / 2) + way[1] * t * t / 2
    )
    tone = rng.lognormal(0.0, 0.30, count)
    grey = rng.random(count) < 0.04
    base = colour[None] * tone[:, None] + np.where(grey, 0.12, 0.0)[:, None]
    # What light the skin has there falls on the hair too.
    bright = blurred(view.pixels @ LUMA, 0.06 * unit)
    mean = float((bright * density).sum() / density.sum())
    light = (bright[row, column] / max(mean, 1e-3)).clip(0.4, 1.8)[:, None]
    shine = 1 + 0.25 * np.sin(np.pi * t)
    colours = (base * light)[:, None] * shine
    step = (zoom * length / (k - 1))[:, None]
    thick = 0.85 * max(1.0, wide) ** 0.5
    weights = thick * step * (1 - t[..., 0] ** 2 * 0.8) * rng.uniform(0.5, 1.0, count)[:, None]
    layer = rng.integers(0, strands.LAYERS, count)
    height, width = view.shape
    made = strands.drawn(
        (zoom * places).astype(np.float32),
        colours.clip(0, 1).astype(np.float32),
        weights.astype(np.float32),
        layer,
        zoom * height,
        zoom * width,
    )
    return made.reshape(height, zoom, width, zoom, 4).mean((1, 3))
