import json
import tempfile

import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval.index import ExactIndex
from landmarks.retrieval.stages import dba
from landmarks.retrieval.stages.dba import DatabaseAugmentation
from landmarks.retrieval.stages.qe import QueryExpansion
from landmarks.retrieval.state import SearchState


@pytest.mark.parametrize("alpha", [0, 3])
@pytest.mark.parametrize("normalize", [False, True])
def test_reproduces_published_rankings(oracles, reranking_map, alpha, normalize):
    folder = oracles / "reranking"
    queries, index = (np.load(folder / f"{name}.npy") for name in ("queries", "index"))
    figures = json.loads((folder / "expected.json").read_text())["map@100"]
    published = np.load(folder / "expected_rankings.npz")
    searcher = ExactIndex(normalize=normalize)
    augmented = DatabaseAugmentation(5, alpha)(SearchState(queries, index), searcher)
    expanded = QueryExpansion(5, alpha)(augmented, searcher)
    for name, state in (("dba", augmented), ("dba_then_qe", expanded)):
        key = f"{name}_k5_alpha{alpha}"
        assert reranking_map(state.ranking) == pytest.approx(figures[key], abs=1e-3)
        if not normalize:  # The published programs took float16 rows as they were, a little off length one.
            np.testing.assert_allclose(state.ranking.scores, published[f"{key}_scores"], atol=1e-4)


def test_every_image_is_averaged_with_the_others_even_among_copies(monkeypatch):
    monkeypatch.setattr(dba, "GROUP", 4)
    rng = np.random.default_rng(0)
    index = np.repeat(rng.standard_normal((3, 5)).astype(np.float32), 4, axis=0)
    unit = index / np.linalg.norm(index, axis=1, keepdims=True)
    # Three copies of each image: their mean is the image itself.
    np.testing.assert_allclose(DatabaseAugmentation(3, 1.0).augment(index, ExactIndex()), unit, atol=1e-6)
    # One image alone has no others.
    np.testing.assert_allclose(DatabaseAugmentation(3).augment(index[:1], ExactIndex()), unit[:1], atol=1e-6)


def test_an_index_beyond_the_budget_lies_in_a_file_with_the_same_values(tmp_path, monkeypatch):
    index = np.random.default_rng(0).standard_normal((1200, 256)).astype(np.float16)
    in_memory = DatabaseAugmentation().augment(index, ExactIndex())
    monkeypatch.setattr(dba, "GROUP", 500)
    on_disk = DatabaseAugmentation(scratch=str(tmp_path)).augment(index, ExactIndex(memory_budget_mb=1))
    assert isinstance(on_disk, np.memmap) and not isinstance(in_memory, np.memmap)
    np.testing.assert_array_equal(on_disk, in_memory)
    assert not list(tmp_path.iterdir())


def test_no_room_is_an_error(monkeypatch, tmp_path):
    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    index = np.random.default_rng(0).standard_normal((1200, 256)).astype(np.float32)
    with pytest.raises(LandmarksError, match=r"no room for 1 MiB in .*No space left"):
        DatabaseAugmentation(scratch=str(tmp_path)).augment(index, ExactIndex(memory_budget_mb=1))
