"""Where a painter would put his brush: curved strokes in several sizes, from coarse to fine.

After Hertzmann 1998, Painterly rendering with curved brush strokes of multiple sizes: a stroke
starts on a jittered grid, follows the structure tensor across the picture's gradient, and ends
where the picture has another colour. Each layer is finer than the last, and paints only what the
last could not show. All strokes are planned at once, with numpy. Lengths are in pixels of the
picture that is looked at; a unit is a thousandth of its longer side.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from imgan.images.fields import Floats, blurred, resized, smoothstep
from imgan_translate.drawn.fields import Generator, noise, simplified, slopes, softened

NOISE = 0.006
"""Gradient of lightness, a pixel, that counts half."""

PALE = 0.07
"""Chroma below which a stroke's hue varies less."""

MARGIN = 40
"""Units by which the picture goes on beyond its borders."""

CROWD = 20
"""Units around a place in which its error is compared."""

CALM = 0.7
"""The part of a stroke's own colour and direction that it loses where there is need of care."""


class Flow(StrEnum):
    """Where strokes go in places without direction."""

    LEVEL = "level"
    """Along the horizon, nearly."""
    SWIRL = "swirl"
    """Round and round."""
    SLANT = "slant"
    """Parallel within patches, most from the lower left to the upper right."""


@dataclass(frozen=True)
class Layer:
    """Strokes of one size: `width` in units, `length` in widths, `cover` how often they cover the
    picture, and the error of the coarser layer (in Oklab) from which on they are needed; 0:
    everywhere. `apart`: by how many times the mean error around them they have to exceed it."""

    width: float
    length: float
    cover: float
    detail: float = 0.0
    apart: float = 0.0


@dataclass(frozen=True)
class Touch:
    """How a painter lays on paint.

    `hue` and `light`: deviations (in Oklab) of a stroke's colour, the first of a and b; `streak`
    those between the bristles of one stroke. `impasto`: how strongly the relief is lit.
    `tolerance`: the difference of colour that ends a stroke. `flow`, and how much it weighs
    against the picture's own directions (1 is a clean edge). `wander`: deviation of the
    angle, in radians, where there is no edge. `form`: how much edges further away lead strokes.
    """

    layers: tuple[Layer, ...]
    light: float = 0.018
    hue: float = 0.016
    streak: float = 0.02
    impasto: float = 0.28
    tolerance: float = 0.085
    flow: Flow = Flow.LEVEL
    calm: float = 0.12
    wander: float = 0.12
    form: float = 0.15


@dataclass(frozen=True)
class Strokes:
    """N strokes, each a parabola around its middle: at the distance `along` on the tangent it has
    gone `curvature` / 2 * along^2 to the left. The later ones lie on top."""

    x: Floats
    y: Floats
    cosine: Floats
    sine: Floats
    """Of the tangent's angle, [N] each."""
    curvature: Floats
    """[N], in 1 / pixels."""
    back: Floats
    ahead: Floats
    """Where a stroke starts (below 0) and ends (above), along the tangent, [N]."""
    half: Floats
    """Half of the width, [N]."""
    colour: Floats
    streak: Floats
    """[N, 3]: in Oklab, and what one deviation of a bristle adds."""

    def __len__(self) -> int:
        return len(self.x)

    def part(self, number: int, count: int) -> Strokes:
        """Every `count`-th of them, from `number` on."""
        return Strokes(**{name: field[number::count] for name, field in vars(self).items()})

    def within(self, margin: int, height: int, width: int) -> Strokes:
        """Those that reach into the picture [height, width] which begins `margin` pixels further
        right and down, as places in it."""
        x, y = self.x - margin, self.y - margin
        reach = np.maximum(self.ahead, -self.back) + self.half
        near = (x > -reach) & (x < width + reach) & (y > -reach) & (y < height + reach)
        fields = {**vars(self), "x": x, "y": y}
        return Strokes(**{name: field[near] for name, field in fields.items()})

    def outlines(self, edge: float) -> Floats:
        """[N, 16, 2]: as x and y, what their paint stays within, by `edge` pixels."""
        column = (slice(None), None)
        back, ahead, half = (lengths[column] for lengths in (self.back, self.ahead, self.half))
        back, ahead, half = back - edge, ahead + edge, half + edge
        along = back + (ahead - back) * np.linspace(0, 1, 6, dtype=np.float32)
        sides = half * np.array([0.75, 1, 1, 1, 1, 0.75], np.float32)
        across = np.array([0.5, -0.5], np.float32) * half
        along = np.concatenate([along, ahead.repeat(2, 1), along[:, ::-1], back.repeat(2, 1)], 1)
        left = np.concatenate([sides, across, -sides, -across], 1)
        curvature = self.curvature[column]
        norm = np.hypot(curvature * along, 1)
        u = along - left * curvature * along / norm
        v = curvature / 2 * along**2 + left / norm
        cosine, sine = self.cosine[column], self.sine[column]
        x = self.x[column] + u * cosine - v * sine
        y = self.y[column] + u * sine + v * cosine
        return np.stack([x, y], 2)


def plan(lab: Floats, touch: Touch, rng: Generator, care: Floats | None = None) -> list[Strokes]:
    """The strokes that paint a picture [H, W, 3] in Oklab, layer by layer; `care` [H, W], 0..1,
    says where the picture is to be met closely, as in faces."""
    # Beyond its borders the picture goes on as its mirror image, so no stroke turns along them.
    height, across = lab.shape[:2]
    unit = max(height, across) / 1000
    margin = round(MARGIN * unit) + 1
    care = np.zeros((height, across), np.float32) if care is None else care
    lab = np.pad(lab, ((margin, margin), (margin, margin), (0, 0)), "symmetric")
    care = np.pad(care, margin, "symmetric")
    layers = []
    coarser: Floats | None = None
    for layer in touch.layers:
        width = layer.width * unit
        seen, soft = _seen(lab, width)
        # What the layers before could not show, and this one can.
        error = None
        if layer.detail and coarser is not None:
            error = np.linalg.norm(seen - coarser, axis=2)
            error = softened(error, max(0.4 * width, 1.2 * unit))
            # Small things that stand alone are drawn; texture, which is many of them, is dabbed.
            crowd = softened(error, CROWD * unit)
            error = error - layer.apart * (1 - care) * crowd
            error *= 1 + 1.5 * care
        layers.append(_layer(seen, soft, layer, width, error, care, touch, rng))
        coarser = seen
    return [strokes.within(margin, height, across) for strokes in layers]


def retouch(
    lab: Floats, painted: Floats, brush: Layer, touch: Touch, rng: Generator, care: Floats
) -> Strokes:
    """The strokes that bring a painting nearer to its picture, both [H, W, 3] in Oklab, where it is
    off by more than `brush.detail`: what Hertzmann does for each layer."""
    unit = max(lab.shape) / 1000
    width = brush.width * unit
    seen = simplified(lab, 0.3 * width)
    error = np.linalg.norm(softened(seen - painted, 0.35 * width), axis=2)
    error = error - brush.apart * (1 - care) * softened(error, CROWD * unit)
    error *= 1 + care
    none = np.zeros_like(error)
    # To the point: no variation of its own.
    return _layer(seen, none, brush, width, error, none + 1, touch, rng)


def _seen(lab: Floats, width: float) -> tuple[Floats, Floats]:
    """What a brush of `width` pixels can show, and [H, W], 0..1, how soft the edges are: those that
    are sharp in the picture stay sharp, and smoke and spray stay soft."""
    sigma = 0.3 * width
    simple = simplified(lab, sigma)
    height, across = lab.shape[:2]
    if sigma < 1:
        return simple, np.zeros((height, across), np.float32)
    factor = sigma / 1.5
    light = resized(lab[..., 0], round(height / factor), round(across / factor))
    # The square of a step's slope falls with its width, and that of what is soft does not.
    steep, wide = (softened(np.square(slopes(blurred(light, by))).sum(0), 7) for by in (0.6, 1.6))
    soft = 1 - smoothstep(steep / (wide + np.float32(1e-9)), 1.4, 2.0)
    soft = resized(soft, height, across)
    return simple + soft[..., None] * (softened(lab, sigma) - simple), soft


def _layer(
    seen: Floats,
    soft: Floats,
    layer: Layer,
    width: float,
    error: Floats | None,
    care: Floats,
    touch: Touch,
    rng: Generator,
) -> Strokes:
    height, across = seen.shape[:2]
    angles, coherence = _directions(seen[..., 0], width, touch, rng)
    x, y = _starts(height, across, width * np.sqrt(max(1, 0.6 * layer.length) / layer.cover), rng)
    if error is not None:
        wanted = at(error, x, y) > layer.detail * rng.uniform(0.8, 1.2, len(x))
        x, y = x[wanted], y[wanted]
    count = len(x)
    calm = 1 - CALM * at(care, x, y)
    deviation = calm * rng.normal(0, touch.wander, count).astype(np.float32)
    deviation *= (1.2 - 1.2 * at(coherence, x, y)).clip(0, 1)
    angle = at(angles, x, y) + deviation
    cosine, sine = np.cos(angle), np.sin(angle)
    # Over soft edges strokes of both sides mix.
    dx, dy = 0.8 * width * at(soft, x, y) * rng.standard_normal((2, count), np.float32)
    colour = at(seen, (x + dx).clip(0, across - 1), (y + dy).clip(0, height - 1))
    half = width / 2 * np.exp(rng.normal(0, 0.18, count)).astype(np.float32)
    half *= _room(seen, x, y, -sine * half, cosine * half, colour, touch.tolerance)
    reach = layer.length * width / 2 * np.exp(rng.normal(0, 0.3, count)).astype(np.float32)
    walks = []
    for sense in (1, -1):
        walker = _Walk(seen, angles, deviation, colour, touch.tolerance, reach)
        walks.append(walker(x, y, sense * cosine, sense * sine, width / 3))
    ends = [((ex - x) * cosine + (ey - y) * sine, (ey - y) * cosine - (ex - x) * sine)
            for ex, ey in walks]  # fmt: skip
    (ahead, left), (back, right) = ends
    # Least squares of left = curvature / 2 * along^2 at both ends.
    curvature = 2 * (left * ahead**2 + right * back**2)
    curvature = curvature / (ahead**4 + back**4 + 0.2 * width**4)
    curvature = curvature.clip(-0.35 / width, 0.35 / width)
    # What is short is thin, not a dot.
    half = np.minimum(half, 0.25 * width + 0.4 * (ahead.clip(min=0) - back.clip(max=0)))
    longest = 0.8 / np.maximum(np.abs(curvature), 1e-6)
    ahead = np.minimum(ahead.clip(min=0) + 0.6 * half, longest)
    back = np.maximum(back.clip(max=0) - 0.6 * half, -longest)
    # A pale sky in all hues would be confetti.
    grey = (np.hypot(colour[:, 1], colour[:, 2]) / PALE).clip(max=1)
    hue = touch.hue * (0.3 + 0.7 * grey)
    deviations = calm[:, None] * np.stack([np.full(count, touch.light), hue, hue], 1)
    # Neighbours are of one mixture, which drifts over the picture.
    drift = np.stack([at(noise(height, across, 0.04, rng), x, y) for _ in range(3)], 1)
    varied = deviations * (0.6 * drift + 0.7 * rng.standard_normal((count, 3)))
    streak = touch.streak * (rng.standard_normal((count, 3)) * 0.5 + [1, 0, 0])
    streak[:, 1:] *= 0.3 + 0.7 * grey[:, None]
    streak *= calm[:, None]
    fields = x, y, cosine, sine, curvature, back, ahead, half, colour + varied, streak
    return Strokes(*(field.astype(np.float32) for field in fields))


def _starts(height: int, width: int, step: float, rng: Generator) -> tuple[Floats, Floats]:
    """A jittered grid in any order, as x and y."""
    grid = np.mgrid[step / 2 : height : step, step / 2 : width : step].reshape(2, -1)
    places = grid + step * rng.uniform(-0.7, 0.7, grid.shape)
    y, x = places[:, rng.permutation(grid.shape[1])].astype(np.float32)
    return x.clip(0, width - 1), y.clip(0, height - 1)


def at(planes: Floats, x: Floats, y: Floats) -> Floats:
    """The planes at places, to the pixel."""
    found: Floats = planes[(y + 0.5).astype(np.int32), (x + 0.5).astype(np.int32)]
    return found


def _apart(a: Floats, b: Floats) -> Floats:
    return np.sqrt(((a - b) ** 2).sum(-1))


def _room(
    seen: Floats, x: Floats, y: Floats, dx: Floats, dy: Floats, colour: Floats, tolerance: float
) -> Floats:
    """The part of its width that a stroke has before it covers another colour at its sides: so
    there are no halos along edges, and thin lines stay whole."""
    height, width = seen.shape[:2]
    part = np.full(len(x), 0.45, np.float32)
    for share in (0.7, 1.0):
        fits = np.ones(len(x), bool)
        for side in (-share, share):
            there = (x + side * dx).clip(0, width - 1), (y + side * dy).clip(0, height - 1)
            fits &= _apart(at(seen, *there), colour) < 1.5 * tolerance
        part[fits] = share
    return part


@dataclass(frozen=True)
class _Walk:
    """Steps along the directions, for all strokes at once, as far as each goes."""

    seen: Floats
    angles: Floats
    deviation: Floats
    colour: Floats
    tolerance: float
    reach: Floats

    def __call__(
        self, x: Floats, y: Floats, dx: Floats, dy: Floats, step: float
    ) -> tuple[Floats, Floats]:
        """Where the strokes that start at x, y in the direction dx, dy end."""
        height, width = self.seen.shape[:2]
        on = np.arange(len(x))
        x, y = x.copy(), y.copy()
        gone = 0.0
        while len(on):
            gone += step
            new_x, new_y = x[on] + step * dx, y[on] + step * dy
            stays = (new_x >= 0) & (new_x <= width - 1) & (new_y >= 0) & (new_y <= height - 1)
            stays &= self.reach[on] >= gone
            there = at(self.seen, new_x.clip(0, width - 1), new_y.clip(0, height - 1))
            stays &= _apart(there, self.colour[on]) < self.tolerance
            on, dx, dy = on[stays], dx[stays], dy[stays]
            new_x, new_y = new_x[stays], new_y[stays]
            x[on], y[on] = new_x, new_y
            angle = at(self.angles, new_x, new_y) + self.deviation[on]
            turned_x, turned_y = np.cos(angle), np.sin(angle)
            sense = np.where(turned_x * dx + turned_y * dy < 0, -1, 1).astype(np.float32)
            dx, dy = sense * turned_x, sense * turned_y
        return x, y


def _directions(light: Floats, width: float, touch: Touch, rng: Generator) -> tuple[Floats, Floats]:
    """[H, W] each: the angle of strokes, across the gradient, from the structure tensor, and how
    much of one direction there is (0..1). Gradients count by their direction, not by their
    strength, so a texture without direction is as calm as a plain; there, it is the painter's own
    flow."""
    dy, dx = slopes(softened(light, max(0.8, 0.25 * width)))
    tensor = np.stack([dx * dx, dx * dy, dy * dy], 2)
    strength = tensor[..., :1] + tensor[..., 2:]
    tensor = tensor / (strength + np.float32(NOISE**2 / max(1, 0.2 * width)))
    near, around = softened(tensor, 0.7 * width), softened(tensor, 2.5 * width)
    # What is plain follows the form that it lies in, a little.
    tensor = near + 0.2 * around + touch.form * softened(around, 7 * width)
    xx, xy, yy = np.moveaxis(tensor / (1.2 + touch.form), 2, 0)
    coherence = np.hypot(xx - yy, 2 * xy)
    height, columns = light.shape
    flow = _flow(touch.flow, height, columns, rng)
    dx, dy = -np.sin(flow), np.cos(flow)
    weight = touch.calm
    xx, xy, yy = xx + weight * dx * dx, xy + weight * dx * dy, yy + weight * dy * dy
    angle = 0.5 * np.arctan2(2 * xy, xx - yy) + np.float32(np.pi / 2)
    return angle, coherence


def _flow(flow: Flow, height: int, width: int, rng: Generator) -> Floats:
    """[H, W]: the angle of strokes where the picture has none."""
    if flow is Flow.SWIRL:
        # Along the lines of equal height of smooth noise.
        # They lie on a slope, or there would be rings round every hill.
        hills = noise(height, width, 0.24, rng) + 0.25 * noise(height, width, 0.12, rng)
        hills += np.linspace(0, 7 * height / max(height, width), height, dtype=np.float32)[:, None]
        dy, dx = slopes(hills)
        return np.arctan2(dx, -dy)
    if flow is Flow.SLANT:
        return -0.7 + 0.4 * np.tanh(3 * noise(height, width, 0.12, rng))
    return 0.25 * noise(height, width, 0.12, rng)
