"""Writes the table of recognition: one line per query with its prediction and the notes of every stage."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.ids import format_ids
from landmarks.metrics import RecognitionSubmission
from landmarks.storage import atomic_file

COLUMNS = ("id", "landmark", "score")


def write_recognition_notes(
    path: str | Path, submission: RecognitionSubmission, notes: Mapping[str, NDArray[Any]]
) -> None:
    """Write id, landmark and score (empty without a prediction), then all notes, into a CSV file.

    Notes are columns [Q] by name: numbers (empty if not finite), booleans (1 or 0) or texts.
    """
    count = len(submission.image_ids)
    for name, values in notes.items():
        if len(values) != count or name in COLUMNS:
            raise LandmarksError(
                f"{path}: note {name} has {len(values)} rows of {count}, or takes another column's name"
            )
    table = pl.DataFrame({
        "id": format_ids(submission.image_ids),
        "landmark": submission.landmarks,
        "score": submission.scores.astype(np.float32),
        **notes,
    })  # fmt: skip
    predicted = pl.Series(submission.landmarks >= 0)
    table = table.with_columns(
        pl.when(predicted).then(pl.col("landmark", "score")),
        pl.col(name for name in notes if table[name].dtype == pl.Boolean).cast(pl.Int8),
        *(pl.when(pl.col(name).is_finite()).then(name) for name in notes if table[name].dtype.is_float()),
    )
    try:
        with atomic_file(Path(path)) as file:
            table.write_csv(file)
    except OSError as error:
        raise LandmarksError(f"{path}: cannot be written ({error.strerror})") from error
