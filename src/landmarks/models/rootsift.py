"""RootSIFT: SIFT descriptors compared by the Hellinger kernel; local features that need no training.

Points and descriptors: Lowe, "Distinctive Image Features from Scale-Invariant Keypoints", IJCV 2004, as OpenCV computes
them. Root: Arandjelović and Zisserman, "Three things everyone should know to improve object retrieval", CVPR 2012,
section 3: each descriptor is divided by its sum, then the square root of each element is taken. The result has length
one, and Euclidean distances between results are Hellinger distances between the histograms.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError

DIM = 128
# Descriptors have length one and elements that rarely pass 0.4, so that 255 / 512 cuts off next to nothing; rounding
# moves a descriptor by about 0.006, where the nearest ones in other images lie 0.3 and more away.
QUANTUM = 512.0
# Below this, the pyramid has no octave in which a point could lie.
MIN_SHORT_SIDE = 16


@dataclass(frozen=True)
class LocalFeatures:
    """The local features of one image, strongest first.

    Attributes:
        points: float32 [n, 2], x and y in pixels of the image as it was given.
        scales: float32 [n], diameter of the described area in pixels of that image.
        descriptors: uint8 [n, D]; float values times the extractor's `quantum`.
        size: height and width of that image in pixels.
    """

    points: NDArray[np.float32]
    scales: NDArray[np.float32]
    descriptors: NDArray[np.uint8]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.points)

    @staticmethod
    def none(dim: int, size: tuple[int, int] = (0, 0)) -> "LocalFeatures":
        """Those of an image without any, or of one that could not be read, whose size is then 0 x 0."""
        return LocalFeatures(np.empty((0, 2), np.float32), np.empty(0, np.float32), np.empty((0, dim), np.uint8), size)


class LocalExtractor(Protocol):
    """Finds and describes local features; picklable, so that processes can share the work.

    Attributes:
        dim: D, length of a descriptor.
        quantum: what the float descriptors were multiplied with to become uint8.
    """

    dim: int
    quantum: float

    def __call__(self, image: NDArray[np.uint8]) -> LocalFeatures:
        """The features of one image, uint8 [H, W, 3] RGB; none where it shows nothing distinct."""
        ...

    def signature(self) -> dict[str, Any]:
        """JSON values on which the features depend, library version included; part of keys."""
        ...


class RootSift:
    """SIFT points with RootSIFT descriptors.

    Points are given in pixels of the image as it was handed over, whatever it was shrunk to.

    Args:
        max_features: the most features an image keeps, the strongest by contrast.
        long_side: images whose longer side has more pixels are shrunk to this before points are looked for; smaller
            ones stay as they are.
        contrast_threshold: of OpenCV's SIFT; higher finds fewer points in flat areas.
        edge_threshold: of OpenCV's SIFT; higher finds more points on edges.
    """

    dim: int = DIM
    quantum: float = QUANTUM

    def __init__(
        self,
        max_features: int = 1000,
        long_side: int = 1024,
        contrast_threshold: float = 0.04,
        edge_threshold: float = 10.0,
    ) -> None:
        if max_features < 1 or long_side < MIN_SHORT_SIDE:
            raise LandmarksError(
                f"RootSIFT: max_features must be 1 or more and long_side {MIN_SHORT_SIDE} or more, got "
                f"{max_features} and {long_side}"
            )
        if not 0 <= contrast_threshold < 1 or not 1 <= edge_threshold < np.inf:
            raise LandmarksError(
                "RootSIFT: contrast_threshold must be in [0, 1) and edge_threshold 1 or more, got "
                f"{contrast_threshold} and {edge_threshold}"
            )
        self.max_features = max_features
        self.long_side = long_side
        self.contrast_threshold = contrast_threshold
        self.edge_threshold = edge_threshold

    def signature(self) -> dict[str, Any]:
        """What the features depend on."""
        return {"extractor": "rootsift", "version": 1, "opencv": cv2.__version__, **vars(self)}

    def __call__(self, image: NDArray[np.uint8]) -> LocalFeatures:
        """Find the strongest features of an image, uint8 [H, W, 3] RGB; none where it is blank or tiny."""
        height, width = image.shape[:2]
        if min(height, width) < MIN_SHORT_SIDE:
            return LocalFeatures.none(DIM, (height, width))
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        shrink = min(self.long_side / max(height, width), 1.0)
        if shrink < 1:
            size = (max(round(width * shrink), 1), max(round(height * shrink), 1))
            grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        sift = cv2.SIFT.create(
            nfeatures=self.max_features,
            contrastThreshold=self.contrast_threshold,
            edgeThreshold=self.edge_threshold,
            enable_precise_upscale=True,
        )
        found, described = sift.detectAndCompute(grey, None)
        if not found or described is None:
            return LocalFeatures.none(DIM, (height, width))
        values = np.array([(*point.pt, point.size, point.response, point.angle) for point in found], np.float32)
        # OpenCV keeps more than it was asked for where strengths are equal, and promises no order.
        x, y, diameter, response, angle = values.T
        order = np.lexsort((angle, diameter, x, y, -response))[: self.max_features]
        # Shrunk or not, pixel centres lie at whole numbers.
        ratio = np.array([width / grey.shape[1], height / grey.shape[0]], np.float32)
        points = (values[order, :2] + np.float32(0.5)) * ratio - np.float32(0.5)
        scales = diameter[order] * np.float32(1 / shrink)
        return LocalFeatures(points, scales, _root(described[order]), (height, width))


def _root(descriptors: NDArray[np.integer | np.floating]) -> NDArray[np.uint8]:
    """SIFT histograms [n, 128] to quantised RootSIFT."""
    total = np.maximum(descriptors.sum(axis=1, keepdims=True), np.float32(1e-12))
    return np.minimum(np.rint(np.sqrt(descriptors / total) * np.float32(QUANTUM)), 255).astype(np.uint8)
