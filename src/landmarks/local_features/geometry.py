"""Finds the feature pairs of two images that fit one motion, the inliers: evidence that both show the same object.

The model is estimated by OpenCV's USAC with the MAGSAC++ score: Barath et al., "MAGSAC++, a fast, reliable and
accurate robust estimator", CVPR 2020, with a given seed, so that counts are reproducible. Which pairs are inliers is
then decided here, by the residual under the final model, in the same way for all models.

Coordinates are first scaled as if the longer side of each image had `REFERENCE` pixels, so that thresholds do not
depend on the size of the images.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError

Model = Literal["affine", "homography", "fundamental"]

REFERENCE = 1024.0  # longer side of an image, pixels, to which pixel thresholds refer
# Pairs that determine a model; a result needs at least MORE_THAN_MINIMAL more inliers.
MINIMAL: dict[Model, int] = {"affine": 3, "homography": 4, "fundamental": 7}
MORE_THAN_MINIMAL = 3
FAR = 1e6


@dataclass(frozen=True)
class Verdict:
    """The result of geometric verification for the pairs of two images."""

    inliers: NDArray[np.bool_]  # bool [m], pairs that fit the model; all False without an accepted model
    # [2, 3] (affine) or [3, 3] (homography or fundamental matrix), from the first image to the second, in coordinates
    # of the reference size; None without an accepted model
    model: NDArray[np.float64] | None

    @property
    def count(self) -> int:
        """Number of inliers."""
        return int(self.inliers.sum())


@dataclass(frozen=True)
class Geometry:
    """Estimates the motion between two images and its inliers.

    A result is rejected, and the count is 0, if

    - there are fewer than `MINIMAL` + 3 pairs or inliers; pairs that share a point with an earlier one do not count,
      because SIFT may describe a point several times;
    - there are fewer inliers than `min_inliers` and the share `chance` of the pairs;
    - the inliers lie on a line in either image: their standard deviation across it is below half the threshold;
    - an affine motion or a homography mirrors the image, or an inlier lies behind the camera.

    How many inliers speak against chance depends on the features: learned ones respond to the same kinds of places
    everywhere, so that many pairs of unrelated images agree. The values of `conf/local_features` were chosen on 4,800
    pairs of train images of the test copy of GLDv2: 99 of 100 accepted pairs show the same landmark. On them, limits on
    how a motion may scale or stretch the image accepted no better pairs, so there are none.

    Args:
        model: ``affine``: for distant or flat scenes; few parameters, hence few false inliers; ``homography``: for one
            plane or a rotated camera; ``fundamental``: for any rigid scene, but a point may lie anywhere on a line, so
            that wrong pairs agree by chance more often. Of 400 random pairs at most 7 agree on an affine motion within
            16 pixels, 9 on a homography, and 32 on a fundamental matrix within 4.
        threshold: largest error of an inlier in pixels of an image whose longer side has 1024: the larger of the
            transfer errors in both images, or for `fundamental` the Sampson distance.
        min_inliers: inliers beyond chance that a result needs.
        chance: share of the pairs that may agree by chance.
        max_iterations: maximum number of models to try.
        confidence: probability of having found the best model at which the search ends.
    """

    model: Model = "affine"
    threshold: float = 24.0
    min_inliers: int = 3
    chance: float = 0.06
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
        if self.min_inliers < 0 or not 0 <= self.chance < 1:
            raise LandmarksError(
                "geometry: min_inliers must be 0 or more and chance at least 0 and below 1, got "
                f"{self.min_inliers} and {self.chance}"
            )

    def signature(self) -> dict[str, Any]:
        """Return the values on which a count depends besides pairs and seed, for cache keys."""
        return {**asdict(self), "opencv": cv2.__version__}

    def __call__(
        self,
        first: NDArray[np.float32],
        second: NDArray[np.float32],
        sizes: tuple[tuple[int, int], tuple[int, int]],
        seed: int = 0,
    ) -> Verdict:
        """Find the motion that most pairs of points fit.

        Args:
            first: [m, 2], points (x, y) in pixels of the first image.
            second: [m, 2], the corresponding points in the second image.
            sizes: (height, width) of both images.
            seed: seed of the random choice of pairs.

        Returns:
            The inliers and the model.
        """
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
        needed = max(fewest, self.min_inliers + self.chance * len(source))
        if near.sum() < needed or not self._is_plausible(model, source[near], target[near]):
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
        # The seven-point method may return up to three stacked matrices; the first is the best one.
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
        # The motion must not mirror the image, nor put an inlier behind the camera.
        return bool(np.linalg.det(full) * full[2, 2] > 0 and (weights * full[2, 2] > 0).all())


def _scaled(points: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float64]:
    return np.asarray(points, np.float64) * (REFERENCE / max(*size, 1))


def _first_of_each(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark the points that do not coincide with an earlier one."""
    first = np.zeros(len(points), np.bool_)
    first[np.unique(points[:, 0] + 1j * points[:, 1], return_index=True)[1]] = True
    return first


def _full(model: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an affine motion or a homography as a homography."""
    return model if len(model) == 3 else np.vstack([model, [0.0, 0.0, 1.0]])


def _moved(full: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    moved = points @ full[:, :2].T + full[:, 2]
    weights = moved[:, 2:]
    return np.where(np.abs(weights) > 1e-12, moved[:, :2] / np.where(weights == 0, 1, weights), FAR)


def _residuals(
    kind: Model, model: NDArray[np.float64], source: NDArray[np.float64], target: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the error of each pair [m]."""
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
    """Return the standard deviation of points across their best-fitting line, pixels."""
    return float(np.sqrt(max(np.linalg.eigvalsh(np.cov(points.T, bias=True))[0], 0.0)))
