import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.retrieval import (
    blocks,
    check_matrix,
    check_rows,
    gather,
    prepared_blocks,
    row_norms,
    row_products,
    rows_in_budget,
)


def test_blocks_cover_every_row_once_and_have_length_one():
    matrix = np.random.default_rng(0).standard_normal((23, 5)).astype(np.float16)
    starts, parts = zip(*((start, block.copy()) for start, block in prepared_blocks(matrix, 7, "x")), strict=True)
    assert starts == (0, 7, 14, 21)
    whole = np.concatenate(parts)
    assert whole.dtype == np.float32
    expected = matrix / np.linalg.norm(matrix.astype(np.float64), axis=1, keepdims=True)
    np.testing.assert_allclose(whole, expected, atol=1e-6)
    # A gathered row is the very same row.
    np.testing.assert_array_equal(gather(matrix, np.array([[3, 22], [0, 3]])), whole[[[3, 22], [0, 3]]])


def test_without_normalising_values_stay():
    matrix = np.random.default_rng(0).standard_normal((9, 3)).astype(np.float32)
    before = matrix.copy()
    (_, block), *_ = prepared_blocks(matrix, 9, "x", normalize=False)
    np.testing.assert_array_equal(block, before)
    gather(matrix, np.arange(9))
    np.testing.assert_array_equal(matrix, before)


@pytest.mark.parametrize(("value", "words"), [(np.nan, "NaN or infinity"), (np.inf, "NaN or infinity"), (0, "zeros")])
def test_bad_rows_are_counted_over_the_whole_matrix(value, words):
    matrix = np.ones((50, 4), np.float32)
    matrix[[13, 49]] = value
    with pytest.raises(LandmarksError, match=rf"my set: 2 of 50 rows hold .*{words}, the first is row 13"):
        list(prepared_blocks(matrix, 8, "my set"))


def test_zeros_are_fine_as_inner_products():
    check_rows(np.zeros((3, 2), np.float32), "x", normalize=False)
    assert len(list(prepared_blocks(np.zeros((3, 2), np.float32), 2, "x", normalize=False))) == 2


@pytest.mark.parametrize(
    ("shape", "dtype", "axes"),
    [
        ((4,), np.float32, "[N, D]"),
        ((2, 0), np.float32, "[N, D]"),
        ((2, 2), np.float64, "[N, D]"),
        ((2, 3), np.float32, "[N, R, D]"),
        ((2, 0, 3), np.float32, "[N, R, D]"),
        ((2, 3, 4), np.float64, "[N, R, D]"),
    ],
)
def test_other_shapes_and_types_are_refused(shape, dtype, axes):
    with pytest.raises(LandmarksError, match="my set: expected"):
        check_matrix(np.ones(shape, dtype), "my set", axes)


def test_rows_in_budget_is_never_zero():
    assert rows_in_budget(4, 12) == 3
    assert rows_in_budget(100, 12) == 1


def test_unit_rows_are_not_copied_and_others_never_written_to():
    unit = np.eye(6, dtype=np.float32)
    assert all(np.shares_memory(block, unit) for _, block in prepared_blocks(unit, 4, "index descriptors"))
    for rows in (2 * unit, unit.astype(np.float16), np.asfortranarray(unit)):
        before = rows.copy()
        found = [(start, block.copy()) for start, block in prepared_blocks(rows, 4, "index descriptors")]
        np.testing.assert_array_equal(np.concatenate([block for _, block in found]), unit)
        np.testing.assert_array_equal(rows, before)


@given(seed=st.integers(0, 999), dtype=st.sampled_from([np.float32, np.float16]), normalize=st.booleans())
def test_equals_numpy_in_float64(seed, dtype, normalize):
    rng = np.random.default_rng(seed)
    database = (rng.standard_normal((50, 9)) * rng.uniform(0.1, 9, (50, 1))).astype(dtype)
    database[::2] = gather(database[::2], np.arange(25))
    rows = rng.integers(-1, 50, (rng.integers(0, 7), rng.integers(1, 20)))
    queries = gather(database, rng.integers(0, 50, len(rows)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "ROWS", int(rng.integers(1, 40)))
        lengths = row_norms(database)
        products = row_products(queries, database, rows, normalize)
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
