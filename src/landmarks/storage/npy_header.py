"""Reads and rewrites the header of a ``.npy`` file without touching its data.

NumPy's own loader takes memory first and asks later, and lets errors of Python's tokenizer out when a header is
corrupt. Here a header is either understood or a `ValueError`, and sizes are Python integers that cannot overflow.
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
    """What a header says; the data begin after `data_start` bytes, columns first where it is `fortran`."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    data_start: int
    fortran: bool = False

    @property
    def file_bytes(self) -> int:
        """The length that a file with this header must have."""
        return self.data_start + math.prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes]) -> NpyHeader:
    """Read the header at the start of a file that this program wrote; `file` then stands at the data.

    Raises:
        ValueError: not a ``.npy`` file of version 1.0 in C order, or one of Python objects.
    """
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("unknown .npy version")
    file.seek(0)
    header = read_any_header(file)
    if header.fortran or header.dtype.hasobject:
        raise ValueError("columns stored first, or Python objects")
    return header


def read_any_header(file: IO[bytes]) -> NpyHeader:
    """Read the header at the start of anybody's file, of any version; `file` then stands at the data.

    Raises:
        ValueError: not a ``.npy`` file, or a corrupt header.
    """
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
        raise ValueError(f"its header is corrupt ({error})") from error
    if any(length < 0 for length in shape):
        raise ValueError(f"its header is corrupt (shape {shape})")
    return NpyHeader(shape, dtype, file.tell(), fortran)


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


@dataclass(frozen=True)
class Column:
    """One array: its type and the shape of one row, ``()`` for one number a row."""

    dtype: DTypeLike
    shape: tuple[int, ...] = ()

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


def begin_array(file: IO[bytes], column: Column) -> int:
    """Give an empty file the header of an array without rows, or check the one it has; the length of the header."""
    dtype = np.dtype(column.dtype)
    if file.seek(0, os.SEEK_END) == 0:
        return write_header(file, (0, *column.shape), dtype)
    file.seek(0)
    try:
        header = read_header(file)
        if header.shape[1:] != column.shape or header.dtype != dtype:
            raise ValueError(f"rows are {header.dtype} {header.shape[1:]}, not {dtype} {column.shape}")
    except ValueError as error:
        raise ValueError(f"{Path(file.name).name}: cannot go on with what is there: {error}") from error
    return header.data_start
