import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval import all_neighbours, neighbours
from resources import make_resources


def test_every_image_gets_its_nearest_others(monkeypatch):
    monkeypatch.setattr(neighbours, "GROUP", 7)
    rows = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    products = unit @ unit.T
    np.fill_diagonal(products, -np.inf)
    found = all_neighbours(rows, 5, make_resources())
    np.testing.assert_array_equal(found.indices, np.argsort(-products, axis=1)[:, :5])
    np.testing.assert_allclose(found.scores, -np.sort(-products, axis=1)[:, :5], atol=1e-6)


def test_copies_and_small_sets():
    rows = np.ones((6, 3), np.float32)
    found = all_neighbours(rows, 3, make_resources())
    assert not (found.indices == np.arange(6)[:, None]).any()
    assert (found.indices >= 0).all()
    assert all_neighbours(rows[:1], 3, make_resources()).indices.tolist() == [[-1, -1, -1]]


def test_an_empty_index_and_no_neighbours_are_errors():
    rows = np.ones((4, 3), np.float32)
    with pytest.raises(LandmarksError, match="the index has 0 images"):
        all_neighbours(rows[:0], 3, make_resources())
    with pytest.raises(LandmarksError, match="k is 0"):
        all_neighbours(rows, 0, make_resources())
    with pytest.raises(LandmarksError, match="index descriptors: 4 of 4 rows hold only zeros"):
        all_neighbours(0 * rows, 3, make_resources())
