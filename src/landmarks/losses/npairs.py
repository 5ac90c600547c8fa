"""The N-pairs loss: each anchor must be most similar to its own positive among those of the whole batch.

Sohn, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective", NIPS 2016. As published, similarities are
inner products of descriptors that are not normalised, and a small penalty bounds their length.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from landmarks.losses.cross_entropy import at_least_float32


class NPairs(nn.Module):
    """Cross entropy of anchors against positives, plus half of `l2` times the mean squared length.

    The order of a batch is anchor, positive, anchor, positive, …: adjacent pairs of images of the same landmark. If two
    pairs have the same landmark, the target is divided equally between their positives.

    Args:
        num_landmarks: Unused, since there are no class weights; all losses take it.
        dim: Unused, as `num_landmarks`.
        l2: Weight of the penalty on the length of the descriptors, at least 0.

    Attributes:
        needs_pairs: True, batches must come from a sampler of pairs.
        whole_batch: True, anchors are compared with the positives of all ranks.
    """

    needs_pairs: ClassVar[bool] = True
    whole_batch: ClassVar[bool] = True

    def __init__(self, num_landmarks: int, dim: int, l2: float = 0.01) -> None:
        super().__init__()
        if not 0.0 <= l2 < math.inf:
            raise ValueError(f"l2 must be 0 or more, not {l2}")
        self.l2 = l2

    def forward(self, descriptors: Tensor, landmarks: Tensor) -> Tensor:
        """Compute the loss, a scalar, of descriptors float [B, D] and landmarks int64 [B], in pairs."""
        _check_pairs(descriptors, landmarks)
        with torch.autocast(descriptors.device.type, enabled=False):
            x = at_least_float32(descriptors)
            similarities = x[0::2] @ x[1::2].T
            same = landmarks[0::2, None] == landmarks[None, 1::2]
            targets = same / same.sum(dim=1, keepdim=True)
            penalty = 0.5 * self.l2 * x.square().sum(dim=1).mean()
            return cross_entropy(similarities, targets.to(x.dtype)) + penalty

    def extra_repr(self) -> str:
        """Return the parameters that are shown when the loss is printed."""
        return f"l2={self.l2}"


def _check_pairs(descriptors: Tensor, landmarks: Tensor) -> None:
    batch = len(descriptors)
    layout = "npairs needs batches in the order anchor, positive, anchor, positive, … (use the sampler of pairs)"
    if descriptors.ndim != 2 or landmarks.shape != (batch,):
        raise ValueError(
            f"{layout}: descriptors and landmarks must be [B, D] and [B], not {list(descriptors.shape)} and "
            f"{list(landmarks.shape)}"
        )
    if batch == 0 or batch % 2:
        raise ValueError(f"{layout}: a batch of {batch} cannot be divided into pairs")
    split = (landmarks[0::2] != landmarks[1::2]).nonzero()
    if len(split):
        i = 2 * int(split[0])
        raise ValueError(
            f"{layout}: images {i} and {i + 1} of the batch show different landmarks, "
            f"{int(landmarks[i])} and {int(landmarks[i + 1])}"
        )
