"""Read columns of CSV files by name, in blocks of lines; errors name the line and the field that are wrong.

The largest of these files have 15 million lines or 600 MB. polars parses the fields of a block in several threads; this
module cuts the blocks, so that memory stays at a few times `BLOCK_BYTES` and every row keeps its line number. Only a
block that may contain an error is read again line by line, with the `csv` module. CRLF line ends, a UTF-8 byte order
mark, blank lines, quotes around a field and a missing last line end are accepted, because some tools write them. Fields
cannot contain line breaks.
"""

import csv
import math
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

from landmarks.errors import FormatError
from landmarks.storage.csv_rows import Rows, shorten

BLOCK_BYTES = 2 << 20
BLOCKS_AHEAD = 2  # blocks that are parsed while the caller works on earlier rows

_NUMBER = re.compile(r" *[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def read_rows(
    path: Path,
    columns: Sequence[str],
    *,
    numbers: Sequence[str] = (),
    any_bytes: bool = False,
    check_header: Callable[[Sequence[str]], None] | None = None,
) -> Iterator[Rows]:
    """Read some columns of a file, block by block.

    Args:
        path: The file.
        columns: Names of text columns in the header; the file may have other columns, in any order.
        numbers: Names of columns that must hold a finite number in every row.
        any_bytes: Read bytes that are not UTF-8 in these columns as U+FFFD instead of raising.
        check_header: Called with the names of all columns of the file; may raise.

    Yields:
        Blocks of at least one row, in the file's order.

    Raises:
        FormatError: The file cannot be read, or is not in this format; the message names the line and the field.
    """
    types = {**dict.fromkeys(columns, pl.String), **dict.fromkeys(numbers, pl.Float64)}
    parsed: deque[Future[Rows]] = deque()
    try:
        with path.open("rb") as file, ThreadPoolExecutor(BLOCKS_AHEAD) as pool:
            header = _header(path, file.readline(BLOCK_BYTES), list(types), check_header)
            reader = _BlockReader(path, header, types, any_bytes)
            for block in _blocks(path, file):
                parsed.append(pool.submit(reader.read, *block))
                if len(parsed) > BLOCKS_AHEAD and len(rows := parsed.popleft().result()):
                    yield rows
            for waiting in parsed:
                if len(rows := waiting.result()):
                    yield rows
    except OSError as error:
        raise FormatError.at(path, f"cannot be read ({error.strerror})", "give the path of a CSV file") from error


def _blocks(path: Path, file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield the lines after the header in blocks, each with the number of its first line and the count of its lines."""
    line = 2
    while raw := file.read(BLOCK_BYTES):
        if not raw.endswith(b"\n"):
            end = file.readline(BLOCK_BYTES)
            if len(end) == BLOCK_BYTES and not end.endswith(b"\n"):
                line += _count(raw, b"\n")
                raise FormatError.at(path, "a line never ends", "give a CSV file", line=line)
            raw += end if end.endswith(b"\n") else end + b"\n"  # the last line of the file
        count = _count(raw, b"\n")
        yield raw, line, count
        line += count


def _header(path: Path, raw: bytes, wanted: Sequence[str], check: Callable[[Sequence[str]], None] | None) -> list[str]:
    """Check the header, and return the names of all columns."""
    expected = f"its first line should name the columns {','.join(wanted)}"
    if not raw:
        raise FormatError.at(path, "the file is empty", expected)
    raw = raw.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")
    if not raw.isascii() or b"\0" in raw:
        raise FormatError.at(path, "is not plain text (UTF-8)", f"save it as CSV in UTF-8; {expected}", line=1)
    if b"\r" in raw:
        problem = "lines end with a carriage return alone"
        raise FormatError.at(path, problem, "save it with LF or CRLF line ends", line=1)
    names = [name.strip('"') for name in raw.decode("ascii").split(",")]
    if check is not None:
        check(names)
    for name in wanted:
        if names.count(name) != 1:
            problem = f"column '{name}' is {'missing' if name not in names else 'there twice'}"
            raise FormatError.at(path, f"{problem} in the header '{raw.decode('ascii')[:80]}'", expected, line=1)
    return names


@dataclass(frozen=True)
class _BlockReader:
    """Parser of complete lines of one file."""

    path: Path
    header: list[str]
    types: Mapping[str, type[pl.DataType]]  # types of the requested columns
    any_bytes: bool

    def read(self, raw: bytes, line: int, count: int) -> Rows:
        """Parse `count` complete lines, the first of which has the number `line`."""
        fields = self._parsed(raw, count)
        if fields is not None:
            return Rows(self.path, np.arange(line, line + count), fields)
        texts = [text.removesuffix(b"\r") for text in raw.split(b"\n")[:-1]]
        filled = np.flatnonzero([bool(text) for text in texts])
        if len(filled) < count:  # without the blank lines, polars may be able to parse the block
            fields = self._parsed(b"".join(texts[row] + b"\n" for row in filled.tolist()), len(filled))
        if fields is None:
            found = zip(*(self._fields(texts[row], line + row) for row in filled.tolist()), strict=True)
            fields = {
                name: pl.Series(map(float, values) if dtype is pl.Float64 else values, dtype=dtype)
                for (name, dtype), values in zip(self.types.items(), found, strict=True)
            }
        return Rows(self.path, line + filled, fields)

    def _parsed(self, raw: bytes, count: int) -> dict[str, pl.Series] | None:
        """Parse complete lines, none of them blank, with polars; return None if one of them may contain an error."""
        if not raw:
            return {name: pl.Series(dtype=dtype) for name, dtype in self.types.items()}
        last, quoted = len(self.header) - 1, b'"' in raw
        strays = b"\r" in raw and raw.count(b"\r") != raw.count(b"\r\n")
        if strays or (not quoted and _count(raw, b",") != count * last):
            return None
        try:
            table = self._table(raw, all_columns=quoted)
            ends = table[f"{last}"]
            if ends.null_count() or (ends.dtype == pl.String and not ends.str.len_bytes().min()):
                # Either fields are empty, or a line has too few of them: the number of commas tells, unless some are
                # quoted or another line has too many fields, which polars refuses when it reads all columns.
                if quoted or last == 0:
                    return None
                table = self._table(raw, all_columns=True)
        except pl.exceptions.PolarsError:
            return None
        fields = {name: table[f"{self.header.index(name)}"] for name in self.types}
        numbers = [values for values in fields.values() if values.dtype == pl.Float64]
        right = all(not values.null_count() and values.is_finite().all() for values in numbers)
        return fields if table.height == count and right else None

    def _table(self, raw: bytes, all_columns: bool) -> pl.DataFrame:
        # Columns are named by position, because columns that are not requested may share a name.
        schema: dict[str, type[pl.DataType]] = {f"{place}": pl.String for place in range(len(self.header))}
        asked = {self.header.index(name): dtype for name, dtype in self.types.items()}
        schema |= {f"{place}": dtype for place, dtype in asked.items()}
        chosen = None if all_columns else sorted({*asked, len(self.header) - 1})
        return pl.read_csv(raw, has_header=False, schema=schema, columns=chosen, empty_string_is_null=False)

    def _fields(self, raw: bytes, line: int) -> list[str]:
        """Parse the requested columns of one line with the `csv` module, which is slow but finds all errors."""
        if b"\r" in raw:
            problem = "a carriage return inside a line"
            raise FormatError.at(self.path, problem, "save it with LF or CRLF line ends", line=line)
        text = raw.decode("utf-8", "surrogateescape")
        try:
            fields = next(csv.reader([text], strict=True)) if b'"' in raw else text.split(",")
        except csv.Error:
            fields = None
        if fields is None or raw.count(b'"') % 2:
            raise FormatError.at(
                self.path, "a quote is not closed", 'write "" for a quote in a quoted field', line=line
            )
        if len(fields) != len(self.header):
            problem = f"{len(fields)} fields instead of {len(self.header)}"
            raise FormatError.at(self.path, problem, f"write '{','.join(self.header)}'", line=line)
        return [self._field(name, fields[self.header.index(name)], line) for name in self.types]

    def _field(self, name: str, text: str, line: int) -> str:
        known = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        problem = None
        if known != text and not self.any_bytes:
            problem, remedy = "is not UTF-8", "save it as plain CSV in UTF-8"
        elif self.types[name] is pl.Float64 and not (_NUMBER.fullmatch(known) and math.isfinite(float(known))):
            problem, remedy = "is not a finite number", "write one"
        if problem is not None:
            raise FormatError.at(self.path, f"{shorten(known)} {problem}", remedy, line=line, field=name)
        return known


def _count(raw: bytes, character: bytes) -> int:
    """Count a character like `bytes.count`, in a third of the time."""
    return int(np.count_nonzero(np.frombuffer(raw, np.uint8) == ord(character)))
