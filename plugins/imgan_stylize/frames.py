"""The process as a moving picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from imgan.errors import Failure
from imgan.files import whole_file
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

    def write(self, target: Path, last: Bytes, overwrite: bool) -> None:
        """A GIF that ends with `last`, all frames as large as it. Raises Failure."""
        end = Image.fromarray(reduced(last, LARGEST))
        frames = [Image.fromarray(frame).resize(end.size) for frame in self.frames]
        duration = [DURATION] * len(frames) + [LAST]
        first, *others = [*frames, end]
        try:
            with whole_file(target, overwrite) as file:
                first.save(
                    file, "GIF", save_all=True, append_images=others, duration=duration, loop=0
                )
        except Failure as failure:
            raise Failure(f"{target}: {failure}") from failure
        except OSError as error:
            raise Failure(f"{target}: cannot be written: {error.strerror or error}") from error
