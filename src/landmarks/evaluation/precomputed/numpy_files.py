"""Opens ``.npy`` files that other people wrote, without trusting them.

Any version of the format, either byte order, C or Fortran order. The header is held against the length of the file
before memory is taken, nothing is unpickled, and the array stays on disk.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.storage.npy_header import read_any_header

MAGIC = b"\x93NUMPY"
ZIP = b"PK"


def is_numpy(path: Path) -> bool:
    """Whether a file begins like an ``.npy`` file.

    Raises:
        LandmarksError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError as error:
        raise LandmarksError(f"{path}: cannot be read ({error.strerror})") from error


def map_numpy(path: Path) -> NDArray[Any]:
    """Memory-map an array read-only.

    Raises:
        LandmarksError: no such file, another kind of file, one of Python objects, a damaged header, an array without
            elements, or a length that does not fit the header.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
            if start != MAGIC:
                hint = ", but an .npz archive: save one array with numpy.save" if start.startswith(ZIP) else ""
                raise ValueError(f"it is no .npy file{hint}")
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
    """Memory-map an ``.npy`` file of float16, float32 or float64 with `rank` axes; `shape` is how to call them.

    Raises:
        LandmarksError: another kind of file, rank or type.
    """
    array = map_numpy(path)
    if array.ndim != rank:
        raise LandmarksError(f"{path}: expected an array {shape}, found shape {array.shape}")
    if array.dtype.kind != "f" or array.dtype.itemsize not in (2, 4, 8):
        raise LandmarksError(
            f"{path}: expected float16, float32 or float64, found {array.dtype}; save it with .astype(numpy.float32)"
        )
    return array
