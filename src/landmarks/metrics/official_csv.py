"""Reads the official CSV files in blocks of bytes, with NumPy instead of one Python object a field.

The files hold hex ids, numbers and fixed words, so a field never contains a comma or a line break. The
positions of commas, spaces and line ends in a block therefore are its whole structure, and every field keeps
its line number for messages. Tolerated, because tools write them: CRLF line ends, a UTF-8 mark at the start,
blank lines, a missing last line end, and quotes around a field.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from landmarks.metrics.csv_block import Block
from landmarks.metrics.errors import FormatError

BLOCK_BYTES = 2 << 20

FILES = {
    ("id", "images", "Usage"): "retrieval solution",
    ("id", "landmarks", "Usage"): "recognition solution",
    ("id", "images"): "retrieval submission",
    ("id", "landmarks"): "recognition submission",
}
_QUOTED_FIELD = re.compile(rb'(?m)(^|,)"([^",\r\n]*)"(?=,|\r?$)')


def read_blocks(path: Path, columns: tuple[str, ...]) -> Iterator[Block]:
    """Read a file block by block; memory stays at a few times `BLOCK_BYTES`.

    Args:
        path: the file.
        columns: its header, one of `FILES`.

    Yields:
        Blocks of at least one row, in the file's order.

    Raises:
        FormatError: the file is missing or unreadable, is another kind of file, or a line has other fields.
    """
    try:
        with path.open("rb") as file:
            _check_header(path, file.readline(4096), columns)
            line, rest = 2, b""
            while chunk := file.read(BLOCK_BYTES):
                complete, newline, rest = (rest + chunk).rpartition(b"\n")
                if len(rest) > BLOCK_BYTES:
                    raise FormatError.at(path, "a line never ends", "give a CSV file", line=line)
                if newline:
                    block, line = _block(path, columns, complete + newline, line)
                    if len(block.lines):
                        yield block
            if rest:
                block, _ = _block(path, columns, rest + b"\n", line)
                if len(block.lines):
                    yield block
    except OSError as error:
        remedy = f"give the path of a {FILES[columns]} file"
        raise FormatError.at(path, f"cannot be read ({error.strerror})", remedy) from error


def _check_header(path: Path, raw: bytes, columns: tuple[str, ...]) -> None:
    wanted = f"a {FILES[columns]} begins with the line '{','.join(columns)}'"
    if not raw:
        raise FormatError.at(path, "the file is empty", wanted)
    header = raw.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")
    if not header.isascii() or b"\0" in header:
        raise FormatError.at(path, "is not plain text (UTF-8)", f"save it as CSV in UTF-8; {wanted}", line=1)
    if b"\r" in header:
        problem = "lines end with a carriage return alone"
        raise FormatError.at(path, problem, "save it with LF or CRLF line ends", line=1)
    found = tuple(name.strip('"') for name in header.decode("ascii").split(","))
    if found == columns:
        return
    if found in FILES:
        raise FormatError.at(path, f"this is a {FILES[found]}", f"give a {FILES[columns]}", line=1)
    missing = [name for name in columns if name not in found]
    problem = f"column '{missing[0]}' is missing" if missing else "other columns or another order"
    shown = header.decode("ascii")[:80]
    raise FormatError.at(path, f"{problem} in the header '{shown}'", wanted, line=1)


def _block(path: Path, columns: tuple[str, ...], raw: bytes, line: int) -> tuple[Block, int]:
    """Find the fields in complete lines, the first of them number `line`; returns the next line's number."""
    if b'"' in raw:
        raw = _QUOTED_FIELD.sub(rb"\1\2", raw)
    data = np.frombuffer(raw, np.uint8)
    special = np.flatnonzero(data - np.uint8(32) > 94)  # wraps around: control characters and beyond ASCII
    newlines = special[data[special] == ord("\n")]
    other = special[data[special] != ord("\n")]
    stray = other[(data[other] != ord("\r")) | (data[np.minimum(other + 1, len(data) - 1)] != ord("\n"))]
    if len(stray):
        at = line + int(np.searchsorted(newlines, stray[0]))
        problem = f"byte 0x{data[stray[0]]:02x} does not belong in such a file"
        raise FormatError.at(path, problem, "save it as plain CSV in UTF-8", line=at)

    starts = np.concatenate([[0], newlines[:-1] + 1])
    ends = newlines - ((newlines > starts) & (data[newlines - 1] == ord("\r")))
    filled = ends > starts
    lines = line + np.flatnonzero(filled)
    starts, ends = starts[filled], ends[filled]

    commas = np.flatnonzero(data == ord(","))
    fields = np.searchsorted(commas, ends) - np.searchsorted(commas, starts) + 1
    if (fields != len(columns)).any():
        row = int(np.argmax(fields != len(columns)))
        problem = f"{fields[row]} fields instead of {len(columns)}"
        raise FormatError.at(path, problem, f"write '{','.join(columns)}'", line=int(lines[row]))
    inner = commas.reshape(len(lines), len(columns) - 1)
    block = Block(
        path,
        columns,
        data,
        lines,
        starts=np.column_stack([starts, inner + 1]),
        ends=np.column_stack([inner, ends]),
    )
    return block, line + len(newlines)
