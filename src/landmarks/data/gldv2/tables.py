"""Reads the CSV files of Google Landmarks v2 (Weyand et al., CVPR 2020) into image tables.

Formats as in https://github.com/cvdfoundation/google-landmark. Train and index images are labelled in two
different spaces of landmark numbers: number 1501 here and 1501 there are different places. So a train
landmark is called "1501" and an index landmark "index:1501", and no code can confuse the two.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.data.table import ImageTable
from landmarks.errors import LandmarksError
from landmarks.ids import find_sorted, format_ids
from landmarks.storage import Rows, read_rows

INDEX_PREFIX = "index:"
LANDMARK_DIGITS = 9  # more would not fit into int32


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
    parts = [(rows.ids("id"), landmark_numbers(rows)) for rows in read_rows(path, ("id", "landmark_id"))]
    return _table(path, parts, prefix)


def read_clean(path: Path) -> ImageTable:
    """Read `train_clean.csv`: landmark_id and its images, separated by spaces, a landmark a line.

    Raises:
        LandmarksError: The file, line and field that are wrong.
    """
    parts = []
    for rows in read_rows(path, ("landmark_id", "images")):
        ids, offsets = rows.id_lists("images")
        parts.append((ids, np.repeat(landmark_numbers(rows), np.diff(offsets))))
    return _table(path, parts, "")


def read_ids(path: Path) -> NDArray[np.uint64]:
    """Read the column `id` of `index.csv`, `test.csv` or `train.csv`: uint64 [N], each id once.

    Raises:
        LandmarksError: The file, line and field that are wrong.
    """
    ids = np.concatenate([np.empty(0, np.uint64), *(rows.ids("id") for rows in read_rows(path, ("id",)))])
    with _naming(path):
        ImageTable.unlabelled(ids)
    return ids


def landmark_numbers(rows: Rows) -> NDArray[np.int32]:
    """The column `landmark_id`, int32 [R]. Raises FormatError."""
    numbers = rows.whole_numbers("landmark_id")
    wrong = (numbers < 0) | (numbers >= 10**LANDMARK_DIGITS)
    rows.refuse(wrong, "landmark_id", "is not a landmark number", f"write 1 to {LANDMARK_DIGITS} digits")
    return numbers.astype(np.int32)


def _table(path: Path, parts: Sequence[tuple[NDArray[np.uint64], NDArray[np.int32]]], prefix: str) -> ImageTable:
    ids = np.concatenate([np.empty(0, np.uint64), *(part[0] for part in parts)])
    distinct, landmarks = _distinct(np.concatenate([np.empty(0, np.int32), *(part[1] for part in parts)]))
    names = np.array([f"{prefix}{number}" for number in distinct], dtype=np.str_)
    with _naming(path):
        return ImageTable(ids, landmarks, names)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file in which an image comes twice."""
    try:
        yield
    except LandmarksError as error:
        raise LandmarksError(f"{path}: {error}; remove the repetition") from error


def _distinct(numbers: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The distinct numbers, ascending, and the place of each number among them, int32 [N]."""
    largest = int(numbers.max(initial=0))
    if largest > 4 * len(numbers) + 1024:
        distinct, places = np.unique(numbers, return_inverse=True)
        return distinct, places.astype(np.int32)
    # The official numbers are dense, and counting takes a twentieth of sorting.
    used = np.zeros(largest + 1, dtype=np.bool_)
    used[numbers] = True
    return np.flatnonzero(used).astype(np.int32), (np.cumsum(used, dtype=np.int32) - 1)[numbers]


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
