"""Image ids: 16 hexadecimal digits on disk, `uint64` in memory; and how one is found among millions.

At 4.1M images a Python string an id costs 270 MB and has to be copied into every DataLoader worker; an
array of `uint64` costs 33 MB, sorts in a fraction of a second and is shared.
"""

import re
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError

ID_DIGITS = 16
HEX_DIGITS = "0123456789abcdef"
ID_PATTERN = "^[0-9a-f]{16}$"
FIND_BLOCK = 1 << 18  # look-ups at a time

T = TypeVar("T", np.uint64, np.int64)


def parse_ids(ids: Sequence[str]) -> NDArray[np.uint64]:
    """Turn 16-digit hexadecimal ids into numbers.

    Args:
        ids: N strings such as `"002ce818ff144749"`, lower case.

    Returns:
        uint64 [N].

    Raises:
        LandmarksError: An entry is not 16 lower-case hexadecimal digits; the message names the first such
            entry.
    """
    numbers = split_ids(" ".join(ids))
    if numbers is None or len(numbers) != len(ids):
        is_id = re.compile(ID_PATTERN).fullmatch
        bad = next(entry for entry, text in enumerate(ids) if not is_id(text))
        raise LandmarksError(f"entry {bad} is {ids[bad]!r}, not an image id: expected 16 digits of 0-9 and a-f")
    return numbers


def split_ids(text: str) -> NDArray[np.uint64] | None:
    """Turn a text of ids, one space between them, into numbers, uint64 [N]; None if it is anything else.

    A full submission holds 11.7 million ids; this takes some 10 ns each, with no Python object for any of them.
    """
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        return None
    if len(octets) % 8 or octets.hex(" ", 8) != text:  # `fromhex` takes upper case and other spaces as well
        return None
    return np.frombuffer(octets, ">u8").astype(np.uint64)


def join_ids(ids: NDArray[np.uint64]) -> str:
    """Write ids, uint64 [N], as a text with one space between them."""
    return np.asarray(ids, dtype=np.uint64).astype(">u8").tobytes().hex(" ", 8)


def format_ids(ids: NDArray[np.uint64]) -> list[str]:
    """Write ids as on disk: 16 lower-case hexadecimal digits each.

    Args:
        ids: uint64 [N].

    Returns:
        N strings.
    """
    return join_ids(ids).split()


def format_id(image_id: int | np.uint64) -> str:
    """Write one id as on disk."""
    return f"{int(image_id):016x}"


def find_sorted(ids: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Position in `ids` of each wanted id by binary search, -1 where absent.

    Args:
        ids: uint64 [N], ascending.
        wanted: uint64 [M], in any order.

    Returns:
        int64 [M].
    """
    rows = np.full(len(wanted), -1, dtype=np.int64)
    if len(ids) == 0:
        return rows
    for start in range(0, len(wanted), FIND_BLOCK):
        block = wanted[start : start + FIND_BLOCK]
        # In ascending order the searches walk through `ids` once, in any other each of them misses the caches.
        order = np.argsort(block)
        ordered = block[order]
        places = np.minimum(np.searchsorted(ids, ordered), len(ids) - 1)
        rows[start + order] = np.where(ids[places] == ordered, places, -1)
    return rows


def find_rows(wanted: NDArray[np.uint64], ids: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Row in `ids`, uint64 [N] in any order and unique, of each wanted id [M]: int64 [M], -1 where absent."""
    order = np.argsort(ids)
    places = find_sorted(ids[order], wanted)
    return np.where(places >= 0, order[places], -1) if len(ids) else places


def first_repeat(values: NDArray[T]) -> int | None:
    """Find the first row that repeats an earlier row's value, or None if all are unique."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    again = order[1:][ordered[1:] == ordered[:-1]]
    return int(again.min()) if len(again) else None
