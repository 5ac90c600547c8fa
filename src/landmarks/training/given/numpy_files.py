"""Opens ``.npy`` files that other people wrote, without trusting them.

Any version of the format, either byte order, C or Fortran order. The header is held against the length of the file
before memory is taken, nothing is unpickled, and the array stays on disk.
"""

import math
import tokenize
import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError

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
            shape, fortran, dtype = _read_header(file)
            offset, length = file.tell(), file.seek(0, 2)
        needed = offset + math.prod(shape) * dtype.itemsize  # Python's integers do not overflow
        if dtype.hasobject:
            raise ValueError("it holds Python objects, which are never loaded; save numbers")
        if min(shape, default=1) < 1:
            raise ValueError(f"it is empty, its shape is {shape}")
        if length != needed:
            raise ValueError(f"it is {length} bytes long, its header needs {needed}; copy or save it again")
        return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")
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


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first, and type; the file then stands at the data."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"its format {version} is newer than this program")
    # Versions 2 and 3 differ in names of fields only, which descriptors do not have.
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's hint about headers of Python 2
            shape, fortran, dtype = read(file)
    except (tokenize.TokenError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(f"its header is damaged ({error})") from error
    if any(length < 0 for length in shape):
        raise ValueError(f"its header is damaged (shape {shape})")
    return shape, fortran, dtype
