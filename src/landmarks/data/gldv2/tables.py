"""Reads the CSV files of Google Landmarks v2 (Weyand et al., CVPR 2020) into image tables.

The formats are those of https://github.com/cvdfoundation/google-landmark. Train and index images are labelled in two
different label spaces: number 1501 means a different landmark in each. A train landmark is therefore called "1501"
and an index landmark "index:1501", so that the two cannot be confused.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from landmarks.data.table import ImageTable
from landmarks.errors import LandmarksError
from landmarks.ids import find_sorted, format_ids
from landmarks.storage import Rows, atomic_file, read_rows

LANDMARK_DIGITS = 9  # more would not fit into int32
MARK = "Category:"
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def read_labels(path: Path, prefix: str = "") -> ImageTable:
    """Read `train.csv` (id, url, landmark_id) or `index_image_to_landmark.csv` (id, landmark_id).

    Args:
        path: The file.
        prefix: Prefix of landmark names.

    Returns:
        The images in the order of the file. The label space is sorted by number; a name is the prefix and the number.

    Raises:
        LandmarksError: The file is invalid; names the file, line and field, as do the other readers here.
    """
    parts = [(rows.ids("id"), landmark_numbers(rows)) for rows in read_rows(path, ("id", "landmark_id"))]
    return _table(path, parts, prefix)


def read_clean(path: Path) -> ImageTable:
    """Read `train_clean.csv`, in which each line has a landmark_id and its images, separated by spaces."""
    parts = []
    for rows in read_rows(path, ("landmark_id", "images")):
        ids, offsets = rows.id_lists("images")
        parts.append((ids, np.repeat(landmark_numbers(rows), np.diff(offsets))))
    return _table(path, parts, "")


def read_ids(path: Path) -> NDArray[np.uint64]:
    """Read the column `id` of `index.csv`, `test.csv` or `train.csv`: uint64 [N], each id once."""
    ids = np.concatenate([np.empty(0, np.uint64), *(rows.ids("id") for rows in read_rows(path, ("id",)))])
    with _naming(path):
        ImageTable.unlabelled(ids)
    return ids


def landmark_numbers(rows: Rows) -> NDArray[np.int32]:
    """Return the column `landmark_id`, int32 [R]. Raises FormatError."""
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
    """Add the name of the file to the error of an image that occurs twice."""
    try:
        yield
    except LandmarksError as error:
        raise LandmarksError(f"{path}: {error}; remove the repetition") from error


def _distinct(numbers: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the distinct numbers, ascending, and the place of each number among them, int32 [N]."""
    largest = int(numbers.max(initial=0))
    if largest > 4 * len(numbers) + 1024:
        distinct, places = np.unique(numbers, return_inverse=True)
        return distinct, places.astype(np.int32)
    # The official numbers are dense, and counting takes a twentieth of the time of sorting.
    used = np.zeros(largest + 1, dtype=np.bool_)
    used[numbers] = True
    return np.flatnonzero(used).astype(np.int32), (np.cumsum(used, dtype=np.int32) - 1)[numbers]


def refuse_unknown(path: Path, ids: NDArray[np.uint64], known: NDArray[np.uint64], listed_in: Path) -> None:
    """Raise LandmarksError if an id in the file `path`, uint64 [N], is not among the `known` ids of `listed_in`."""
    unknown = ids[find_sorted(np.sort(known), ids) < 0]
    if len(unknown):
        raise LandmarksError(
            f"{path}: {len(unknown)} images are not in {listed_in}, "
            f"first {', '.join(format_ids(unknown[:3]))}; the two files must be of the same release"
        )


def write_clean(path: Path, ids: NDArray[np.uint64], landmarks: NDArray[np.str_]) -> None:
    """Write a file in the format of `train_clean.csv`, atomically; its folder is created.

    Args:
        path: The file.
        ids: Images, uint64 [N], those of one landmark together.
        landmarks: Landmark number of each image, str [N].

    Raises:
        LandmarksError: The file cannot be written.
    """
    starts = np.flatnonzero(np.append(True, landmarks[1:] != landmarks[:-1])[: len(ids)])
    try:
        with atomic_file(path) as file:
            file.write(b"landmark_id,images\n")
            for start, end in pairwise([*starts.tolist(), len(ids)]):
                file.write(f"{landmarks[start]},{' '.join(format_ids(ids[start:end]))}\n".encode("ascii"))
    except OSError as error:
        raise LandmarksError(f"{path}: cannot be written ({error.strerror}); nothing was written") from error


def read_categories(path: Path) -> dict[int, str]:
    """Read the names of all landmarks in `*_label_to_category.csv` (landmark_id, category).

    A landmark of the data set is a category of Wikimedia Commons, which the file gives as an address or as
    `Category:Eiffel_Tower`.

    Args:
        path: The file.

    Returns:
        Readable names by landmark number, such as "Eiffel Tower", in the order of the file.

    Raises:
        LandmarksError: The file is invalid or has a landmark twice.
    """
    names: dict[int, str] = {}
    for rows in read_rows(path, ("landmark_id", "category"), any_bytes=True):
        for number, category in zip(landmark_numbers(rows).tolist(), rows.texts("category"), strict=True):
            if number in names:
                raise LandmarksError(f"{path}: landmark {number} occurs more than once; keep one of its lines")
            names[number] = category_name(category)
    return names


def category_name(value: str) -> str:
    """Return "Café Museum" for `Category:Café_Museum` or `http://commons.wikimedia.org/wiki/Category:Caf%C3%A9_Museum`.

    Control characters are removed.
    """
    text = CONTROL.sub("", unquote(value))  # a terminal would interpret control characters
    return text[text.find(MARK) + len(MARK) if MARK in text else 0 :].replace("_", " ").strip()


def titles_of(labels: Sequence[str], categories: Mapping[int, str], path: Path) -> tuple[str, ...]:
    """Return the readable name of each class.

    Args:
        labels: The landmark id of each class.
        categories: Names by landmark id, from `read_categories`.
        path: The file of the categories, for messages.

    Returns:
        A name for each label, empty if the categories do not have it.

    Raises:
        LandmarksError: The categories have none of the labels.
    """
    numbers = (int(label) if label.isascii() and label.isdigit() else -1 for label in labels)
    titles = tuple(categories.get(number, "") for number in numbers)
    if not any(titles):
        raise LandmarksError(
            f"{path}: has a name for none of the {len(labels):,} classes; check that their labels are landmark ids"
        )
    return titles
