"""The stamp tells what figures are of, the same for the same solution in any order of its lines."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data.gldv2 import GLDv2
from landmarks.evaluation import protocol_stamp, solution_stamp
from landmarks.metrics import RecognitionSolution, RetrievalSolution
from landmarks.retrieval.descriptors import ExtractionProtocol

IDS = [7, 3, 9, 1]
PUBLIC = [True, False, True, True]
ANSWERS = [[4], [5, 6], [4, 5], [8, 9, 4]]


def solution(order: list[int], public: list[bool] = PUBLIC, answers: list[list[int]] = ANSWERS) -> RetrievalSolution:
    chosen = [answers[place] for place in order]
    return RetrievalSolution(
        np.array([IDS[place] for place in order], np.uint64),
        np.array([public[place] for place in order]),
        np.cumsum([0, *map(len, chosen)]).astype(np.int64),
        np.concatenate(chosen).astype(np.uint64),
        np.array([20, 21], np.uint64),
    )


@given(st.permutations(range(4)))
def test_the_order_of_lines_does_not_matter(order: list[int]) -> None:
    assert solution_stamp(solution(order), "x") == solution_stamp(solution([0, 1, 2, 3]), "x")


def test_counts_of_the_stamp() -> None:
    found = solution_stamp(solution([0, 1, 2, 3]), "gldv2")
    assert found is not None
    digest = found.pop("digest")
    assert found == {"from": "gldv2", "public": 3, "private": 1, "ignored": 2}
    others = [
        solution([0, 1, 2, 3], public=[False, True, True, True]),
        solution([0, 1, 2, 3], answers=[[4], [5, 6], [4, 5], [8, 9]]),
        solution([0, 1, 2]),
    ]
    for other in others:
        assert (stamp := solution_stamp(other, "gldv2")) and stamp["digest"] != digest
    images = RecognitionSolution(
        np.array([1, 2], np.uint64),
        np.array([True, False]),
        np.array([0, 0, 1], np.int64),
        np.array([5], np.int64),
        np.empty(0, np.uint64),
    )
    assert (stamp := solution_stamp(images, "x")) and (stamp["public"], stamp["private"], stamp["ignored"]) == (1, 1, 0)
    assert solution_stamp(None, "x") is None


def test_files_have_an_empty_protocol() -> None:
    made = ExtractionProtocol("m", "w", 64, "square", data="demo", split="queries", versions={"torch": "2"})
    known, unknown = protocol_stamp([made, None])
    assert (known["model"], known["weights"], known["versions"], unknown) == ("m", "w", {"torch": "2"}, {})
    assert "split" not in known


def test_the_miniature_is_told_by_its_counts(shared_data: Path) -> None:
    root = shared_data / "gldv2_mini"
    if not root.is_dir():
        pytest.skip("needs the miniature of GLDv2")
    found = solution_stamp(GLDv2(root).truth().retrieval, "gldv2")
    assert found is not None and found["public"] == 116
