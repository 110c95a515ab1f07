"""The process as a moving picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from PIL import Image

from imgan.images.tensors import Bytes
from imgan.images.upsampling import reduced

MOST = 80
"""Frames: when there are more, every other one goes."""

LARGEST = 480
"""The longer side of a frame, at most."""

DURATION, LAST = 80, 2000
"""Milliseconds a frame, and the last."""


@dataclass
class Film:
    """Takes the pictures of a process, evenly spread however long it lasts."""

    frames: list[Bytes] = field(default_factory=list)
    every: int = 1
    seen: int = 0

    def add(self, picture: Bytes) -> None:
        """A picture [H, W, 3]; sizes may differ."""
        if self.seen % self.every == 0:
            self.frames.append(reduced(picture, LARGEST))
        self.seen += 1
        if len(self.frames) > MOST:
            self.frames, self.every = self.frames[::2], 2 * self.every

    def clip(self, last: Bytes) -> Clip:
        """A moving picture that ends with `last`, all frames as large as it."""
        end = reduced(last, LARGEST)
        height, width = end.shape[:2]
        frames = [np.asarray(Image.fromarray(f).resize((width, height))) for f in self.frames]
        return Clip([*frames, end], [*[DURATION] * len(frames), LAST])


@dataclass(frozen=True)
class Clip:
    """A moving picture: frames [H, W, 3] of one size, and how long each is shown, in
    milliseconds."""

    frames: Sequence[Bytes]
    durations: Sequence[int]

    def write(self, file: BinaryIO, suffix: str) -> None:
        """As a GIF."""
        first, *others = map(Image.fromarray, self.frames)
        first.save(
            file,
            "GIF",
            save_all=True,
            append_images=others,
            duration=list(self.durations),
            loop=0,
        )
