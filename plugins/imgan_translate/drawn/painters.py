"""The painters: each is a palette and a touch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from imgan import faces
from imgan.images.fields import Floats, resized, smoothstep
from imgan.images.oklab import from_oklab, to_oklab
from imgan.images.tensors import Bytes
from imgan.images.upsampling import reduced
from imgan.operations import Meter
from imgan_translate.drawn.canvas import Canvas
from imgan_translate.drawn.fields import faint, simplified, softened
from imgan_translate.drawn.palettes import Palette, Repaint
from imgan_translate.drawn.ridges import ridges
from imgan_translate.drawn.strokes import Flow, Layer, Touch, plan, retouch

SIZE, FINE = 800, 1400
"""Longer sides, in pixels, of the copies on which strokes are planned and retouched, at most."""

EVEN = 25
"""Thousandths of the longer side over which contrast is compared."""


@dataclass(frozen=True)
class Painter:
    """Paints a photo [H, W, 3] sRGB, at its size."""

    palette: Palette
    touch: Touch
    repaint: Repaint

    def __call__(self, photo: Bytes, meter: Meter) -> Bytes:
        # The same strokes for every photo: what is drawn twice is drawn the same way.
        rng = np.random.default_rng(0)
        copy = _copy(photo)
        fine = self.repaint(locally_even(to_oklab(copy / np.float32(255))), self.palette)
        care = _care(reduced(copy, SIZE))
        lab = resized(fine, *care.shape)
        strokes = [*plan(lab, self.touch, rng, care), ridges(lab)]
        meter(0.2)
        # Where no stroke lies there is underpainting, and no photo.
        under = simplified(lab, 0.2 * self.touch.layers[0].width * max(lab.shape) / 1000)
        ground = np.rint(255 * from_oklab(under)).clip(0, 255).astype(np.uint8)
        canvas = Canvas.on(ground, photo.shape[0], photo.shape[1], rng)
        for number, layer in enumerate(strokes):
            canvas.lay(layer, care.shape[1])
            meter(0.2 + 0.5 * (number + 1) / len(strokes))
        height, width = fine.shape[:2]
        care = resized(care, height, width)
        for brush in RETOUCHES:
            painted = to_oklab(canvas.seen(height, width) / np.float32(255))
            canvas.lay(retouch(fine, painted, brush, self.touch, rng, care), width)
        return canvas.finished(self.touch.impasto)


def _copy(photo: Bytes) -> Bytes:
    """The photo at the size at which strokes are planned: small ones at up to twice their own, so
    that no stroke is a pixel of theirs."""
    height, width = photo.shape[:2]
    scale = min(FINE / max(height, width), 2)
    if scale < 1:
        return reduced(photo, FINE)
    sides = max(1, round(scale * width)), max(1, round(scale * height))
    return np.asarray(Image.fromarray(photo).resize(sides, Image.Resampling.BICUBIC))


def locally_even(lab: Floats) -> Floats:
    """With more contrast in lightness where there is little, but some, around a place: slopes and
    roads keep their form under the brush."""
    light = lab[..., 0]
    sigma = EVEN * max(light.shape) / 1000
    apart = light - softened(light, sigma)
    evened = lab.copy()
    evened[..., 0] = (light + 0.9 * faint(apart, sigma, 0.006, 0.02, 0.03, 0.1) * apart).clip(0, 1)
    return evened


def _care(photo: Bytes) -> Floats:
    """[H, W], 0..1: faces."""
    care = np.zeros(photo.shape[:2], np.float32)
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]].astype(np.float32)
    for left, top, width, height in (face.box for face in faces.find(photo)):
        down = (y - top - height / 2) / (0.62 * height)
        across = (x - left - width / 2) / (0.62 * width)
        care = np.maximum(care, 1 - smoothstep(np.hypot(down, across), 0.8, 1.15))
    return care


RETOUCHES = Layer(2.2, 2.6, 2.4, 0.055, apart=1.0), Layer(1.3, 2.8, 2.5, 0.055, apart=0.8)
"""The last layers of every painter: where the painting is not yet like the picture."""

MONET = Painter(
    Palette(
        (0.254, 0.404, 0.489, 0.56, 0.623, 0.68, 0.741, 0.808, 0.91),
        (-0.00553, 0.01625),
        (0.000613, 0.000103, 0.002054),
        0.1143,
    ),
    Touch(
        (
            Layer(19, 3, 1.8),
            Layer(12, 2.8, 1.5, 0.012),
            Layer(7.5, 2.8, 1.5, 0.026),
            Layer(5, 2.8, 1.5, 0.042),
        )
    ),
    Repaint(light=0.8, colour=0.75, gain=(1, 1.3), darker=0.03, lighter=0.17, shade=(0.01, -0.05)),
)
"""Of 240 paintings: short dabs of mixed colours, the sky in broad level strokes."""

VAN_GOGH = Painter(
    Palette(
        (0.277, 0.408, 0.487, 0.554, 0.611, 0.669, 0.729, 0.808, 0.952),
        (-0.00314, 0.03474),
        (0.001527, 0.000453, 0.002989),
        0.15,
    ),
    Touch(
        (
            Layer(20, 5, 2),
            Layer(13, 5.5, 1.8, 0.008),
            Layer(8, 5, 1.5, 0.022),
            Layer(5, 4.5, 1.4, 0.038),
        ),
        light=0.03,
        hue=0.017,
        streak=0.035,
        impasto=0.55,
        tolerance=0.1,
        flow=Flow.SWIRL,
        calm=0.1,
        wander=0.05,
    ),
    Repaint(light=0.7, colour=0.9, gain=(1, 2.2), shade=(0, -0.08)),
)
"""Of 26 paintings: long strokes of thick paint that swirl where nothing leads them."""

CEZANNE = Painter(
    Palette(
        (0.232, 0.368, 0.446, 0.507, 0.562, 0.617, 0.674, 0.748, 0.895),
        (-0.0009, 0.03028),
        (0.000806, 0.000233, 0.001993),
        0.1306,
    ),
    Touch(
        (
            Layer(24, 2.2, 1.8),
            Layer(15, 2.2, 1.6, 0.01),
            Layer(9, 2.4, 1.5, 0.028),
            Layer(5.5, 2.6, 1.5, 0.045),
        ),
        light=0.022,
        streak=0.02,
        impasto=0.16,
        tolerance=0.09,
        flow=Flow.SLANT,
        calm=0.16,
        wander=0.08,
    ),
    Repaint(light=0.6, colour=0.85, gain=(0.9, 1.8), shade=(0, -0.06)),
)
"""Of 20 paintings: his constructive stroke, short, parallel and slanted, over nearly everything."""
