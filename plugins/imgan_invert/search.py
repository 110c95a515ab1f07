"""Where a search in PyTorch begins and ends: arrays in, a latent out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from imgan.errors import Failure
from imgan.images.tensors import Bytes, Floats, decode, encode
from imgan.models.cards import ModelCard
from imgan.training import perceptual
from imgan_invert import Inversion
from imgan_invert.latent import Latent
from imgan_invert.network import Network, open_network
from imgan_invert.optimise import Found, Losses, Report, invert

Watch = Callable[[Bytes], None]


def search(
    card: ModelCard,
    target: Bytes,
    settings: Inversion,
    start: Floats | None,
    facts: Mapping[str, Any],
    report: Report | None = None,
    mask: Bytes | None = None,
    watch: Watch | None = None,
) -> Latent:
    """The latent of a picture [S, S, 3], like it where `mask` [S, S] is above 0.

    `start` is the w+ [L, W] to begin with, `watch` is called with every picture on the way. The
    losses and whether it was stopped are added to `facts`.

    Raises Failure when it was stopped before the first picture.
    """
    torch.manual_seed(settings.seed)
    network = open_network(card)
    losses = Losses(
        torch.from_numpy(encode(target[None])),
        settings,
        None if mask is None else torch.from_numpy((mask > 0).astype(np.float32))[None, None],
        perceptual.load() if settings.perceptual else None,
    )
    begin = None if start is None else torch.from_numpy(start)[None]
    shown = None if watch is None else lambda picture: watch(decode(picture.numpy())[0])
    found = invert(network, losses, settings, begin, report, shown)
    if not len(found.code):
        raise Failure("stopped before anything was found")
    return Latent(
        found.code[0].numpy(),
        found.noise[0].numpy(),
        {**facts, "losses": _measured(network, losses, found), "stopped": found.stopped},
        found.tuned,
    )


def _measured(network: Network, losses: Losses, found: Found) -> dict[str, float]:
    """The loss as it was weighed, and the squared difference, of the untuned generator's picture
    where it was tuned."""
    with torch.no_grad():
        picture = network.picture(found.code, found.noise)
        squared = (picture / 2 - losses.target / 2).square().mean()
    return {"loss": round(found.loss, 6), "pivot L2": round(float(squared), 6)}
