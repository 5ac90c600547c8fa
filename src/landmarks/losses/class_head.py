"""A loss with a vector of weights for each landmark, which serves as a classifier, too."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn


class ClassHead(nn.Module, ABC):
    """The base of losses with class weights: keeps them, checks their number, and scores landmarks.

    Scores come for a range of classes at a time: all of 203,094 at once would be 0.8 MB an image.

    Args:
        num_landmarks: Number of classes C.
        dim: Length of the descriptors D.
        chunk: How many classes to hold at a time; it changes memory and speed only.

    Attributes:
        weight: float32 [C, D].
        needs_pairs: Whether batches must come from a sampler that lays out pairs.
        reads_length: Whether scores depend on the length of descriptors, not on their direction alone. Such a head can
            only judge descriptors as the network gives them, not sums of normalised views.
        exports_as: The task for which a network with this head is exported unless another is asked for.
    """

    needs_pairs: ClassVar[bool] = False
    reads_length: ClassVar[bool] = True
    exports_as: ClassVar[Literal["retrieval", "classification"]] = "classification"

    def __init__(self, num_landmarks: int, dim: int, chunk: int = 1024) -> None:
        super().__init__()
        if num_landmarks < 1 or dim < 1 or chunk < 1:
            raise ValueError(f"need 1 or more: num_landmarks={num_landmarks}, dim={dim}, chunk={chunk}")
        self.chunk = chunk
        self.weight = nn.Parameter(torch.empty(num_landmarks, dim))
        nn.init.xavier_uniform_(self.weight)

    @property
    def num_landmarks(self) -> int:
        """C."""
        return self.weight.shape[0]

    @property
    def dim(self) -> int:
        """D."""
        return self.weight.shape[1]

    @abstractmethod
    def class_scores(self, descriptors: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Give what the softmax is taken of, for classes [start, stop): float [B, D] to [B, stop - start].

        In float32; in float64 for descriptors of that type.
        """

    def extra_repr(self) -> str:
        """Shown when the loss is printed."""
        return f"{self.num_landmarks} landmarks, dim={self.dim}"
