"""Reads columns of an Open Images CSV file in blocks of lines, columns found by name, and names the line that is wrong.

The train boxes are 14.6M lines, 1.2 GB. polars parses the fields of a block, in several threads; this file cuts the
blocks, so that memory stays at a few times `BLOCK_BYTES` and every row keeps its line number. Only a block in which
something is wrong is looked at again line by line. Tolerated, because tools write them: CRLF line ends, a UTF-8 mark at
the start, blank lines, quotes around a field, a missing last line end.
"""

import csv
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from landmarks.metrics.errors import FormatError
from landmarks.metrics.hex_ids import DIGITS, parse_hex

BLOCK_BYTES = 16 << 20
_ID = re.compile(f"[0-9a-f]{{{DIGITS}}}")
_NUMBER = re.compile(r" *[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_FIELD = r'("([^"]|"")*"|[^",]*)'
_LINE = re.compile(f"{_FIELD}(,{_FIELD})*")


class Kind(Enum):
    """What a column holds: an image id, a name, or a finite number."""

    ID = "an image id of 16 lowercase hex digits"
    NAME = "a name"
    NUMBER = "a finite number"


@dataclass(frozen=True, eq=False)
class Rows:
    """Some consecutive rows of a file; every field is filled and of its kind.

    Attributes:
        path: the file.
        lines: int64 [R], line numbers in the file.
        fields: the columns asked for, [R] each.
    """

    path: Path
    lines: NDArray[np.int64]
    fields: Mapping[str, pl.Series]

    def ids(self, column: str) -> NDArray[np.uint64]:
        """A column of image ids, uint64 [R]. Raises FormatError, with the line."""
        texts = self.fields[column]
        remedy = "write 16 lowercase hex digits"
        self.refuse(texts.str.len_bytes().to_numpy() != DIGITS, column, "is not an image id", remedy)
        digits = np.frombuffer(texts.str.join("").item().encode(), np.uint8)
        values, valid = parse_hex(digits.reshape(-1, DIGITS))
        self.refuse(~valid, column, "is not an image id", remedy)
        return values

    def codes(self, column: str, codes: dict[str, int]) -> NDArray[np.int32]:
        """A column of names as numbers, int32 [R]; names not yet in `codes` are added to it."""
        for name in self.fields[column].unique().to_list():
            codes.setdefault(name, len(codes))
        numbers = self.fields[column].replace_strict(list(codes), list(codes.values()), return_dtype=pl.Int32)
        return numbers.to_numpy()

    def numbers(self, column: str) -> NDArray[np.float64]:
        """A column of numbers, float64 [R]."""
        return self.fields[column].to_numpy()

    def refuse(self, wrong: NDArray[np.bool_], column: str, problem: str, remedy: str) -> None:
        """Raise FormatError that names the first of the rows that are wrong, and its field, if there is any."""
        if wrong.any():
            row = int(np.argmax(wrong))
            value = f"{self.fields[column][row]!s:.40}"
            line = int(self.lines[row])
            raise FormatError.at(self.path, f"'{value}' {problem}", remedy, line=line, field=column)


def read_rows(path: Path, columns: Mapping[str, Kind]) -> Iterator[Rows]:
    """Read some columns of a file, block by block.

    Args:
        path: the file.
        columns: names in its header, and what they hold; the file may have others and any order.

    Yields:
        Blocks of at least one row, in the file's order.

    Raises:
        FormatError: the file is missing, empty or no CSV, lacks a column, or a field is not of its kind.
    """
    try:
        with path.open("rb") as file:
            header = _header(path, file.readline(BLOCK_BYTES), columns)
            line, rest = 2, b""
            while chunk := rest + file.read(BLOCK_BYTES - len(rest)):
                end = chunk.rfind(b"\n") + 1
                if end == 0:
                    if len(chunk) == BLOCK_BYTES:
                        raise FormatError.at(path, "a line never ends", "give a CSV file", line=line)
                    chunk += b"\n"  # the last line of the file
                    end = len(chunk)
                raw, rest = chunk[:end], chunk[end:]
                rows = _rows(path, header, columns, raw, line)
                if len(rows.lines):
                    yield rows
                line += raw.count(b"\n")
    except OSError as error:
        raise FormatError.at(path, f"cannot be read ({error.strerror})", "give the path of a CSV file") from error


def _header(path: Path, raw: bytes, wanted: Mapping[str, Kind]) -> list[str]:
    expected = f"its first line should name the columns {','.join(wanted)}"
    if not raw:
        raise FormatError.at(path, "the file is empty", expected)
    raw = raw.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")
    if not raw.isascii() or b"\0" in raw or b"\r" in raw:
        problem = "is not plain text (UTF-8) with LF or CRLF line ends"
        raise FormatError.at(path, problem, f"save it as CSV in UTF-8; {expected}", line=1)
    names = [name.strip('"') for name in raw.decode("ascii").split(",")]
    for name in wanted:
        if names.count(name) != 1:
            problem = f"column '{name}' is {'missing' if name not in names else 'there twice'}"
            shown = raw.decode("ascii")[:80]
            raise FormatError.at(path, f"{problem} in the header '{shown}'", expected, line=1)
    return names


def _rows(path: Path, header: list[str], columns: Mapping[str, Kind], raw: bytes, line: int) -> Rows:
    count = raw.count(b"\n")
    lines = np.arange(line, line + count)
    table = _parse(header, columns, raw)
    # A line with too few fields leaves the last column empty, which may also be so on purpose; polars says nothing of
    # too many if none is asked for. Quoted commas are counted as well and only cost the longer way.
    commas = raw.count(b",") == count * (len(header) - 1)
    if table is None or table.height != count or table["last"].null_count() or not commas:
        texts = [text.rstrip(b"\r") for text in raw.split(b"\n")]
        filled = np.flatnonzero([bool(text) for text in texts])
        lines = line + filled
        for row in filled.tolist():
            _check_line(path, header, columns, texts[row], line + row)
        table = _parse(header, columns, b"".join(texts[row] + b"\n" for row in filled.tolist()))
        if table is None or table.height != len(lines):
            raise FormatError.at(path, "cannot be read as CSV", "save it as plain CSV in UTF-8", line=line)
    return Rows(path, lines, {name: table[name] for name in columns})


def _parse(header: list[str], columns: Mapping[str, Kind], raw: bytes) -> pl.DataFrame | None:
    """The columns of complete lines, and the header's last one as `last`; None where a field is not of its kind."""
    # Names by place: the columns that nobody asks for may share theirs.
    places = {name: header.index(name) for name in columns}
    numbers = {places[name] for name, kind in columns.items() if kind is Kind.NUMBER}
    schema = {f"{place}": pl.Float64 if place in numbers else pl.String for place in range(len(header))}
    chosen = [pl.col(f"{place}").alias(name) for name, place in places.items()]
    chosen.append(pl.col(f"{len(header) - 1}").alias("last"))
    if not raw:
        return pl.DataFrame(schema=schema).select(chosen)
    read = sorted({*places.values(), len(header) - 1})
    try:
        table = pl.read_csv(raw, has_header=False, schema=schema, columns=read).select(chosen)
    except pl.exceptions.PolarsError:
        return None
    filled = not any(table[name].null_count() for name in columns)
    finite = all(table[name].is_finite().all() for name, kind in columns.items() if kind is Kind.NUMBER)
    return table if filled and finite else None


def _check_line(path: Path, header: list[str], columns: Mapping[str, Kind], raw: bytes, line: int) -> None:
    """Raise FormatError if one line is what made its block unreadable."""
    remedy = f"write '{','.join(header)}'"
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError.at(path, "is not UTF-8", "save it as plain CSV in UTF-8", line=line) from None
    if "\r" in text:
        problem = "a carriage return inside a line"
        raise FormatError.at(path, problem, "save it with LF or CRLF line ends", line=line)
    if not _LINE.fullmatch(text):
        raise FormatError.at(path, "a quote is not closed", remedy, line=line)
    fields = next(csv.reader([text]))
    if len(fields) != len(header):
        problem = f"{len(fields)} fields instead of {len(header)}"
        raise FormatError.at(path, problem, remedy, line=line)
    for name, kind in columns.items():
        field = fields[header.index(name)]
        if not _is(kind, field):
            raise FormatError.at(path, f"'{field[:40]}' is not {kind.value}", "write one", line=line, field=name)


def _is(kind: Kind, field: str) -> bool:
    if kind is Kind.ID:
        return _ID.fullmatch(field) is not None
    if kind is Kind.NAME:
        return bool(field)
    return _NUMBER.fullmatch(field) is not None and math.isfinite(float(field))
