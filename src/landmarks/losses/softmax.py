"""A linear classifier with softmax and cross entropy: the loss of the published classification models.

Its descriptors are also suitable for retrieval (Babenko et al., "Neural Codes for Image Retrieval", ECCV 2014).
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from landmarks.losses.class_head import ClassHead
from landmarks.losses.cross_entropy import at_least_float32, chunked_cross_entropy


class Softmax(ClassHead):
    """Cross entropy of a fully connected layer over all landmarks.

    Args:
        num_landmarks: Number of classes C.
        dim: Length of the descriptors D.
        chunk: Number of classes to process at a time; affects memory and speed only.
        label_smoothing: Share of the target in [0, 1) that is divided equally between all landmarks.

    Attributes:
        weight: float32 [C, D].
        bias: float32 [C].
    """

    def __init__(self, num_landmarks: int, dim: int, chunk: int = 1024, label_smoothing: float = 0.0) -> None:
        super().__init__(num_landmarks, dim, chunk)
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(f"label_smoothing is a share in [0, 1), not {label_smoothing}")
        self.label_smoothing = label_smoothing
        self.bias = nn.Parameter(torch.zeros(num_landmarks))

    def forward(self, descriptors: Tensor, landmarks: Tensor) -> Tensor:
        """Compute the mean loss, a scalar, of descriptors float [B, D] and landmarks int64 [B]."""
        return chunked_cross_entropy(
            descriptors, self.weight, landmarks, self.bias, chunk=self.chunk, label_smoothing=self.label_smoothing
        )

    def class_scores(self, descriptors: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Compute the logits of classes [start, stop), by default of all: float [B, D] to float [B, stop - start]."""
        with torch.autocast(descriptors.device.type, enabled=False):
            x = at_least_float32(descriptors)
            return linear(x, self.weight[start:stop].to(x.dtype), self.bias[start:stop].to(x.dtype))
