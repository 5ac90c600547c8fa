"""Image ids: 16 hexadecimal digits on disk, `uint64` in memory; functions to convert and to find them.

For 4.1M images, Python strings would take 270 MB and have to be copied into every DataLoader worker; an array of
`uint64` takes 33 MB, sorts in a fraction of a second and is shared.
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
FIND_BLOCK = 1 << 18  # ids that are searched at once

T = TypeVar("T", np.uint64, np.int64)


def parse_ids(ids: Sequence[str]) -> NDArray[np.uint64]:
    """Turn 16-digit hexadecimal ids into numbers.

    Args:
        ids: N strings such as `"002ce818ff144749"`, lower case.

    Returns:
        uint64 [N].

    Raises:
        LandmarksError: An entry is not 16 lower-case hexadecimal digits; the message names the first one.
    """
    numbers = split_ids(" ".join(ids))
    if numbers is None or len(numbers) != len(ids):
        is_id = re.compile(ID_PATTERN).fullmatch
        bad = next(entry for entry, text in enumerate(ids) if not is_id(text))
        raise LandmarksError(f"entry {bad} is {ids[bad]!r}, not an image id: expected 16 digits of 0-9 and a-f")
    return numbers


def split_ids(text: str) -> NDArray[np.uint64] | None:
    """Parse a text of ids separated by single spaces, uint64 [N]; None if the text has another format.

    A full submission holds 11.7 million ids; this takes about 10 ns for each and creates no Python object for it.
    """
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        return None
    if len(octets) % 8 or octets.hex(" ", 8) != text:  # `fromhex` accepts upper case and other spaces
        return None
    return np.frombuffer(octets, ">u8").astype(np.uint64)


def join_ids(ids: NDArray[np.uint64]) -> str:
    """Join ids, uint64 [N], to a text with single spaces between them."""
    return np.asarray(ids, dtype=np.uint64).astype(">u8").tobytes().hex(" ", 8)


def format_ids(ids: NDArray[np.uint64]) -> list[str]:
    """Format ids as on disk: 16 lower-case hexadecimal digits each.

    Args:
        ids: uint64 [N].

    Returns:
        N strings.
    """
    return join_ids(ids).split()


def format_id(image_id: int | np.uint64) -> str:
    """Format one id as on disk."""
    return f"{int(image_id):016x}"


def find_sorted(ids: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Find the position of each wanted id in `ids` by binary search.

    Args:
        ids: uint64 [N], ascending.
        wanted: uint64 [M], in any order.

    Returns:
        int64 [M], -1 for absent ids.
    """
    rows = np.full(len(wanted), -1, dtype=np.int64)
    if len(ids) == 0:
        return rows
    for start in range(0, len(wanted), FIND_BLOCK):
        block = wanted[start : start + FIND_BLOCK]
        # Sorted searches go through `ids` once; in any other order each search misses the caches.
        order = np.argsort(block)
        ordered = block[order]
        places = np.minimum(np.searchsorted(ids, ordered), len(ids) - 1)
        rows[start + order] = np.where(ids[places] == ordered, places, -1)
    return rows


def find_rows(wanted: NDArray[np.uint64], ids: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Find the row of each wanted id [M] in `ids`, uint64 [N], unique and in any order: int64 [M], -1 if absent."""
    order = np.argsort(ids)
    places = find_sorted(ids[order], wanted)
    return np.where(places >= 0, order[places], -1) if len(ids) else places


def first_repeat(values: NDArray[T]) -> int | None:
    """Return the first row that repeats an earlier row's value, or None if all are unique."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    again = order[1:][ordered[1:] == ordered[:-1]]
    return int(again.min()) if len(again) else None
