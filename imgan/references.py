"""Pictures that an option names beside the inputs: styles, masks, drawings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from imgan.images import Picture


@dataclass(frozen=True, eq=False)
class Reference:
    """A picture by its path, or in memory. It is read once, when it is first asked for. An
    operation may take a folder of pictures, too, and look into it by itself."""

    source: Path | Picture

    @classmethod
    def of(cls, value: object) -> Reference:
        """From what a person may give: a path, bytes, a Pillow image, an array or a Picture.

        Raises Failure and Misuse as `imgan.images.memory.picture_of` does.
        """
        if isinstance(value, Reference):
            return value
        if isinstance(value, str | Path):
            return cls(Path(value))
        from imgan.images.memory import picture_of

        return cls(picture_of(value))

    @property
    def name(self) -> str:
        """For people: the file's name."""
        return self.source.name if isinstance(self.source, Path) else "picture"

    @cached_property
    def picture(self) -> Picture:
        """Upright, in its own colours and depth. Raises Failure when it cannot be read."""
        from imgan.images import open_picture

        return open_picture(self.source) if isinstance(self.source, Path) else self.source

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """[H, W, 3] sRGB. Raises Failure when it cannot be read."""
        from imgan.images import to_srgb

        return to_srgb(self.picture.pixels, self.picture.source)

    @cached_property
    def sha256(self) -> str:
        """Of the file, of all files of a folder, or of the pixels in memory. Raises Failure when it
        cannot be read."""
        from imgan.errors import Failure
        from imgan.files import digest

        if isinstance(self.source, Path):
            try:
                if not self.source.is_dir():
                    return digest(self.source)
                files = sorted(path for path in self.source.rglob("*") if path.is_file())
                return digest(repr([(path.name, digest(path)) for path in files]).encode())
            except OSError as error:
                raise Failure(f"{self.source}: cannot be read: {error.strerror}") from error
        picture = self.source
        alpha = b"" if picture.alpha is None else picture.alpha.tobytes()
        return digest(repr(picture.pixels.shape).encode() + picture.pixels.tobytes() + alpha)
