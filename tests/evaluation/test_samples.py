"""The sheet of sample queries holds those with a known answer, with names that people know."""

import numpy as np

from landmarks.data import GroundTruth, ImageTable
from landmarks.evaluation import sample_sheet
from landmarks.metrics import RecognitionSolution, RetrievalSolution
from landmarks.retrieval import Ranking

QUERIES, INDEX = np.array([10, 11, 12, 13], np.uint64), np.array([20, 21, 22], np.uint64)
RANKING = Ranking(
    np.array([[2, 0], [1, -1], [0, 1], [0, 1]], np.int32),
    np.array([[2, 1], [1, -np.inf], [2, 1], [2, 1]], np.float32),
)
TABLE = ImageTable(INDEX, np.array([0, -1, 1], np.int32), np.array(["7", "9"]))


class Named:
    name = "named"

    def category_names(self) -> dict[str, str]:
        return {"9": "Golden Gate"}


def sheet_of(truth: GroundTruth):  # type: ignore[no-untyped-def]
    return sample_sheet(RANKING, QUERIES, INDEX, truth, TABLE, Named())  # type: ignore[arg-type]


def test_queries_with_an_answer_and_those_without_a_landmark_are_shown() -> None:
    retrieval = RetrievalSolution(
        np.array([13, 10], np.uint64),
        np.array([True, False]),
        np.array([0, 1, 3]),
        np.array([21, 22, 20], np.uint64),
        np.array([11, 12], np.uint64),
    )
    recognition = RecognitionSolution(
        QUERIES, np.ones(4, np.bool_), np.array([0, 1, 1, 2, 3]), np.array([1, 1, 1]), np.empty(0, np.uint64)
    )
    sheet = sheet_of(GroundTruth(retrieval, recognition))
    assert sheet.query_ids.tolist() == [10, 11, 13]
    assert sheet.relevant.tolist() == [[True, True], [False, False], [False, True]]
    np.testing.assert_allclose(sheet.quality, [1, np.nan, 0.5])
    assert sheet.query_names.tolist() == ["Golden Gate", "", ""]
    assert sheet.index_names.tolist() == ["7", "", "Golden Gate"]


def test_names_are_given_as_they_can_be_shown() -> None:
    table = ImageTable(INDEX, np.array([0, 0, 1], np.int32), np.array(["a\nb", "c\udcff\x1b"]))
    truth = GroundTruth.of_tables(
        ImageTable(QUERIES[:1], np.zeros(1, np.int32), table.landmark_names), np.array([True]), table
    )
    sheet = sample_sheet(RANKING, QUERIES, INDEX, truth, table, Named())  # type: ignore[arg-type]
    assert sheet is not None and set(sheet.index_names.tolist()) == {"a\\nb", "c\\udcff\\x1b"}


def test_without_an_answer_there_is_no_sheet() -> None:
    assert sheet_of(GroundTruth()) is None
    foreign = RetrievalSolution(
        np.array([99], np.uint64), np.array([True]), np.array([0, 1]), np.array([20], np.uint64), np.empty(0, np.uint64)
    )
    assert sheet_of(GroundTruth(foreign, None)) is None
