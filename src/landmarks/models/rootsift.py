"""RootSIFT: SIFT descriptors compared with the Hellinger kernel, local features that need no training.

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

DIM = 128  # length of a SIFT descriptor
# Descriptors have length one and elements that rarely exceed 0.4, so that 255 / 512 clips hardly any; rounding moves a
# descriptor by about 0.006, while the nearest ones in other images are 0.3 and more away.
QUANTUM = 512.0
# Smaller images have no octave in the pyramid in which a point could be found.
MIN_SHORT_SIDE = 16


@dataclass(frozen=True)
class LocalFeatures:
    """The local features of one image, strongest first.

    Attributes:
        points: float32 [n, 2], x and y in pixels of the input image, before any shrinking.
        scales: float32 [n], diameters of the described areas in pixels of that image.
        descriptors: uint8 [n, D], the float values times the extractor's `quantum`.
        size: Height and width of that image in pixels.
    """

    points: NDArray[np.float32]
    scales: NDArray[np.float32]
    descriptors: NDArray[np.uint8]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.points)

    @staticmethod
    def none(dim: int, size: tuple[int, int] = (0, 0)) -> "LocalFeatures":
        """Return empty features, for an image without any, or with size 0 x 0 for one that could not be read."""
        return LocalFeatures(np.empty((0, 2), np.float32), np.empty(0, np.float32), np.empty((0, dim), np.uint8), size)


class LocalExtractor(Protocol):
    """Extractor of local features; picklable, so that processes can share the work.

    Attributes:
        dim: D, the length of a descriptor.
        quantum: Factor from float descriptors to uint8.
    """

    dim: int
    quantum: float

    def __call__(self, image: NDArray[np.uint8]) -> LocalFeatures:
        """Return the features of one image, uint8 [H, W, 3] RGB; empty if it shows nothing distinctive."""
        ...

    def signature(self) -> dict[str, Any]:
        """Return the JSON values that the features depend on, with the version of the library; part of cache keys."""
        ...


class RootSift:
    """Extractor of SIFT points with RootSIFT descriptors.

    Points are in pixels of the input image, even if it was shrunk for the extraction.

    Args:
        max_features: Largest number of features of an image; the strongest by contrast are kept.
        long_side: Images whose longer side has more pixels are shrunk to this before points are detected; smaller ones
            are not enlarged.
        contrast_threshold: Threshold of OpenCV's SIFT; higher values find fewer points in flat areas.
        edge_threshold: Threshold of OpenCV's SIFT; higher values find more points on edges.

    Raises:
        LandmarksError: An argument is out of range.
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
        """Return the values that the features depend on."""
        return {"extractor": "rootsift", "version": 1, "opencv": cv2.__version__, **vars(self)}

    def __call__(self, image: NDArray[np.uint8]) -> LocalFeatures:
        """Return the strongest features of an image, uint8 [H, W, 3] RGB; empty if it is blank or tiny."""
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
        # OpenCV returns more than `nfeatures` if strengths are equal, and guarantees no order.
        x, y, diameter, response, angle = values.T
        order = np.lexsort((angle, diameter, x, y, -response))[: self.max_features]
        # In both images, pixel centres have integer coordinates.
        ratio = np.array([width / grey.shape[1], height / grey.shape[0]], np.float32)
        points = (values[order, :2] + np.float32(0.5)) * ratio - np.float32(0.5)
        scales = diameter[order] * np.float32(1 / shrink)
        return LocalFeatures(points, scales, _root(described[order]), (height, width))


def _root(descriptors: NDArray[np.integer | np.floating]) -> NDArray[np.uint8]:
    """Turn SIFT histograms [n, 128] into quantised RootSIFT descriptors."""
    total = np.maximum(descriptors.sum(axis=1, keepdims=True), np.float32(1e-12))
    return np.minimum(np.rint(np.sqrt(descriptors / total) * np.float32(QUANTUM)), 255).astype(np.uint8)
