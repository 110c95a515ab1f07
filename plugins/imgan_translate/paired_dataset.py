"""Pairs of pictures as pix2pix's data has them: two folders with equal names, or side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from imgan.errors import Failure
from imgan.images import Picture, open_picture, pictures


def paired_dataset(folder: Path) -> Iterator[tuple[Picture, Picture]]:
    """The pairs in a folder, the one of the first folder by name, or the left one, first.

    Raises Failure when the folder holds neither two folders nor pictures alone, or a picture has no
    counterpart of its size.
    """
    folders = sorted(path for path in folder.iterdir() if path.is_dir())
    if not folders:
        yield from map(_halves, pictures(folder))
        return
    if len(folders) != 2:
        raise Failure(f"{folder}: two folders with pictures of equal names are wanted in it")
    firsts, seconds = ({path.stem: path for path in pictures(side)} for side in folders)
    if lone := firsts.keys() ^ seconds.keys():
        path = (firsts | seconds)[min(lone)]
        raise Failure(f"{path} has no counterpart in {folders[path.parent == folders[0]]}")
    for name, path in firsts.items():
        first, second = open_picture(path), open_picture(seconds[name])
        if first.pixels.shape != second.pixels.shape:
            raise Failure(f"{path} and {seconds[name]} are of different sizes")
        yield first, second


def _halves(path: Path) -> tuple[Picture, Picture]:
    both = open_picture(path)
    middle = both.pixels.shape[1] // 2
    left, right = both.pixels[:, :middle], both.pixels[:, -middle:]
    return both.with_pixels(left, None), both.with_pixels(right, None)
