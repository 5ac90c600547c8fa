"""Keeps faiss to one thread where several would change the result or get in each other's way."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def on_one_thread(wanted: bool = True) -> Iterator[None]:
    """A block in which faiss works on one thread, or on as many as before where that is not wanted."""
    import faiss

    threads = faiss.omp_get_max_threads()
    if wanted:
        faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)
