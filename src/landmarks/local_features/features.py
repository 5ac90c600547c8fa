"""The local features of an image: what every extractor returns, and how descriptors are stored in few bytes."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError

Stored = Literal["uint8", "int8", "float16", "binary"]

# Squared distances between descriptors of this length are at most 2^24, up to which float32 holds all integers.
MAX_QUANTUM = 2048
# Factors from float16 and bits to the numbers that are compared: k-means rounds its centres to integers, and numbers of
# the size of those of int8 lose little by it.
FLOAT16, BIT = 512.0, 16.0


@dataclass(frozen=True)
class FeatureKind:
    """What the descriptors of an extractor are, and how they are stored.

    Integers and bits have exact products in float32, so that matches do not depend on the order of sums; those of
    float16 may differ in the last bit between machines.

    Args:
        name: name of the features, by which a learned matcher finds its weights.
        dim: D, the number of values of a descriptor.
        stored: ``uint8`` or ``int8``: values times `quantum`, rounded; ``float16``; ``binary``: one bit per value, set
            if it is above 0.
        quantum: factor from descriptors of length one to stored integers; ignored for ``float16`` and ``binary``.

    Raises:
        LandmarksError: `stored` is none of these, or `quantum` is too large for exact products.
    """

    name: str
    dim: int
    stored: Stored
    quantum: float = 1.0

    def __post_init__(self) -> None:
        if self.stored not in ("uint8", "int8", "float16", "binary"):
            raise LandmarksError(f"descriptors are stored as uint8, int8, float16 or binary, not {self.stored!r}")
        if not 0 < self.quantum <= MAX_QUANTUM:
            raise LandmarksError(
                f"descriptors: quantum is {self.quantum}: it must be above 0 and at most {MAX_QUANTUM}"
            )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a stored value; bits are packed into uint8."""
        return np.dtype({"uint8": "|u1", "int8": "|i1", "float16": "<f2", "binary": "|u1"}[self.stored])

    @property
    def width(self) -> int:
        """Number of stored values of a descriptor."""
        return -(-self.dim // 8) if self.stored == "binary" else self.dim

    @property
    def length(self) -> float:
        """Length of a descriptor of length one in the numbers that `numbers` returns."""
        return {"float16": FLOAT16, "binary": BIT * self.dim**0.5}.get(self.stored, self.quantum)

    def encode(self, descriptors: NDArray[np.float32]) -> NDArray[Any]:
        """Encode descriptors float32 [n, D] of length one: [n, `width`] of `dtype`."""
        if self.stored == "binary":
            return np.packbits(descriptors > 0, axis=1)
        if self.stored == "float16":
            return descriptors.astype(np.float16)
        limits = np.iinfo(self.dtype)
        return np.clip(np.rint(descriptors * np.float32(self.quantum)), limits.min, limits.max).astype(self.dtype)

    def numbers(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Return stored descriptors [n, `width`] as float32 [n, D], integers for all but float16."""
        if self.stored == "binary":
            return np.unpackbits(stored, axis=1, count=self.dim).astype(np.float32) * (2 * BIT) - BIT
        return stored.astype(np.float32) * np.float32(FLOAT16 if self.stored == "float16" else 1)


@dataclass(frozen=True)
class LocalFeatures:
    """The local features of one image, strongest first."""

    points: NDArray[np.float32]  # [n, 2], x and y in pixels of the original image, whose pixel centres are integers
    scales: NDArray[np.float32]  # [n], diameters of the described areas in pixels of that image
    scores: NDArray[np.float32]  # [n], the detector's confidence, descending; its range is the extractor's own
    descriptors: NDArray[Any]  # [n, W], as `kind` stores them
    size: tuple[int, int]  # height and width of the original image in pixels; 0 if it could not be read
    kind: FeatureKind

    def __len__(self) -> int:
        return len(self.points)

    @staticmethod
    def none(kind: FeatureKind, size: tuple[int, int] = (0, 0)) -> "LocalFeatures":
        """Return empty features, for an image without any, or with size 0 x 0 for one that could not be read."""
        none = np.empty(0, np.float32)
        return LocalFeatures(none.reshape(0, 2), none, none, np.empty((0, kind.width), kind.dtype), size, kind)


class LocalExtractor(Protocol):
    """Extractor of local features; picklable, so that processes can share the work."""

    kind: FeatureKind
    """What its descriptors are."""

    @property
    def on_gpu(self) -> bool:
        """Whether it computes on a GPU, and then in one process only."""
        ...

    def __call__(self, image: NDArray[np.uint8]) -> LocalFeatures:
        """Return the features of one image, uint8 [H, W, 3] RGB; empty if it shows nothing distinctive."""
        ...

    def signature(self) -> dict[str, Any]:
        """Return the JSON values that the features depend on, with the version of the library; part of cache keys."""
        ...


def original_points(
    points: NDArray[np.float32], shrunk: tuple[int, int], original: tuple[int, int]
) -> NDArray[np.float32]:
    """Map points [n, 2] of a resized image to the original one; sizes are (height, width).

    In both images, pixel centres have integer coordinates.
    """
    ratio = np.array([original[1] / shrunk[1], original[0] / shrunk[0]], np.float32)
    return (points + np.float32(0.5)) * ratio - np.float32(0.5)


def shrunk_size(size: tuple[int, int], long_side: int) -> tuple[int, int]:
    """Return (height, width) scaled so that the longer side has at most `long_side` pixels; small images stay."""
    shrink = min(long_side / max(size), 1.0)
    return max(round(size[0] * shrink), 1), max(round(size[1] * shrink), 1)
