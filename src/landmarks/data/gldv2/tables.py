"""Reads the CSV files of Google Landmarks v2 (Weyand et al., CVPR 2020) into image tables.

Formats as in https://github.com/cvdfoundation/google-landmark. Train and index images are labelled in two
different spaces of landmark numbers: number 1501 here and 1501 there are different places. So a train
landmark is called "1501" and an index landmark "index:1501", and no code can confuse the two.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from landmarks.data.ids import first_bad_id, format_ids, parse_ids
from landmarks.data.table import ImageTable, find_sorted
from landmarks.errors import LandmarksError

INDEX_PREFIX = "index:"
HEADER_LINES = 1


def read_labels(path: Path, prefix: str = "") -> ImageTable:
    """Read `train.csv` (id, url, landmark_id) or `index_image_to_landmark.csv` (id, landmark_id).

    Args:
        path: The CSV file.
        prefix: Put before each landmark number to make its name.

    Returns:
        The images in the order of the file; the label space is sorted by number.

    Raises:
        LandmarksError: The file, line and field that are wrong.
    """
    frame = _read_columns(path, ["id", "landmark_id"])
    numbers = _landmark_numbers(path, frame["landmark_id"])
    return _table(path, _image_ids(path, frame["id"]), numbers, prefix)


def read_clean(path: Path) -> ImageTable:
    """Read `train_clean.csv`: landmark_id and its images, separated by spaces, a landmark a line.

    Raises:
        LandmarksError: The file, line and field that are wrong.
    """
    frame = _read_columns(path, ["landmark_id", "images"])
    numbers = _landmark_numbers(path, frame["landmark_id"])
    images = frame.with_row_index("row").with_columns(pl.col("images").fill_null("").str.split(" "))
    images = images.explode("images").filter(pl.col("images") != "")
    rows = images["row"].to_numpy()
    return _table(path, _image_ids(path, images["images"], "images", rows), numbers[rows], "")


def read_ids(path: Path) -> NDArray[np.uint64]:
    """Read the column `id` of `index.csv`, `test.csv` or `train.csv`: uint64 [N], each id once.

    Raises:
        LandmarksError: The file, line and field that are wrong.
    """
    ids = _image_ids(path, _read_columns(path, ["id"])["id"])
    _refuse_repeated(path, ids)
    return ids


def read_categories(path: Path, prefix: str = "") -> dict[str, str]:
    """Read `*_label_to_category.csv`: landmark name -> Wikimedia category, e.g. "Category:Eiffel Tower"."""
    frame = _read_columns(path, ["landmark_id", "category"])
    numbers = _landmark_numbers(path, frame["landmark_id"])
    return dict(zip((f"{prefix}{n}" for n in numbers), frame["category"].fill_null("").to_list(), strict=True))


def _table(path: Path, ids: NDArray[np.uint64], numbers: NDArray[np.int64], prefix: str) -> ImageTable:
    _refuse_repeated(path, ids)
    distinct, landmarks = np.unique(numbers, return_inverse=True)
    names = np.array([f"{prefix}{number}" for number in distinct], dtype=np.str_)
    return ImageTable(ids, landmarks.astype(np.int32), names)


def _read_columns(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    try:
        # Everything as text: a wrong value is then ours to name, with its line. Urls may hold any bytes.
        frame = pl.read_csv(path, infer_schema=False, encoding="utf8-lossy")
    except OSError as error:
        raise LandmarksError(f"{path}: cannot be read ({error.strerror or error})") from error
    except pl.exceptions.NoDataError as error:
        raise LandmarksError(f"{path}: empty; expected the columns {','.join(columns)}") from error
    except pl.exceptions.PolarsError as error:
        raise LandmarksError(f"{path}: {_first_ragged_line(path) or error}") from error
    for column in columns:
        if column not in frame.columns:
            raise LandmarksError(f"{path}, line 1: no column {column!r}; the columns are {','.join(frame.columns)}")
    return frame.select(columns)


def _first_ragged_line(path: Path) -> str | None:
    """Polars says that some line has too many fields but not which: look again, slowly."""
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.reader(file)
        width = len(next(rows, []))
        return next(
            (f"line {rows.line_num}: {len(row)} fields instead of {width}" for row in rows if len(row) > width),
            None,
        )


def _image_ids(
    path: Path, ids: pl.Series, field: str = "id", rows: NDArray[np.integer] | None = None
) -> NDArray[np.uint64]:
    bad = first_bad_id(ids)
    if bad is not None:
        row = bad if rows is None else int(rows[bad])
        raise LandmarksError(
            f"{path}, {_line(row)}, field {field}: {ids[bad]!r} is not an image id (16 digits of 0-9 and a-f)"
        )
    return parse_ids(ids)


def _landmark_numbers(path: Path, numbers: pl.Series) -> NDArray[np.int64]:
    # At most 9 digits: more would not fit what landmark numbers are stored as elsewhere.
    bad = ~numbers.str.contains("^[0-9]{1,9}$").fill_null(False)
    if bad.any():
        row = int(bad.arg_true()[0])
        raise LandmarksError(
            f"{path}, {_line(row)}, field landmark_id: {numbers[row]!r} is not a landmark number (1 to 9 digits)"
        )
    return numbers.cast(pl.Int64).to_numpy()


def _refuse_repeated(path: Path, ids: NDArray[np.uint64]) -> None:
    order = np.argsort(ids, kind="stable")
    repeated = np.flatnonzero(ids[order][1:] == ids[order][:-1])
    if len(repeated):
        raise LandmarksError(
            f"{path}: {len(repeated)} images are listed more than once, "
            f"first {format_ids(ids[order[repeated[:1]]])[0]}; remove the repetition"
        )


def _line(row: int) -> str:
    return f"line {row + 1 + HEADER_LINES}"


def refuse_unknown(path: Path, ids: NDArray[np.uint64], known: NDArray[np.uint64], listed_in: Path) -> None:
    """Raise LandmarksError if an id that `path` names is not listed in another file.

    Args:
        path: The file that names the ids.
        ids: uint64 [N].
        known: uint64 [M].
        listed_in: The file that lists all known ids.
    """
    unknown = ids[find_sorted(np.sort(known), ids) < 0]
    if len(unknown):
        raise LandmarksError(
            f"{path}: {len(unknown)} images are not in {listed_in}, "
            f"first {', '.join(format_ids(unknown[:3]))}; the two files must be of the same release"
        )
