"""Which of the pairs of two images one motion explains: the inliers, the evidence that both show the same thing.

The model is estimated by OpenCV's USAC with the MAGSAC++ score: Barath et al., "MAGSAC++, a fast, reliable and
accurate robust estimator", CVPR 2020. Its random numbers come from a seed of ours, so counts repeat. Whether a pair is
an inlier is then decided here, by the final model and one stated residual, the same for all models.

Coordinates are first scaled as if the longer side of each image had `REFERENCE` pixels, so that a threshold means
the same for a thumbnail and for a large photograph.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError

Model = Literal["affine", "homography", "fundamental"]

REFERENCE = 1024.0
# Pairs that determine a model, and the fewest inliers that say anything: three more.
MINIMAL: dict[Model, int] = {"affine": 3, "homography": 4, "fundamental": 7}
MORE_THAN_MINIMAL = 3
# What a motion between two photographs of one thing may do to a small patch. Ours: features are found again over
# about three octaves of scale, and a wall seen so far from the side that it is this much narrower has none in common.
MAX_SCALE = 8.0
MAX_STRETCH = 5.0
FAR = 1e6


@dataclass(frozen=True)
class Verdict:
    """What geometry says of the pairs of two images."""

    inliers: NDArray[np.bool_]  # [m], pairs that the model explains; all False where nothing convinces
    # [2, 3] (affine) or [3, 3] (homography or fundamental matrix), from the first image to the second, in coordinates
    # of the reference size; None where nothing convinces
    model: NDArray[np.float64] | None

    @property
    def count(self) -> int:
        """How many inliers."""
        return int(self.inliers.sum())


@dataclass(frozen=True)
class Geometry:
    """Estimates a motion and counts its inliers.

    A result is refused, and the count is 0, where

    - fewer than `MINIMAL` + 3 pairs are there or agree; pairs that share a point with an earlier one do not count, for
      SIFT describes one point several times;
    - the inliers lie on a line in either image: their spread across it is below half the threshold;
    - an affine motion or a homography mirrors the image, or turns it over, at any inlier;
    - it scales by more than 8, or stretches one direction 5 times more than the other, at the centre of the inliers.

    Args:
        model: ``affine``: a distant or flat scene, few parameters and so few wrong findings; ``homography``: one plane
            or a turned camera; ``fundamental``: any rigid scene, but a point may lie anywhere on a line, so that wrong
            pairs agree by chance more often. Of 400 random pairs at most 7 agree on an affine motion within 16 pixels,
            9 on a homography, and 32 on a fundamental matrix within 4.
        threshold: the most that an inlier may be off in either image, in pixels of an image whose longer side has
            1024: the larger of the two transfer errors, or for `fundamental` the Sampson distance.
        max_iterations: the most models that are tried.
        confidence: the search ends when it is this sure to have found the best.
    """

    model: Model = "affine"
    threshold: float = 16.0
    max_iterations: int = 2000
    confidence: float = 0.999

    def __post_init__(self) -> None:
        if self.model not in MINIMAL:
            raise LandmarksError(f"geometry: model is {self.model!r}: it must be one of {', '.join(MINIMAL)}")
        if not 0 < self.threshold < np.inf or self.max_iterations < 1 or not 0 < self.confidence < 1:
            raise LandmarksError(
                "geometry: threshold must be above 0, max_iterations 1 or more and confidence between 0 and 1, got "
                f"{self.threshold}, {self.max_iterations} and {self.confidence}"
            )

    def signature(self) -> dict[str, Any]:
        """What a count depends on besides pairs and seed."""
        return {**asdict(self), "opencv": cv2.__version__}

    def __call__(
        self,
        first: NDArray[np.float32],
        second: NDArray[np.float32],
        sizes: tuple[tuple[int, int], tuple[int, int]],
        seed: int = 0,
    ) -> Verdict:
        """Look for one motion in pairs of points [m, 2], in pixels of two images of these `sizes` (height, width)."""
        source, target = _scaled(first, sizes[0]), _scaled(second, sizes[1])
        distinct = np.flatnonzero(_first_of_each(source) & _first_of_each(target))
        inliers = np.zeros(len(first), np.bool_)
        fewest = MINIMAL[self.model] + MORE_THAN_MINIMAL
        if len(distinct) < fewest:
            return Verdict(inliers, None)
        source, target = source[distinct], target[distinct]
        model = self._estimate(source, target, seed)
        if model is None:
            return Verdict(inliers, None)
        near = _residuals(self.model, model, source, target) <= self.threshold
        if near.sum() < fewest or not self._is_plausible(model, source[near], target[near]):
            return Verdict(inliers, None)
        inliers[distinct[near]] = True
        return Verdict(inliers, model)

    def _estimate(
        self, source: NDArray[np.float64], target: NDArray[np.float64], seed: int
    ) -> NDArray[np.float64] | None:
        settings = cv2.UsacParams()
        settings.sampler = cv2.SAMPLING_UNIFORM
        settings.score = cv2.SCORE_METHOD_MAGSAC
        settings.loMethod = cv2.LOCAL_OPTIM_SIGMA
        settings.final_polisher = cv2.MAGSAC
        settings.isParallel = False
        settings.threshold = self.threshold
        settings.maxIterations = self.max_iterations
        settings.confidence = self.confidence
        settings.randomGeneratorState = seed & 0x7FFFFFFF
        model: Any
        if self.model == "affine":
            model, _ = cv2.estimateAffine2D(source, target, settings)
        elif self.model == "homography":
            model, _ = cv2.findHomography(source, target, settings)
        else:
            model, _ = cv2.findFundamentalMat(source, target, settings)
        # The seven-point method may give three matrices on top of each other; the first is the best one.
        return None if model is None or not np.isfinite(model).all() else np.asarray(model, np.float64)[:3]

    def _is_plausible(
        self, model: NDArray[np.float64], source: NDArray[np.float64], target: NDArray[np.float64]
    ) -> bool:
        if min(_spread_across(source), _spread_across(target)) < self.threshold / 2:
            return False
        if self.model == "fundamental":
            return True
        full = _full(model)
        weights = source @ full[2, :2] + full[2, 2]
        # The sign of the determinant of the motion at each inlier, and that no inlier lies behind the camera.
        if np.linalg.det(full) * full[2, 2] <= 0 or (weights * full[2, 2] <= 0).any():
            return False
        patch = np.linalg.svd(_jacobian(full, source.mean(axis=0)), compute_uv=False)
        scale = np.sqrt(patch[0] * patch[1])
        return bool(1 / MAX_SCALE <= scale <= MAX_SCALE and patch[0] <= MAX_STRETCH * patch[1])


def _scaled(points: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float64]:
    return np.asarray(points, np.float64) * (REFERENCE / max(*size, 1))


def _first_of_each(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points lie where none before them lies."""
    first = np.zeros(len(points), np.bool_)
    first[np.unique(points[:, 0] + 1j * points[:, 1], return_index=True)[1]] = True
    return first


def _full(model: NDArray[np.float64]) -> NDArray[np.float64]:
    """An affine motion as a homography."""
    return model if len(model) == 3 else np.vstack([model, [0.0, 0.0, 1.0]])


def _moved(full: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    moved = points @ full[:, :2].T + full[:, 2]
    weights = moved[:, 2:]
    return np.where(np.abs(weights) > 1e-12, moved[:, :2] / np.where(weights == 0, 1, weights), FAR)


def _residuals(
    kind: Model, model: NDArray[np.float64], source: NDArray[np.float64], target: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How far each pair is off, [m]."""
    if kind == "fundamental":
        lines = source @ model[:, :2].T + model[:, 2]
        back = target @ model[:2] + model[2]
        error = (target * lines[:, :2]).sum(axis=1) + lines[:, 2]
        slope = (lines[:, :2] ** 2).sum(axis=1) + (back[:, :2] ** 2).sum(axis=1)
        return np.abs(error) / np.sqrt(np.maximum(slope, 1e-24))
    full = _full(model)
    if abs(np.linalg.det(full)) < 1e-12:
        return np.full(len(source), np.inf)
    forward = np.linalg.norm(_moved(full, source) - target, axis=1)
    backward = np.linalg.norm(_moved(np.asarray(np.linalg.inv(full), np.float64), target) - source, axis=1)
    return np.maximum(forward, backward)


def _spread_across(points: NDArray[np.float64]) -> float:
    """Standard deviation of points across the line that fits them best, pixels."""
    return float(np.sqrt(max(np.linalg.eigvalsh(np.cov(points.T, bias=True))[0], 0.0)))


def _jacobian(full: NDArray[np.float64], point: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a homography does to a small patch around a point, [2, 2]."""
    x, y, weight = full @ np.array([*point, 1.0])
    return (full[:2, :2] - np.outer([x / weight, y / weight], full[2, :2])) / weight
