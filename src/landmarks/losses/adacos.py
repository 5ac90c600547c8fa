"""A scale that follows from the number of classes, and from how far training has come.

Zhang et al., "AdaCos: Adaptively Scaling Cosine Logits for Effectively Learning Deep Face Representations", CVPR 2019.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class AdaCos:
    """The scale at which the probability of the true class changes most around its present angle.

    Args:
        dynamic: Compute it anew in each step, from the median angle of the batch to its landmarks and the sum of the
            other classes' exponentials, which takes one more pass over the class weights. If False, it stays at
            √2 ln(C - 1), for C classes.
    """

    dynamic: bool = True

    def initial(self, classes: int) -> float:
        """Return the fixed scale, from which the dynamic one starts."""
        if classes < 3:
            raise ValueError(f"scale: AdaCos needs 3 landmarks or more, not {classes}")
        return math.sqrt(2.0) * math.log(classes - 1)

    def next(self, cosine: Tensor, log_sum: Tensor) -> Tensor:
        """Return the dynamic scale, without dimensions, from what `log_sums_of_others` gives for the previous one."""
        angle = cosine.clamp(-1.0, 1.0).acos().median().clamp(max=math.pi / 4)
        return (torch.logsumexp(log_sum, dim=0) - math.log(len(log_sum))) / angle.cos()
