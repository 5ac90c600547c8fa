import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval import check_matrix, check_rows, gather, prepared_blocks, rows_in_budget


def test_blocks_cover_every_row_once_and_have_length_one():
    matrix = np.random.default_rng(0).standard_normal((23, 5)).astype(np.float16)
    starts, blocks = zip(*((start, block.copy()) for start, block in prepared_blocks(matrix, 7, "x")), strict=True)
    assert starts == (0, 7, 14, 21)
    whole = np.concatenate(blocks)
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


@pytest.mark.parametrize("matrix", [np.ones(4, np.float32), np.ones((2, 0), np.float32), np.ones((2, 2))])
def test_other_shapes_and_types_are_refused(matrix):
    with pytest.raises(LandmarksError, match="my set: expected"):
        check_matrix(matrix, "my set")


def test_rows_in_budget_is_never_zero():
    assert rows_in_budget(4, 12) == 3
    assert rows_in_budget(100, 12) == 1


def test_unit_rows_are_not_copied_and_others_never_written_to():
    unit = np.eye(6, dtype=np.float32)
    assert all(np.shares_memory(block, unit) for _, block in prepared_blocks(unit, 4, "index descriptors"))
    for rows in (2 * unit, unit.astype(np.float16), np.asfortranarray(unit)):
        before = rows.copy()
        blocks = [(start, block.copy()) for start, block in prepared_blocks(rows, 4, "index descriptors")]
        np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), unit)
        np.testing.assert_array_equal(rows, before)
