"""Resources of stages for tests: exact search without a cache, and random descriptors."""

import inspect
import pkgutil
from dataclasses import fields
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.recognition import Predictions
from landmarks.retrieval import Cache, Gallery, Ranking, Resources, SearchState
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


def arrays_of(value: Any, path: str = "state") -> dict[str, NDArray[Any]]:
    """All arrays of a state, by where they are."""
    if isinstance(value, np.ndarray):
        return {path: value}
    found: dict[str, NDArray[Any]] = {}
    if isinstance(value, (SearchState, Gallery, Ranking, Predictions)):
        for field in fields(value):
            found |= arrays_of(getattr(value, field.name), f"{path}.{field.name}")
    return found


def stages_in(package: ModuleType) -> set[type]:
    """The classes of stages that the files of a package define."""
    files = [import_module(f"{package.__name__}.{file.name}") for file in pkgutil.iter_modules(package.__path__)]
    kinds = {kind for file in files for _, kind in inspect.getmembers(file, inspect.isclass)}
    return {
        kind
        for kind in kinds
        if kind.__module__ in {file.__name__ for file in files}
        and list(inspect.signature(kind.__call__).parameters) == ["self", "state", "resources"]
    }
