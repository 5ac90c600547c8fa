"""Picture ids: 16 hexadecimal digits on disk, `uint64` in memory.

At 4.1M pictures a Python string an id costs 270 MB and has to be copied into every DataLoader worker; an
array of `uint64` costs 33 MB, sorts in a fraction of a second and is shared.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from landmarks.errors import LandmarksError

ID_DIGITS = 16
ID_PATTERN = "^[0-9a-f]{16}$"


def parse_ids(ids: Sequence[str] | pl.Series) -> NDArray[np.uint64]:
    """Turn 16-digit hexadecimal ids into numbers.

    Args:
        ids: N strings such as `"002ce818ff144749"`, lower case.

    Returns:
        uint64 [N].

    Raises:
        LandmarksError: An entry is not 16 lower-case hexadecimal digits; the message names the first such
            entry.
    """
    series = (ids if isinstance(ids, pl.Series) else pl.Series(list(ids), dtype=pl.String)).rechunk()
    bad = first_bad_id(series)
    if bad is not None:
        raise LandmarksError(f"entry {bad} is {series[bad]!r}, not an image id: expected 16 digits of 0-9 and a-f")
    digits: str = series.str.join("").item() if len(series) else ""
    return np.frombuffer(bytes.fromhex(digits), dtype=">u8").astype(np.uint64)


def first_bad_id(ids: pl.Series) -> int | None:
    """Position of the first entry that is not an image id, None if all are."""
    good = ids.str.contains(ID_PATTERN).fill_null(False)
    return None if good.all() else int((~good).arg_true()[0])


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
    """One id as on disk. Workers use it in messages, so it must not touch polars (unsafe after a fork)."""
    return f"{int(image_id):016x}"
