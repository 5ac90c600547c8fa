"""Predictions of both tasks as arrays, and the official submission files.

retrieval:   id,images     up to 100 ids, best first
recognition: id,landmarks  one landmark and its score, or empty

If the solution is given when a file is read, ids that are not in it are reported with their line.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from landmarks.errors import FormatError
from landmarks.ids import ID_DIGITS, find_rows, format_id, format_ids, join_ids
from landmarks.metrics.official_csv import read_official, refuse_repeats
from landmarks.metrics.solutions import (
    RecognitionSolution,
    RetrievalSolution,
    check_array,
    check_groups,
    check_unique,
)
from landmarks.storage import atomic_file

_WRITE_ROWS = 4096
# An empty block: ids, lines, numbers, images.
_NOTHING = (np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint64))


@dataclass(frozen=True, eq=False)
class RetrievalSubmission:
    """Index images retrieved for each query, best first.

    Attributes:
        query_ids: uint64 [Q], unique.
        start: int64 [Q+1], boundaries of each query's images; a query may have none.
        image_ids: uint64 [P], retrieved index images.

    Raises:
        FormatError: the arrays violate one of these rules.
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
        """Make a submission from a ranking.

        Args:
            query_ids: uint64 [Q].
            index_ids: uint64 [N].
            indices: [Q, K], rows of `index_ids`, best first; -1 = empty.
        """
        filled = indices >= 0
        start = np.concatenate([[0], np.cumsum(filled.sum(axis=1, dtype=np.int64))])
        return cls(query_ids, start, index_ids[indices[filled]])


@dataclass(frozen=True, eq=False)
class RecognitionSubmission:
    """The landmark recognised in each image.

    Attributes:
        image_ids: uint64 [Q], unique.
        landmarks: int64 [Q], landmark number; -1 = no prediction.
        scores: float64 [Q], confidences, higher is more certain; finite where there is a prediction.

    Raises:
        FormatError: the arrays violate one of these rules.
    """

    image_ids: NDArray[np.uint64]
    landmarks: NDArray[np.int64]
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        check_unique("image", self.image_ids)
        check_array("landmarks", self.landmarks, np.int64)
        check_array("scores", self.scores, np.float64)
        if not len(self.image_ids) == len(self.landmarks) == len(self.scores):
            raise FormatError("image_ids, landmarks and scores differ in length; give one of each per image")
        if (self.landmarks < -1).any():
            raise FormatError(f"landmark {self.landmarks.min()} is below -1; use -1 for no prediction")
        void = (self.landmarks >= 0) & ~np.isfinite(self.scores)
        if void.any():
            row = int(np.argmax(void))
            raise FormatError(f"image {format_id(self.image_ids[row])} has score {self.scores[row]}; give a number")


def read_retrieval_submission(path: str | Path, solution: RetrievalSolution | None = None) -> RetrievalSubmission:
    """Read a retrieval submission file; with a solution, its ids are checked too.

    Raises:
        FormatError: the file is invalid; names the line and the field.
    """
    path = Path(path)
    parts = [_NOTHING]
    for rows in read_official(path, ("id", "images")):
        retrieved, offsets = rows.id_lists("images")
        parts.append((rows.ids("id"), rows.lines, np.diff(offsets), retrieved))
    query_ids, lines, counts, images = (np.concatenate(values) for values in zip(*parts, strict=True))
    known = None if solution is None else (solution.query_ids, solution.ignored_ids)
    _check_ids(path, query_ids, lines, known)
    return RetrievalSubmission(query_ids, np.concatenate([[0], np.cumsum(counts)]), images)


def read_recognition_submission(path: str | Path, solution: RecognitionSolution | None = None) -> RecognitionSubmission:
    """Read a recognition submission file; with a solution, its ids are checked too.

    Raises:
        FormatError: the file is invalid; names the line and the field.
    """
    path = Path(path)
    parts: list[tuple[NDArray[Any], ...]] = [(*_NOTHING[:3], np.empty(0))]
    for rows in read_official(path, ("id", "landmarks")):
        words, offsets = rows.words("landmarks")
        counts = np.diff(offsets)
        remedy = "write '<landmark> <score>', or nothing"
        rows.refuse((counts != 0) & (counts != 2), "landmarks", "is not one landmark and its score", remedy)
        first = np.arange(len(words)) % 2 == 0
        names, values = words.take(first), words.take(~first)
        numbers = names.whole_numbers("landmarks")
        names.refuse(numbers < 0, "landmarks", "is not a landmark", "write a whole number, 0 or more")
        found = values.fields["landmarks"].cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
        values.refuse(~np.isfinite(found), "landmarks", "is not a score", "write a finite number")
        landmarks, scores = np.full(len(counts), -1, np.int64), np.zeros(len(counts))
        landmarks[counts > 0], scores[counts > 0] = numbers, found
        parts.append((rows.ids("id"), rows.lines, landmarks, scores))
    image_ids, lines, landmarks, scores = (np.concatenate(values) for values in zip(*parts, strict=True))
    known = None if solution is None else (solution.image_ids, solution.ignored_ids)
    _check_ids(path, image_ids, lines, known)
    return RecognitionSubmission(image_ids, landmarks, scores)


def write_retrieval_submission(path: str | Path, submission: RetrievalSubmission) -> None:
    """Write a retrieval submission file, atomically."""
    with atomic_file(Path(path)) as file:
        file.write(b"id,images\n")
        for first in range(0, len(submission.query_ids), _WRITE_ROWS):
            start = submission.start[first : first + _WRITE_ROWS + 1]
            text = join_ids(submission.image_ids[start[0] : start[-1]])
            bounds = ((start - start[0]) * (ID_DIGITS + 1)).tolist()
            queries = format_ids(submission.query_ids[first : first + _WRITE_ROWS])
            lines = [
                f"{query},{text[begin : max(begin, end - 1)]}\n"
                for query, begin, end in zip(queries, bounds[:-1], bounds[1:], strict=True)
            ]
            file.write("".join(lines).encode())


def write_recognition_submission(path: str | Path, submission: RecognitionSubmission) -> None:
    """Write a recognition submission file, atomically, with enough digits to read scores back exactly."""
    rows = (submission.image_ids.tolist(), submission.landmarks.tolist(), submission.scores.tolist())
    with atomic_file(Path(path)) as file:
        file.write(b"id,landmarks\n")
        for image_id, landmark, score in zip(*rows, strict=True):
            prediction = f"{landmark} {score!r}" if landmark >= 0 else ""
            file.write(f"{format_id(image_id)},{prediction}\n".encode())


def _check_ids(
    path: Path,
    ids: NDArray[np.uint64],
    lines: NDArray[np.int64],
    known: tuple[NDArray[np.uint64], NDArray[np.uint64]] | None,
) -> None:
    """Raise a FormatError for repeated ids, and for ids that are neither in the solution nor ignored there."""
    refuse_repeats(path, ids, lines)
    if known is None:
        return
    unknown = (find_rows(ids, known[0]) < 0) & (find_rows(ids, known[1]) < 0)
    if unknown.any():
        row = int(np.argmax(unknown))
        problem = f"id {format_id(ids[row])} is not in the solution"
        remedy = "predict only for the images of the test split"
        raise FormatError.at(path, problem, remedy, line=int(lines[row]), field="id")
