import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landmarks.retrieval import gather, row_norms, row_products


@given(seed=st.integers(0, 999), dtype=st.sampled_from([np.float32, np.float16]), normalize=st.booleans())
def test_equals_numpy_in_float64(seed, dtype, normalize):
    rng = np.random.default_rng(seed)
    database = (rng.standard_normal((50, 9)) * rng.uniform(0.1, 9, (50, 1))).astype(dtype)
    database[::2] = gather(database[::2], np.arange(25))
    rows = rng.integers(-1, 50, (rng.integers(0, 7), rng.integers(1, 20)))
    queries = gather(database, rng.integers(0, 50, len(rows)))
    at_once = int(rng.integers(1, 40))
    lengths = row_norms(database, at_once)
    products = row_products(queries, database, rows, normalize, at_once)
    np.testing.assert_allclose(lengths, np.linalg.norm(database.astype(np.float64), axis=1), rtol=1e-7)
    picked = gather(database, np.maximum(rows, 0), normalize).astype(np.float64)
    expected = np.where(rows < 0, -np.inf, np.einsum("qd,qkd->qk", queries.astype(np.float64), picked))
    np.testing.assert_allclose(products, expected, rtol=1e-6, atol=1e-6)


def test_other_layouts_and_bad_rows():
    matrix = np.random.default_rng(0).standard_normal((6, 20)).astype(np.float32)
    expected = row_products(matrix, matrix, np.arange(6)[:, None], True)
    np.testing.assert_array_equal(
        row_products(matrix, np.asfortranarray(matrix), np.arange(6)[:, None], True), expected
    )
    np.testing.assert_array_equal(row_norms(np.asfortranarray(matrix)), row_norms(matrix))
    matrix[1], matrix[2], matrix[3] = np.nan, np.inf, 0
    lengths = row_norms(matrix)
    assert np.isnan(lengths[1]) and lengths[2] == np.inf and lengths[3] == 0
    assert row_norms(matrix[:0]).shape == (0,)
