"""Predictions of both tasks as arrays, and the official submission files.

retrieval:   id,images     up to 100 ids, best first
recognition: id,landmarks  one landmark and its score, or nothing

Reading with the solution at hand also finds ids that it does not know, with their line.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from landmarks.metrics.errors import FormatError
from landmarks.metrics.hex_ids import DIGITS, format_hex, hex_of
from landmarks.metrics.lookup import find_rows, first_repeat
from landmarks.metrics.official_csv import read_blocks
from landmarks.metrics.solutions import (
    RecognitionSolution,
    RetrievalSolution,
    check_array,
    check_groups,
    check_unique,
)
from landmarks.storage.atomic_file import atomic_file

_WRITE_ROWS = 4096


@dataclass(frozen=True, eq=False)
class RetrievalSubmission:
    """Index images retrieved for each query, best first.

    Attributes:
        query_ids: uint64 [Q], unique.
        start: int64 [Q+1], boundaries of each query's images; a query may have none.
        image_ids: uint64 [P], retrieved index images.
    """

    query_ids: NDArray[np.uint64]
    start: NDArray[np.int64]
    image_ids: NDArray[np.uint64]

    def __post_init__(self) -> None:
        check_unique("query", self.query_ids)
        check_array("image_ids", self.image_ids, np.uint64)
        check_groups("image", self.start, len(self.query_ids), len(self.image_ids))

    @classmethod
    def from_ranking(
        cls, query_ids: NDArray[np.uint64], index_ids: NDArray[np.uint64], indices: NDArray[np.integer]
    ) -> Self:
        """Name the images of a ranking: `indices` [Q, K] are rows of `index_ids`, best first, -1 empty."""
        filled = indices >= 0
        start = np.concatenate([[0], np.cumsum(filled.sum(axis=1, dtype=np.int64))])
        return cls(query_ids, start, index_ids[indices[filled]])


@dataclass(frozen=True, eq=False)
class RecognitionSubmission:
    """The landmark recognised in each image.

    Attributes:
        image_ids: uint64 [Q], unique.
        landmarks: int64 [Q], landmark number, -1 for no prediction.
        scores: float64 [Q], finite where there is a prediction; a higher score is a surer one.
    """

    image_ids: NDArray[np.uint64]
    landmarks: NDArray[np.int64]
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        check_unique("image", self.image_ids)
        check_array("landmarks", self.landmarks, np.int64)
        check_array("scores", self.scores, np.float64)
        if not len(self.image_ids) == len(self.landmarks) == len(self.scores):
            raise FormatError("image_ids, landmarks and scores differ in length; give one of each an image")
        if (self.landmarks < -1).any():
            raise FormatError(f"landmark {self.landmarks.min()} is below -1; -1 stands for no prediction")
        void = (self.landmarks >= 0) & ~np.isfinite(self.scores)
        if void.any():
            row = int(np.argmax(void))
            raise FormatError(f"image {hex_of(self.image_ids[row])} has score {self.scores[row]}; give a number")


def read_retrieval_submission(path: str | Path, solution: RetrievalSolution | None = None) -> RetrievalSubmission:
    """Read a retrieval submission file; with a solution, its ids are checked too.

    Raises:
        FormatError: names the file, the line and the field.
    """
    path = Path(path)
    ids: list[NDArray[np.uint64]] = [np.empty(0, np.uint64)]
    lines: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    counts: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    images: list[NDArray[np.uint64]] = [np.empty(0, np.uint64)]
    for block in read_blocks(path, ("id", "images")):
        retrieved, offsets = block.image_ids(1)
        ids.append(block.row_ids())
        lines.append(block.lines)
        counts.append(np.diff(offsets))
        images.append(retrieved)
    query_ids = np.concatenate(ids)
    known = None if solution is None else (solution.query_ids, solution.ignored_ids)
    _check_ids(path, query_ids, np.concatenate(lines), known)
    start = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    return RetrievalSubmission(query_ids, start, np.concatenate(images))


def read_recognition_submission(path: str | Path, solution: RecognitionSolution | None = None) -> RecognitionSubmission:
    """Read a recognition submission file; with a solution, its ids are checked too.

    Raises:
        FormatError: names the file, the line and the field.
    """
    path = Path(path)
    ids: list[NDArray[np.uint64]] = [np.empty(0, np.uint64)]
    lines: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    landmarks: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    scores: list[NDArray[np.float64]] = [np.empty(0, np.float64)]
    for block in read_blocks(path, ("id", "landmarks")):
        words = block.words(1)
        counts = np.diff(words.offsets)
        if ((counts != 0) & (counts != 2)).any():
            row = int(np.argmax((counts != 0) & (counts != 2)))
            problem = f"{block.text(block.starts[row, 1], block.ends[row, 1])} is not one landmark and its score"
            raise block.error(row, 1, problem, "write '<landmark> <score>', or nothing")
        answered = np.flatnonzero(counts)
        numbers = block.landmarks(words.starts[::2], words.ends[::2])
        if (numbers < 0).any():
            word = int(np.argmax(numbers < 0))
            shown = block.text(words.starts[2 * word], words.ends[2 * word])
            remedy = "write a whole number of 0 and more"
            raise block.error(int(answered[word]), 1, f"{shown} is not a landmark", remedy)
        values = block.scores(words.starts[1::2], words.ends[1::2])
        if not np.isfinite(values).all():
            word = int(np.argmin(np.isfinite(values)))
            shown = block.text(words.starts[2 * word + 1], words.ends[2 * word + 1])
            raise block.error(int(answered[word]), 1, f"{shown} is not a score", "write a finite number")
        ids.append(block.row_ids())
        lines.append(block.lines)
        landmarks.append(np.full(len(counts), -1, np.int64))
        landmarks[-1][answered] = numbers
        scores.append(np.zeros(len(counts)))
        scores[-1][answered] = values
    image_ids = np.concatenate(ids)
    known = None if solution is None else (solution.image_ids, solution.ignored_ids)
    _check_ids(path, image_ids, np.concatenate(lines), known)
    return RecognitionSubmission(image_ids, np.concatenate(landmarks), np.concatenate(scores))


def write_retrieval_submission(path: str | Path, submission: RetrievalSubmission) -> None:
    """Write a retrieval submission file, whole or not at all."""
    with atomic_file(Path(path)) as file:
        file.write(b"id,images\n")
        for first in range(0, len(submission.query_ids), _WRITE_ROWS):
            start = submission.start[first : first + _WRITE_ROWS + 1]
            words = np.full((int(start[-1] - start[0]), DIGITS + 1), ord(" "), np.uint8)
            words[:, :DIGITS] = format_hex(submission.image_ids[start[0] : start[-1]])
            text = words.tobytes()
            bounds = ((start - start[0]) * (DIGITS + 1)).tolist()
            queries = submission.query_ids[first : first + _WRITE_ROWS].tolist()
            for query_id, begin, end in zip(queries, bounds[:-1], bounds[1:], strict=True):
                file.write(b"%016x,%b\n" % (query_id, text[begin : max(begin, end - 1)]))


def write_recognition_submission(path: str | Path, submission: RecognitionSubmission) -> None:
    """Write a recognition submission file, whole or not at all; scores come back exactly."""
    rows = (submission.image_ids.tolist(), submission.landmarks.tolist(), submission.scores.tolist())
    with atomic_file(Path(path)) as file:
        file.write(b"id,landmarks\n")
        for image_id, landmark, score in zip(*rows, strict=True):
            prediction = f"{landmark} {score!r}" if landmark >= 0 else ""
            file.write(f"{hex_of(image_id)},{prediction}\n".encode())


def _check_ids(
    path: Path,
    ids: NDArray[np.uint64],
    lines: NDArray[np.int64],
    known: tuple[NDArray[np.uint64], NDArray[np.uint64]] | None,
) -> None:
    """Refuse repeated ids, and ids that are neither in the solution nor ignored there."""
    row = first_repeat(ids)
    if row is not None:
        problem = f"id {hex_of(ids[row])} was there before"
        raise FormatError.at(path, problem, "keep one line an id", line=int(lines[row]), field="id")
    if known is None:
        return
    unknown = (find_rows(ids, known[0]) < 0) & (find_rows(ids, known[1]) < 0)
    if unknown.any():
        row = int(np.argmax(unknown))
        problem = f"id {hex_of(ids[row])} is not in the solution"
        remedy = "predict only for the images of the test split"
        raise FormatError.at(path, problem, remedy, line=int(lines[row]), field="id")
