"""Solution files: a golden file, exact round trips, and every refusal with its line."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from landmarks.errors import FormatError
from landmarks.metrics import (
    RecognitionSolution,
    RetrievalSolution,
    read_recognition_solution,
    read_retrieval_solution,
    write_recognition_solution,
    write_retrieval_solution,
)
from landmarks.storage import csv as csv_reader

A, B, C, D = (f"{value:016x}" for value in (0xA, 0xB, 0xC, 2**64 - 1))
RETRIEVAL = f"id,images,Usage\n{A},{C} {D},Public\n{B},{C},Private\n{D},None,Ignored\n"
RECOGNITION = f"id,landmarks,Usage\n{A},7 203093,Public\n{B},,Private\n{D},,Ignored\n"


def test_golden_retrieval_file(tmp_path: Path) -> None:
    path = tmp_path / "solution.csv"
    path.write_text(RETRIEVAL)
    solution = read_retrieval_solution(path)
    assert solution.query_ids.tolist() == [0xA, 0xB]
    assert solution.public.tolist() == [True, False]
    assert solution.positives_start.tolist() == [0, 2, 3]
    assert solution.positives.tolist() == [0xC, 2**64 - 1, 0xC]
    assert solution.ignored_ids.tolist() == [2**64 - 1]
    write_retrieval_solution(tmp_path / "again.csv", solution)
    assert (tmp_path / "again.csv").read_text() == RETRIEVAL


def test_golden_recognition_file(tmp_path: Path) -> None:
    path = tmp_path / "solution.csv"
    path.write_text(RECOGNITION)
    solution = read_recognition_solution(path)
    assert solution.image_ids.tolist() == [0xA, 0xB]
    assert solution.public.tolist() == [True, False]
    assert solution.landmarks_start.tolist() == [0, 2, 2]
    assert solution.landmarks.tolist() == [7, 203093]
    assert solution.ignored_ids.tolist() == [2**64 - 1]
    write_recognition_solution(tmp_path / "again.csv", solution)
    assert (tmp_path / "again.csv").read_text() == RECOGNITION


IDS = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=12, unique=True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(IDS, st.data())
def test_round_trips_are_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ids: list[int], data: st.DataObject
) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 150)
    scored = data.draw(st.integers(0, len(ids)))
    image_ids, ignored = np.array(ids[:scored], np.uint64), np.array(ids[scored:], np.uint64)
    public = np.array(data.draw(st.lists(st.booleans(), min_size=scored, max_size=scored)), np.bool_)

    images = [data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=5, unique=True)) for _ in image_ids]
    start = np.concatenate([[0], np.cumsum([len(each) for each in images])]).astype(np.int64)
    positives = np.array([image for each in images for image in each], np.uint64)
    retrieval = RetrievalSolution(image_ids, public, start, positives, ignored)
    write_retrieval_solution(tmp_path / "retrieval.csv", retrieval)
    same(retrieval, read_retrieval_solution(tmp_path / "retrieval.csv"))

    shown = [data.draw(st.lists(st.integers(0, 10**18 - 1), max_size=3)) for _ in image_ids]
    start = np.concatenate([[0], np.cumsum([len(each) for each in shown])]).astype(np.int64)
    landmarks = np.array([landmark for each in shown for landmark in each], np.int64)
    recognition = RecognitionSolution(image_ids, public, start, landmarks, ignored)
    write_recognition_solution(tmp_path / "recognition.csv", recognition)
    same(recognition, read_recognition_solution(tmp_path / "recognition.csv"))


def same(one: object, two: object) -> None:
    for name, array in vars(one).items():
        if name.startswith("_"):  # what a solution keeps for its look-ups
            continue
        assert getattr(two, name).dtype == array.dtype
        assert getattr(two, name).tolist() == array.tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{A},{C},public\n", "line 2, field 'Usage': unknown Usage 'public'; write one of Ignored, Private, Public"),
        (f"{A},{C},\n", "line 2, field 'Usage': unknown Usage ''"),
        (f"{A},{C},{'P' * 50}\n", "line 2, field 'Usage': unknown Usage 'PPPP"),
        (f"{A},{C},Public\n{A},{D},Private\n", f"line 3, field 'id': id {A} was there before; keep one line an id"),
        (f"{A},{C},Public\n{A},None,Ignored\n", f"line 3, field 'id': id {A} was there before"),
        (f"{B},{C},Public\n{A},None,Public\n", "line 3, field 'images': 'None' is not an image id"),
        (f"{B},{C},Public\n{A},,Public\n", "line 3, field 'images': a scored query has no correct image"),
        (f"{D},,Ignored\n\n{A},{C} {D} {C},Public\n", f"line 4, field 'images': image {C} is named twice"),
        ("", "there is no line below the header; give a complete solution file"),
    ],
)
def test_refused_retrieval_solutions(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "solution.csv"
    path.write_text("id,images,Usage\n" + text)
    with pytest.raises(FormatError) as refused:
        read_retrieval_solution(str(path))
    assert str(refused.value).startswith(f"{path}")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{A},7,Hidden\n", "line 2, field 'Usage': unknown Usage 'Hidden'"),
        (f"{D},x,Ignored\n{A},7 x,Public\n", "line 3, field 'landmarks': 'x' is not a landmark; write whole"),
        (f"{A},-1,Public\n", "line 2, field 'landmarks': '-1' is not a landmark"),
        (f"{A},1.5,Public\n", "line 2, field 'landmarks': '1.5' is not a landmark"),
        (f"{A},7  8,Public\n", "line 2, field 'landmarks': there is a space too many"),
        (f"{A},7,Public\n{B},,Private\n{A},8,Public\n", f"line 4, field 'id': id {A} was there before"),
        ("", "there is no line below the header"),
    ],
)
def test_refused_recognition_solutions(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "solution.csv"
    path.write_text("id,landmarks,Usage\n" + text)
    with pytest.raises(FormatError) as refused:
        read_recognition_solution(path)
    assert message in str(refused.value)


def test_the_file_of_the_other_task_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "solution.csv"
    path.write_text(RECOGNITION)
    with pytest.raises(FormatError, match="this is a recognition solution; give a retrieval solution"):
        read_retrieval_solution(path)
    path.write_text(RETRIEVAL)
    with pytest.raises(FormatError, match="this is a retrieval solution; give a recognition solution"):
        read_recognition_solution(path)
