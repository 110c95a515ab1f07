"""One gradient step, right for one process and for several."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from imgan.errors import Failure

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Optim:
    """Autocast, gradient scaling and gradient averaging around `loss.backward()`.

    Gradients are averaged by one flat all-reduce after `backward`. DistributedDataParallel's hooks
    are not used: with a gradient penalty they fire on the inner graph, and the sum is silently
    wrong.
    """

    def __init__(self, precision: str, device: torch.device) -> None:
        self.device = device
        self.dtype = DTYPES[precision]
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.world = dist.get_world_size() if dist.is_initialized() else 1
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype is torch.float16)

    def autocast(self) -> torch.autocast:
        """The context for forward passes and losses."""
        enabled = self.dtype is not torch.float32
        return torch.autocast(self.device.type, self.dtype, enabled=enabled)

    def minimise(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """Take one step of `optimizer` down the gradient of the scalar `loss`.

        Raises Failure when the loss is not finite; the weights are then as they were.
        """
        if not torch.isfinite(loss):
            raise Failure(f"the loss became {loss.item()}")
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        optimizer.zero_grad(set_to_none=True)
        # Only this optimiser's parameters get gradients: the discriminator's are not touched by
        # the generator's loss, although it flows through it.
        self.scaler.scale(loss).backward(inputs=parameters)
        if self.world > 1:
            _average_gradients(parameters, self.world)
        self.scaler.step(optimizer)
        self.scaler.update()


def _average_gradients(parameters: list[Tensor], world: int) -> None:
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(flat)
    flat /= world
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


@contextmanager
def processes() -> Iterator[int]:
    """Join the group that `torchrun` started, if it did, and leave it again; gives the own rank."""
    if "WORLD_SIZE" not in os.environ:
        yield 0
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield dist.get_rank()
    finally:
        dist.destroy_process_group()
