import csv
from pathlib import Path

import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.metrics import RecognitionSubmission
from landmarks.report import write_recognition_notes

SUBMISSION = RecognitionSubmission(
    np.array([0xFF, 1, 2**64 - 1], np.uint64), np.array([7, -1, 123]), np.array([0.1, 0.0, -2.5])
)
NOTES = {
    "inliers": np.array([3, 0, 12], np.int32),
    "probability": np.array([0.1, np.nan, 1], np.float32),
    "no_landmark": np.array([False, True, False]),
    "detector": np.array(['Person 0.97 covers 61%, "nothing" speaks', "", "line\nbreak"]),
}


def test_every_query_with_all_notes(tmp_path: Path) -> None:
    write_recognition_notes(tmp_path / "r.csv", SUBMISSION, NOTES)
    with (tmp_path / "r.csv").open(newline="") as file:
        found = list(csv.reader(file))
    assert found == [
        ["id", "landmark", "score", "inliers", "probability", "no_landmark", "detector"],
        ["00000000000000ff", "7", "0.1", "3", "0.1", "0", 'Person 0.97 covers 61%, "nothing" speaks'],
        ["0000000000000001", "", "", "0", "", "1", ""],
        ["ffffffffffffffff", "123", "-2.5", "12", "1.0", "0", "line\nbreak"],
    ]


def test_without_notes_or_queries(tmp_path: Path) -> None:
    nobody = RecognitionSubmission(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0))
    write_recognition_notes(tmp_path / "r.csv", nobody, {"inliers": np.zeros(0, np.int32)})
    assert (tmp_path / "r.csv").read_text() == "id,landmark,score,inliers\n"
    write_recognition_notes(tmp_path / "r.csv", SUBMISSION, {})
    assert (tmp_path / "r.csv").read_text().splitlines()[0] == "id,landmark,score"


def test_notes_that_do_not_fit(tmp_path: Path) -> None:
    for notes in ({"inliers": np.zeros(2)}, {"score": np.zeros(3)}):
        with pytest.raises(LandmarksError, match=r"r\.csv: note (inliers|score)"):
            write_recognition_notes(tmp_path / "r.csv", SUBMISSION, notes)
    (tmp_path / "r.csv").mkdir()
    with pytest.raises(LandmarksError, match="cannot be written"):
        write_recognition_notes(tmp_path / "r.csv", SUBMISSION, {})
