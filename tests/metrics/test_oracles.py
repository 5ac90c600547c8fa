"""The three official-format cases, with figures of another implementation, and a real small ground truth."""

import json
from pathlib import Path

import numpy as np
import pytest

from landmarks.metrics import (
    RetrievalSubmission,
    read_recognition_solution,
    read_recognition_submission,
    read_retrieval_solution,
    read_retrieval_submission,
    score_recognition,
    score_retrieval,
)


@pytest.mark.parametrize("case", ["case0", "case1", "case2"])
def test_every_figure_of_the_oracle(oracles: Path, case: str) -> None:
    folder = oracles / "gldv2_metrics" / case
    expected = json.loads((folder / "expected.json").read_text())
    retrieval = read_retrieval_solution(folder / "retrieval_solution.csv")
    recognition = read_recognition_solution(folder / "recognition_solution.csv")
    found = score_retrieval(retrieval, read_retrieval_submission(folder / "retrieval_submission.csv", retrieval))
    for split, figures in score_recognition(
        recognition, read_recognition_submission(folder / "recognition_submission.csv", recognition)
    ).items():
        found[split] |= figures
    assert found.keys() == expected.keys()
    for split in expected:
        assert found[split] == pytest.approx(expected[split], rel=0, abs=1e-12)


def test_perfect_answers_to_the_mini_ground_truth(shared_data: Path) -> None:
    folder = shared_data / "gldv2_mini" / "ground_truth"
    solution = read_retrieval_solution(folder / "retrieval_solution_v2.1.csv")
    recognition = read_recognition_solution(folder / "recognition_solution_v2.1.csv")
    assert len(solution.query_ids) + len(solution.ignored_ids) == 416
    assert len(recognition.image_ids) + len(recognition.ignored_ids) == 416
    submission = RetrievalSubmission(solution.query_ids, solution.positives_start, solution.positives)
    for figures in score_retrieval(solution, submission).values():
        assert figures["map@100"] == pytest.approx(1, abs=1e-12)
        assert figures["mean_position"] == figures["median_position"] == 1
    assert np.unique(recognition.landmarks).size > 1
