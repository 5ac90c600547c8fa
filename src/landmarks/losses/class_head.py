"""What a loss must offer so that its class weights serve as a classifier, too."""

from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class ClassHead(Protocol):
    """Scores of landmarks, a range of classes at a time: all of 203,094 at once would be 0.8 MB a picture.

    Attributes:
        reads_length: Whether scores depend on the length of descriptors, not on their direction alone. Such a head can
            only judge descriptors as the network gives them, not sums of normalised views.
    """

    reads_length: ClassVar[bool]

    @property
    def num_landmarks(self) -> int:
        """Number of classes C."""
        ...

    @property
    def dim(self) -> int:
        """Length of the descriptors D."""
        ...

    def class_scores(self, descriptors: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """What the softmax is taken of, for classes [start, stop): float [B, D] to float32 [B, stop - start]."""
        ...
