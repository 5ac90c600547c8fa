from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelled import labelled
from landmarks.cleaning import LandmarkImages, match, neighbours, other_class_bars, same_class_neighbours
from landmarks.errors import LandmarksError
from landmarks.retrieval import Cache
from landmarks.retrieval.search import HnswIndex
from resources import make_resources


def plain_lists(images: LandmarkImages, k: int) -> tuple[np.ndarray, np.ndarray]:
    """All products of everything, sorted."""
    matrix = images.read(slice(0, len(images))).astype(np.float64)
    scores = matrix @ matrix.T
    scores[images.landmarks[:, None] != images.landmarks] = -np.inf
    np.fill_diagonal(scores, -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    scores = np.take_along_axis(scores, order, axis=1)
    return np.where(np.isinf(scores), -1, order), scores


@settings(max_examples=8)
@given(sizes=st.lists(st.integers(0, 40), min_size=2, max_size=8), k=st.integers(1, 6), seed=st.integers(0, 99))
def test_lists_are_those_of_all_products(sizes: list[int], k: int, seed: int) -> None:
    sizes[0] += 1
    images = match(*labelled(sizes, noise=1.0, seed=seed)[:2])
    with pytest.MonkeyPatch.context() as patch:  # chunks that end within landmarks, windows and pieces of all kinds
        for name, value in {"CHUNK": 11, "WINDOWS": (2, 8, 16), "WINDOW_BYTES": 2000, "PIECE": 7}.items():
            patch.setattr(neighbours, name, value)
        found = same_class_neighbours(images, k, make_resources())
    indices, scores = plain_lists(images, k)
    width = indices.shape[1]
    assert (found.indices[:, :width] == indices).all() and (found.indices[:, width:] == -1).all()
    filled = indices >= 0
    assert np.allclose(found.scores[:, :width][filled], scores[filled], atol=1e-6)


def test_an_interrupted_search_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = match(*labelled([20, 10, 5])[:2])
    whole = same_class_neighbours(images, 3, make_resources())
    calls = []
    read = LandmarkImages.read

    def stopping(self: LandmarkImages, rows: slice | np.ndarray) -> np.ndarray:
        calls.append(rows)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return read(self, rows)

    monkeypatch.setattr(neighbours, "CHUNK", 8)
    monkeypatch.setattr(LandmarkImages, "read", stopping)
    with pytest.raises(KeyboardInterrupt):
        same_class_neighbours(images, 3, make_resources(cache=Cache(tmp_path)))
    found = same_class_neighbours(images, 3, make_resources(cache=Cache(tmp_path)))
    assert len(calls) == 3 + 3  # two of five chunks were there
    assert (found.indices == whole.indices).all() and (found.scores == whole.scores).all()


def plain_bars(images: LandmarkImages, rank: int) -> np.ndarray:
    matrix = images.read(slice(0, len(images))).astype(np.float64)
    scores = matrix @ matrix.T
    scores[images.landmarks[:, None] == images.landmarks] = -np.inf
    return np.sort(scores, axis=1)[:, -rank]


@settings(max_examples=15)
@given(rank=st.integers(1, 4), wrong=st.integers(0, 10), seed=st.integers(0, 99))
def test_the_bar_is_the_similarity_of_that_neighbour(rank: int, wrong: int, seed: int) -> None:
    images = match(*labelled([9, 4, 12, 1], wrong, noise=1.0, seed=seed)[:2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "CHUNK", 7)
        found = other_class_bars(images, rank, None, len(images), make_resources())
    assert np.allclose(found.similarities, plain_bars(images, rank), atol=1e-6)
    assert found.numbers.tolist() == (len(images) - images.counts).tolist()


def test_a_threshold_deeper_than_the_search_keeps_enough_of_the_same_class() -> None:
    images = match(*labelled([40, 4], noise=0.1)[:2])
    found = other_class_bars(images, 2, None, 5, make_resources())
    matrix = images.read(slice(0, 40))
    above = (matrix @ matrix.T >= found.similarities[:40, None] - 1e-6).sum(axis=1) - 1
    assert (found.similarities[:40] > plain_bars(images, 2)[:40]).all() and (above >= 5).all()


def test_a_sample_is_part_of_the_set_and_repeats() -> None:
    images = match(*labelled([30, 30, 30], noise=1.0)[:2])
    everything = other_class_bars(images, 2, None, 16, make_resources())
    sample = other_class_bars(images, 2, 40, 16, make_resources())
    again = other_class_bars(images, 2, 40, 16, make_resources())
    assert (sample.similarities == again.similarities).all()
    assert (sample.similarities <= everything.similarities).all()
    assert (sample.similarities < everything.similarities).mean() > 0.5
    assert sample.numbers.sum() == 2 * 40
    larger = other_class_bars(images, 2, 90, 16, make_resources())
    assert (larger.similarities == everything.similarities).all()


def test_an_approximate_search_may_miss_other_classes() -> None:
    images = match(*labelled([400, 400, 400], noise=1.0)[:2])
    exact = other_class_bars(images, 4, None, 16, make_resources())
    near = other_class_bars(images, 4, None, 16, make_resources(HnswIndex()))
    assert (near.similarities <= exact.similarities + 1e-6).mean() > 0.95
    assert np.isclose(near.similarities, exact.similarities).mean() > 0.9


def test_too_few_of_other_classes_are_an_error() -> None:
    images = match(*labelled([30, 3])[:2])
    with pytest.raises(LandmarksError, match="landmark 0 can be compared with only 3 images of other landmarks"):
        other_class_bars(images, 4, None, 16, make_resources())
