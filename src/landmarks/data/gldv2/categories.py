"""Names of landmarks for people, from `train_label_to_category.csv` (Weyand et al., CVPR 2020).

A landmark of the data set is a category of Wikimedia Commons, which the file gives as an address or as
`Category:Eiffel_Tower`. People read "Eiffel Tower".
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

from landmarks.data.gldv2.tables import landmark_numbers
from landmarks.errors import LandmarksError
from landmarks.storage import read_rows

MARK = "Category:"
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def read_categories(path: Path) -> dict[int, str]:
    """Read the names of all landmarks of `*_label_to_category.csv` (landmark_id, category).

    Args:
        path: The CSV file; 203,094 landmarks take a second.

    Returns:
        Landmark number to name, such as `{1501: "Eiffel Tower"}`, in the order of the file.

    Raises:
        LandmarksError: The file, line and field that are wrong, or a landmark that comes twice.
    """
    names: dict[int, str] = {}
    for rows in read_rows(path, ("landmark_id", "category"), any_bytes=True):
        for number, category in zip(landmark_numbers(rows).tolist(), rows.texts("category"), strict=True):
            if number in names:
                raise LandmarksError(f"{path}: landmark {number} comes more than once; keep one line of it")
            names[number] = category_name(category)
    return names


def category_name(value: str) -> str:
    """`http://commons.wikimedia.org/wiki/Category:Caf%C3%A9_Museum` and `Category:Café_Museum` to "Café Museum"."""
    text = CONTROL.sub("", unquote(value))  # which a terminal would obey
    return text[text.find(MARK) + len(MARK) if MARK in text else 0 :].replace("_", " ").strip()


def titles_of(labels: Sequence[str], categories: Mapping[int, str], path: Path) -> tuple[str, ...]:
    """The name for people of each class; empty where the categories have none.

    Args:
        labels: str [C], landmark ids or whatever else the classes are called.
        categories: see `read_categories`.
        path: of the categories, for the message.

    Raises:
        LandmarksError: The categories name none of the classes.
    """
    numbers = (int(label) if label.isascii() and label.isdigit() else -1 for label in labels)
    titles = tuple(categories.get(number, "") for number in numbers)
    if not any(titles):
        raise LandmarksError(f"{path}: names none of the {len(labels):,} classes; are these labels landmark ids?")
    return titles
