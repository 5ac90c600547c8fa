"""Read the landmarks of a published classifier's classes from a list, because the weight files do not hold them."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from landmarks.data import read_categories, titles_of
from landmarks.errors import LandmarksError
from landmarks.models import PUBLISHED_MODELS

LARGEST_FILE = 64 << 20  # bytes; 203,094 landmarks take two million
COLUMNS = ("class", "landmark_id")


class ClassNames(NamedTuple):
    """The landmark_id and the title of each class.

    Attributes:
        labels: The landmark_id of each class; empty if unknown.
        titles: The readable name of each class, "" if unknown; empty if all are unknown.
    """

    labels: tuple[str, ...]
    titles: tuple[str, ...]


NO_NAMES = ClassNames((), ())  # for models whose class names are unknown


def read_class_names(name: str, labels: Path | None, categories: Path | None) -> ClassNames:
    """Read the names of the classes of a published model.

    Args:
        name: A key of `PUBLISHED_MODELS`.
        labels: File of the landmark of each class, see `read_labels`; None if unknown.
        categories: `train_label_to_category.csv`, for titles; needs `labels`.

    Raises:
        LandmarksError: The model has no classes, `labels` is missing, or a file is not in its format.
    """
    if (labels or categories) and PUBLISHED_MODELS[name].classifier is None:
        raise LandmarksError(f"{name} embeds images and has no classes; leave out --labels and --categories")
    if labels is None:
        if categories is not None:
            raise LandmarksError("--categories needs --labels, the landmark_id of each class: give both")
        return NO_NAMES
    found = read_labels(labels)
    if categories is None:
        return ClassNames(found, ())
    return ClassNames(found, titles_of(found, read_categories(categories), categories))


def read_labels(path: Path) -> tuple[str, ...]:
    """Read the landmark of each class, str [C].

    The file is text with one landmark_id in each line, class 0 first; or CSV with the column landmark_id, or with the
    columns class (0 to C - 1, each once, in any order) and landmark_id.
    """
    rows = _rows(path)
    number, first = next(rows, (1, ["landmark_id"]))
    columns = [field.strip() for field in first]
    if "landmark_id" not in columns:
        return _distinct(path, [(number, first), *rows])
    if sorted(columns) not in (["landmark_id"], sorted(COLUMNS)):
        raise LandmarksError(f"{path}, line {number}: the columns must be landmark_id, or {' and '.join(COLUMNS)}")
    if len(columns) == 1:
        return _distinct(path, list(rows))
    at = columns.index("class")
    labels: dict[int, tuple[int, list[str]]] = {}
    for line, row in rows:
        if len(row) != len(columns):
            raise LandmarksError(f"{path}, line {line}: {len(row)} fields instead of {len(columns)}")
        text = row[at].strip()
        if not (text.isascii() and text.isdigit() and len(text) <= 9):
            raise LandmarksError(f"{path}, line {line}, field 'class': {text!r} is not the number of a class")
        if int(text) in labels:
            raise LandmarksError(f"{path}, line {line}, field 'class': class {int(text)} occurs twice")
        labels[int(text)] = (line, [row[1 - at]])
    if missing := sorted(set(range(len(labels))) - labels.keys()):
        raise LandmarksError(f"{path}: class {missing[0]} is missing; number the classes from 0")
    return _distinct(path, [labels[one] for one in range(len(labels))])


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and fields of every line that is not blank."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise LandmarksError(f"{path}: larger than {LARGEST_FILE:,} bytes, too large for a list of labels")
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                if row:
                    yield reader.line_num, row
    except OSError as error:
        raise LandmarksError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise LandmarksError(f"{path}: is not a list of labels in UTF-8 ({error})") from None


def _distinct(path: Path, rows: Sequence[tuple[int, list[str]]]) -> tuple[str, ...]:
    lines: dict[str, int] = {}
    for line, row in rows:
        if len(row) != 1 or not row[0].strip() or not row[0].strip().isprintable():
            raise LandmarksError(f"{path}, line {line}: expected one landmark_id, found {','.join(row)[:40]!r}")
        label = row[0].strip()
        if label in lines:
            raise LandmarksError(f"{path}, line {line}: landmark {label} is already in line {lines[label]}")
        lines[label] = line
    if not lines:
        raise LandmarksError(f"{path}: holds no labels")
    return tuple(lines)
