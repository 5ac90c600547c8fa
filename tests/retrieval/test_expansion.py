import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.retrieval import expand, expansion


def unit(x):
    return x / np.linalg.norm(x)


def by_the_formula(query, row, database, alpha, weights):
    """One expanded row, in float64 and with loops."""
    total = unit(query.astype(np.float64))
    for rank, index in enumerate(row):
        if index >= 0:
            neighbour = unit(database[index].astype(np.float64))
            weight = max(float(unit(query.astype(np.float64)) @ neighbour), 0.0) ** alpha
            total = total + weight * (1 - rank / len(row) if weights == "rank" else 1) * neighbour
    return unit(total)


@pytest.mark.parametrize("weights", ["similarity", "rank"])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_equals_the_formula_row_by_row(alpha, weights, dtype):
    rng = np.random.default_rng(0)
    queries, database = (rng.standard_normal((n, 6)).astype(dtype) for n in (5, 9))
    indices = np.array([[1, 2, 3], [0, 8, -1], [4, -1, -1], [-1, -1, -1], [5, 6, 7]], np.int32)
    expanded = expand(queries, indices, database, alpha, weights)
    expected = [by_the_formula(q, row, database, alpha, weights) for q, row in zip(queries, indices, strict=True)]
    np.testing.assert_allclose(expanded, expected, atol=1e-6)
    assert expanded.dtype == np.float32


@given(st.integers(1, 40), st.integers(0, 4), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_workers_and_tiles_change_nothing(queries, k, workers, seed):
    rng = np.random.default_rng(seed)
    x, database = (rng.standard_normal((n, 8)).astype(np.float32) for n in (queries, 11))
    neighbours = rng.integers(-1, 11, (queries, k)).astype(np.int32)
    whole = expand(x, neighbours, database, 3.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expansion, "TILE_BYTES", 1)
        np.testing.assert_array_equal(expand(x, neighbours, database, 3.0, workers=workers), whole)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-6)


def test_neighbours_that_cancel_the_descriptor_leave_it_as_it_was():
    queries = np.array([[2, 0]], np.float32)
    np.testing.assert_allclose(expand(queries, np.zeros((1, 1), np.int32), -queries, 0.0), [[1, 0]])


def test_nothing_to_add():
    queries = np.array([[2, 0], [0, 3]], np.float32)
    for neighbours in (np.empty((2, 0), np.int32), np.full((2, 3), -1, np.int32)):
        np.testing.assert_array_equal(expand(queries, neighbours, np.empty((0, 2), np.float32), 3.0), np.eye(2))
    assert expand(queries[:0], np.empty((0, 3), np.int32), queries, 3.0).shape == (0, 2)


@pytest.mark.parametrize("bad", [0, np.nan, np.inf])
@pytest.mark.parametrize("alpha", [0.0, 3.0])
def test_bad_rows_are_named(bad, alpha, monkeypatch):
    monkeypatch.setattr(expansion, "TILE_BYTES", 1)
    good = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    broken = good.copy()
    broken[3] = bad
    neighbours = np.full((5, 2), 3, np.int32)
    what = "zeros" if bad == 0 else "NaN or infinity"
    with pytest.raises(LandmarksError, match=f"descriptors to expand: 1 of 5 rows hold .*{what}.* row 3"):
        expand(broken, neighbours, good, alpha)
    with pytest.raises(LandmarksError, match=f"index descriptors: 1 of 5 rows hold .*{what}.* row 3"):
        expand(good, neighbours, broken, alpha)


def test_shapes_that_do_not_fit_are_refused():
    x, neighbours = np.ones((2, 3), np.float32), np.zeros((2, 1), np.int32)
    with pytest.raises(LandmarksError, match=r"do not fit \[Q, D\]"):
        expand(x, neighbours[:1], x, 1.0)
    with pytest.raises(LandmarksError, match=r"do not fit \[Q, D\]"):
        expand(x, neighbours, x[:, :2], 1.0)
    with pytest.raises(LandmarksError, match="neighbour 2 is outside the index of 2"):
        expand(x, neighbours + 2, x, 1.0)
