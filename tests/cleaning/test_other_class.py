import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelled import labelled
from landmarks.cleaning import LandmarkPictures, match, other_class_bars
from landmarks.errors import LandmarksError
from landmarks.retrieval.search import HnswIndex
from resources import make_resources


def plain(pictures: LandmarkPictures, rank: int) -> np.ndarray:
    matrix = pictures.read(slice(0, len(pictures))).astype(np.float64)
    scores = matrix @ matrix.T
    scores[pictures.landmarks[:, None] == pictures.landmarks] = -np.inf
    return np.sort(scores, axis=1)[:, -rank]


@settings(max_examples=15)
@given(rank=st.integers(1, 4), wrong=st.integers(0, 10), seed=st.integers(0, 99))
def test_the_bar_is_the_similarity_of_that_neighbour(rank: int, wrong: int, seed: int) -> None:
    pictures = match(*labelled([9, 4, 12, 1], wrong, noise=1.0, seed=seed)[:2])
    found = other_class_bars(pictures, rank, None, len(pictures), make_resources(), chunk=7)
    assert np.allclose(found.similarities, plain(pictures, rank), atol=1e-6)
    assert found.numbers.tolist() == (len(pictures) - pictures.counts).tolist()


def test_a_bar_that_lies_deeper_than_the_search_leaves_enough_of_the_own_class_above() -> None:
    pictures = match(*labelled([40, 4], noise=0.1)[:2])
    found = other_class_bars(pictures, 2, None, 5, make_resources())
    matrix = pictures.read(slice(0, 40))
    above = (matrix @ matrix.T >= found.similarities[:40, None] - 1e-6).sum(axis=1) - 1
    assert (found.similarities[:40] > plain(pictures, 2)[:40]).all() and (above >= 5).all()


def test_a_sample_is_part_of_the_set_and_repeats() -> None:
    pictures = match(*labelled([30, 30, 30], noise=1.0)[:2])
    everything = other_class_bars(pictures, 2, None, 16, make_resources())
    sample = other_class_bars(pictures, 2, 40, 16, make_resources())
    again = other_class_bars(pictures, 2, 40, 16, make_resources())
    assert (sample.similarities == again.similarities).all()
    assert (sample.similarities <= everything.similarities).all()
    assert (sample.similarities < everything.similarities).mean() > 0.5
    assert sample.numbers.sum() == 2 * 40
    larger = other_class_bars(pictures, 2, 90, 16, make_resources())
    assert (larger.similarities == everything.similarities).all()


def test_an_approximate_search_may_miss_other_classes() -> None:
    pictures = match(*labelled([400, 400, 400], noise=1.0)[:2])
    exact = other_class_bars(pictures, 4, None, 16, make_resources())
    near = other_class_bars(pictures, 4, None, 16, make_resources(HnswIndex()))
    assert (near.similarities <= exact.similarities + 1e-6).mean() > 0.95
    assert np.isclose(near.similarities, exact.similarities).mean() > 0.9


def test_too_few_of_other_classes_are_an_error() -> None:
    pictures = match(*labelled([30, 3])[:2])
    with pytest.raises(LandmarksError, match="landmark 0 can be compared with 3 pictures of other landmarks only"):
        other_class_bars(pictures, 4, None, 16, make_resources())
