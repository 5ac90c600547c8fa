from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelled import labelled
from landmarks.cleaning import fellows
from landmarks.cleaning.fellows import nearest_fellows
from landmarks.cleaning.pictures import LandmarkPictures, match
from landmarks.retrieval.cache import Cache
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
    with pytest.MonkeyPatch.context() as patch:  # chunks that end within landmarks, windows and pieces of all kinds
        patch.setattr(fellows, "CHUNK", 11)
        patch.setattr(fellows, "WINDOWS", (2, 8, 16))
        patch.setattr(fellows, "PIECE", 7)
        patch.setattr(fellows, "WINDOW_BYTES", 2000)
        found = nearest_fellows(pictures, k, make_resources())
    indices, scores = plain(pictures, k)
    width = indices.shape[1]
    assert (found.indices[:, :width] == indices).all() and (found.indices[:, width:] == -1).all()
    filled = indices >= 0
    assert np.allclose(found.scores[:, :width][filled], scores[filled], atol=1e-6)


def test_interrupted_work_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fellows, "CHUNK", 8)
    pictures = match(*labelled([20, 10, 5])[:2])
    whole = nearest_fellows(pictures, 3, make_resources())
    calls = []
    read = LandmarkPictures.read

    def stopping(self: LandmarkPictures, rows: slice | np.ndarray) -> np.ndarray:
        calls.append(rows)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return read(self, rows)

    monkeypatch.setattr(LandmarkPictures, "read", stopping)
    with pytest.raises(KeyboardInterrupt):
        nearest_fellows(pictures, 3, make_resources(cache=Cache(tmp_path)))
    found = nearest_fellows(pictures, 3, make_resources(cache=Cache(tmp_path)))
    assert len(calls) == 3 + 3  # two of five chunks were there
    assert (found.indices == whole.indices).all() and (found.scores == whole.scores).all()
