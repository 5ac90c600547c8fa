from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelled import labelled
from landmarks.cleaning import LandmarkPictures, Sizes, match, same_class_neighbours
from landmarks.retrieval import Cache
from resources import make_resources


def plain(pictures: LandmarkPictures, k: int) -> tuple[np.ndarray, np.ndarray]:
    """All products of everything, sorted."""
    matrix = pictures.read(slice(0, len(pictures))).astype(np.float64)
    scores = matrix @ matrix.T
    scores[pictures.landmarks[:, None] != pictures.landmarks] = -np.inf
    np.fill_diagonal(scores, -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    scores = np.take_along_axis(scores, order, axis=1)
    return np.where(np.isinf(scores), -1, order), scores


@settings(max_examples=8)
@given(sizes=st.lists(st.integers(0, 40), min_size=2, max_size=8), k=st.integers(1, 6), seed=st.integers(0, 99))
def test_lists_are_those_of_all_products(sizes: list[int], k: int, seed: int) -> None:
    sizes[0] += 1
    pictures = match(*labelled(sizes, noise=1.0, seed=seed)[:2])
    # chunks that end within landmarks, windows and pieces of all kinds
    small = Sizes(chunk=11, windows=(2, 8, 16), window_bytes=2000, piece=7)
    found = same_class_neighbours(pictures, k, make_resources(), small)
    indices, scores = plain(pictures, k)
    width = indices.shape[1]
    assert (found.indices[:, :width] == indices).all() and (found.indices[:, width:] == -1).all()
    filled = indices >= 0
    assert np.allclose(found.scores[:, :width][filled], scores[filled], atol=1e-6)


def test_interrupted_work_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Sizes(chunk=8)
    pictures = match(*labelled([20, 10, 5])[:2])
    whole = same_class_neighbours(pictures, 3, make_resources())
    calls = []
    read = LandmarkPictures.read

    def stopping(self: LandmarkPictures, rows: slice | np.ndarray) -> np.ndarray:
        calls.append(rows)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return read(self, rows)

    monkeypatch.setattr(LandmarkPictures, "read", stopping)
    with pytest.raises(KeyboardInterrupt):
        same_class_neighbours(pictures, 3, make_resources(cache=Cache(tmp_path)), small)
    found = same_class_neighbours(pictures, 3, make_resources(cache=Cache(tmp_path)), small)
    assert len(calls) == 3 + 3  # two of five chunks were there
    assert (found.indices == whole.indices).all() and (found.scores == whole.scores).all()
