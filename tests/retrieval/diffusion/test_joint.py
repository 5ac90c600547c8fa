import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval.diffusion import DiffusedRows, concatenated, joint, largest_cosines
from landmarks.retrieval.search import ExactIndex
from resources import make_resources


def test_queries_stand_before_index_images():
    rng = np.random.default_rng(0)
    queries, index = rng.standard_normal((6, 3)).astype(np.float16), rng.standard_normal((9, 3)).astype(np.float32)
    both = concatenated(queries, index, make_resources(), chunk=4)
    assert isinstance(both, np.memmap)
    np.testing.assert_array_equal(both, np.concatenate([queries, index]))
    with pytest.raises(LandmarksError, match="3 dimensions and the index 2"):
        concatenated(queries, index[:, :2], make_resources())


@pytest.mark.parametrize("budget", [1, 1024])
def test_largest_cosines(monkeypatch, budget):
    monkeypatch.setattr(joint, "MIB", 2000)  # so that 1 is a few rows
    rng = np.random.default_rng(0)
    columns = np.argsort(rng.random((30, 30)), axis=1)[:, :7].astype(np.int32)
    values = rng.standard_normal((30, 7)).astype(np.float32)
    row_of = rng.permutation(30)
    dense = np.zeros((30, 30))
    for image, row in enumerate(row_of):
        dense[image, columns[row]] = values[row]
    dense /= np.linalg.norm(dense, axis=1, keepdims=True)
    expected = dense[:10] @ dense[10:].T
    resources = make_resources(ExactIndex(memory_budget_mb=budget))
    found = largest_cosines(DiffusedRows(row_of, columns, values), 10, 5, resources)
    above = np.where(expected > 0, expected, 0)
    np.testing.assert_allclose(np.where(found.filled, found.scores, 0), -np.sort(-above, axis=1)[:, :5], atol=1e-6)
    picked = np.take_along_axis(expected, np.maximum(found.indices, 0), axis=1)
    np.testing.assert_allclose(found.scores[found.filled], picked[found.filled], atol=1e-6)
