"""A linear classifier with softmax and cross entropy: the loss of the released classification models.

Its descriptors serve retrieval as well (Babenko et al., "Neural Codes for Image Retrieval", ECCV 2014).
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from landmarks.losses.chunked_cross_entropy import chunked_cross_entropy


class Softmax(nn.Module):
    """Cross entropy of a fully connected layer over all landmarks.

    Args:
        num_landmarks: Number of classes C.
        dim: Length of the descriptors D.
        chunk: How many classes to hold at a time; it changes memory and speed only.

    Attributes:
        weight: float32 [C, D].
        bias: float32 [C].
        needs_pairs: False, any batch will do.
        reads_length: True, see `ClassHead`.

    Raises:
        ValueError: An argument is below 1.
    """

    needs_pairs: ClassVar[bool] = False
    reads_length: ClassVar[bool] = True

    def __init__(self, num_landmarks: int, dim: int, chunk: int = 1024) -> None:
        super().__init__()
        if num_landmarks < 1 or dim < 1 or chunk < 1:
            raise ValueError(f"need 1 or more: num_landmarks={num_landmarks}, dim={dim}, chunk={chunk}")
        self.chunk = chunk
        self.weight = nn.Parameter(torch.empty(num_landmarks, dim))
        self.bias = nn.Parameter(torch.zeros(num_landmarks))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, descriptors: Tensor, landmarks: Tensor) -> Tensor:
        """Descriptors float [B, D] and landmarks int64 [B] to the mean loss, a float32 scalar.

        Raises:
            ValueError: The batch is empty or its shapes do not agree.
            IndexError: A landmark is not in [0, C).
        """
        return chunked_cross_entropy(descriptors, self.weight, landmarks, self.bias, chunk=self.chunk)

    @property
    def num_landmarks(self) -> int:
        """C."""
        return self.weight.shape[0]

    @property
    def dim(self) -> int:
        """D."""
        return self.weight.shape[1]

    def class_scores(self, descriptors: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Logits of classes [start, stop), by default of all: float [B, D] to float32 [B, stop - start]."""
        with torch.autocast(descriptors.device.type, enabled=False):
            return linear(descriptors.float(), self.weight[start:stop].float(), self.bias[start:stop].float())

    def extra_repr(self) -> str:
        """Shown when the loss is printed."""
        return f"{self.num_landmarks} landmarks, dim={self.dim}"
