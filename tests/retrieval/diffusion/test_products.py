import numpy as np
import pytest
from scipy import sparse

from landmarks.retrieval import best
from landmarks.retrieval.diffusion import LargestEntries, SparseRows
from resources import assert_same_ranking


def as_rows(matrix):
    bounds = matrix.indptr.astype(np.int64)
    return SparseRows(bounds[:-1], bounds[1:], matrix.indices, matrix.data, matrix.shape[1])


@pytest.mark.parametrize("depth", [1, 6, 50])
def test_finds_the_largest_entries_whatever_the_parts(depth):
    rng = np.random.default_rng(0)
    # Small whole numbers: many ties, and sums that are exact in any order.
    left, right = (
        sparse.csr_array(rng.integers(-2, 4, shape) * (rng.random(shape) < 0.3), dtype=np.float32)
        for shape in ((9, 20), (20, 40))
    )
    product = (left @ right).toarray()
    kept = np.where(product > 0, product, -np.inf).astype(np.float32)
    expected = best(np.where(product > 0, np.arange(40), -1), kept, depth)
    whole, parts, dense = (LargestEntries(9, depth, workers) for workers in (1, 4, 2))
    whole.add_product(left, as_rows(right))
    for column in range(0, 40, 15):
        for row in range(0, 9, 4):
            block = right[:, column : column + 15].tocsr()
            parts.add_product(left[row : row + 4], as_rows(block), row, column)
    dense.add_dense(product[:5], 0)
    dense.add_dense(product[5:], 5)
    for largest in (whole, parts, dense):
        found = largest.ranking()
        assert_same_ranking(found, expected)


def test_stored_zeros_may_have_any_column():
    right = SparseRows(
        np.array([0]), np.array([3]), np.array([-1, 1, -1], np.int32), np.array([0, 2, 0], np.float32), 2
    )
    largest = LargestEntries(1, 2, 1)
    largest.add_product(sparse.csr_array(np.ones((1, 1), np.float32)), right)
    assert largest.ranking().indices.tolist() == [[1, -1]]
