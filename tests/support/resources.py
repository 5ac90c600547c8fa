"""What stages work with in tests: exact search, nothing kept."""

from landmarks.retrieval import Cache, Resources
from landmarks.retrieval.search import ExactIndex, Searcher


def make_resources(index: Searcher | None = None, cache: Cache | None = None, workers: int = 2) -> Resources:
    searcher = index or ExactIndex()
    return Resources(searcher, searcher, cache or Cache(keep=False), workers=workers)
