"""Reads the metadata files of Google Landmarks v2 in blocks of bytes, with NumPy instead of one Python object a field.

`train.csv` is 550 MB of lines `id,url,landmark_id`. Its addresses may be quoted and then hold commas and doubled
quotes, so a comma separates fields only after an even number of quotes on its line. No field holds a line break.
Tolerated: CRLF line ends, a UTF-8 mark at the start, blank lines, a missing last line end, any bytes in an address.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from landmarks.metrics.csv_block import Block
from landmarks.metrics.errors import FormatError

BLOCK_BYTES = 4 << 20

COMMA, QUOTE, LINE_END, CARRIAGE_RETURN = b',"\n\r'


def read_columns(path: Path, columns: Sequence[str]) -> Iterator[Block]:
    """Read some columns of a file, block by block; memory stays at a few times `BLOCK_BYTES`.

    Args:
        path: The file.
        columns: Names in its header, in the order in which the blocks shall have them.

    Yields:
        Blocks of at least one row, in the file's order.

    Raises:
        FormatError: The file is missing or empty, lacks a column, or a line has more or fewer fields than the header.
    """
    try:
        with path.open("rb") as file:
            header = _names(path, file.readline(BLOCK_BYTES), columns)
            line, rest = 2, b""
            while chunk := rest + file.read(BLOCK_BYTES - len(rest)):
                end = chunk.rfind(b"\n") + 1
                if end == 0:
                    if len(chunk) == BLOCK_BYTES:
                        raise FormatError.at(path, "a line never ends", "give a CSV file", line=line)
                    chunk += b"\n"  # the last line of the file
                    end = len(chunk)
                block, count = _block(path, header, columns, chunk, end, line)
                if len(block.lines):
                    yield block
                line, rest = line + count, chunk[end:]
    except OSError as error:
        raise FormatError.at(path, f"cannot be read ({error.strerror})", "give the path of a CSV file") from error


def _names(path: Path, raw: bytes, wanted: Sequence[str]) -> list[str]:
    expected = f"its first line should name the columns {','.join(wanted)}"
    if not raw:
        raise FormatError.at(path, "the file is empty", expected)
    raw = raw.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")
    if not raw.isascii() or b"\0" in raw or b"\r" in raw:
        problem = "is not plain text (UTF-8) with LF or CRLF line ends"
        raise FormatError.at(path, problem, f"save it as CSV in UTF-8; {expected}", line=1)
    names = [name.strip('"') for name in raw.decode("ascii").split(",")]
    for name in wanted:
        if name not in names:
            shown = raw.decode("ascii")[:80]
            raise FormatError.at(path, f"column '{name}' is missing in the header '{shown}'", expected, line=1)
    return names


def _block(
    path: Path, header: list[str], columns: Sequence[str], chunk: bytes, end: int, line: int
) -> tuple[Block, int]:
    """Find the fields in the complete lines of `chunk[:end]`, the first of them number `line`; count the lines."""
    data = np.frombuffer(chunk, np.uint8, end)
    special = np.flatnonzero((data == COMMA) | (data == LINE_END) | (data == QUOTE))
    kinds = data[special]
    quotes = kinds == QUOTE
    if quotes.any():
        inside = np.cumsum(quotes, dtype=np.int32) & 1 == 1
        unclosed = np.flatnonzero(inside & (kinds == LINE_END))
        if len(unclosed):
            at = line + int(np.count_nonzero(kinds[: unclosed[0]] == LINE_END))
            raise FormatError.at(path, "a quote is not closed", 'write "" for a quote in a quoted field', line=at)
        separating = ~(quotes | inside)
        special, kinds = special[separating], kinds[separating]

    last = np.flatnonzero(kinds == LINE_END)
    fields = np.diff(last, prepend=-1)
    starts, ends = np.concatenate([[0], special[:-1] + 1]), special
    ends[last] -= (data[ends[last] - 1] == CARRIAGE_RETURN) & (ends[last] > starts[last])
    lines = line + np.arange(len(last))
    blank = (fields == 1) & (starts[last] == ends[last])
    wrong = (fields != len(header)) & ~blank
    if wrong.any():
        row = int(np.argmax(wrong))
        problem = f"{fields[row]} fields instead of {len(header)}"
        raise FormatError.at(path, problem, f"write '{','.join(header)}'", line=int(lines[row]))
    if blank.any():
        filled = ~np.repeat(blank, fields)
        starts, ends, lines = starts[filled], ends[filled], lines[~blank]

    chosen = [header.index(name) for name in columns]
    starts, ends = starts.reshape(-1, len(header))[:, chosen], ends.reshape(-1, len(header))[:, chosen]
    if quotes.any():
        quoted = (ends - starts >= 2) & (data[starts] == QUOTE) & (data[ends - 1] == QUOTE)
        starts, ends = starts + quoted, ends - quoted
    return Block(path, tuple(columns), data, lines, starts, ends), len(last)
