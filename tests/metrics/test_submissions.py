"""Submission files: golden files, exact round trips, and every refusal with its line."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from landmarks.errors import FormatError
from landmarks.metrics import (
    RecognitionSolution,
    RecognitionSubmission,
    RetrievalSolution,
    RetrievalSubmission,
    read_recognition_submission,
    read_retrieval_submission,
    submissions,
    write_recognition_submission,
    write_retrieval_submission,
)
from landmarks.storage import csv as csv_reader

A, B, C, D = (f"{value:016x}" for value in (0xA, 0xB, 0xC, 2**64 - 1))
RETRIEVAL = f"id,images\n{A},{C} {D} {C}\n{B},\n{D},{A}\n"
RECOGNITION = f"id,landmarks\n{A},7 0.1\n{B},\n{D},203093 -1e-300\n"


def test_golden_retrieval_file(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    path.write_text(RETRIEVAL)
    submission = read_retrieval_submission(path)
    assert submission.query_ids.tolist() == [0xA, 0xB, 2**64 - 1]
    assert submission.start.tolist() == [0, 3, 3, 4]
    assert submission.image_ids.tolist() == [0xC, 2**64 - 1, 0xC, 0xA]
    write_retrieval_submission(tmp_path / "again.csv", submission)
    assert (tmp_path / "again.csv").read_text() == RETRIEVAL


def test_golden_recognition_file(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    path.write_text(RECOGNITION)
    submission = read_recognition_submission(path)
    assert submission.image_ids.tolist() == [0xA, 0xB, 2**64 - 1]
    assert submission.landmarks.tolist() == [7, -1, 203093]
    assert submission.scores.tolist() == [0.1, 0, -1e-300]
    write_recognition_submission(tmp_path / "again.csv", submission)
    assert (tmp_path / "again.csv").read_text() == RECOGNITION


IDS = st.lists(st.integers(0, 2**64 - 1), max_size=12, unique=True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(IDS, st.data())
def test_round_trips_are_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ids: list[int], data: st.DataObject
) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 150)
    monkeypatch.setattr(submissions, "_WRITE_ROWS", 3)
    image_ids = np.array(ids, np.uint64)
    images = [data.draw(st.lists(st.integers(0, 2**64 - 1), max_size=5)) for _ in ids]
    start = np.concatenate([[0], np.cumsum([len(each) for each in images])]).astype(np.int64)
    retrieval = RetrievalSubmission(image_ids, start, np.array([image for each in images for image in each], np.uint64))
    write_retrieval_submission(tmp_path / "retrieval.csv", retrieval)
    same(retrieval, read_retrieval_submission(tmp_path / "retrieval.csv"))

    landmarks = np.array([data.draw(st.integers(-1, 10**18 - 1)) for _ in ids], np.int64)
    finite = st.floats(allow_nan=False, allow_infinity=False)
    scores = np.array([data.draw(finite) if landmark >= 0 else 0 for landmark in landmarks], np.float64)
    recognition = RecognitionSubmission(image_ids, landmarks, scores)
    write_recognition_submission(tmp_path / "recognition.csv", recognition)
    same(recognition, read_recognition_submission(tmp_path / "recognition.csv"))


def same(one: object, two: object) -> None:
    for name, array in vars(one).items():
        assert getattr(two, name).dtype == array.dtype
        assert getattr(two, name).tolist() == array.tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{A},{C}\n{B},\n{A},{D}\n", f"line 4, field 'id': id {A} was there before; keep one line an id"),
        (f"{A},{C}\n\n{C},\n", f"line 4, field 'id': id {C} is not in the solution; predict only for"),
        (f"{A},{C} 7\n", "line 2, field 'images': '7' is not an image id"),
    ],
)
def test_refused_retrieval_submissions(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "submission.csv"
    path.write_text("id,images\n" + text)
    solution = RetrievalSolution(
        np.array([0xA], np.uint64),
        np.array([True]),
        np.array([0, 1], np.int64),
        np.array([0xC], np.uint64),
        np.array([0xB], np.uint64),
    )
    with pytest.raises(FormatError) as refused:
        read_retrieval_submission(path, solution)
    assert str(refused.value).startswith(f"{path}, ")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{A},7 0.5\n{B},\n{A},\n", f"line 4, field 'id': id {A} was there before"),
        (f"{A},7 0.5\n{C},8 0.5\n", f"line 3, field 'id': id {C} is not in the solution"),
        (f"{B},\n{A},7\n", "line 3, field 'landmarks': '7' is not one landmark and its score; write '<landmark> <s"),
        (f"{A},7 0.5 8 0.4\n", "line 2, field 'landmarks': '7 0.5 8 0.4' is not one landmark and its score"),
        (f"{A},7  0.5\n", "line 2, field 'landmarks': '7  0.5' is not one landmark"),
        (f"{B},\n{A},x 0.5\n", "line 3, field 'landmarks': 'x' is not a landmark; write a whole number"),
        (f"{B},\n{A},7.0 0.5\n", "line 3, field 'landmarks': '7.0' is not a landmark"),
        (f"{A},-1 0.5\n", "line 2, field 'landmarks': '-1' is not a landmark"),
        (f"{B},3 0.5\n{A},7 high\n", "line 3, field 'landmarks': 'high' is not a score; write a finite number"),
        (f"{A},7 nan\n", "line 2, field 'landmarks': 'nan' is not a score"),
        (f"{A},7 NaN\n", "line 2, field 'landmarks': 'NaN' is not a score"),
        (f"{A},7 -inf\n", "line 2, field 'landmarks': '-inf' is not a score"),
        (f"{A},7 1e999\n", "line 2, field 'landmarks': '1e999' is not a score"),
    ],
)
def test_refused_recognition_submissions(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "submission.csv"
    path.write_text("id,landmarks\n" + text)
    solution = RecognitionSolution(
        np.array([0xA], np.uint64),
        np.array([True]),
        np.array([0, 1], np.int64),
        np.array([7], np.int64),
        np.array([0xB], np.uint64),
    )
    with pytest.raises(FormatError) as refused:
        read_recognition_submission(path, solution)
    assert message in str(refused.value)


def test_files_of_another_kind_are_recognised(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    path.write_text(RECOGNITION)
    with pytest.raises(FormatError, match="this is a recognition submission; give a retrieval submission"):
        read_retrieval_submission(path)
    path.write_text(RETRIEVAL)
    with pytest.raises(FormatError, match="this is a retrieval submission; give a recognition submission"):
        read_recognition_submission(path)
    path.write_text('"id","landmarks","Usage"\r\n')
    with pytest.raises(FormatError, match="this is a recognition solution; give a retrieval submission"):
        read_retrieval_submission(path)
    for header in ("id,images,score\n", "images,id\n"):
        path.write_text(header)
        with pytest.raises(FormatError, match="line 1: other columns or another order in the header"):
            read_retrieval_submission(path)


@pytest.mark.parametrize(
    ("landmarks", "scores", "message"),
    [
        ([7, 8], [0.5, np.nan], f"image {B} has score nan"),
        ([7, 8], [np.inf, 0.5], f"image {A} has score inf"),
        ([7, -2], [0.5, 0.5], "landmark -2 is below -1"),
        ([7], [0.5], "differ in length"),
    ],
)
def test_recognition_arrays_are_checked(landmarks: list[int], scores: list[float], message: str) -> None:
    ids = np.array([0xA, 0xB], np.uint64)
    with pytest.raises(FormatError, match=message):
        RecognitionSubmission(ids, np.array(landmarks), np.array(scores))


def test_retrieval_arrays_are_checked() -> None:
    ids, start = np.array([1, 1], np.uint64), np.array([0, 0, 1], np.int64)
    with pytest.raises(FormatError, match="comes twice"):
        RetrievalSubmission(ids, start, np.array([5], np.uint64))
    with pytest.raises(FormatError, match="image_start does not rise"):
        RetrievalSubmission(np.array([1, 2], np.uint64), start, np.empty(0, np.uint64))


def test_a_cut_off_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "submission.csv"
    ids = np.array([0xA], np.uint64)
    write_retrieval_submission(path, RetrievalSubmission(ids, np.array([0, 1], np.int64), ids))
    before = path.read_bytes()

    def cut(ids: np.ndarray) -> np.ndarray:
        raise KeyboardInterrupt

    monkeypatch.setattr(submissions, "join_ids", cut)
    with pytest.raises(KeyboardInterrupt):
        write_retrieval_submission(path, RetrievalSubmission(ids, np.array([0, 0], np.int64), ids[:0]))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
