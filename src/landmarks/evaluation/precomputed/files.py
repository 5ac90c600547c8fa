"""Open files of arrays, ids and labels without trusting them.

Arrays are ``.npy`` files of any version, either byte order, C or Fortran order. The header is compared with the file's
length before memory is allocated, nothing is unpickled, and the array stays on disk. Ids and labels, one value for each
row, may also be text or CSV files.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.data import read_ids as read_csv_ids
from landmarks.errors import LandmarksError
from landmarks.ids import first_repeat, format_id, parse_ids
from landmarks.storage import read_any_header

MAGIC = b"\x93NUMPY"
ZIP = b"PK"


def is_numpy(path: Path) -> bool:
    """Return whether a file begins like an ``.npy`` file."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError as error:
        raise LandmarksError(f"{path}: cannot be read ({error.strerror})") from error


def map_numpy(path: Path) -> NDArray[Any]:
    """Memory-map an array read-only."""
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
            if start != MAGIC:
                hint = ", but an .npz archive: save one array with numpy.save" if start.startswith(ZIP) else ""
                raise ValueError(f"it is not an .npy file{hint}")
            file.seek(0)
            header = read_any_header(file)
            length = file.seek(0, 2)
        if header.dtype.hasobject:
            raise ValueError("it holds Python objects, which are never loaded; save numbers")
        if min(header.shape, default=1) < 1:
            raise ValueError(f"it is empty, its shape is {header.shape}")
        if length != header.file_bytes:
            raise ValueError(f"it is {length} bytes long, its header needs {header.file_bytes}; copy or save it again")
        shape, offset = header.shape, header.data_start
        return np.memmap(path, header.dtype, mode="r", offset=offset, shape=shape, order="F" if header.fortran else "C")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise LandmarksError(f"{path}: cannot be used: {reason}") from error


def map_floats(path: Path, rank: int, shape: str) -> NDArray[Any]:
    """Memory-map an ``.npy`` file of float16, float32 or float64 with `rank` axes; messages name them as `shape`."""
    array = map_numpy(path)
    if array.ndim != rank:
        raise LandmarksError(f"{path}: expected an array {shape}, found shape {array.shape}")
    if array.dtype.kind != "f" or array.dtype.itemsize not in (2, 4, 8):
        raise LandmarksError(
            f"{path}: expected float16, float32 or float64, found {array.dtype}; save it with .astype(numpy.float32)"
        )
    return array


def read_ids(path: Path, count: int) -> NDArray[np.uint64]:
    """Read the ids of `count` images: uint64 [count].

    The file is an ``.npy`` file of integers or of strings of 16 hex digits, a text file with one id in each line, or a
    CSV file with a column `id`.
    """
    if is_numpy(path):
        ids = _numpy_ids(path)
    else:
        lines = _read_lines(path)
        is_csv = "id" in [name.strip('"') for name in lines[0].split(",")]
        ids = read_csv_ids(path) if is_csv else _parse(path, lines)
    _require_count(path, "ids", len(ids), count)
    row = first_repeat(ids)
    if row is not None:
        raise LandmarksError(f"{path}: id {format_id(ids[row])} occurs twice, again in row {row}; each image needs one")
    return ids


def read_labels(path: Path, count: int) -> NDArray[np.int64]:
    """Read labels int64 [count], -1 for none, from an ``.npy`` file of integers or a text file, an integer a line."""
    if is_numpy(path):
        array = map_numpy(path)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise LandmarksError(f"{path}: expected integers [{count}], found {array.dtype} {array.shape}")
        labels = array.astype(np.int64)  # values that do not fit become negative and are refused below
    else:
        lines = _read_lines(path)
        try:
            labels = np.array([int(line) for line in lines], dtype=np.int64)
        except (ValueError, OverflowError):
            number = next(number for number, line in enumerate(lines, start=1) if not _is_int64(line))
            raise LandmarksError(
                f"{path}, line {number}: {lines[number - 1][:40]!r} is not a label; write one integer in each line"
            ) from None
    _require_count(path, "labels", len(labels), count)
    if labels.min() < -1:
        row = int(np.argmax(labels < -1))
        raise LandmarksError(f"{path}: row {row} holds {labels[row]}; labels must be 0 or more, or -1 for none")
    return labels


def _numpy_ids(path: Path) -> NDArray[np.uint64]:
    array = map_numpy(path)
    if array.ndim != 1 or array.dtype.kind not in "iuUS":
        raise LandmarksError(
            f"{path}: expected one id in each row, as uint64 or as 16 hex digits, found {array.dtype} {array.shape}"
        )
    if array.dtype.kind in "US":
        return _parse(path, array.astype(np.str_).tolist())
    if array.min() < 0:
        raise LandmarksError(f"{path}: row {int(np.argmax(array < 0))} holds a negative id; save them as uint64")
    return array.astype(np.uint64)


def _parse(path: Path, texts: list[str]) -> NDArray[np.uint64]:
    try:
        return parse_ids([text.strip() for text in texts])
    except LandmarksError as error:
        raise LandmarksError(f"{path}: {error}; entries count from 0") from error


def _read_lines(path: Path) -> list[str]:
    """Return the lines of a text file, without empty ones at its end."""
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except OSError as error:
        raise LandmarksError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise LandmarksError(f"{path}: is neither an .npy file nor a text file ({error.reason})") from error
    if not lines:
        raise LandmarksError(f"{path}: is empty")
    return lines


def _is_int64(text: str) -> bool:
    try:
        return -(2**63) <= int(text) < 2**63
    except ValueError:
        return False


def _require_count(path: Path, what: str, found: int, count: int) -> None:
    if found != count:
        raise LandmarksError(f"{path}: {found} {what} for {count} descriptors; give one for each row, in their order")
