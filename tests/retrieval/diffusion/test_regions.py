import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.retrieval.diffusion import RegionDiffusion, RegionPooling, diffuse_within, nearest
from landmarks.retrieval.diffusion import regions as regions_module


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 30),
    k=st.integers(1, 40),
    others=st.booleans(),
    block=st.integers(1, 40),
)
def test_nearest_equals_a_full_sort_also_among_equals(seed, count, k, others, block):
    # Corners of a cube: many equal similarities, many of 0.
    regions = unit(np.random.default_rng(seed).choice([-1.0, 1.0], (count, 4)))
    queries = regions if others else regions[: max(1, count // 2)]
    similarity = np.maximum((queries @ regions.T).astype(np.float32), 0)
    if others:
        np.fill_diagonal(similarity, -np.inf)
    order = np.lexsort((np.broadcast_to(np.arange(count), similarity.shape), -similarity), axis=1)[:, :k]
    expected = np.take_along_axis(similarity, order, axis=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regions_module, "BLOCK", block)
        found = nearest(queries, regions, k, others)
    np.testing.assert_array_equal(found.scores, expected)
    np.testing.assert_array_equal(found.indices, np.where(np.isneginf(expected), -1, order))


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 25), k=st.integers(2, 12), query_k=st.integers(1, 30))
def test_equals_the_dense_solution(seed, count, k, query_k):
    rng = np.random.default_rng(seed)
    regions, queries = unit(rng.standard_normal((count, 5))), unit(rng.standard_normal((3, 5)))
    similarity = np.maximum(regions @ regions.T, 0)
    np.fill_diagonal(similarity, 0)
    near = np.argsort(np.argsort(-similarity, axis=1), axis=1) < k - 1
    weights = np.where(near & near.T, similarity, 0) ** 3
    degrees = np.maximum(weights.sum(axis=1), 1e-30)
    graph = weights / np.sqrt(degrees[:, None] * degrees)
    start = np.maximum(queries @ regions.T, 0)
    start[np.argsort(np.argsort(-start, axis=1), axis=1) >= query_k] = 0
    expected = np.linalg.solve(np.eye(count) - 0.9 * graph, (start**3).sum(axis=0))
    diffusion = RegionDiffusion(k, query_k, alpha=0.9, iterations=200, tolerance=1e-9)
    found = diffuse_within(queries.astype(np.float32), regions.astype(np.float32), diffusion)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def unit32(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def test_generalised_max_pooling_solves_the_ridge_system_of_each_image():
    rng = np.random.default_rng(0)
    regions, scores = unit32(rng.standard_normal((7, 5, 16))), rng.random((3, 7, 5)).astype(np.float32)
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
