"""Writes saved models in both layouts, byte for byte as PaddlePaddle's Fluid does (FACTS, "Weight file format")."""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NUMBERS = {
    "bool": 0,
    "int16": 1,
    "int32": 2,
    "int64": 3,
    "float16": 4,
    "float32": 5,
    "float64": 6,
    "uint8": 20,
    "int8": 21,
}

Values = Mapping[str, NDArray[np.generic]]


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def message(field: int, data: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(data)) + data


def tensor_desc(dtype: str, shape: tuple[int, ...]) -> bytes:
    return number(1, NUMBERS[dtype]) + b"".join(number(2, size) for size in shape)


def header(desc: bytes, levels: tuple[bytes, ...] = (), lod_version: int = 0, version: int = 0) -> bytes:
    sequences = b"".join(struct.pack("<Q", len(level)) + level for level in levels)
    return struct.pack("<IQ", lod_version, len(levels)) + sequences + struct.pack("<Ii", version, len(desc)) + desc


def stream(value: NDArray[np.generic]) -> bytes:
    return header(tensor_desc(value.dtype.name, value.shape)) + value.tobytes()


def variable(name: str, kept: bool, kind: bytes) -> bytes:
    return message(3, message(1, name.encode()) + message(2, kind) + number(3, kept))


def lod_tensor(desc: bytes) -> bytes:
    return number(1, 7) + message(3, message(1, desc) + number(2, 0))


def program(values: Values, more: bytes = b"") -> bytes:
    """A ProgramDesc: feed and fetch, an image of unknown batch, the values in no particular order, an operator."""
    variables = [
        variable("feed", True, number(1, 9)),
        variable("image", False, lod_tensor(tensor_desc("float32", (-1, 3, 8, 8)))),
        variable("fetch", True, number(1, 10)),
        *(variable(n, True, lod_tensor(tensor_desc(values[n].dtype.name, values[n].shape))) for n in reversed(values)),
    ]
    operator = message(4, message(3, b"conv2d") + message(4, message(1, b"op_callstack") + number(2, 5)))
    block = number(1, 0) + number(2, -1) + b"".join(variables) + more + operator
    return message(1, block) + message(4, number(1, 0))


def write_separate(folder: Path, values: Values) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        (folder / name).write_bytes(stream(value))
    return folder


def write_combined(folder: Path, values: Values, names: tuple[str, str] = ("model", "params")) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_bytes(program(values))
    with (folder / names[1]).open("wb") as file:
        for name in sorted(values):
            file.write(stream(values[name]))
    return folder
