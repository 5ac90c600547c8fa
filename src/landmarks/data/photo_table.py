"""Reads a user's own split of photographs: a CSV file of path, landmark and split."""

import os
from pathlib import Path

import numpy as np

from landmarks.storage import read_rows

SPLITS = ("train", "index", "query")


def read_photo_table(path: Path, root: Path, non_landmark: str) -> dict[str, dict[str, list[Path]]]:
    """Read the images of each split by landmark; those without a landmark get the name `non_landmark`.

    Raises:
        LandmarksError: A split is unknown, an image does not exist or is twice in a split, or a training image has no
            landmark; the message names the line.
    """
    found: dict[str, dict[str, list[Path]]] = {split: {} for split in SPLITS}
    known: set[tuple[str, str]] = set()  # absolute paths, because place/a.jpg and ./place/a.jpg are the same image
    for rows in read_rows(path, ("path", "landmark", "split")):
        names, landmarks, splits = (rows.texts(column) for column in ("path", "landmark", "split"))
        strange = np.array([split not in SPLITS for split in splits])
        rows.refuse(strange, "split", "is not a split", f"write one of {', '.join(SPLITS)}")
        unnamed = np.array(
            [split == "train" and not landmark for split, landmark in zip(splits, landmarks, strict=True)]
        )
        rows.refuse(
            unnamed, "landmark", "is not a landmark to train on", "write its name, or move the image to index or query"
        )
        files = [root / name for name in names]
        absent = np.array([not _is_file(file) for file in files])
        rows.refuse(absent, "path", f"is not a file in {root}", "write the image's path relative to data.root")
        again = np.zeros(len(rows), np.bool_)
        for row, key in enumerate(zip(map(os.path.abspath, files), splits, strict=True)):
            again[row] = key in known
            known.add(key)
        rows.refuse(again, "path", "is an image that is already in the same split", "remove one of the lines")
        for file, landmark, split in zip(files, landmarks, splits, strict=True):
            found[split].setdefault(landmark or non_landmark, []).append(file)
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for the system
        return False
