"""Find the variables of a saved model in either layout, and read them one at a time.

*Separate*: one file for each variable, with its name. *Combined*: the values of all variables in the file `params`, one
after the other; their names are in the file `model` (see `program`). The framework's default names of the two,
`__params__` and `__model__`, are accepted as well. All headers are read first, which takes milliseconds, so that
missing or corrupt variables are reported before any values are read.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import prod
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError, counted
from landmarks.interop.paddle.program import MOST_VARIABLES, read_program
from landmarks.interop.paddle.tensor import Description, read_header, read_values

PROGRAMS = ("model", "__model__")
PARAMS = ("params", "__params__")
LOOKED_FOR = (
    "looked for one file for each variable (such as conv1_1_weights), and for the two files model and params "
    "(or __model__ and __params__)"
)
SHOWN = 10  # names of each kind that an error lists


class Stored(NamedTuple):
    """Type, shape, file and offset of the values of a variable."""

    described: Description
    file: Path
    offset: int


@dataclass(frozen=True)
class Variables:
    """The variables of a saved model.

    Attributes:
        folder: Folder of the model.
        layout: "separate" or "combined".
        stored: Where the values are, by name, without variables that are left out.
        left_out: Number of variables that are left out.
    """

    folder: Path
    layout: Literal["separate", "combined"]
    stored: dict[str, Stored]
    left_out: int

    @property
    def nbytes(self) -> int:
        """Size of all values in bytes."""
        return sum(one.described.nbytes for one in self.stored.values())

    @property
    def numbers(self) -> int:
        """Number of values in all variables."""
        return sum(prod(one.described.shape) for one in self.stored.values())

    def read(self, name: str) -> NDArray[np.generic]:
        """Read the values of one variable; raises LandmarksError if the file has changed or they are invalid."""
        stored = self.stored[name]
        try:
            with stored.file.open("rb") as file:
                file.seek(stored.offset)
                return read_values(file, stored.described)
        except OSError as error:
            raise LandmarksError(f"{stored.file}: cannot be read ({error.strerror})") from None
        except LandmarksError as error:
            raise LandmarksError(f"{stored.file}: variable {name}: {error}") from None


def open_variables(folder: Path, leave_out: Sequence[str] = ()) -> Variables:
    """Find all variables and read their headers.

    Args:
        folder: Folder in the separate or in the combined layout; files whose names start with a dot are skipped.
        leave_out: Shell patterns of names to leave out, such as `*_velocity_0`.

    Raises:
        LandmarksError: The folder holds no saved model, or one that is corrupt.
    """
    names = _files(folder)
    programs, params = ([name for name in kind if name in names] for kind in (PROGRAMS, PARAMS))
    if len(programs) > 1 or len(params) > 1:
        raise LandmarksError(f"{folder}: both of {' and '.join(programs if len(programs) > 1 else params)}; keep one")
    if params and not programs:
        raise LandmarksError(
            f"{folder / params[0]}: the names of its variables are in the file model or __model__ beside it, which is "
            "missing"
        )
    if params:
        return _combined(folder, programs[0], params[0], leave_out)
    separate = [name for name in names if name not in programs]
    if not separate:
        found = f"only {programs[0]}" if programs else "no files"
        raise LandmarksError(f"{folder}: holds no saved model; {LOOKED_FOR}, and found {found}")
    return _separate(folder, separate, leave_out)


def _files(folder: Path) -> list[str]:
    if folder.is_file():
        raise LandmarksError(f"{folder}: is a file; give the folder that holds a saved model (unpack an archive first)")
    names: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if len(names) > MOST_VARIABLES:
                    raise LandmarksError(f"{folder}: more than {MOST_VARIABLES:,} files, which no saved model has")
                if entry.is_file():
                    names += [] if entry.name.startswith(".") else [entry.name]
                elif entry.is_dir():
                    folders.append(entry.name)
    except OSError as error:
        raise LandmarksError(f"{folder}: cannot be read ({error.strerror})") from None
    if folders and not names:
        inside = ", ".join(str(folder / name) for name in sorted(folders)[:3])
        raise LandmarksError(f"{folder}: holds only folders; give the one that holds a saved model, such as {inside}")
    return sorted(names)


def _separate(folder: Path, names: Sequence[str], leave_out: Sequence[str]) -> Variables:
    stored: dict[str, Stored] = {}
    corrupt: list[str] = []
    wanted = [name for name in names if not _matches(name, leave_out)]
    for name in wanted:
        path = folder / name
        try:
            with path.open("rb") as file:
                end = os.fstat(file.fileno()).st_size
                described = read_header(file, end)
                stored[name] = Stored(described, path, file.tell())
                if rest := end - file.tell() - described.nbytes:
                    raise LandmarksError(f"{rest:,} bytes follow the values")
        except OSError as error:
            corrupt.append(f"{name} ({error.strerror})")
        except LandmarksError as error:
            corrupt.append(f"{name} ({error})")
    if corrupt:
        raise LandmarksError(
            f"{folder}: {counted('corrupt, or no variable', corrupt, SHOWN)}. Download them again; leave out files "
            "that are not part of the model with --leave-out NAME"
        )
    return Variables(folder, "separate", stored, len(names) - len(wanted))


def _combined(folder: Path, program: str, params: str, leave_out: Sequence[str]) -> Variables:
    path = folder / params
    stored: dict[str, Stored] = {}
    expected = read_program(folder / program)
    if not expected:
        raise LandmarksError(f"{folder / program}: keeps no variables; it is not the program of a saved model")
    try:
        with path.open("rb") as file:
            end = os.fstat(file.fileno()).st_size
            for number, (name, wanted) in enumerate(expected.items(), 1):
                try:
                    described = read_header(file, end)
                    if described != wanted:
                        raise LandmarksError(f"it is {_said(described)}, and {_said(wanted)} in {folder / program}")
                except LandmarksError as error:
                    raise LandmarksError(
                        f"{path}: variable {number:,} of {len(expected):,}, {name}: {error}. The two files must have "
                        "been saved together, and be whole"
                    ) from None
                stored[name] = Stored(described, path, file.tell())
                file.seek(described.nbytes, os.SEEK_CUR)
            if rest := end - file.tell():
                raise LandmarksError(
                    f"{path}: {rest:,} bytes follow the last of the {len(expected):,} variables in {folder / program}; "
                    "the two files must have been saved together"
                )
    except OSError as error:
        raise LandmarksError(f"{path}: cannot be read ({error.strerror})") from None
    kept = {name: one for name, one in stored.items() if not _matches(name, leave_out)}
    return Variables(folder, "combined", kept, len(stored) - len(kept))


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _said(described: Description) -> str:
    return f"{described.dtype.name} {list(described.shape)}"
