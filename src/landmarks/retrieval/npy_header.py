"""Reads and rewrites the header of a ``.npy`` file without touching its data.

NumPy's own loader takes memory first and asks later, and lets errors of Python's tokenizer out when a header is
damaged. Here a header is either understood or a `ValueError`, and sizes are Python integers that cannot overflow.
"""

import math
import tokenize
import warnings
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class NpyHeader(NamedTuple):
    """What a header says.

    Attributes:
        shape: of the array, in C order.
        dtype: of its elements; never objects.
        data_start: bytes before the data.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    data_start: int

    @property
    def file_bytes(self) -> int:
        """The length that a file with this header must have."""
        return self.data_start + math.prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes]) -> NpyHeader:
    """Read the header at the start of `file`, which then stands at the data.

    Raises:
        ValueError: not a ``.npy`` file of version 1.0 in C order, or one of Python objects.
    """
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("unknown .npy version")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's hint about headers of Python 2
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    except (tokenize.TokenError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(f"damaged header: {error}") from error
    if fortran or dtype.hasobject or any(length < 0 for length in shape):
        raise ValueError("columns stored first, Python objects, or a negative length")
    return NpyHeader(shape, dtype, file.tell())


def write_header(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> int:
    """Write a header at the start of `file`, or over the one there: NumPy pads it so that the first axis may grow.

    Returns:
        Its length in bytes.
    """
    file.seek(0)
    fields = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, fields)
    return file.tell()


def map_array(path: Path, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    """Memory-map a file read-only that must hold exactly this array.

    Raises:
        OSError: it cannot be read.
        ValueError: another type or shape, or another length than its header needs.
    """
    with path.open("rb") as file:
        header = read_header(file)
    if header.shape != shape or header.dtype != dtype:
        raise ValueError(f"{path.name}: holds {header.dtype} {header.shape}, not {dtype} {shape}")
    if path.stat().st_size != header.file_bytes:
        raise ValueError(f"{path.name}: is {path.stat().st_size} bytes long, its header needs {header.file_bytes}")
    if 0 in shape:  # nothing to map
        return np.empty(shape, dtype)
    return np.memmap(path, dtype=dtype, mode="r", offset=header.data_start, shape=shape)
