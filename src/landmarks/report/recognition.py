"""The table of recognition: one line a query with its prediction and what every stage has noted about it."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.ids import format_ids
from landmarks.metrics import RecognitionSubmission
from landmarks.storage import atomic_file

COLUMNS = ("id", "landmark", "score")
_WRITE_ROWS = 8192


def write_recognition_notes(
    path: str | Path, submission: RecognitionSubmission, notes: Mapping[str, NDArray[Any]]
) -> None:
    """Write ``recognition.csv`` whole: id, landmark and score (empty where there is no prediction), then all notes.

    Notes are columns [Q] by name: numbers (empty where not finite), truth values (1 or 0) or texts.
    """
    count = len(submission.image_ids)
    for name, values in notes.items():
        if len(values) != count or name in COLUMNS:
            raise LandmarksError(
                f"{path}: note {name} has {len(values)} rows of {count}, or takes another column's name"
            )
    predicted = submission.landmarks >= 0
    try:
        with atomic_file(Path(path)) as file:
            file.write(_lines([(*COLUMNS, *notes)]))
            for start in range(0, count, _WRITE_ROWS):
                rows = slice(start, start + _WRITE_ROWS)
                shown = predicted[rows]
                landmarks = np.where(shown, submission.landmarks[rows].astype(np.str_), "")
                scores = np.where(shown, submission.scores[rows].astype(np.float32).astype(np.str_), "")
                columns = (landmarks, scores, *(_texts(values[rows]) for values in notes.values()))
                ids = format_ids(submission.image_ids[rows])
                file.write(_lines(zip(ids, *(column.tolist() for column in columns), strict=True)))
    except OSError as error:
        raise LandmarksError(f"{path}: cannot be written ({error.strerror})") from error


def _texts(values: NDArray[Any]) -> NDArray[np.str_]:
    if values.dtype == np.bool_:
        return values.astype(np.int8).astype(np.str_)
    texts = values.astype(np.str_)
    if np.issubdtype(values.dtype, np.floating):
        return np.where(np.isfinite(values), texts, "")
    return texts


def _lines(rows: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
