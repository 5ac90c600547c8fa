"""Writes train_clean.csv in its official format: `landmark_id,images`, a landmark a line, ids with spaces between."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.ids import ID_DIGITS, format_ids
from landmarks.storage import atomic_file

BLOCK = 1 << 18  # pictures whose ids are text at the same time, more or less


def write_clean(path: Path, ids: NDArray[np.uint64], landmarks: NDArray[np.str_]) -> None:
    """Write a file that `tables.read_clean` reads, whole or not at all.

    Args:
        path: the file; its folder is made.
        ids: uint64 [N], pictures, those of one landmark together.
        landmarks: str [N], the landmark number of each.

    Raises:
        LandmarksError: the file cannot be written.
    """
    first = np.append(np.flatnonzero(np.append(True, landmarks[1:] != landmarks[:-1])[: len(ids)]), len(ids))
    try:
        with atomic_file(path) as file:
            file.write(b"landmark_id,images\n")
            line = 0
            while line < len(first) - 1:
                last = max(line + 1, int(np.searchsorted(first, first[line] + BLOCK, side="right")) - 1)
                text = " ".join(format_ids(ids[first[line] : first[last]]))
                begins = (first[line : last + 1] - first[line]) * (ID_DIGITS + 1)
                names = landmarks[first[line:last]].tolist()
                lines = [
                    f"{name},{text[begin : end - 1]}\n"
                    for name, begin, end in zip(names, begins[:-1].tolist(), begins[1:].tolist(), strict=True)
                ]
                file.write("".join(lines).encode("ascii"))
                line = last
    except OSError as error:
        raise LandmarksError(f"{path}: cannot be written ({error.strerror}); nothing was") from error
