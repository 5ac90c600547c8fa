from typing import ClassVar

import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval.search.index import ExactIndex
from landmarks.retrieval.staged import StagedPipeline


class Asks:
    needs: ClassVar[frozenset[str]] = frozenset({"light", "air"})


class Built(StagedPipeline[object, str]):
    called = "step"
    shortest = "a step"
    missing: ClassVar[dict[str, str]] = {"light": "a lamp", "air": "an open window"}


def test_a_null_stage_is_left_out_and_none_at_all_is_refused() -> None:
    built = Built(ExactIndex(), {"one": Asks(), "two": None})
    assert list(built.stages) == ["one"] and built.resources.neighbours is built.resources.index
    with pytest.raises(LandmarksError, match="no stages; the shortest pipeline is a step"):
        Built(ExactIndex(), {"two": None})


def test_what_a_stage_lacks_is_named_with_the_remedy() -> None:
    built = Built(ExactIndex(), {"plain": object(), "one": Asks()}, workers=3, seed=7)
    assert built.needs == {"light", "air"}
    assert (built.resources.workers, built.resources.seed) == (3, 7)
    built.require(["air", "light"])
    with pytest.raises(LandmarksError, match="step one needs a lamp"):
        built.require(["air"])
