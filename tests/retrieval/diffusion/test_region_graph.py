import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.retrieval.diffusion import RegionDiffusion, diffuse_within, nearest


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 30), k=st.integers(1, 40), others=st.booleans())
def test_nearest_equals_a_full_sort_also_among_equals(seed, count, k, others):
    # Corners of a cube: many equal similarities, many of 0.
    regions = unit(np.random.default_rng(seed).choice([-1.0, 1.0], (count, 4)))
    queries = regions if others else regions[: max(1, count // 2)]
    similarity = np.maximum((queries @ regions.T).astype(np.float32), 0)
    if others:
        np.fill_diagonal(similarity, -np.inf)
    order = np.lexsort((np.broadcast_to(np.arange(count), similarity.shape), -similarity), axis=1)[:, :k]
    expected = np.take_along_axis(similarity, order, axis=1)
    found = nearest(queries, regions, k, others)
    np.testing.assert_array_equal(found.scores, expected)
    np.testing.assert_array_equal(found.indices, np.where(np.isneginf(expected), -1, order))


def test_nearest_does_not_depend_on_blocks():
    regions = unit(np.random.default_rng(1).standard_normal((50, 8)))
    whole = nearest(regions, regions, 7, others=True)
    blocks = nearest(regions, regions, 7, others=True, block=9)
    np.testing.assert_array_equal(whole.indices, blocks.indices)
    np.testing.assert_array_equal(whole.scores, blocks.scores)


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


def test_parameters_out_of_range():
    for wrong in ({"k": 1}, {"query_k": 0}, {"gamma": 0.0}, {"alpha": 1.0}, {"iterations": 0}, {"tolerance": -1.0}):
        with pytest.raises(LandmarksError, match=rf"regional diffusion.*{next(iter(wrong))}"):
            RegionDiffusion(**wrong)
