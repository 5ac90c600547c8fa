import importlib.util
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval import Cache
from landmarks.retrieval.local import InvertedFile, LocalFeatureTable, inverted, open_index
from local_tables import features_of, table_of
from resources import make_resources

COMPRESSED = InvertedFile(cells=16, code_bytes=4, probes=16, exact_up_to=0)


def features(counts: list[int], seed: int = 0, limit: int = 10**6) -> LocalFeatureTable:
    """Descriptors of 16 elements in 40 heaps, as many an image as said."""
    rng = np.random.default_rng(seed)
    heaps = rng.integers(0, 200, (40, 16))
    made = [features_of(heaps[rng.integers(0, 40, count)] + rng.integers(0, 55, (count, 16))) for count in counts]
    return table_of(made).strongest(limit)


@pytest.fixture(scope="module")
def many() -> LocalFeatureTable:
    return features([1500, 0, 3500], limit=3000)


def nearest(queries: NDArray[np.uint8], index: NDArray[np.uint8]) -> NDArray[np.float64]:
    """All distances, sorted."""
    return np.sort(np.linalg.norm(queries[:, None].astype(float) - index[None].astype(float), axis=2), axis=1)


def test_small_sets_are_exact(many):
    few = features([30, 50])
    index = open_index(few, InvertedFile(exact_up_to=0), make_resources(workers=1))
    queries = many.descriptors[0:20]
    distances, rows = index.search(queries, 7)
    np.testing.assert_allclose(distances, nearest(queries, few.descriptors[0:80])[:, :7], rtol=1e-6)
    shown = few.descriptors[rows.reshape(-1)].reshape(20, 7, 16).astype(float)
    np.testing.assert_allclose(np.linalg.norm(shown - queries[:, None], axis=2), distances, rtol=1e-6)


def test_more_neighbours_than_features_leaves_places_empty():
    index = open_index(features([3]), InvertedFile(), make_resources(workers=1))
    distances, rows = index.search(features([2], seed=1).descriptors[0:2], 5)
    assert (rows[:, 3:] == -1).all() and np.isinf(distances[:, 3:]).all()
    assert (rows[:, :3] >= 0).all() and np.isfinite(distances[:, :3]).all()


def test_codes_find_what_is_near(many):
    index = open_index(many, COMPRESSED, make_resources(workers=1))
    queries = many.descriptors[0:300]
    _, rows = index.search(queries, 10)
    assert (rows == np.arange(300)[:, None]).any(axis=1).mean() > 0.9  # itself
    exact = nearest(queries, many.descriptors[:])[:, 9]
    shown = many.descriptors[rows.reshape(-1)].reshape(300, 10, 16).astype(float)
    found = np.linalg.norm(shown - queries[:, None], axis=2).max(axis=1)
    assert np.median(found / exact) < 1.3


def test_the_same_whatever_is_searched_and_encoded_together_and_by_how_many(many, monkeypatch):
    cache = Cache(keep=False)
    queries = features([200], seed=3).descriptors[0:200]
    expected = open_index(many, COMPRESSED, make_resources(cache=cache, workers=1)).search(queries, 5)
    monkeypatch.setattr(inverted, "BLOCK", 999)
    index = open_index(many, COMPRESSED, make_resources(workers=2))  # trained and encoded anew
    parts = [index.search(queries[start : start + 7], 5) for start in range(0, 200, 7)]
    for place in (0, 1):
        assert np.array_equal(np.concatenate([part[place] for part in parts]), expected[place])


def test_training_and_codes_are_made_once(many, tmp_path, monkeypatch):
    queries = many.descriptors[0:20]
    expected = open_index(many, COMPRESSED, make_resources(cache=Cache(tmp_path), workers=1)).search(queries, 5)
    with monkeypatch.context() as patch:
        patch.setattr(inverted, "_train", _forbidden)
        again = open_index(many, COMPRESSED, make_resources(cache=Cache(tmp_path), workers=1))
        assert np.array_equal(again.search(queries, 5)[1], expected[1])
        with pytest.raises(AssertionError):  # other images are other features
            open_index(features([5000], seed=5), COMPRESSED, make_resources(cache=Cache(tmp_path), workers=1))
        with pytest.raises(AssertionError):  # so are fewer of each
            open_index(many.strongest(2900), COMPRESSED, make_resources(cache=Cache(tmp_path), workers=1))


def test_identical_descriptors(many):
    table = table_of([features_of(np.full((5000, 16), 7))])
    distances, rows = open_index(table, COMPRESSED, make_resources(workers=1)).search(np.full((3, 16), 7, np.uint8), 4)
    assert (rows >= 0).all() and np.allclose(distances, 0, atol=1e-3)


def test_cells_grow_with_the_features():
    sizes = [InvertedFile().cells_for(count) for count in (70_000, 10**6, 10**7, 380_000_000)]
    assert sizes == [1024, 4096, 8192, 8192]
    assert InvertedFile(cells=10**9).cells_for(5000) == 5000


@pytest.mark.parametrize("wrong", [{"cells": 0}, {"code_bytes": 0}, {"probes": 0}, {"exact_up_to": -1}])
def test_parameters_out_of_range(wrong):
    with pytest.raises(LandmarksError, match=next(iter(wrong))):
        InvertedFile(**wrong)


def test_codes_that_do_not_fit_the_descriptors(many):
    with pytest.raises(LandmarksError, match="code_bytes is 3: it must divide the 16"):
        open_index(many, InvertedFile(code_bytes=3, exact_up_to=0), make_resources(workers=1))


def test_without_faiss_it_says_what_to_install(monkeypatch):
    find: Callable[..., object] = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "faiss" else find(name, *rest))
    with pytest.raises(LandmarksError, match="install faiss-cpu or faiss-gpu"):
        InvertedFile().signature()


def _forbidden(*_: object) -> dict[str, NDArray[np.float32]]:
    raise AssertionError("made again")
