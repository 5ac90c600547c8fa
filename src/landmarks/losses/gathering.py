"""Gather the batch of all ranks, so that a loss over all its images is the one that a single process would compute."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable


def gather_batch(descriptors: Tensor, landmarks: Tensor, partial: bool = False) -> tuple[Tensor, Tensor]:
    """Return the descriptors and landmarks of all ranks, in the order of ranks; those given without several ranks.

    Gradients flow back to the rank that computed a descriptor, as the number of ranks times the gradient of the loss:
    DistributedDataParallel averages the network's gradients, and so leaves exactly that of the whole batch.

    Args:
        descriptors: Float [B, D]; B is equal on all ranks.
        landmarks: int64 [B].
        partial: Whether each rank computes only its part of the gradients by all descriptors, which are then summed.
            Otherwise every rank computes the whole loss, and nothing is sent in the backward pass.

    Returns:
        [ranks x B, D] and [ranks x B].
    """
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return descriptors, landmarks
    return _Gather.apply(descriptors, partial), _gathered(landmarks)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, partial: bool) -> Tensor:
        ctx.partial = partial
        return _gathered(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        rank, ranks = dist.get_rank(), dist.get_world_size()
        if ctx.partial:
            own = torch.empty_like(grad.chunk(ranks)[rank], memory_format=torch.contiguous_format)
            dist.reduce_scatter_tensor(own, grad.contiguous())
        else:
            own = grad.chunk(ranks)[rank]
        return own * ranks, None


def _gathered(x: Tensor) -> Tensor:
    rows = x.new_empty(dist.get_world_size() * len(x), *x.shape[1:])
    dist.all_gather_into_tensor(rows, x.contiguous())
    return rows
