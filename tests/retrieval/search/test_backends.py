import importlib.util

import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval.search import choose_backend


@pytest.mark.parametrize("name", ["faiss", "torch"])
def test_finds_the_largest_products(name):
    rng = np.random.default_rng(0)
    queries, block = (rng.standard_normal((n, 7)).astype(np.float32) for n in (1100, 40))
    scores, rows = choose_backend(name, 5).search(queries, block, 5)
    expected = np.sort(queries @ block.T, axis=1)[:, -5:]
    np.testing.assert_allclose(np.sort(scores, axis=1), expected, atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(queries @ block.T, rows, axis=1), scores, atol=1e-5)


def test_without_faiss_torch_searches_and_asking_for_faiss_is_an_error(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert choose_backend("auto", 100).name == "torch"
    with pytest.raises(LandmarksError, match="faiss is not installed"):
        choose_backend("faiss", 100)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["faiss", "torch"])
def test_blocks_of_a_mapped_file_are_searched_where_they_lie(name, tmp_path):
    np.save(tmp_path / "index.npy", np.eye(8, dtype=np.float32))
    block = np.load(tmp_path / "index.npy", mmap_mode="r")
    assert choose_backend(name, 1).search(np.eye(8, dtype=np.float32), np.asarray(block), 1)[1].ravel().tolist() == [
        *range(8)
    ]
