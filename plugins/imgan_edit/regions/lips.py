"""Where the lips of a face are, and how they are bent.

Lengths are in distances of the eyes, along the face's axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imgan.errors import Failure
from imgan.images.fields import Floats
from imgan_edit.regions.view import View

ALONG = np.array([-0.9, -0.65, -0.4, -0.13, 0.13, 0.4, 0.65, 0.9])
"""Places on the lips, from corner to corner, -1 to 1."""

SHUT, INSIDE = 0.03, 0.023
"""Lips less apart than this are closed, as are those between which less than this is to be seen, in
squared distances of the eyes: edges of lips are made out roughly."""

RIM = 0.012
"""How far the edges of open lips lie in the lips themselves."""

MEET = 0.6
"""Where open lips meet, on the way from the upper to the lower."""


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
    def tilt(self) -> float:
        """How far the line through the corners goes down, of how far it goes right."""
        across, down = self.corners[1] - self.corners[0]
        return float(down / across)

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
