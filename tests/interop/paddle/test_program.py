"""The file `model`: which variables are kept, in which order."""

from pathlib import Path

import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.interop.paddle import program as program_file
from landmarks.interop.paddle import read_program
from paddle_files import lod_tensor, message, number, program, tensor_desc, variable, varint

VALUES = {"b.w_0": np.zeros((2, 3), np.float32), "a": np.zeros(4, np.int64), "Z": np.zeros(1, np.float16)}
KEPT = lod_tensor(tensor_desc("float32", (1,)))


def test_the_program_of_the_framework(tiny: Path) -> None:
    found = read_program(tiny / "tiny_combined" / "model")
    assert list(found) == sorted(path.name for path in (tiny / "tiny_separate").iterdir())
    assert found["conv1_1_weights"] == (np.dtype("<f4"), (4, 3, 3, 3))


def test_kept_variables_are_sorted_by_name(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(program(VALUES))
    found = read_program(path)
    assert list(found) == ["Z", "a", "b.w_0"]  # capitals first, as Python sorts text
    assert {name: (one.dtype, one.shape) for name, one in found.items()} == {
        name: (value.dtype, value.shape) for name, value in VALUES.items()
    }


def test_raw_variables_and_readers_have_no_values(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(program(VALUES, variable("r", True, number(1, 15)) + variable("w", True, number(1, 17))))
    assert list(read_program(path)) == ["Z", "a", "b.w_0"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "it has no block"),
        (b"\xff\xd8\xff\xe0", "corrupt, or not a program"),
        (message(4, b""), "it has no block"),
        (number(1, 1), "field 1 is a number instead of a message"),
        (b"\x08" + b"\x80" * 9, "ends within a number"),
        (b"\x08" + b"\xff" * 9 + b"\x02", "more than 64 bits"),
        (b"\x0a\x05abcd", "5 bytes where 4 are left"),
        (b"\x21" + b"1" * 7, "8 bytes where 7 are left"),
        (b"\x25" + b"1" * 3, "4 bytes where 3 are left"),
        (b"\x0b", "kind 3"),  # groups nest without a length
        (b"\x00\x01", "number 0"),
        (varint(1 << 32) + b"\x01", "a field of number"),
        (number(4, 1) * 65, "more than 64 fields"),
        (program(VALUES, variable("a", True, KEPT)), "variable a occurs twice"),
        (program(VALUES, variable("", True, KEPT)), "a variable without a name"),
        (program(VALUES, variable("s", True, number(1, 8))), "variable s: it is kept but is of kind 8, not a tensor"),
        (program(VALUES, variable("s", True, number(1, 7))), "variable s: it is kept but is of kind 7, not a tensor"),
        (program(VALUES, variable("s", True, lod_tensor(number(1, 99)))), "variable s: .* names the type 99"),
        (program(VALUES, variable("a\x1b[31m", True, KEPT)), "is not a valid name"),
        (program(VALUES, variable("a" * 256, True, KEPT)), "the name of a variable has 256 bytes"),
        (program(VALUES, message(3, message(1, b"\xff"))), "is not a valid name"),
        (program(VALUES, message(3, message(1, b"x") + message(3, b""))), "field 3 is not a number"),
        (program(VALUES)[:-30], "corrupt, or not a program"),
    ],
)
def test_what_is_no_program(tmp_path: Path, data: bytes, problem: str) -> None:
    path = tmp_path / "model"
    path.write_bytes(data)
    with pytest.raises(LandmarksError, match=f"model: .*{problem}"):
        read_program(path)


def test_sizes_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model"
    path.write_bytes(program(VALUES))
    monkeypatch.setattr(program_file, "MOST_VARIABLES", 2)
    with pytest.raises(LandmarksError, match="more than 2 variables"):
        read_program(path)
    monkeypatch.setattr(program_file, "LARGEST_FILE", 100)
    with pytest.raises(LandmarksError, match="programs up to 100 are read"):
        read_program(path)
    with pytest.raises(LandmarksError, match="gone: cannot be read"):
        read_program(tmp_path / "gone")
