"""How a head stands, from its five points, so that what is drawn on it is drawn in perspective.

Coordinates of the head: x to the viewer's right, y down, z towards the camera, from the middle
between the eyes, in distances of the eyes (63 mm in the mean of adults).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgan.images.fields import Floats

POINTS = np.array(
    [[-0.5, 0, 0], [0.5, 0, 0], [0, 0.62, 0.47], [-0.44, 1.06, 0.05], [0.44, 1.06, 0.05]]
)
"""The five points of a face in the mean."""

CAMERA = 20.0
"""How far the camera stands from the eyes: at arm's length twice over."""

TRUST = 0.5
"""Noses differ in length, which looks like a nod: so much of the nod that is seen is believed."""


@dataclass(frozen=True)
class Pose:
    """A similarity from the head to the photo, seen in perspective."""

    rotation: NDArray[np.floating]
    """[3, 3] from the head's coordinates to the camera's."""
    scale: float
    """Pixels to a distance of the eyes, at the eyes."""
    origin: NDArray[np.floating]
    """The middle between the eyes, in pixels."""
    yaw: float
    """How far the head is turned to the viewer's right, in degrees."""

    @classmethod
    def of(cls, points: NDArray[np.floating]) -> Pose:
        """The pose that brings `POINTS` to five points [5, 2]: least squares over affine maps, and
        of these the angles."""
        across = points[1] - points[0]
        roll = np.arctan2(across[1], across[0])
        cos, sin = np.cos(roll), np.sin(roll)
        turn = np.array([[cos, -sin], [sin, cos]])
        upright = (points - points.mean(0)) @ turn
        affine, *_ = np.linalg.lstsq(POINTS - POINTS.mean(0), upright, rcond=None)
        yaw = np.arctan2(affine[2, 0], affine[0, 0])
        pitch = TRUST * np.arctan2(affine[2, 1], affine[1, 1])
        (cy, sy), (cp, sp) = ((np.cos(angle), np.sin(angle)) for angle in (yaw, pitch))
        turned = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        nodded = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
        rolled = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        scale = float(np.hypot(*across) / max(cy, 0.5))
        return cls(rolled @ nodded @ turned, scale, points[:2].mean(0), float(np.degrees(yaw)))

    def project(self, places: NDArray[np.floating]) -> NDArray[np.floating]:
        """Places in the head [..., 3] to pixels [..., 2]."""
        x, y, z = np.moveaxis(places @ self.rotation.T, -1, 0)
        nearer = self.scale * CAMERA / (CAMERA - z)
        return np.stack([x * nearer, y * nearer], -1) + self.origin

    def onto(
        self,
        corner: NDArray[np.floating],
        u: NDArray[np.floating],
        v: NDArray[np.floating],
        x: Floats,
        y: Floats,
    ) -> tuple[Floats, Floats]:
        """Where the plane `corner` + a `u` + b `v` of the head is seen at pixels (x, y): a and b,
        each like x and y together."""
        columns = self.rotation @ np.stack([u, v, corner], 1)
        # A place X, Y, Z of the camera's is seen at scale CAMERA (X, Y) / (CAMERA - Z).
        to_pixels = np.array(
            [columns[0] * self.scale * CAMERA, columns[1] * self.scale * CAMERA, -columns[2]]
        )
        to_pixels[2, 2] += CAMERA
        back = np.linalg.inv(to_pixels).astype(np.float32)
        x, y = x - np.float32(self.origin[0]), y - np.float32(self.origin[1])
        a, b, w = (row[0] * x + row[1] * y + row[2] for row in back)
        return a / w, b / w
