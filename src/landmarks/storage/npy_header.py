"""Read and write the header of a ``.npy`` file without its data.

NumPy's own loader allocates memory before it checks the size, and raises errors of Python's tokenizer for a corrupt
header. Here an invalid header raises `ValueError`, and sizes are Python integers that cannot overflow.
"""

import math
import os
import tokenize
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray


class NpyHeader(NamedTuple):
    """Header of a ``.npy`` file.

    Attributes:
        shape: Shape of the array.
        dtype: Type of the array.
        data_start: Position of the data in bytes.
        fortran: Whether the data are in Fortran order.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    data_start: int
    fortran: bool = False

    @property
    def file_bytes(self) -> int:
        """The length that a file with this header must have."""
        return self.data_start + math.prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes]) -> NpyHeader:
    """Read the header of a file that this package wrote, and leave `file` at the start of the data.

    Raises:
        ValueError: It is not a ``.npy`` file of version 1.0 in C order, or it holds Python objects.
    """
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("unknown .npy version")
    file.seek(0)
    header = read_any_header(file)
    if header.fortran or header.dtype.hasobject:
        raise ValueError("in Fortran order, or of Python objects")
    return header


def read_any_header(file: IO[bytes]) -> NpyHeader:
    """Read the header of any ``.npy`` file of any version, and leave `file` at the start of the data.

    Raises:
        ValueError: It is not a ``.npy`` file, or its header is corrupt.
    """
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"its format {version} is newer than this program")
    # Versions 2 and 3 differ only in names of fields of structured arrays, which are not used here.
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy warns of headers written by Python 2
            shape, fortran, dtype = read(file)
    except (tokenize.TokenError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(f"its header is corrupt ({error})") from error
    if any(length < 0 for length in shape):
        raise ValueError(f"its header is corrupt (shape {shape})")
    return NpyHeader(shape, dtype, file.tell(), fortran)


def write_header(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> int:
    """Write a header at the start of `file`, or over an existing one; NumPy pads it for growing arrays.

    Args:
        file: The file.
        shape: Shape of the array.
        dtype: Type of the array.

    Returns:
        The length of the header in bytes.
    """
    file.seek(0)
    fields = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, fields)
    return file.tell()


def map_array(path: Path, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    """Memory-map a ``.npy`` file read-only.

    Args:
        path: The file.
        dtype: The type that the array must have.
        shape: The shape that the array must have.

    Raises:
        OSError: The file cannot be read.
        ValueError: The array has another type or shape, or the length of the file does not fit its header.
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


@dataclass(frozen=True)
class Column:
    """Type of an array that grows by rows.

    Attributes:
        dtype: Type of the values.
        shape: Shape of one row; ``()`` for one value.
    """

    dtype: DTypeLike
    shape: tuple[int, ...] = ()

    @property
    def row_bytes(self) -> int:
        """Size of one row in bytes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


def begin_array(file: IO[bytes], column: Column) -> int:
    """Write the header of an array without rows into an empty file, or check an existing header; return its length."""
    dtype = np.dtype(column.dtype)
    if file.seek(0, os.SEEK_END) == 0:
        return write_header(file, (0, *column.shape), dtype)
    file.seek(0)
    try:
        header = read_header(file)
        if header.shape[1:] != column.shape or header.dtype != dtype:
            raise ValueError(f"rows are {header.dtype} {header.shape[1:]}, not {dtype} {column.shape}")
    except ValueError as error:
        raise ValueError(f"{Path(file.name).name}: the existing file cannot be continued: {error}") from error
    return header.data_start
