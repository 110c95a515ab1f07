"""Eyeglasses and sunglasses: a small model in three dimensions, posed like the head, lit like the
face, and as soft and as grainy as the photo.

The front is a sheet with two openings, cut out of a plane on each side that leans back from the
bridge; lengths are in distances of the eyes, v is down from the pupils. Its outlines are signed
distances, so rims are antialiased at any size; its thickness is a stack of such sheets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from imgan.errors import Failure
from imgan.images.fields import Floats, blurred, resized, smoothstep, weighted_mean
from imgan.images.oklab import from_linear, to_linear
from imgan_edit.regions.finish import grain, greyed, softness
from imgan_edit.regions.matte import hair_alpha
from imgan_edit.regions.pose import Pose
from imgan_edit.regions.view import Change, View

MOST_TURNED = 30.0
"""Beyond so many degrees a model without a nose of its own no longer fits."""

CENTRE, DROP = 0.545, 0.07
"""The middle of an opening: beside the nose's ridge, and below the pupil."""

VERTEX, WRAP, TILT = 0.2, 0.07, 0.14
"""How far the front stands before the eyes; how much it leans back to the sides (tangent), and
below."""

EAR = (1.15, 0.0, -1.45)
"""Where a temple lies on the ear, on the right."""

SMALLEST = 45.0
"""Distance of the eyes, in pixels, below which rims are no more than smears."""

LARGE = 60.0
"""And below which wires are."""

BLURRED = 0.045
"""What is more blurred than this, in distances of the eyes, shows no rims as they are drawn."""

COVERED = 0.3
"""How much of the front hair may hide."""

TURNED_AWAY = -0.13
"""The sine of the turn beyond which the head hides its far temple."""

FINE = 130.0
"""Eyes farther apart than so many pixels need no finer grid than the photo's own."""

SIDES = ("left", "right")


@dataclass(frozen=True)
class Shape:
    """The outline of an opening: a superellipse that is bent a little."""

    width: float
    """Half of it, from nose to temple."""
    height: float
    """Half of it."""
    power: float
    """2 is an ellipse, more is more like a rectangle."""
    taper: float = 0.0
    """How much narrower it is below than above."""
    lift: float = 0.0
    """How much higher it is at the temple than at the nose."""
    drop: float = 0.0
    """How far it hangs down towards the cheek, as an aviator's."""


@dataclass(frozen=True)
class Frame:
    """What the openings are set in."""

    shape: Shape
    rim: float
    """Width of the rim at the sides and below."""
    top: float
    """Width of the rim above."""
    depth: float
    """From its front to its back."""
    bridge: tuple[float, float, float]
    """v of the bridge's middle, how much it is arched, and its width."""
    metal: bool = False
    pads: bool = False
    double: bool = False
    """With a bar above the bridge."""


def _wire(shape: Shape, bridge: tuple[float, float, float], double: bool = False) -> Frame:
    return Frame(shape, 0.025, 0.025, 0.026, bridge, metal=True, pads=True, double=double)


FRAMES = {
    "rectangle": Frame(
        Shape(0.41, 0.235, 3.4, 0.05, 0.02), 0.036, 0.052, 0.05, (-0.09, 0.35, 0.034)
    ),
    "wayfarer": Frame(
        Shape(0.405, 0.275, 2.9, 0.11, 0.05), 0.046, 0.07, 0.055, (-0.1, 0.45, 0.042)
    ),
    "round": Frame(Shape(0.365, 0.32, 2.15, 0.03), 0.036, 0.04, 0.045, (-0.09, 0.8, 0.03)),
    "panto": _wire(Shape(0.385, 0.305, 2.4, 0.09), (-0.12, 0.9, 0.022)),
    "aviator": _wire(Shape(0.43, 0.34, 2.4, 0.06, 0.02, 0.06), (-0.1, 0.3, 0.02), double=True),
}
"""The shapes by name."""

CLEAR_SHAPES = ("rectangle", "wayfarer", "round", "panto")
SUN_SHAPES = ("wayfarer", "round", "aviator")

ACETATE = {
    "black": (0.006, 0.006, 0.006),
    "brown": (0.022, 0.010, 0.006),
    "navy": (0.007, 0.008, 0.014),
}
METAL = {
    "silver": (0.50, 0.50, 0.51),
    "gold": (0.70, 0.50, 0.26),
    "gunmetal": (0.12, 0.12, 0.125),
    "black": (0.02, 0.02, 0.02),
}
"""What light the materials send back, in red, green and blue."""

TINTS = {
    "grey": (0.95, 0.97, 1.0),
    "brown": (1.0, 0.74, 0.54),
    "green": (0.82, 0.95, 0.8),
}


def add_eyeglasses(view: View, amount: float, rng: np.random.Generator, shape: str = "") -> Change:
    """Eyeglasses of a shape out of `CLEAR_SHAPES`, by chance if none is named.

    `amount` is how wide their rims are; none is no glasses. Raises Failure for a head that is
    turned too far, a face that is too small or too blurred, and where there are glasses or hair.
    """
    return _worn(view, rng, shape or _chosen(view, CLEAR_SHAPES, rng), amount, None)


def add_sunglasses(view: View, amount: float, rng: np.random.Generator, shape: str = "") -> Change:
    """Sunglasses of a shape out of `SUN_SHAPES`; `amount` is how dark they are. Otherwise as
    `add_eyeglasses`."""
    return _worn(view, rng, shape or _chosen(view, SUN_SHAPES, rng), min(amount, 1.0), amount)


def _chosen(view: View, shapes: tuple[str, ...], rng: np.random.Generator) -> str:
    """One of them; on a small face, one whose rims are not wires."""
    large = view.eye_distance >= LARGE
    return str(rng.choice([name for name in shapes if large or not FRAMES[name].metal]))


def _worn(
    view: View, rng: np.random.Generator, shape: str, width: float, dark: float | None
) -> Change:
    pose = Pose.of(view.points)
    if abs(pose.yaw) > MOST_TURNED:
        raise Failure(
            f"glasses are not drawn well on a face turned by {abs(pose.yaw):.0f} degrees "
            f"(at most {MOST_TURNED:.0f})"
        )
    if view.parts["glasses"].sum() > 0.15 * view.eye_distance**2:
        raise Failure("the face wears glasses already")
    if view.eye_distance < SMALLEST:
        raise Failure(
            f"{view.eye_distance:.0f} pixels between the eyes are too few to draw glasses well "
            f"(at least {SMALLEST:.0f})"
        )
    blur = softness(view.pixels.mean(2)[_face(view)])
    if blur > BLURRED * view.eye_distance:
        raise Failure("the face is too blurred to draw glasses on it well")
    if width <= 0:
        return Change(view.pixels, np.zeros(view.shape, np.float32))
    frame = FRAMES[shape]
    palette = METAL if frame.metal else ACETATE
    colour = str(rng.choice(list(palette)))
    model = _Model(frame, pose, 0.4 + 0.6 * width, _size(view))
    light = _Light.on(view)
    window = _window(view, pose)
    before = to_linear(view.pixels[window])
    canvas = _Canvas.over(window, pose)
    look = _Look(np.array(palette[colour], np.float32), frame.metal)
    tint = np.array(TINTS[str(rng.choice(list(TINTS)))], np.float32)

    free = 1 - _hair(view)[window]
    front = _front(model, canvas, look, light, dark is None)
    solid = np.maximum(front.rim[..., 3], front.lens)
    if (solid * free).sum() < (1 - COVERED) * solid.sum():
        raise Failure("hair hangs before the eyes, where glasses would be")
    front = replace(front, rim=front.rim * free[..., None], lens=front.lens * free)
    temples = _temples(view, model, canvas, look, light) * free[..., None]
    face = (
        free
        * view.part(
            "skin",
            "nose",
            "left_eye",
            "right_eye",
            "left_brow",
            "right_brow",
            "left_ear",
            "right_ear",
        )[window]
    )
    softened = max(0.0, blur**2 - 0.4**2) ** 0.5

    after: Floats = before * (1 - face * _shadow(front, temples, pose, light))[..., None]
    after = _over(after, temples, softened)
    after = _through(after, front, light, canvas, softened, tint, dark)
    after = _over(after, front.rim, softened)
    after = from_linear(after)
    cover = blurred(front.rim[..., 3], softened + 0.3)
    if dark is not None:
        cover = np.maximum(cover, 0.8 * front.lens)
    noise = grain(view.pixels.mean(2), view.part("skin"))
    after += (noise * cover)[..., None] * _grains(rng, cover.shape)
    after = greyed(view.pixels, after)
    pixels, where = view.pixels.copy(), np.zeros(view.shape, np.float32)
    changed = np.abs(from_linear(before) - after).max(2) > 1 / 1024
    pixels[window] = np.where(changed[..., None], after.clip(0, 1), pixels[window])
    where[window] = changed
    return Change(pixels, where)


def _hair(view: View) -> Floats:
    """How much of each pixel is hair or a hat, [h, w] in 0..1: what hangs before glasses."""
    try:
        hair = hair_alpha(view)
    except Failure:
        hair = view.parts["hair"]
    return np.maximum(hair, view.parts["hat"])


def _grains(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Grain as a file has it: mostly of lightness, a little blurred; deviation 1."""
    grains = blurred(rng.standard_normal((*shape, 1), np.float32), 0.5)
    grains = grains + 0.3 * rng.standard_normal((*shape, 3), np.float32)
    return grains / grains.std()


def _size(view: View) -> float:
    """How wide the front is against a mean one: by the face at the eyes, as far as it is seen."""
    across, down = view.frame
    face = view.part("skin", "left_eye", "right_eye", "nose") > 0.5
    row = face & (np.abs(down - 0.1) < 0.08) & (np.abs(across) < 1.5)
    if row.sum() < 20:
        return 1.0
    left, right = np.quantile(across[row], (0.005, 0.995))
    return float(np.clip((right - left) / 2.12, 0.97, 1.06))


def _face(view: View) -> tuple[slice, slice]:
    """The rows and columns of the eyes, nose and mouth."""
    (left, top), (right, bottom) = view.points.min(0), view.points.max(0)
    reach = 0.5 * view.eye_distance
    return (
        slice(max(0, int(top - reach)), int(bottom + reach)),
        slice(max(0, int(left - reach)), int(right + reach)),
    )


def _window(view: View, pose: Pose) -> tuple[slice, slice]:
    """The rows and columns that glasses and their shadow reach."""
    ends = [(x, y, z) for x in (-1.25, 1.25) for y in (-0.5, 0.85) for z in (0.3, -1.5)]
    places = pose.project(np.array(ends))
    (left, top), (right, bottom) = np.floor(places.min(0)), np.ceil(places.max(0))
    height, width = view.shape
    return (
        slice(*np.clip([top, bottom], 0, height).astype(int).tolist()),
        slice(*np.clip([left, right], 0, width).astype(int).tolist()),
    )


@dataclass(frozen=True)
class _Canvas:
    """A grid over a window of the view that is `fine` times as fine."""

    window: tuple[slice, slice]
    fine: int
    x: Floats
    y: Floats
    """Where its pixels are in the view, [1, fine w] and [fine h, 1]."""

    @classmethod
    def over(cls, window: tuple[slice, slice], pose: Pose) -> _Canvas:
        fine = 1 if pose.scale > 2 * FINE else 2 if pose.scale > FINE else 4
        rows, columns = window
        height, width = rows.stop - rows.start, columns.stop - columns.start
        places = [
            np.float32(start) + (np.arange(fine * count, dtype=np.float32) + 0.5) / fine
            for start, count in ((columns.start, width), (rows.start, height))
        ]
        return cls(window, fine, places[0][None], places[1][:, None])

    def reduced(self, planes: Floats) -> Floats:
        if self.fine == 1:
            return planes
        height, width = (side // self.fine for side in planes.shape[:2])
        shape = (height, self.fine, width, self.fine, *planes.shape[2:])
        return planes.reshape(shape).mean((1, 3))


@dataclass(frozen=True)
class _Light:
    """What lights the face: how much of it, its colour, from where, and how it varies."""

    level: Floats
    """[h, w]: on a white thing, as linear sRGB."""
    direction: Floats
    """To the light, x right, y down, z towards the camera."""

    @classmethod
    def on(cls, view: View) -> _Light:
        """Skin sends back about a third of the light, dark skin a tenth: half of the difference is
        taken for the skin's."""
        small = view.at(40)
        across, _ = small.frame
        bright = to_linear(small.pixels) @ np.array([0.2126, 0.7152, 0.0722], np.float32)
        skin = small.part("skin", "nose")
        skin = skin if skin.sum() > 50 else np.ones_like(skin)
        mean = float((bright * skin).sum() / skin.sum())
        left, right = (
            float((bright * skin * side).sum() / ((skin * side).sum() + 1e-6))
            for side in (across < -0.2, across > 0.2)
        )
        sideways = float(np.clip(1.5 * (right - left) / (left + right + 1e-6), -0.8, 0.8))
        direction = np.array([sideways, -0.75, 0.75], np.float32)
        level = 1.1 * (mean / 0.35) ** 0.75
        near = weighted_mean(bright, skin, 0.3 * small.eye_distance) / max(mean, 1e-4)
        spread = level * near.clip(0.15, 2.5) ** 0.7
        direction = direction / np.linalg.norm(direction)
        return cls(resized(spread.astype(np.float32), *view.shape), direction)


@dataclass(frozen=True)
class _Look:
    """A material."""

    colour: Floats
    metal: bool

    def shaded(self, normal: tuple[Floats, Floats, Floats], light: _Light) -> Floats:
        """What is seen of a surface with these normals under light of level 1: [..., 3].

        Lambert's law, and a mirror image of a room with a bright ceiling (Schlick 1994 for how
        much of it).
        """
        nx, ny, nz = normal
        lx, ly, lz = light.direction
        lit = (nx * lx + ny * ly + nz * lz).clip(0)
        # The mirrored view, 2 (n z) n - z, and how near it is to the light.
        rx, ry, rz = 2 * nz * nx, 2 * nz * ny, 2 * nz * nz - 1
        to_light = (rx * lx + ry * ly + rz * lz).clip(0)
        room = 0.08 + 0.75 * smoothstep(-ry, 0.0, 0.95)
        if self.metal:
            lamp = 1.2 * to_light**24
            return self.colour * (0.2 * lit + 0.12 + 0.8 * room + lamp)[..., None]
        mirror = 0.045 + 0.955 * (1 - nz.clip(0, 1)) ** 5
        gloss = mirror.clip(0, 0.09) * room + 0.22 * to_light**30
        return self.colour * (0.35 + 0.65 * lit)[..., None] + gloss[..., None]


class _Model:
    """The front as signed distances, in distances of the eyes; negative is inside."""

    def __init__(self, frame: Frame, pose: Pose, width: float, size: float) -> None:
        self.frame, self.pose, self.size = frame, pose, size
        self.rim = frame.rim * width
        self.top = frame.top * width
        s = frame.shape
        t = np.linspace(0, 2 * np.pi, 720, endpoint=False)
        cos, sin = np.cos(t), np.sin(t)
        across = np.sign(cos) * np.abs(cos) ** (2 / s.power)
        down = np.sign(sin) * np.abs(sin) ** (2 / s.power)
        x = s.width * across * (1 - s.taper * down)
        level = s.height * down - s.lift * (across - s.taper * across * down) * (0.6 - 0.4 * down)
        low = (level / s.height).clip(0)
        y = level + s.drop * low * (1 + 0.6 * x / s.width)
        self.inner = self._radii(x, y)
        # The rim's outer edge: outward by its width, which grows towards the top.
        dx, dy = np.gradient(np.append(x, x[:2])), np.gradient(np.append(y, y[:2]))
        normal = np.stack([dy, -dx])[:, 1:-1] / np.hypot(dx, dy)[1:-1]
        normal = np.roll(normal, 1, 1)
        upward = smoothstep((-normal[1]).astype(np.float32), 0.0, 0.8)
        wide = self.rim + (self.top - self.rim) * upward
        self.outer = self._radii(x + wide * normal[0], y + wide * normal[1])
        self.hinge_v = float(-0.42 * s.height - 0.9 * s.lift) + DROP
        at = np.arctan2(self.hinge_v - DROP, s.width)
        self.edge = CENTRE + float(np.interp(at, self.angles, self.outer[0]) * np.cos(at))
        self.end = self.edge + (0.03 if frame.metal else 0.05)

    angles = np.linspace(-np.pi, np.pi, 721)

    def _radii(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """An outline in polar coordinates: radii, and by how much distances along them are longer
        than those across the outline."""
        angle, radius = np.arctan2(y, x), np.hypot(x, y)
        order = np.argsort(angle)
        radii = np.interp(self.angles, angle[order], radius[order], period=2 * np.pi)
        steep = np.gradient(radii, self.angles) / radii
        return radii, 1 / np.sqrt(1 + steep**2)

    def plane(self, side: int, back: float, canvas: _Canvas) -> tuple[Floats, Floats]:
        """u outward and v of the canvas's pixels in the sheet that lies `back` behind the front."""
        corner = np.array([0, 0, VERTEX - back])
        u = np.array([side, 0, -WRAP]) * self.size
        v = np.array([0, 1, -TILT]) * self.size
        return self.pose.onto(corner, u, v, canvas.x, canvas.y)

    def lens(self, u: Floats, v: Floats) -> Floats:
        """To the edge of the opening."""
        return self._polar(u, v, self.inner)

    def _polar(self, u: Floats, v: Floats, outline: tuple[Floats, Floats]) -> Floats:
        x, y = u - CENTRE, v - DROP
        angle = np.arctan2(y, x)
        # A table by equal steps: no search as in np.interp.
        at = (angle + np.pi) * (len(self.angles) - 1) / (2 * np.pi)
        low = at.astype(np.int32).clip(0, len(self.angles) - 2)
        part = at - low
        radii, slant = (
            (table[low] * (1 - part) + table[low + 1] * part).astype(np.float32)
            for table in (t.astype(np.float32) for t in outline)
        )
        return (np.hypot(x, y) - radii) * slant

    def solid(self, u: Floats, v: Floats, lens: Floats) -> Floats:
        """To the edge of the front."""
        rim = self._polar(u, v, self.outer)
        middle, arch, wide = self.frame.bridge
        parts = [self._bar(u, v, middle, arch, wide)]
        if self.frame.double:
            parts.append(self._bar(u, v, middle - 0.15, 0.08, 0.8 * wide))
        # The end piece, to the hinge.
        half = 0.5 * (0.8 * self.rim if self.frame.metal else 1.15 * self.top)
        x = u - u.clip(self.edge - 0.08, self.end - half)
        y = v - (self.hinge_v + 0.05 * (u - self.edge))
        parts.append(np.hypot(x, y) - half)
        whole = rim
        for part in parts:
            whole = _joined(whole, part, 0.5 * self.rim)
        return np.maximum(whole, -lens)

    @staticmethod
    def _bar(u: Floats, v: Floats, middle: float, arch: float, wide: float) -> Floats:
        """A bridge: a parabola of a certain width, not beyond the openings' middles."""
        off = np.abs(v - middle - arch * u * u) / np.sqrt(1 + (2 * arch * u) ** 2)
        return np.maximum(off - (0.5 + 1.2 * np.abs(u)) * wide, np.abs(u) - CENTRE)


def _joined(a: Floats, b: Floats, fillet: float) -> Floats:
    """The union of two distances with a fillet (Quilez's polynomial minimum)."""
    h = (fillet - np.abs(a - b)).clip(0) / fillet
    return np.minimum(a, b) - h * h * fillet / 4


@dataclass(frozen=True)
class _Front:
    rim: Floats
    """[h, w, 4]: light times coverage, coverage."""
    lens: Floats
    """[h, w]: coverage."""
    u: Floats
    v: Floats
    """[h, w]: outward and downward from the opening's middle, in halves of its width."""
    side: Floats
    """-1 on the left, 1 on the right."""


def _front(model: _Model, canvas: _Canvas, look: _Look, light: _Light, clear: bool) -> _Front:
    """The stack of sheets, from the back to the front; only through clear lenses those behind are
    seen."""
    pose, frame = model.pose, model.frame
    pixel = 1 / (pose.scale * canvas.fine * model.size)
    left_x = pose.project(np.array([[0, -0.4, VERTEX], [0, 0.8, VERTEX]]))
    (x0, y0), (x1, y1) = left_x
    # Left and right of the line through the bridge.
    side = np.sign((canvas.x - x0) * (y1 - y0) - (canvas.y - y0) * (x1 - x0)).astype(np.float32)
    shape = side.shape
    sheets = 1 + int(np.ceil(frame.depth / (1.5 * pixel) * (abs(pose.rotation[0, 2]) + 0.25)))
    sheets = min(max(sheets, 2), 5)
    total = np.zeros((*shape, 4), np.float32)
    for k in range(0 if clear else sheets - 1, sheets):
        back = frame.depth * (1 - k / (sheets - 1))
        planes = [model.plane(which, back, canvas) for which in (-1, 1)]
        u, v = (np.where(side < 0, a, b) for a, b in zip(*planes, strict=True))
        lens = model.lens(u, v)
        solid = model.solid(u, v, lens)
        near = solid < 4 * pixel
        cover = np.where(near, smoothstep(-solid, -0.75 * pixel, 0.75 * pixel), 0)
        # Normals: outward in the sheet, and on the front's bevel between that and straight ahead.
        down, across = np.gradient(solid)
        length = np.hypot(down, across) + 1e-9
        if k < sheets - 1:
            lean, shade = np.full_like(solid, 0.97), 0.75
        else:
            inside = (-solid).clip(0)
            bevel = 0.5 * model.rim if frame.metal else 0.32 * model.rim
            lean = ((1 - inside / bevel).clip(0, 1) ** 1.3) * 0.92
            shade = 1.0
        nx, ny = lean * across / length, lean * down / length
        if k == sheets - 1 and not frame.metal:
            # Acetate is never quite flat.
            nx = nx + (1 - lean) * 0.10 * side * (u - CENTRE)
            ny = ny + (1 - lean) * (0.30 * (v - DROP) - 0.05)
        nz = np.sqrt((1 - nx * nx - ny * ny).clip(0.02))
        seen = shade * look.shaded((nx, ny, nz), light)
        total *= (1 - cover)[..., None]
        total[..., :3] += seen * cover[..., None]
        total[..., 3] += cover
    # It lies in a groove of the rim.
    opening = smoothstep(0.4 * model.rim - lens, -0.75 * pixel, 0.75 * pixel)
    if frame.pads and clear:
        total = _pads(total, u, v, pixel, 1 - opening)
    rim = canvas.reduced(total)
    rim[..., :3] *= light.level[canvas.window][..., None]
    across, down = ((x / frame.shape.width).clip(-2, 2) for x in (u - CENTRE, v - DROP))
    return _Front(rim, *(canvas.reduced(plane) for plane in (opening, across, down, side)))


def _pads(total: Floats, u: Floats, v: Floats, pixel: float, outside: Floats) -> Floats:
    """Nose pads of clear silicone beside the lenses: an edge of light around a faint body."""
    x, y = u - 0.155 - 0.25 * (v - 0.16), (v - 0.16) / 2.1
    distance = np.hypot(x, y) - 0.042
    body = smoothstep(-distance, -pixel, pixel) * 0.18
    edge = smoothstep(-np.abs(distance + 0.006), -0.012, 0.0) * 0.30
    cover = np.maximum(body, edge) * (1 - total[..., 3]) * outside
    total[..., :3] += 0.55 * cover[..., None]
    total[..., 3] += cover
    return total


def _temples(view: View, model: _Model, canvas: _Canvas, look: _Look, light: _Light) -> Floats:
    """The arms, [h, w, 4] as the rim: from the hinges back to the ears, the far one only where the
    head does not hide it."""
    pose, frame = model.pose, model.frame
    pixel = 1 / canvas.fine
    total = np.zeros((canvas.y.size, canvas.x.size, 4), np.float32)
    head = view.part("skin", "left_ear", "right_ear", "nose", "hair")[canvas.window]
    near = np.repeat(np.repeat(head, canvas.fine, 0), canvas.fine, 1)
    behind = WRAP * model.end + TILT * model.hinge_v
    hinge = np.array([0, 0, VERTEX]) + model.size * np.array([model.end, model.hinge_v, -behind])
    for side, name in zip((-1, 1), SIDES, strict=True):
        if side * pose.rotation[2, 0] < TURNED_AWAY:
            continue
        t = np.linspace(0, 1, 9)[:, None]
        ear = np.array([max(EAR[0], hinge[0]), EAR[1], EAR[2]])
        # Straight, and a little outward before it comes to the ear.
        places = hinge + (ear - hinge) * t
        places[:, 0] += 0.03 * np.sin(np.pi * t[:, 0])
        line = pose.project(places * (side, 1, 1))
        slope = pose.rotation[1, 0] / max(pose.rotation[0, 0], 0.5)
        thick = 0.5 * (0.03 if frame.metal else 0.085 * model.rim / 0.06) * pose.scale
        line = _over_skin(_to_ear(line, view.parts[f"{name}_ear"], side, slope), view, side)
        distance = np.full(total.shape[:2], np.inf, np.float32)
        along = np.zeros_like(distance)
        for k, ((ax, ay), (bx, by)) in enumerate(pairwise(line)):
            dx, dy = bx - ax, by - ay
            part = ((canvas.x - ax) * dx + (canvas.y - ay) * dy) / (dx * dx + dy * dy + 1e-6)
            part = part.clip(0, 1)
            gap = np.hypot(canvas.x - ax - part * dx, canvas.y - ay - part * dy)
            nearer = gap < distance
            distance = np.where(nearer, gap, distance).astype(np.float32)
            along = np.where(nearer, (k + part) / (len(line) - 1), along).astype(np.float32)
        half = thick * (1 - 0.35 * along)
        cover = smoothstep(half - distance, -0.75 * pixel, 0.75 * pixel)
        gap = np.gradient(distance, axis=0)
        bend = ((distance / half).clip(0, 1) ** (1 if frame.metal else 4)) * np.sign(gap)
        ny = 0.75 * bend
        nx = np.full_like(ny, side * 0.85) * np.sqrt(1 - ny * ny)
        nz = np.sqrt((1 - nx * nx - ny * ny).clip(0.02))
        seen = 0.8 * look.shaded((nx, ny, nz), light)
        # An arm lies along the head: nothing of it sticks out beside that.
        cover = cover * near
        total *= (1 - cover)[..., None]
        total[..., :3] += seen * cover[..., None]
        total[..., 3] += cover
    arms = canvas.reduced(total)
    arms[..., :3] *= light.level[canvas.window][..., None]
    return arms


def _to_ear(
    line: NDArray[np.floating], ear: Floats, side: int, slope: float
) -> NDArray[np.floating]:
    """A temple's line, bent so that it ends where the ear that is seen joins the head, above."""
    rows, columns = np.nonzero(ear > 0.5)
    if len(rows) < 30:
        return line
    top = rows <= np.quantile(rows, 0.3)
    front = columns[top].min() if side > 0 else columns[top].max()
    reach = side * (front - line[0, 0])
    if reach < 2:
        return line
    # Temples are nearly level; an ear that is seen from the front reaches higher.
    level = line[0, 1] + 0.2 * reach * np.array([-1, 1]) + side * reach * slope
    end = np.array([front, rows[top].mean().clip(*level)])
    t = np.linspace(0, 1, len(line))[:, None]
    return line[0] + (end - line[0]) * t


def _over_skin(line: NDArray[np.floating], view: View, side: int) -> NDArray[np.floating]:
    """A temple's line, longer where it would end on bare skin: arms go on to an ear, into the hair
    or around the head."""
    skin = view.part("skin")
    height, width = skin.shape
    way = line[-1] - line[0]
    if side * way[0] < 1:
        way = np.array([side * 1.0, 0.0])
    way = way / np.abs(way[0])
    steps = np.arange(round(0.6 * view.eye_distance))
    x, y = (line[-1] + way * steps[:, None]).T.astype(int)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    bare = inside & (skin[y.clip(0, height - 1), x.clip(0, width - 1)] > 0.5)
    more = len(steps) if bare.all() else int(bare.argmin())
    t = np.linspace(0, 1, len(line))[:, None]
    return line[0] + (line[-1] + way * more - line[0]) * t


def _shadow(front: _Front, temples: Floats, pose: Pose, light: _Light) -> Floats:
    """How much light the frame keeps from the face, [h, w] in 0..1: sharp and near under the
    bridge, where it touches, softer and lower on the cheeks."""
    unit = pose.scale
    lx = float(light.direction[0])
    far = _shifted(front.rim[..., 3], -0.05 * lx * unit, 0.075 * unit)
    near = _shifted(front.rim[..., 3], -0.02 * lx * unit, 0.022 * unit)
    arm = _shifted(temples[..., 3], 0, 0.03 * unit)
    ridge = np.exp(-(((np.abs(front.u) - 1.2) / 0.5) ** 2))
    soft = 0.32 * blurred(far, 0.035 * unit) + (0.1 + 0.25 * ridge) * blurred(near, 0.016 * unit)
    return np.maximum(soft, 0.35 * blurred(arm, 0.02 * unit)).clip(0, 0.8)


def _shifted(plane: Floats, dx: float, dy: float) -> Floats:
    rows, columns = round(dy), round(dx)
    height, width = plane.shape
    padded = np.pad(plane, ((max(rows, 0), max(-rows, 0)), (max(columns, 0), max(-columns, 0))))
    return padded[max(-rows, 0) :, max(-columns, 0) :][:height, :width]


def _over(under: Floats, layer: Floats, softened: float, where: Floats | None = None) -> Floats:
    """A layer [h, w, 4] over a picture, blurred as the photo is."""
    if softened > 0.2:
        layer = blurred(layer, softened)
    if where is not None:
        layer = layer * where[..., None]
    return under * (1 - layer[..., 3:]) + layer[..., :3]


def _through(
    under: Floats,
    front: _Front,
    light: _Light,
    canvas: _Canvas,
    softened: float,
    tint: Floats,
    dark: float | None,
) -> Floats:
    """What is seen through the lenses, and in them."""
    cover = blurred(front.lens, softened) if softened > 0.2 else front.lens
    u, v = front.u, front.v
    level = light.level[canvas.window].mean()
    # A lens is a part of a sphere: what it mirrors is the room, turned by twice its slope.
    slope_x, slope_y = 0.55 * front.side * u, 0.55 * v
    # A lamp is seen where the photo's light has a side, near the rim on that side.
    lx = float(light.direction[0])
    sided = float(smoothstep(np.array(abs(lx)), 0.12, 0.4))
    lamp = np.exp(-(((slope_x - 0.42 * np.sign(lx)) / 0.1) ** 2) - ((slope_y + 0.3) / 0.09) ** 2)
    sky = smoothstep(-slope_y, -0.10, 0.5) * (0.6 + 0.4 * slope_x * np.sign(lx)).clip(0, 1)
    if dark is None:
        through: Floats = np.array([0.945, 0.955, 0.955], np.float32)
        # As if coated.
        mirrored = level * (0.003 + 0.014 * sky + 0.06 * sided * lamp)[..., None]
        mirrored = mirrored * np.array([0.85, 1.0, 0.95], np.float32)
    else:
        part = 0.006 + 0.02 * smoothstep(v, -0.4, 1.0)
        through = (part**dark)[..., None] * tint
        ground = smoothstep(slope_y, 0.02, 0.4)
        mirrored = level * (0.003 + 0.004 * ground + 0.016 * sky + 0.03 * sided * lamp)[..., None]
        mirrored = mirrored * (0.5 + 0.5 * tint)
    return under * (1 - cover[..., None]) + (under * through + mirrored) * cover[..., None]
