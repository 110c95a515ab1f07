"""Smiles and open mouths, by moving the photo's own pixels.

Lengths are in distances of the eyes, along the face's axes. A field of displacements is made from
points of the lips, cheeks and lids that move and points of nose, jaw and eyes that stay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from imgan.errors import Failure
from imgan.images.fields import Floats, blurred, resized, smoothstep, warped, weighted_mean
from imgan.images.oklab import from_oklab, to_oklab
from imgan_edit.regions.view import Change, View, frontal
from imgan_edit.regions.warp import at_full_size, thin_plate

FINE = 64.0
"""Distance of the eyes, in pixels, at which lips are measured and fields made at most."""

ALONG = np.array([-0.9, -0.65, -0.4, -0.13, 0.13, 0.4, 0.65, 0.9])
"""Places on the lips, from corner to corner, -1 to 1."""

OUTER = 0.7
"""Beyond it, on the way from the middle to a corner, the outer edges of lips are not made out."""

SMILES, SMILES_OPEN = 0.035, 0.02
"""Corners of closed lips that are so far above their middle smile; and of open ones."""

SHUT, INSIDE = 0.03, 0.012
"""Lips less apart than this are closed, as are those between which less than this is to be seen, in
squared distances of the eyes: edges of lips are made out roughly."""

RIM = 0.012
"""How far the edges of open lips lie in the lips themselves."""

MEET = 0.6
"""Where open lips meet, on the way from the upper to the lower."""

CORNERS = 0.1
"""How far a smile lifts the corners, of the mouth's width."""

WIDEST, LAUGH = 0.25, 0.43
"""Lips farther apart than this cannot be closed well, too little of them is to be seen; nor those
whose gap and twice the rise of whose corners add up to more: cheeks and eyes laugh, too."""


@dataclass(frozen=True)
class Lips:
    """Where the lips are, in the face's frame."""

    corners: Floats
    """[2, 2]: left and right, x and y."""
    edges: Floats
    """[4, n]: y at `places` of the upper lip's upper edge, its lower edge, the lower lip's upper
    edge, its lower edge."""
    inside: float
    """How much of teeth and tongue is seen, in squared distances of the eyes."""

    @property
    def middle(self) -> Floats:
        mean: Floats = self.corners.mean(0)
        return mean

    @property
    def half(self) -> float:
        """Half their width."""
        return float(self.corners[1, 0] - self.corners[0, 0]) / 2

    @property
    def x(self) -> Floats:
        """Of `ALONG`."""
        places: Floats = self.middle[0] + self.half * ALONG
        return places

    @property
    def seam(self) -> Floats:
        """y at `ALONG` of the line on which open lips meet, a curve of the third degree: the upper
        lip, which hangs from bone, has the longer way when a smile ends."""
        line = self.edges[1] + MEET * (self.edges[2] - self.edges[1])
        places = np.concatenate([[-1], ALONG, [1]])
        heights = np.concatenate([self.corners[:1, 1], line, self.corners[1:, 1]])
        smooth: Floats = np.polyval(np.polyfit(places, heights, 3), ALONG)
        return smooth

    @property
    def rise(self) -> float:
        """How far the corners are above the middle of the line between the lips."""
        return float(self.seam[3:5].mean()) - float(self.middle[1])

    @property
    def gap(self) -> float:
        """How far apart the lips are in the middle."""
        return float((self.edges[2] - self.edges[1])[3:5].mean())

    @property
    def open(self) -> bool:
        """Whether they do not meet."""
        return self.gap > SHUT and self.inside > INSIDE

    @classmethod
    def of(cls, view: View) -> Lips:
        """Measured on the view's masks. Raises Failure when the lips are not to be seen."""
        upper, lower = view.part("upper_lip"), view.part("lower_lip")
        if min(float(upper.sum()), float(lower.sum())) < 0.012 * view.eye_distance**2:
            raise Failure("the lips are hidden, or not made out: the mouth is left as it is")
        right, below = view.frame
        both = view.part("upper_lip", "lower_lip", "mouth") > 0.5
        xs, ys = right[both], below[both]
        start, end = (float(np.quantile(xs, q)) for q in (0.003, 0.997))
        if not 0.35 < end - start < 1.4:
            raise Failure("the lips are not made out: the mouth is left as it is")
        reach = 0.06 * (end - start)
        ends = [float(ys[np.abs(xs - x) < reach].mean()) for x in (start, end)]
        edges = []
        for mask, lowest in ((upper, False), (upper, True), (lower, False), (lower, True)):
            there = mask > 0.5
            edges.append(_edge(right[there], below[there], start, end, lowest))
        fitted = np.array(edges)
        if fitted[2][3:5].mean() - fitted[1][3:5].mean() > SHUT:
            # What a mask leaves of teeth goes with the gap.
            fitted[1] -= RIM
            fitted[2] += RIM
        fitted[0] = np.minimum(fitted[0], fitted[1] - RIM)
        fitted[3] = np.maximum(fitted[3], fitted[2] + RIM)
        # Closed lips meet.
        seam = (fitted[1] + fitted[2]) / 2
        fitted[1], fitted[2] = np.minimum(fitted[1], seam), np.maximum(fitted[2], seam)
        inside = float(view.part("mouth").sum()) / view.eye_distance**2
        return cls(np.array([[start, ends[0]], [end, ends[1]]]), fitted, inside)


def _edge(x: Floats, y: Floats, start: float, end: float, lowest: bool) -> Floats:
    """An edge of a lip at `ALONG`, as a polynomial of the fourth degree through its pixels."""
    t = (2 * x - start - end) / (end - start)
    bins = np.digitize(t, np.linspace(-0.95, 0.95, 20))
    found = [
        (t[bins == k].mean(), np.quantile(y[bins == k], 0.97 if lowest else 0.03))
        for k in range(1, 20)
        if (bins == k).any()
    ]
    if len(found) < 8:
        raise Failure("the lips are not made out: the mouth is left as it is")
    along, height = np.array(found).T
    fitted: Floats = np.polyval(np.polyfit(along, height, 4), ALONG)
    return fitted


def smile(view: View, amount: float, rng: np.random.Generator) -> Change:
    """The corners of the mouth go up and out, the cheeks and lower lids follow; teeth are shown
    only if they were. Raises Failure for faces turned far, or whose lips are hidden."""
    small, lips = _measured(view, "a smile")
    return _moved(view, small, lips, _curl(lips, min(amount, 1.6)), 0.5 * amount)


def no_smile(view: View, amount: float, rng: np.random.Generator) -> Change:
    """The corners of the mouth and the cheeks come down again, and lips that show teeth close.
    Raises Failure for a laugh, too."""
    small, lips = _measured(view, "another mouth")
    _closable(view, lips)
    if lips.rise < (SMILES_OPEN if lips.open else SMILES):
        raise Failure("the mouth does not smile")
    shut = 1.0 if lips.open else 0.0
    # The corners come down to the lips' middle, and not below it: that would be grief.
    fall = min(1.3, lips.rise / (2 * lips.half * CORNERS)) * 0.85 * min(amount, 1.3)
    curl = _curl(lips, -fall)
    return _moved(view, small, lips, replace(curl, out=1.4 * curl.out), -0.6 * amount, shut)


def close_mouth(view: View, amount: float, rng: np.random.Generator) -> Change:
    """The lips meet. Raises Failure when they do already, or are too far apart."""
    small, lips = _measured(view, "another mouth")
    if not lips.open:
        raise Failure("the mouth is closed already")
    _closable(view, lips)
    return _moved(view, small, lips, _curl(lips, -0.25), 0.0, 1.0)


def _measured(view: View, what: str) -> tuple[View, Lips]:
    frontal(view, 30, what)
    small = view.at(FINE)
    return small, Lips.of(small)


def _closable(view: View, lips: Lips) -> None:
    if lips.open:
        frontal(view, 13, "a closed mouth")
    if lips.open and (lips.gap > WIDEST or lips.gap + 2 * max(lips.rise, 0.0) > LAUGH):
        raise Failure("a laugh, or a mouth open wide, cannot be closed well: it is left as it is")


@dataclass(frozen=True)
class Curl:
    """How points of the mouth move: the corners, the lips between them, cheeks and lids."""

    up: float
    out: float
    cheeks: float


def _curl(lips: Lips, amount: float) -> Curl:
    width = 2 * lips.half
    return Curl(CORNERS * width * amount, 0.065 * width * amount, 0.07 * amount)


def _moved(
    view: View, small: View, lips: Lips, curl: Curl, folds: float, shut: float = 0.0
) -> Change:
    """The view with a moved mouth; `shut` 1 brings the lips together, `folds` deepens the folds
    beside it, or below 0 fills them."""
    right, below = small.frame
    seam = lips.seam
    layers = []
    for lip in (0, 1):
        ends, starts = _points(lips, curl, seam, shut, lip)
        field = thin_plate(ends, starts - ends, right, below)
        layers.append(field * _window(right, below, lips)[..., None])
    moved = []
    for field in layers if shut else layers[:1]:
        dx, dy = at_full_size(view, small, field[..., 0], field[..., 1])
        moved.append((warped(view.pixels, dx, dy), (dx != 0) | (dy != 0)))
    pixels, touched = moved[0]
    if shut:
        line = _seam(lips, curl, seam, right)
        under = resized((below - line).astype(np.float32), *view.shape)
        sharp = 1.2 / view.eye_distance
        part = smoothstep(under, -sharp, sharp)[..., None]
        pixels = pixels + part * (moved[1][0] - pixels)
        touched = touched | moved[1][1]
        pixels = _lip_rebuilt(view, small, pixels, lips, curl, seam, line)
        inner = smoothstep(1 - np.abs(right - lips.middle[0]) / (lips.half + curl.out), 0.0, 0.4)
        crease = np.exp(-((under / 0.018) ** 2)) * resized(inner, *view.shape)
        pixels = pixels * (1 - crease[..., None] * np.array(CREASE, np.float32))
        pixels = _corners_filled(view, small, pixels, lips, curl)
    pixels = _folded(view, small, pixels, lips, folds)
    return Change(pixels.clip(0, 1).astype(np.float32), touched.astype(np.float32))


CREASE = (0.24, 0.3, 0.29)
"""How much of red, green and blue the line between closed lips takes away."""


def _lip_rebuilt(
    view: View,
    small: View,
    pixels: Floats,
    lips: Lips,
    curl: Curl,
    seam: Floats,
    line: Floats,
) -> Floats:
    """The upper lip of a mouth that was closed in the colour of the lower: in a smile there was
    next to nothing of it."""
    right, below = small.frame
    upper = lips.edges[0]
    t = (right - lips.middle[0]) / (lips.half + curl.out)
    height = (seam - upper - _upper_edge_moves(lips, seam, 1.0)).clip(0.02)
    edge = line - np.polyval(np.polyfit(ALONG, height, 4), t.clip(-0.9, 0.9)).clip(0.015)
    depth = (below - edge) / (line - edge)
    where = smoothstep(depth, -0.15, 0.5) * (1 - smoothstep(depth, 0.98, 1.12))
    where *= smoothstep(1 - np.abs(t), 0.02, 0.3)
    lower_lip = small.part("lower_lip") > 0.6
    color = to_oklab(np.median(small.pixels[lower_lip], 0).astype(np.float32))
    color[0] -= 0.04
    full = resized(where.astype(np.float32), *view.shape)
    there = full > 0
    lab = to_oklab(pixels)
    mean = blurred(lab, 0.05 * view.eye_distance)[there]
    # As far as the upper lip has not got that colour already.
    pixels = pixels.copy()
    pixels[there] = from_oklab(lab[there] + 0.75 * full[there][:, None] * (color - mean))
    return pixels


PIT = 0.04
"""How much darker or lighter than what is around it, in Oklab's lightness, a corner may be."""


def _corners_filled(view: View, small: View, pixels: Floats, lips: Lips, curl: Curl) -> Floats:
    """What is left of the dark between lips, and of teeth, at the corners of a mouth that was
    closed, as light as what is around it."""
    right, below = small.frame
    near = np.zeros(small.shape, np.float32)
    for side, (x, y) in zip((-1, 1), lips.corners, strict=True):
        across, down = right - x - side * (curl.out - 0.01), below - y + curl.up
        near = np.maximum(near, 1 - smoothstep(np.hypot(across, 1.2 * down), 0.06, 0.13))
    near = resized(near, *view.shape)
    there = near > 0.004
    lab = to_oklab(pixels)
    # The mean of a ring.
    inside = smoothstep(near, 0.0, 0.5)
    around = weighted_mean(lab, 1 - inside, 0.06 * view.eye_distance)
    away = lab[..., 0] - around[..., 0]
    lab[..., 0] -= near * (away - away.clip(-PIT, PIT))
    filled = pixels.copy()
    filled[there] = from_oklab(lab[there])
    return filled


def _upper_edge_moves(lips: Lips, seam: Floats, shut: float) -> Floats:
    """How far down the upper edge of the upper lip comes at `ALONG`."""
    return 0.75 * shut * (seam - lips.edges[1])


def _points(lips: Lips, curl: Curl, seam: Floats, shut: float, lip: int) -> tuple[Floats, Floats]:
    """Where points go, and where they are, [n, 2] each, for the upper lip (0) or the lower (1) and
    all that is on its side."""
    left, right = lips.corners
    t, x = ALONG, lips.x
    rise = curl.up * t**2 - 0.12 * curl.up
    stretch = curl.out * t
    starts: list[tuple[float, float]] = []
    ends: list[tuple[float, float]] = []

    def move(px: float, py: float, dx: float = 0.0, dy: float = 0.0) -> None:
        starts.append((px, py))
        ends.append((px + dx, py + dy))

    move(left[0], left[1], -curl.out, -curl.up)
    move(right[0], right[1], curl.out, -curl.up)
    upper, upper_in, lower_in, lower = lips.edges
    if lip == 0 or not shut:
        edge = _upper_edge_moves(lips, seam, shut)
        for i in range(len(t)):
            down = shut * (seam[i] - upper_in[i])
            if abs(t[i]) < OUTER:
                move(x[i], upper[i], stretch[i], edge[i] - rise[i])
            if shut:
                move(x[i], upper_in[i], stretch[i], down - rise[i])
    if lip == 1 or not shut:
        for i in range(len(t)):
            up = shut * (lower_in[i] - seam[i])
            if abs(t[i]) < OUTER:
                move(x[i], lower[i], stretch[i], -0.7 * up - 0.9 * rise[i])
            if shut:
                move(x[i], lower_in[i], stretch[i], -up - rise[i])
    middle, height = lips.middle
    nose = float(min(upper.min() - 0.06, 0.62))
    for side in (-1, 1):
        move(middle + side * 0.62, 0.55, side * 0.3 * curl.cheeks, -curl.cheeks)
        move(middle + side * 0.46, 0.72, side * 0.4 * curl.out, -0.6 * curl.up)
        # The cheeks push the lower lids up.
        move(side * 0.55, 0.32, side * 0.1 * curl.cheeks, -0.8 * curl.cheeks)
        move(side * 0.5, 0.1, 0, -0.35 * curl.cheeks)
        # Wings of the nose, eyes, jaw.
        move(middle + side * 0.2, nose - 0.02, side * 0.1 * curl.out)
        move(side * 0.5, -0.05)
        move(side * 0.12, 0.1)
        move(side * 0.9, 0.1)
        move(side * 0.95, 0.7)
        move(side * 0.85, height + 0.15)
        move(side * 0.55, height + 0.5)
    move(middle, nose)
    move(middle, 0.35)
    move(middle, max(height + 0.42, float(lower.max()) + 0.14))
    move(middle, height + 0.75)
    return np.array(ends), np.array(starts)


def _seam(lips: Lips, curl: Curl, seam: Floats, right: Floats) -> Floats:
    """Where lips that were closed meet, at each place across: y."""
    places = np.concatenate([[-1], ALONG, [1]])
    heights = np.concatenate([lips.corners[:1, 1], seam, lips.corners[1:, 1]])
    rise = curl.up * places**2 - 0.12 * curl.up
    curve = np.polyfit(places, heights - rise, 4)
    t = (right - lips.middle[0]) / (lips.half + curl.out)
    return np.polyval(curve, t.clip(-1.05, 1.05))


def _window(right: Floats, below: Floats, lips: Lips) -> Floats:
    """1 around the mouth and 0 from the jaw and the eyes on."""
    middle, height = lips.middle
    radius = np.hypot((right - 0.5 * middle) / 0.98, (below - height + 0.3) / 1.02)
    return 1 - smoothstep(radius, 0.82, 1.08)


def _folded(view: View, small: View, pixels: Floats, lips: Lips, folds: float) -> Floats:
    """The folds from the wings of the nose past the corners of the mouth, deeper or shallower: what
    is there of them is raised or lowered, and a shade added."""
    if not folds:
        return pixels
    right, below = small.frame
    (left_x, left_y), (right_x, right_y) = lips.corners
    shade = np.zeros(small.shape, np.float32)
    for side, x, y in ((-1, left_x, left_y), (1, right_x, right_y)):
        t = (below - 0.58) / (y + 0.06 - 0.58)
        line = side * (0.23 + (abs(x) + 0.1 - 0.23) * t.clip(0, 1) ** 0.8)
        across = (right - line) / (0.05 + 0.03 * t.clip(0, 1))
        shade += np.exp(-(across**2)) * smoothstep(t, 0.0, 0.4) * (1 - smoothstep(t, 0.85, 1.2))
    bare = small.part("skin") * (1 - blurred(small.part("hair"), 2.0))
    where = resized(shade * bare, *view.shape)[..., None]
    return pixels * (1 - 0.09 * folds * where)
