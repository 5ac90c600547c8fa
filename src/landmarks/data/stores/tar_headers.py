"""Finds the images in a tar and their positions by reading its headers only.

A tar is a chain: each 512-byte header says how many bytes follow it, and after them comes the next header. The chain
is walked with as little Python code per member as possible, and the headers are then checked in batches with NumPy.
Members that are not obviously images are checked one by one, by tar_members.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.data.stores.tar_files import ReadTar
from landmarks.data.stores.tar_members import (
    BLOCK,
    MAX_IMAGE,
    REPAIR,
    RefusedTarError,
    corrupt,
    image_id,
    member_name,
)
from landmarks.ids import format_id

# After a member smaller than this a whole window is read, since it contains several headers.
NEAR = 8192
WINDOW = 65536
# Headers checked at once: 1 MiB.
BATCH = 2048
MAX_TAR = BLOCK << 32
# The end is padded with zeros to a multiple of the writing program's record size, 10 KiB by default.
MAX_PADDING = 1 << 20

_ZEROS = bytes(BLOCK)
_VALUE_OF_DIGIT = np.full(256, 255, dtype=np.uint8)
_VALUE_OF_DIGIT[np.frombuffer(b"0123456789abcdef", dtype=np.uint8)] = np.arange(16)
_IN_OCTAL_FIELD = np.zeros(256, dtype=np.bool_)
_IN_OCTAL_FIELD[np.frombuffer(b"01234567 \0", dtype=np.uint8)] = True


@dataclass(frozen=True, eq=False)
class Images:
    """The N images of one tar: sorted, unique ids, positions in blocks of 512 bytes, and sizes in bytes."""

    ids: NDArray[np.uint64]
    blocks: NDArray[np.uint32]
    lengths: NDArray[np.uint32]


def read_headers(read: ReadTar, size: int) -> Images:
    """Read the headers of one tar.

    Allowed are regular files called `<id>.jpg` in any relative folder, folders, and pax headers that change neither
    names nor sizes.

    Args:
        read: Returns bytes of the tar, given an offset and a length.
        size: Size of the tar, bytes.

    Returns:
        Its images.

    Raises:
        RefusedTarError: It contains anything else or an image twice, or is corrupt, truncated or compressed.
    """
    if size > MAX_TAR:
        raise RefusedTarError(f"has {size:,} bytes, but at most {MAX_TAR:,} can be indexed; {REPAIR}")
    parts = [_check(read, *batch) for batch in _walk(read, size)]
    ids, blocks, lengths = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.argsort(ids, kind="stable")
    ids, blocks, lengths = ids[order], blocks[order], lengths[order]
    for row in np.flatnonzero(ids[1:] == ids[:-1])[:1]:
        first, second = (int(block - 1) * BLOCK for block in blocks[row : row + 2])
        raise RefusedTarError(f"image {format_id(ids[row])} is in it twice, at bytes {first} and {second}; {REPAIR}")
    return Images(ids, blocks, lengths)


def _walk(read: ReadTar, size: int) -> Iterator[tuple[list[bytes], list[int], int]]:
    """Yield batches of headers, the sizes given in them, and the offset of the first header of the batch.

    The last size is -1 if it is invalid. Whether the tar is complete is known only at the end of the iteration.
    """
    headers: list[bytes] = []
    sizes: list[int] = []
    window, window_start, window_size = b"", 0, BLOCK
    start = offset = 0
    while offset + BLOCK <= size:
        header = window[offset - window_start : offset - window_start + BLOCK]
        if len(header) < BLOCK:
            window, window_start = read(offset, window_size), offset
            header = window[:BLOCK]
        if header == _ZEROS or len(header) < BLOCK:
            break
        headers.append(header)
        try:
            length = int(header[124:136].rstrip(b"\0"), 8)
        except ValueError:
            length = -1
        sizes.append(max(length, -1))
        if length < 0:
            break
        offset += BLOCK + (length + BLOCK - 1 & -BLOCK)
        window_size = WINDOW if length < NEAR else BLOCK
        if len(headers) == BATCH:
            yield headers, sizes, start
            headers, sizes, start = [], [], offset
    yield headers, sizes, start
    if offset + BLOCK > size or len(header) < BLOCK:
        last = f", in {member_name(headers[-1])!r}" if headers and offset > size else ""
        raise corrupt(f"cut off after {size:,} bytes{last}")
    rest = size - offset
    padding = read(offset, min(rest, MAX_PADDING))
    if rest > MAX_PADDING or padding.strip(b"\0"):
        raise corrupt(f"an empty block at byte {offset} ends it, but {rest:,} bytes follow")
    if len(padding) < rest:
        raise corrupt(f"cut off after {offset + len(padding):,} bytes")


def _check(
    read: ReadTar, headers: list[bytes], sizes: list[int], start: int
) -> tuple[NDArray[np.uint64], NDArray[np.uint32], NDArray[np.uint32]]:
    """Return ids, blocks and lengths of the images in a batch of headers. Raises RefusedTarError for an invalid one."""
    table = np.frombuffer(b"".join(headers), dtype=np.uint8).reshape(-1, BLOCK)
    length = np.array(sizes, dtype=np.int64)
    step = BLOCK + (length + BLOCK - 1 & -BLOCK)
    offset = start + np.cumsum(step) - step
    digits = _VALUE_OF_DIGIT[table[:, 6:22]]
    ids = (digits[:, 0::2] << 4 | digits[:, 1::2]).view(">u8").astype(np.uint64)[:, 0]
    is_image = _plain(table, digits) & (length >= 0) & (length <= MAX_IMAGE)
    for row in np.flatnonzero(~is_image):
        other = image_id(headers[row], sizes[row], int(offset[row]), read)
        if other is not None:
            ids[row], is_image[row] = other, True
    blocks = (offset // BLOCK + 1).astype(np.uint32)
    return ids[is_image], blocks[is_image], length.astype(np.uint32)[is_image]


def _plain(table: NDArray[np.uint8], digits: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which headers [N, 512] are valid headers of regular files `a/b/c/<id>.jpg`; a, b, c begin the id."""
    as_expected = [(1, b"/"), (3, b"/"), (5, b"/"), (22, b".jpg\0"), (345, b"\0")]
    good = np.logical_and.reduce([_holds(table, *expected) for expected in as_expected])
    good &= (digits < 16).all(axis=1) & (table[:, :6:2] == table[:, 6:9]).all(axis=1)
    good &= _holds(table, 156, b"0") | _holds(table, 156, b"\0")
    good &= _holds(table, 257, b"ustar\0") | _holds(table, 257, b"ustar ")
    good &= _IN_OCTAL_FIELD[table[:, 124:136]].all(axis=1)
    # The checksum counts its own field as spaces.
    field = table[:, 148:156]
    total = table.sum(axis=1, dtype=np.int64) - field.sum(axis=1, dtype=np.int64) + 8 * 32
    good &= _IN_OCTAL_FIELD[field].all(axis=1) & (_octal(field) == total)
    return good


def _holds(table: NDArray[np.uint8], start: int, expected: bytes) -> NDArray[np.bool_]:
    return (table[:, start : start + len(expected)] == np.frombuffer(expected, dtype=np.uint8)).all(axis=1)


def _octal(field: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the numbers in fields [N, W] of octal digits, ignoring spaces and zero bytes around them."""
    number = np.zeros(len(field), dtype=np.int64)
    for column in field.T:
        number = np.where(column >= ord("0"), number * 8 + (column & 7), number)
    return number
