"""What the kinds of feature index share: faiss itself, its threads, and the form of its answers."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError

# Distances, float32 [F, k], rising along a row; inf where there are fewer. Rows of features, int64 [F, k]; -1 there.
Found = tuple[NDArray[np.float32], NDArray[np.int64]]


def require_faiss() -> Any:
    """The module."""
    if importlib.util.find_spec("faiss") is None:
        raise LandmarksError("local search needs faiss: install faiss-cpu or faiss-gpu")
    import faiss

    return faiss


@contextmanager
def faiss_threads(count: int) -> Iterator[None]:
    """Inside, so many threads work at a search; the number is faiss's for the whole process."""
    faiss = require_faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def distances(squared: NDArray[np.float32], rows: NDArray[np.int64]) -> Found:
    """Squared distances as faiss gives them to distances; codes can make them a little less than 0."""
    return np.sqrt(np.where(rows < 0, np.float32(np.inf), np.maximum(squared, 0))), rows
