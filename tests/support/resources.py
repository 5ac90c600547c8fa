"""What stages work with in tests: exact search, nothing kept; random descriptors; and how rankings are compared."""

import numpy as np
from numpy.typing import NDArray

from landmarks.retrieval import Cache, Ranking, Resources
from landmarks.retrieval.search import ExactIndex, Searcher


def make_resources(index: Searcher | None = None, cache: Cache | None = None, workers: int = 2) -> Resources:
    searcher = index or ExactIndex()
    return Resources(searcher, searcher, cache or Cache(keep=False), workers=workers)


def normal(*rows: int, dim: int, seed: int = 0) -> list[NDArray[np.float32]]:
    """Matrices of normally distributed numbers, drawn one after another."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((count, dim)).astype(np.float32) for count in rows]


def assert_same_ranking(found: Ranking, expected: Ranking) -> None:
    """To the last bit."""
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.scores, expected.scores)
