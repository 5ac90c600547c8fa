"""Solution and submission files: golden files, exact round trips, and every refusal with its line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from landmarks import metrics
from landmarks.errors import FormatError
from landmarks.metrics import (
    RecognitionSolution,
    RecognitionSubmission,
    RetrievalSolution,
    RetrievalSubmission,
    read_recognition_solution,
    read_recognition_submission,
    read_retrieval_solution,
    read_retrieval_submission,
    submissions,
    write_retrieval_submission,
)
from landmarks.storage import csv as csv_reader

A, B, C, D = (f"{value:016x}" for value in (0xA, 0xB, 0xC, 2**64 - 1))
GOLDEN: dict[str, tuple[str, dict[str, list[Any]]]] = {
    "retrieval_solution": (
        f"id,images,Usage\n{A},{C} {D},Public\n{B},{C},Private\n{D},None,Ignored\n",
        {
            "query_ids": [0xA, 0xB],
            "public": [True, False],
            "positives_start": [0, 2, 3],
            "positives": [0xC, 2**64 - 1, 0xC],
            "ignored_ids": [2**64 - 1],
        },
    ),
    "recognition_solution": (
        f"id,landmarks,Usage\n{A},7 203093,Public\n{B},,Private\n{D},,Ignored\n",
        {
            "image_ids": [0xA, 0xB],
            "public": [True, False],
            "landmarks_start": [0, 2, 2],
            "landmarks": [7, 203093],
            "ignored_ids": [2**64 - 1],
        },
    ),
    "retrieval_submission": (
        f"id,images\n{A},{C} {D} {C}\n{B},\n{D},{A}\n",
        {
            "query_ids": [0xA, 0xB, 2**64 - 1],
            "start": [0, 3, 3, 4],
            "image_ids": [0xC, 2**64 - 1, 0xC, 0xA],
        },
    ),
    "recognition_submission": (
        f"id,landmarks\n{A},7 0.1\n{B},\n{D},203093 -1e-300\n",
        {
            "image_ids": [0xA, 0xB, 2**64 - 1],
            "landmarks": [7, -1, 203093],
            "scores": [0.1, 0, -1e-300],
        },
    ),
}


def ids_of(*values: int) -> np.ndarray:
    return np.array(values, np.uint64)


@pytest.mark.parametrize("kind", GOLDEN)
def test_golden_files(tmp_path: Path, kind: str) -> None:
    text, expected = GOLDEN[kind]
    path = tmp_path / "file.csv"
    path.write_text(text)
    found = getattr(metrics, f"read_{kind}")(path)
    assert {name: getattr(found, name).tolist() for name in expected} == expected
    getattr(metrics, f"write_{kind}")(tmp_path / "again.csv", found)
    assert (tmp_path / "again.csv").read_text() == text


def comes_back(folder: Path, kind: str, written: object) -> None:
    getattr(metrics, f"write_{kind}")(folder / "file.csv", written)
    found = getattr(metrics, f"read_{kind}")(folder / "file.csv")
    for name, array in vars(written).items():
        if not name.startswith("_"):  # what a solution keeps for its look-ups
            assert getattr(found, name).dtype == array.dtype
            assert getattr(found, name).tolist() == array.tolist()


def starts(groups: list[list[int]]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum([len(each) for each in groups])]).astype(np.int64)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=12, unique=True), st.data())
def test_round_trips_are_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ids: list[int], data: st.DataObject
) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 150)
    monkeypatch.setattr(submissions, "_WRITE_ROWS", 3)
    scored = data.draw(st.integers(0, len(ids)))
    image_ids, ignored = ids_of(*ids[:scored]), ids_of(*ids[scored:])
    public = np.array(data.draw(st.lists(st.booleans(), min_size=scored, max_size=scored)), np.bool_)
    images = [data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=5, unique=True)) for _ in image_ids]
    positives = np.array([image for each in images for image in each], np.uint64)
    comes_back(tmp_path, "retrieval_solution", RetrievalSolution(image_ids, public, starts(images), positives, ignored))
    shown = [data.draw(st.lists(st.integers(0, 10**18 - 1), max_size=3)) for _ in image_ids]
    landmarks = np.array([landmark for each in shown for landmark in each], np.int64)
    comes_back(
        tmp_path, "recognition_solution", RecognitionSolution(image_ids, public, starts(shown), landmarks, ignored)
    )
    found = [data.draw(st.lists(st.integers(0, 2**64 - 1), max_size=5)) for _ in ids]
    retrieved = np.array([image for each in found for image in each], np.uint64)
    comes_back(tmp_path, "retrieval_submission", RetrievalSubmission(ids_of(*ids), starts(found), retrieved))
    landmarks = np.array([data.draw(st.integers(-1, 10**18 - 1)) for _ in ids], np.int64)
    finite = st.floats(allow_nan=False, allow_infinity=False)
    scores = np.array([data.draw(finite) if landmark >= 0 else 0 for landmark in landmarks], np.float64)
    comes_back(tmp_path, "recognition_submission", RecognitionSubmission(ids_of(*ids), landmarks, scores))


def require_refused(path: Path, text: str, message: str, read: Callable[[Path], object]) -> None:
    path.write_text(text)
    with pytest.raises(FormatError) as refused:
        read(path)
    assert str(refused.value).startswith(f"{path}") and message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{A},{C},public\n", "line 2, field 'Usage': unknown Usage 'public'; write one of Ignored, Private, Public"),
        (f"{A},{C},\n", "line 2, field 'Usage': unknown Usage ''"),
        (f"{A},{C},{'P' * 50}\n", "line 2, field 'Usage': unknown Usage 'PPPP"),
        (f"{A},{C},Public\n{A},{D},Private\n", f"line 3, field 'id': id {A} is already on an earlier line; keep one"),
        (f"{A},{C},Public\n{A},None,Ignored\n", f"line 3, field 'id': id {A} is already on an earlier line"),
        (f"{B},{C},Public\n{A},None,Public\n", "line 3, field 'images': 'None' is not an image id"),
        (f"{B},{C},Public\n{A},,Public\n", "line 3, field 'images': a scored query has no correct image"),
        (f"{D},,Ignored\n\n{A},{C} {D} {C},Public\n", f"line 4, field 'images': image {C} occurs twice"),
        ("", "there is no line below the header; give a complete solution file"),
    ],
)
def test_refused_retrieval_solutions(tmp_path: Path, text: str, message: str) -> None:
    require_refused(tmp_path / "solution.csv", "id,images,Usage\n" + text, message, read_retrieval_solution)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{A},7,Hidden\n", "line 2, field 'Usage': unknown Usage 'Hidden'"),
        (f"{D},x,Ignored\n{A},7 x,Public\n", "line 3, field 'landmarks': 'x' is not a landmark; write whole"),
        (f"{A},-1,Public\n", "line 2, field 'landmarks': '-1' is not a landmark"),
        (f"{A},1.5,Public\n", "line 2, field 'landmarks': '1.5' is not a landmark"),
        (f"{A},7  8,Public\n", "line 2, field 'landmarks': there is a space too many"),
        (f"{A},7,Public\n{B},,Private\n{A},8,Public\n", f"line 4, field 'id': id {A} is already on an earlier line"),
        ("", "there is no line below the header"),
    ],
)
def test_refused_recognition_solutions(tmp_path: Path, text: str, message: str) -> None:
    require_refused(tmp_path / "solution.csv", "id,landmarks,Usage\n" + text, message, read_recognition_solution)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{A},{C}\n{B},\n{A},{D}\n", f"line 4, field 'id': id {A} is already on an earlier line; keep one"),
        (f"{A},{C}\n\n{C},\n", f"line 4, field 'id': id {C} is not in the solution; predict only for"),
        (f"{A},{C} 7\n", "line 2, field 'images': '7' is not an image id"),
    ],
)
def test_refused_retrieval_submissions(tmp_path: Path, text: str, message: str) -> None:
    solution = RetrievalSolution(ids_of(0xA), np.array([True]), np.array([0, 1]), ids_of(0xC), ids_of(0xB))
    require_refused(
        tmp_path / "s.csv", "id,images\n" + text, message, lambda path: read_retrieval_submission(path, solution)
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{A},7 0.5\n{B},\n{A},\n", f"line 4, field 'id': id {A} is already on an earlier line"),
        (f"{A},7 0.5\n{C},8 0.5\n", f"line 3, field 'id': id {C} is not in the solution"),
        (f"{B},\n{A},7\n", "line 3, field 'landmarks': '7' is not one landmark and its score; write '<landmark> <s"),
        (f"{A},7 0.5 8 0.4\n", "line 2, field 'landmarks': '7 0.5 8 0.4' is not one landmark and its score"),
        (f"{A},7  0.5\n", "line 2, field 'landmarks': there is a space too many"),
        (f"{B},\n{A},x 0.5\n", "line 3, field 'landmarks': 'x' is not a landmark; write a whole number"),
        (f"{B},\n{A},7.0 0.5\n", "line 3, field 'landmarks': '7.0' is not a landmark"),
        (f"{A},-1 0.5\n", "line 2, field 'landmarks': '-1' is not a landmark"),
        (f"{B},3 0.5\n{A},7 high\n", "line 3, field 'landmarks': 'high' is not a score; write a finite number"),
        (f"{A},7 NaN\n", "line 2, field 'landmarks': 'NaN' is not a score"),
        (f"{A},7 -inf\n", "line 2, field 'landmarks': '-inf' is not a score"),
        (f"{A},7 1e999\n", "line 2, field 'landmarks': '1e999' is not a score"),
    ],
)
def test_refused_recognition_submissions(tmp_path: Path, text: str, message: str) -> None:
    solution = RecognitionSolution(ids_of(0xA), np.array([True]), np.array([0, 1]), np.array([7]), ids_of(0xB))
    require_refused(
        tmp_path / "s.csv", "id,landmarks\n" + text, message, lambda path: read_recognition_submission(path, solution)
    )


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("recognition_solution", "retrieval_solution"),
        ("retrieval_solution", "recognition_solution"),
        ("recognition_submission", "retrieval_submission"),
        ("retrieval_submission", "recognition_submission"),
        ("recognition_solution", "retrieval_submission"),
    ],
)
def test_files_of_another_kind_are_recognised(tmp_path: Path, given: str, wanted: str) -> None:
    message = f"this is a {given.replace('_', ' ')}; give a {wanted.replace('_', ' ')}"
    require_refused(tmp_path / "file.csv", GOLDEN[given][0], message, getattr(metrics, f"read_{wanted}"))


def test_other_headers_are_shown(tmp_path: Path) -> None:
    quoted, message = '"id","landmarks","Usage"\r\n', "this is a recognition solution; give a retrieval submission"
    require_refused(tmp_path / "s.csv", quoted, message, read_retrieval_submission)
    for header in ("id,images,score\n", "images,id\n"):
        message = "line 1: other columns or another order in the header"
        require_refused(tmp_path / "s.csv", header, message, read_retrieval_submission)


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
    with pytest.raises(FormatError, match=message):
        RecognitionSubmission(ids_of(0xA, 0xB), np.array(landmarks), np.array(scores))


def test_retrieval_arrays_are_checked() -> None:
    start = np.array([0, 0, 1], np.int64)
    with pytest.raises(FormatError, match="occurs twice"):
        RetrievalSubmission(ids_of(1, 1), start, ids_of(5))
    with pytest.raises(FormatError, match="image_start must be 3 numbers that ascend"):
        RetrievalSubmission(ids_of(1, 2), start, ids_of())


def test_a_cut_off_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "submission.csv"
    ids = ids_of(0xA)
    write_retrieval_submission(path, RetrievalSubmission(ids, np.array([0, 1], np.int64), ids))
    before = path.read_bytes()

    def cut(ids: np.ndarray) -> np.ndarray:
        raise KeyboardInterrupt

    monkeypatch.setattr(submissions, "join_ids", cut)
    with pytest.raises(KeyboardInterrupt):
        write_retrieval_submission(path, RetrievalSubmission(ids, np.array([0, 0], np.int64), ids[:0]))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
