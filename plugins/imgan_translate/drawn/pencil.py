"""Drawings in pencil: lines, and tones laid in hatches, on white paper.

After Lu, Xu and Jia 2012, Combining sketch and tone for pencil drawing production. What is darker
than around it stands in for their gradients, so an edge is one line and an eye stays an eye; and
hatches follow hair and fur. Lines and hatches are a set part of the picture.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from imgan.images.fields import Floats, blurred, smoothstep
from imgan.images.tensors import Bytes
from imgan.operations import Meter
from imgan_translate.drawn.fields import Generator, faint, noise, slopes, softened, without_texture

SIDES = 1400, 2400
"""Longer side, in pixels, of what is drawn, at least and at most; then it is resized. A picture is
drawn twice as large as it is at most."""

GRAPHITE, PAPER = 33.0, 252.0
"""Levels of the darkest pencil and of the paper."""

GRAY = 0.1, 0.75, 0.15, 0.0
"""Of red, green and blue: less red than luma has, so that lips are darker than skin."""

LINES = (0.65, 1.0), (1.7, 0.5)
"""Widths of lines, in thousandths of the longer side, and how strong they are."""

DIRECTIONS = 8
"""Of straight strokes in lines; `STROKE` is their length and `HATCH` that of hatches, in
thousandths of the longer side."""

STROKE, HATCH = 12.0, 20.0

SHARES = 52, 37, 11
"""Of bright, middle and dark tones in a pencil drawing (their section 3.2); the next three are the
parameters of these, in levels of 0..255."""

BRIGHT = 9.0
MIDDLE = 105.0, 225.0
DARK = 90.0, 11.0

OWN = 0.6
"""The part of the photo's own tones, beside those of a drawing."""

SLANT, CROSS = -0.9, 14
"""The angle of hatches where the picture has no direction, and the number, of `ANGLES`, of that of
the second hatch in deep tones."""

TILE, ANGLES = 1024, 16
"""Hatches are drawn on a tile of so many pixels a side, in so many directions; it wraps around."""


def pencil(photo: Bytes, meter: Meter) -> Bytes:
    """A photo [H, W, 3] sRGB as a pencil drawing, grey, at its size."""
    rng = np.random.default_rng(0)
    height, width = photo.shape[:2]
    longer = max(height, width)
    scale = min(max(longer, min(SIDES[0], 2 * longer)), SIDES[1]) / longer
    sides = max(1, round(width * scale)), max(1, round(height * scale))
    gray = Image.fromarray(photo).convert("L", GRAY).resize(sides, Image.Resampling.LANCZOS)
    unit = max(sides) / 1000
    light = _modelled(np.asarray(gray, np.float32) / 255, unit)
    lines = _lines(light, unit)
    meter(0.4)
    tone = _tone(light, unit)
    meter(0.5)
    hatches, grain = _texture(_directions(light, unit, rng), tone, unit, rng)
    # Where there are lines hatches are even, so as not to hide them.
    hatches *= 1 - 0.6 * smoothstep(softened(lines, 2.5 * unit), 0.03, 0.2)
    # Their T = H^beta, where H is the texture, of a mean logarithm of -1: so beta = -log tone.
    toned = np.exp(np.log(tone) * (1 + hatches + 0.22 * grain).clip(0.1, 2.2))
    drawn = toned * (1 - (lines * (1 + 0.15 * grain)).clip(0, 0.97))
    meter(0.9)
    pixels = np.rint(GRAPHITE + (PAPER - GRAPHITE) * drawn).clip(0, 255).astype(np.uint8)
    sheet = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
    if scale < 1:
        sheet = _grained(sheet.filter(ImageFilter.UnsharpMask(1.2 / scale, 40, 0)), rng)
    return np.asarray(sheet.convert("RGB"))


def _modelled(light: Floats, unit: float) -> Floats:
    """With more contrast where there is little, so that noses, brows and hills have a form."""
    apart = softened(light, 3 * unit) - softened(light, 30 * unit)
    gain = faint(apart, 30 * unit, 0.008, 0.03, 0.06, 0.16)
    return (light + 0.8 * gain * apart).clip(0, 1)


def _grained(sheet: Image.Image, rng: Generator) -> Image.Image:
    """An enlarged drawing with the tooth of the paper at its own pixels."""
    graphite = 255 - np.asarray(sheet, np.float32)
    graphite *= 1 + 0.12 * _paved(_tile(0.9, rng), sheet.height, sheet.width)
    return Image.fromarray(np.rint(255 - graphite).clip(0, 255).astype(np.uint8))


def _lines(light: Floats, unit: float) -> Floats:
    """[H, W], from 0, which is paper: lines in two widths, and as straight strokes that go a little
    too far (their equations 1 to 4)."""
    (thin, _), (wide, weight) = LINES
    fine, broad = (_darker(light, max(0.7, size * unit)) for size in (thin, wide))
    # What is out of focus has no outline.
    sharp = smoothstep(softened(fine, 3 * unit), 0.01, 0.08)
    marks = np.maximum(fine, weight * sharp * broad)
    reach = max(1, round(STROKE * unit))
    padded = np.pad(marks, reach)
    angles = np.arange(DIRECTIONS) * np.pi / DIRECTIONS
    strongest = np.full(padded.shape, -1, np.float32)
    direction = np.zeros(padded.shape, np.uint8)
    for number, angle in enumerate(angles):
        response = _segments(padded, angle, reach)
        direction[response > strongest] = number
        np.maximum(strongest, response, out=strongest)
    strokes = np.zeros_like(padded)
    for number, angle in enumerate(angles):
        strokes += _segments(np.where(direction == number, padded, 0), angle, reach)
    inside = np.s_[reach:-reach, reach:-reach]
    # Specks are no lines; and in leaves and curls, which are many marks, only strokes are drawn.
    along = smoothstep(strongest[inside] / (marks + 0.02), 0.1, 0.4)
    crowd = smoothstep(softened(marks, 8 * unit), 0.1, 0.35)
    own = 0.55 * (0.2 + 0.8 * along) * (1 - 0.8 * crowd)
    return own * marks + 0.5 * (1 - 0.25 * crowd) * strokes[inside]


def _darker(light: Floats, sigma: float) -> Floats:
    """[H, W], 0..1: how much darker a place is than around it, as a part, so that shadows have
    lines as well."""
    fine = blurred(light, sigma) if sigma > 0.8 else light
    around = blurred(light, 3 * sigma)
    return smoothstep(1 - (fine + 0.04) / (around + 0.04), 0.012, 0.34)


def _segments(plane: Floats, angle: float, length: float) -> Floats:
    """Means of a plane [H, W], which wraps around, along segments of `length` pixels."""
    sine, cosine = np.sin(angle), np.cos(angle)

    def moved(plane: Floats, by: float) -> Floats:
        return np.roll(plane, (round(by * sine), round(by * cosine)), (0, 1))

    # Each sum is of twice as many pixels as the last; the two that cover the segment overlap.
    total, reach = plane, 1
    while 2 * reach <= length:
        total = total + moved(total, reach)
        reach *= 2
    return (moved(total, -length / 2) + moved(total, length / 2 - reach)) / np.float32(2 * reach)


def _tone(light: Floats, unit: float) -> Floats:
    """[H, W], above 0: tones matched to those of pencil drawings (their equations 5 to 9), and in
    part the photo's own."""
    levels = np.arange(256)
    tones = (
        np.exp((levels - 255) / BRIGHT),
        1.0 * ((levels >= MIDDLE[0]) & (levels <= MIDDLE[1])),
        np.exp(-((levels - DARK[0]) ** 2) / (2 * DARK[1] ** 2)),
    )
    wanted = sum(share * tone / tone.sum() for share, tone in zip(SHARES, tones, strict=True))
    soft = without_texture(light, max(1, round(3 * unit)), 6e-4).clip(0, 1)
    counts = np.histogram(soft, 256, (0, 1))[0]
    shares = np.cumsum(counts) / counts.sum()
    matched = np.interp(shares, np.cumsum(wanted) / np.sum(wanted), levels / 255)
    low, high = np.quantile(soft, (0.01, 0.97))
    own = 0.25 + 0.75 * ((levels / 255 - low) / max(high - low, 0.2)).clip(0, 1) ** 0.8
    return np.interp(255 * soft, levels, 0.07 + 0.93 * ((1 - OWN) * matched + OWN * own)).astype(
        np.float32
    )


def _directions(light: Floats, unit: float, rng: Generator) -> Floats:
    """[H, W]: the angles of hatches: along hair and edges, and slanted elsewhere."""
    down, across = slopes(softened(light, 2 * unit))
    tensor = np.stack([across**2, across * down, down**2], 2)
    strength = tensor[..., :1] + tensor[..., 2:]
    tensor = softened(tensor / (strength + np.float32((0.01 / unit) ** 2)), 6 * unit)
    # What is plain follows the form that it lies in.
    tensor = tensor + 0.5 * softened(tensor, 25 * unit)
    xx, xy, yy = np.moveaxis(tensor, 2, 0)
    # The tensor of edges that have the slant, which drifts, with the weight 0.25.
    height, width = light.shape
    slant = SLANT + 0.35 * noise(height, width, 0.25, rng)
    sine, cosine = np.sin(slant), np.cos(slant)
    xx, xy, yy = xx + 0.25 * sine**2, xy - 0.25 * sine * cosine, yy + 0.25 * cosine**2
    return (0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2).astype(np.float32)


def _texture(angle: Floats, tone: Floats, unit: float, rng: Generator) -> tuple[Floats, Floats]:
    """[H, W] each, around 0: hatches with the angles, crossed where the tone is deep, and the
    paper's grain, which has deviation 1."""
    height, width = tone.shape

    scratches = _tile(0.5 * unit, rng)
    drawn = [_segments(scratches, k * np.pi / ANGLES, HATCH * unit) for k in range(ANGLES)]
    drawn = [hatch / hatch.std() for hatch in drawn]
    place = angle * np.float32(ANGLES / np.pi)
    first = np.floor(place)
    part = place - first
    first = first.astype(np.int16) % ANGLES
    second = (first + 1) % ANGLES
    hatches = np.zeros_like(tone)
    for number, hatch in enumerate(drawn):
        hatches += np.where(first == number, 1 - part, part * (second == number)) * _paved(
            hatch, height, width
        )
    hatches /= np.sqrt(part**2 + (1 - part) ** 2)
    deep = smoothstep(-np.log(tone), 0.3, 0.9)
    pale = smoothstep(-np.log(tone), 0.0, 0.25)
    # The same noise elsewhere: the two hatches are not to meet.
    crossed = _paved(np.roll(drawn[CROSS], TILE // 3, 0), height, width)
    hatches = (0.1 + 0.14 * pale + 0.1 * deep) * hatches + 0.17 * deep * crossed
    # A pencil leaves dark lines: light ones look like rain.
    hatches = np.maximum(hatches, 0.5 * hatches)
    return hatches, _paved(_tile(0.45 * unit, rng), height, width)


def _paved(tile: Floats, height: int, width: int) -> Floats:
    return np.tile(tile, (height // TILE + 1, width // TILE + 1))[:height, :width]


def _tile(sigma: float, rng: Generator) -> Floats:
    """[TILE, TILE]: noise through a Gaussian of `sigma` pixels, with deviation 1; it wraps."""
    down, across = np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)
    gaussian = np.exp(-2 * (np.pi * sigma) ** 2 * (down**2 + across**2))
    soft = np.fft.irfft2(gaussian * np.fft.rfft2(rng.standard_normal((TILE, TILE), np.float32)))
    return (soft / soft.std()).astype(np.float32)
