"""Pictures that move: GIF, WebP, MP4, or frames side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image

from imgan.errors import Failure
from imgan.images import Picture, Source, save_picture
from imgan.images.sheets import sheet
from imgan.images.tensors import Bytes
from imgan.operations import TRAINED

COLUMNS = 8
"""Frames across a sheet."""


@dataclass(frozen=True)
class Film:
    """Pictures of one size that follow one another; `loop`: there and back, for ever."""

    frames: Sequence[Bytes]
    fps: float
    loop: bool = True

    def write(self, file: BinaryIO, suffix: str) -> None:
        """As ".gif", ".webp", ".mp4" or, side by side, ".png"."""
        if suffix == ".png":
            pixels = sheet(np.stack(self.frames), min(COLUMNS, len(self.frames)))
            save_picture(Picture(pixels, source=Source(made=TRAINED)), file, format=suffix)
            return
        frames = [*self.frames, *self.frames[-2:0:-1]] if self.loop else self.frames
        if suffix == ".mp4":
            file.write(_mp4(frames, self.fps))
            return
        first, *others = (Image.fromarray(frame) for frame in frames)
        # 0 is for ever, and a GIF without the word plays once.
        times = {"loop": 0} if self.loop else {"loop": 1} if suffix == ".webp" else {}
        options = {"quality": 90} if suffix == ".webp" else {}
        first.save(
            file,
            suffix[1:].upper(),
            save_all=True,
            append_images=others,
            duration=round(1000 / self.fps),
            **times,
            **options,
        )


def _mp4(frames: Sequence[Bytes], fps: float) -> bytes:
    """H.264, even sides. Raises Failure without the extra `video`."""
    import tempfile
    from pathlib import Path

    try:
        import imageio_ffmpeg
    except ModuleNotFoundError:
        raise Failure('an .mp4 needs imageio-ffmpeg: pip install "imgan[video]"') from None
    height, width = (side + side % 2 for side in frames[0].shape[:2])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        writer = imageio_ffmpeg.write_frames(
            str(path), (width, height), fps=fps, macro_block_size=2, quality=8
        )
        writer.send(None)
        for frame in frames:
            margins = ((0, height - frame.shape[0]), (0, width - frame.shape[1]), (0, 0))
            writer.send(np.ascontiguousarray(np.pad(frame, margins, "edge")))
        writer.close()
        return path.read_bytes()
