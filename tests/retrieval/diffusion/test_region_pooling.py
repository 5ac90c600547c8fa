import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval.diffusion import RegionPooling


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def test_generalised_max_pooling_solves_the_ridge_system_of_each_image():
    rng = np.random.default_rng(0)
    regions, scores = unit(rng.standard_normal((7, 5, 16))), rng.random((3, 7, 5)).astype(np.float32)
    pooling = RegionPooling("gmp", 0.3)
    pooled = pooling.pool(scores, pooling.weights(regions))
    assert pooled.shape == (3, 7) and pooled.dtype == np.float32
    for image, own in enumerate(regions.astype(np.float64)):
        # The primal form: a vector whose product with every region is near 1 is the weighted sum of the regions.
        target = np.linalg.solve(own.T @ own + 0.3 * np.eye(16), own.T @ np.ones(5))
        weights = pooling.weights(regions[image : image + 1])[0]
        np.testing.assert_allclose(own.T @ weights, 1.3 * target, atol=1e-6)
        np.testing.assert_allclose(pooled[:, image], scores[:, image] @ weights, rtol=1e-5)


def test_regions_that_resemble_each_other_share_a_weight():
    first, second = np.eye(8, dtype=np.float32)[:2]
    weights = RegionPooling("gmp", 1e-6).weights(np.stack([first, first, first, second])[None])[0]
    np.testing.assert_allclose(weights, [1 / 3, 1 / 3, 1 / 3, 1], atol=1e-4)
    np.testing.assert_allclose(RegionPooling("gmp", 1e9).weights(np.stack([first, first, second])[None]), 1, atol=1e-6)
    np.testing.assert_allclose(RegionPooling("gmp", 0.7).weights(first[None, None]), 1, atol=1e-6)


def test_sum_and_largest():
    scores = np.array([[[1, 2, 3], [4, 0, 5]]], np.float32)
    regions = np.ones((2, 3, 1), np.float32)
    for kind, expected in (("sum", [[6, 9]]), ("max", [[3, 5]])):
        pooling = RegionPooling(kind)
        assert pooling.pool(scores, pooling.weights(regions)).tolist() == expected


def test_parameters_out_of_range():
    with pytest.raises(LandmarksError, match=r"'mean'.*gmp, sum or max"):
        RegionPooling("mean")
    with pytest.raises(LandmarksError, match="regulariser is 0"):
        RegionPooling("gmp", 0)
