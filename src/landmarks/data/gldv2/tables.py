"""Reads the CSV files of Google Landmarks v2 (Weyand et al., CVPR 2020) into image tables.

Formats as in https://github.com/cvdfoundation/google-landmark. Train and index images are labelled in two
different spaces of landmark numbers: number 1501 here and 1501 there are different places. So a train
landmark is called "1501" and an index landmark "index:1501", and no code can confuse the two.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from landmarks.data.gldv2.quoted_csv import read_columns
from landmarks.data.table import ImageTable, find_sorted
from landmarks.errors import LandmarksError
from landmarks.ids import ID_DIGITS, format_ids
from landmarks.metrics.csv_block import Block
from landmarks.metrics.errors import FormatError
from landmarks.metrics.hex_ids import parse_hex

INDEX_PREFIX = "index:"
LANDMARK_DIGITS = 9  # more would not fit into int32

T = TypeVar("T")
Number = TypeVar("Number", np.uint64, np.int32)


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
    parts = each_block(path, ("id", "landmark_id"), lambda block: (_row_ids(block), landmark_numbers(block, 1)))
    ids, numbers = _joined([part[0] for part in parts], np.uint64), _joined([part[1] for part in parts], np.int32)
    return _table(path, ids, numbers, prefix)


def read_clean(path: Path) -> ImageTable:
    """Read `train_clean.csv`: landmark_id and its images, separated by spaces, a landmark a line.

    Raises:
        LandmarksError: The file, line and field that are wrong.
    """

    def images(block: Block) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
        ids, offsets = block.image_ids(1)
        return ids, np.repeat(landmark_numbers(block, 0), np.diff(offsets))

    parts = each_block(path, ("landmark_id", "images"), images)
    ids, numbers = _joined([part[0] for part in parts], np.uint64), _joined([part[1] for part in parts], np.int32)
    return _table(path, ids, numbers, "")


def read_ids(path: Path) -> NDArray[np.uint64]:
    """Read the column `id` of `index.csv`, `test.csv` or `train.csv`: uint64 [N], each id once.

    Raises:
        LandmarksError: The file, line and field that are wrong.
    """
    ids = _joined(each_block(path, ("id",), _row_ids), np.uint64)
    with _naming(path):
        ImageTable.unlabelled(ids)
    return ids


def each_block(path: Path, columns: Sequence[str], read: Callable[[Block], T]) -> list[T]:
    """What `read` makes of each block of a file. Raises LandmarksError where that raises FormatError."""
    try:
        return [read(block) for block in read_columns(path, columns)]
    except FormatError as error:
        raise LandmarksError(str(error)) from error


def landmark_numbers(block: Block, column: int) -> NDArray[np.int32]:
    """A column of landmark numbers, int32 [R]. Raises FormatError."""
    starts, ends = block.starts[:, column], block.ends[:, column]
    numbers = np.where(ends - starts <= LANDMARK_DIGITS, block.landmarks(starts, ends), -1)
    if numbers.min(initial=0) < 0:
        row = int(np.argmax(numbers < 0))
        problem = f"{block.text(starts[row], ends[row])} is not a landmark number"
        raise block.error(row, column, problem, f"write 1 to {LANDMARK_DIGITS} digits")
    return numbers.astype(np.int32)


def _row_ids(block: Block) -> NDArray[np.uint64]:
    """`Block.row_ids`, which looks for several ids in each field, in half the time where there are none."""
    starts = block.starts[:, 0]
    if (block.ends[:, 0] - starts == ID_DIGITS).all():
        ids, valid = parse_hex(np.lib.stride_tricks.sliding_window_view(block.data, ID_DIGITS)[starts])
        if valid.all():
            return ids
    return block.row_ids()


def _joined(parts: list[NDArray[Number]], dtype: type[Number]) -> NDArray[Number]:
    return np.concatenate([np.empty(0, dtype), *parts])


def _table(path: Path, ids: NDArray[np.uint64], numbers: NDArray[np.int32], prefix: str) -> ImageTable:
    distinct, landmarks = _distinct(numbers)
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
