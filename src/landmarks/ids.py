"""Picture ids: 16 hexadecimal digits on disk, `uint64` in memory.

At 4.1M pictures a Python string an id costs 270 MB and has to be copied into every DataLoader worker; an
array of `uint64` costs 33 MB, sorts in a fraction of a second and is shared.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.metrics.hex_ids import parse_hex

ID_DIGITS = 16
ID_PATTERN = "^[0-9a-f]{16}$"


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
    right_length = np.fromiter((len(text) == ID_DIGITS for text in ids), np.bool_, len(ids))
    # What is no ASCII becomes "?", one byte and no digit.
    digits = "".join(text for text in ids if len(text) == ID_DIGITS).encode("ascii", "replace")
    numbers, valid = parse_hex(np.frombuffer(digits, np.uint8).reshape(-1, ID_DIGITS))
    good = right_length.copy()
    good[right_length] = valid
    if not good.all():
        bad = int(np.argmin(good))
        raise LandmarksError(f"entry {bad} is {ids[bad]!r}, not an image id: expected 16 digits of 0-9 and a-f")
    return numbers


def format_ids(ids: NDArray[np.uint64]) -> list[str]:
    """Write ids as on disk: 16 lower-case hexadecimal digits each.

    Args:
        ids: uint64 [N].

    Returns:
        N strings.
    """
    digits = np.asarray(ids, dtype=np.uint64).astype(">u8").tobytes().hex()
    return [digits[start : start + ID_DIGITS] for start in range(0, len(digits), ID_DIGITS)]


def format_id(image_id: int) -> str:
    """One id as on disk."""
    return f"{int(image_id):016x}"
