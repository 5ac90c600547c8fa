"""Copies hold the same values, lie in the cache, and are made only where they are needed."""

import numpy as np
import pytest

from landmarks.evaluation.precomputed import copies, in_search_order, joined_copy, map_numpy
from landmarks.retrieval import Cache
from landmarks.retrieval.descriptors import join_rows

RNG = np.random.default_rng(0)


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture(autouse=True)
def several_chunks(monkeypatch):
    monkeypatch.setattr(copies, "CHUNK_BYTES", 2_000)


@pytest.mark.parametrize(
    ("dtype", "order", "becomes"),
    [
        ("<f2", "C", None),
        ("<f4", "C", None),
        ("<f8", "C", np.float32),
        (">f4", "C", np.float32),
        (">f2", "C", np.float16),
        ("<f4", "F", np.float32),
        ("<f2", "F", np.float16),
    ],
)
@pytest.mark.parametrize("shape", [(70, 8), (70, 2, 4)])
def test_what_a_search_cannot_read_is_copied_once(tmp_path, cache, dtype, order, becomes, shape):
    np.save(tmp_path / "a.npy", np.asarray(RNG.standard_normal(shape).astype(dtype), order=order))
    array = map_numpy(tmp_path / "a.npy")
    found = in_search_order(array, "a.npy", cache)
    if becomes is None:
        assert found is array
        return
    assert found.dtype == becomes and found.flags.c_contiguous and isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, array.astype(becomes))
    in_search_order(array, "a.npy", cache)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_models_are_joined_picture_by_picture(tmp_path, cache):
    parts = [RNG.standard_normal((60, dim)).astype(np.float32) for dim in (4, 6)]
    order = RNG.permutation(60)[:50]
    plain = joined_copy(parts, [None, None], [1.0, 2.0], cache)
    np.testing.assert_array_equal(plain, join_rows(parts, [1.0, 2.0]))
    moved = joined_copy(parts, [np.arange(50), order], [1.0, 2.0], cache)
    np.testing.assert_array_equal(moved, join_rows([parts[0][:50], parts[1][order]], [1.0, 2.0]))
    swapped = joined_copy(parts, [order, np.arange(50)], [1.0, 2.0], cache)
    np.testing.assert_array_equal(swapped, join_rows([parts[0][order], parts[1][:50]], [1.0, 2.0]))
