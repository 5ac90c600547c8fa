"""The base class of losses with a weight vector per landmark, which can also serve as classifiers."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from torch import Tensor, nn

from landmarks.losses.shard import xavier_rows


class ClassHead(nn.Module, ABC):
    """The base class of losses with class weights, which it holds.

    Scores are computed for a range of classes at a time: all 203,094 at once would take 0.8 MB per image.

    Args:
        num_landmarks: Number of classes C.
        dim: Length of the descriptors D.
        chunk: Number of weight vectors to process at a time; affects memory and speed only.
        sub_centers: K, the number of weight vectors of each class.

    Attributes:
        num_landmarks: C.
        dim: D.
        weight: float32 [C, D], or [C, K, D] with K above 1; only some of the classes in a head that was built for a
            shard.
        needs_pairs: Whether batches must come from a sampler of pairs.
        reads_length: Whether scores depend on the length of descriptors, not only on their direction. Such a head can
            only score descriptors as the network computes them, not sums of normalised views.
        exports_as: The task for which a network with this head is exported by default.
    """

    needs_pairs: ClassVar[bool] = False
    reads_length: ClassVar[bool] = True
    exports_as: ClassVar[Literal["retrieval", "classification"]] = "classification"

    def __init__(self, num_landmarks: int, dim: int, chunk: int = 1024, sub_centers: int = 1) -> None:
        super().__init__()
        whole = {"num_landmarks": num_landmarks, "dim": dim, "chunk": chunk, "sub_centers": sub_centers}
        if min(whole.values()) < 1:
            raise ValueError(f"need 1 or more: {', '.join(f'{name}={value}' for name, value in whole.items())}")
        self.chunk = chunk
        self.num_landmarks = num_landmarks
        self.dim = dim
        self.weight = xavier_rows(num_landmarks, *((sub_centers,) if sub_centers > 1 else ()), dim)

    def set_class_sizes(self, sizes: Tensor) -> None:
        """Take notice of the number of train images of each landmark, whole numbers [C]; most heads do not need it."""

    @abstractmethod
    def class_scores(self, descriptors: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Compute the inputs of the softmax for a range of classes.

        Args:
            descriptors: Float [B, D].
            start: First class.
            stop: One past the last class; all classes by default.

        Returns:
            [B, stop - start], float64 for float64 descriptors, otherwise float32.
        """

    def extra_repr(self) -> str:
        """Return the parameters that are shown when the loss is printed."""
        return f"{self.num_landmarks} landmarks, dim={self.dim}"
