"""Reads a split of photographs that somebody made: a CSV file of path, landmark and split."""

import os
from pathlib import Path

import numpy as np

from landmarks.storage import read_rows

SPLITS = ("train", "index", "query")


def read_photo_table(path: Path, root: Path, non_landmark: str) -> dict[str, dict[str, list[Path]]]:
    """Read images by split and landmark; those without a landmark are of `non_landmark`.

    Raises:
        LandmarksError: names the line of an unknown split, an image that is not there or named twice in a split, or one
            to train on without a landmark.
    """
    found: dict[str, dict[str, list[Path]]] = {split: {} for split in SPLITS}
    known: set[tuple[str, str]] = set()  # absolute: place/a.jpg and ./place/a.jpg are one image
    for rows in read_rows(path, ("path", "landmark", "split")):
        names, landmarks, splits = (rows.texts(column) for column in ("path", "landmark", "split"))
        strange = np.array([split not in SPLITS for split in splits])
        rows.refuse(strange, "split", "is no split", f"write one of {', '.join(SPLITS)}")
        unnamed = np.array(
            [split == "train" and not landmark for split, landmark in zip(splits, landmarks, strict=True)]
        )
        rows.refuse(
            unnamed, "landmark", "is no landmark to train on", "write its name, or make the image index or query"
        )
        files = [root / name for name in names]
        absent = np.array([not _is_file(file) for file in files])
        rows.refuse(absent, "path", f"is no file in {root}", "write the image's path from data.root on")
        again = np.zeros(len(rows), np.bool_)
        for row, key in enumerate(zip(map(os.path.abspath, files), splits, strict=True)):
            again[row] = key in known
            known.add(key)
        rows.refuse(again, "path", "is an image that was there before in the same split", "remove one of the lines")
        for file, landmark, split in zip(files, landmarks, splits, strict=True):
            found[split].setdefault(landmark or non_landmark, []).append(file)
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for the system
        return False
