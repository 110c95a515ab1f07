"""Latents: named by seeds or kept in files, added, subtracted, and walked between."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgan.errors import Failure, Misuse

LATENT = 200
Latents = NDArray[np.float32]
"""[N, 200], of which N(0, 1) gives the likely ones."""

_NAME = re.compile(r"(?P<source>.+?)(?::(?P<number>[1-9]\d*))?")


def drawn(seed: int, count: int) -> Latents:
    """The first `count` latents of a seed: number k is the same however many are asked for."""
    return np.random.default_rng(seed).standard_normal((count, LATENT), np.float32)


def named(name: str) -> Latents:
    """One latent [200]: `7` is the first of seed 7, `7:3` its third; `FILE.npz:3` is the third that
    a file holds, `FILE.npz` the only one.

    Raises Misuse when there is no such number, Failure when the file cannot be read.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise Misuse(f"{name!r} names no latent: a seed, SEED:NUMBER, or FILE.npz:NUMBER")
    source, number = match["source"], match["number"]
    if source.isdecimal():
        return drawn(int(source), int(number or 1))[-1]
    latents = read_latents(Path(source))
    if number is None and len(latents) > 1:
        raise Misuse(f"{source} holds {len(latents)} latents: name one, such as {source}:2")
    if int(number or 1) > len(latents):
        raise Misuse(f"{name}: {source} holds {len(latents)} latents")
    return latents[int(number or 1) - 1]


def read_latents(file: Path) -> Latents:
    """What `imgan shapes` kept in a file, with a grid or alone. Raises Failure for other files."""
    try:
        with np.load(file) as table:
            latents = np.atleast_2d(np.asarray(table["latents"], np.float32))
    except FileNotFoundError:
        raise Failure(f"{file}: there is no such file") from None
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        raise Failure(f"{file}: no latents in it; `imgan shapes generate` saves them") from None
    if latents.ndim != 2 or latents.shape[1] != LATENT or not np.isfinite(latents).all():
        shape = "x".join(map(str, latents.shape))
        raise Failure(f"{file}: its latents are {shape}; {LATENT} finite numbers each are wanted")
    return latents


def arithmetic(latents: Latents, add: Sequence[str], minus: Sequence[str]) -> Latents:
    """Latents and others of them (`named`) that are added and subtracted, section 4.4 of the paper:
    a chair, minus one without arms, plus one with.

    A sum is longer than what the network learned from, so it gets the length that is usual.
    """
    if not add and not minus:
        return latents
    change = sum((named(name) for name in add), np.zeros(LATENT, np.float32))
    change = change - sum((named(name) for name in minus), np.zeros(LATENT, np.float32))
    return at_usual_length(latents + change)


def at_usual_length(latents: Latents) -> Latents:
    """Scaled to the square root of 200, which N(0, 1) hardly departs from; a zero stays."""
    length = np.linalg.norm(latents, axis=-1, keepdims=True)
    return latents * np.where(length > 0, np.sqrt(LATENT) / np.maximum(length, 1e-6), 1)


def path(corners: Latents, steps: int) -> Latents:
    """[N, 200] -> [(N - 1) * steps + 1, 200]: along great circles (slerp), each corner on it.

    Shoemake 1985; on a straight line the middle is shorter than any latent that was learned from.
    """
    walk = [corners[:1]]
    for a, b in pairwise(corners):
        shares = np.linspace(0, 1, steps + 1)[1:, None]
        cosine = a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12)
        angle = np.arccos(np.clip(cosine, -1, 1))
        if angle < 1e-4:
            walk.append(a + shares * (b - a))
        else:
            ends = np.sin((1 - shares) * angle) * a + np.sin(shares * angle) * b
            walk.append(ends / np.sin(angle))
    return np.concatenate(walk).astype(np.float32)
