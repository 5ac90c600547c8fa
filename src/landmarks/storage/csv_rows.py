"""Rows of a CSV file, with their columns as ids, names and numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from landmarks.errors import FormatError
from landmarks.ids import ID_DIGITS, ID_PATTERN, split_ids

LONGEST_SHOWN = 40  # characters of a value in a message


@dataclass(frozen=True, eq=False)
class Rows:
    """Consecutive rows of a CSV file.

    Attributes:
        path: The file.
        lines: int64 [R], line numbers in the file.
        fields: The requested columns, [R] each: finite numbers or texts.
    """

    path: Path
    lines: NDArray[np.int64]
    fields: Mapping[str, pl.Series]

    def __len__(self) -> int:
        return len(self.lines)

    def texts(self, column: str) -> list[str]:
        """Return a text column."""
        return self.fields[column].to_list()

    def numbers(self, column: str) -> NDArray[np.float64]:
        """Return a column that was requested as numbers, float64 [R]."""
        return self.fields[column].to_numpy()

    def codes(self, column: str, codes: dict[str, int]) -> NDArray[np.int32]:
        """Number a column of names.

        Args:
            column: Name of the column.
            codes: Number of each known name; new names are added.

        Returns:
            int32 [R], the number of each name.

        Raises:
            FormatError: A name is empty.
        """
        empty = self.fields[column].str.len_bytes().to_numpy() == 0
        self.refuse(empty, column, "is not a name", "write one")
        for name in self.fields[column].unique().to_list():
            codes.setdefault(name, len(codes))
        numbers = self.fields[column].replace_strict(list(codes), list(codes.values()), return_dtype=pl.Int32)
        return numbers.to_numpy()

    def whole_numbers(self, column: str) -> NDArray[np.int64]:
        """Read a column of integers of 1 to 18 digits, int64 [R]; other fields become -1."""
        texts = self.fields[column]
        lengths = texts.str.len_bytes().to_numpy()
        digits = _joined(texts, "")
        if len(texts) and lengths.min() >= 1 and lengths.max() <= 18 and digits.isascii() and digits.isdigit():
            return texts.cast(pl.Int64).to_numpy()
        good = texts.str.contains("^[0-9]{1,18}$")
        return texts.set(~good, "-1").cast(pl.Int64).to_numpy()

    def ids(self, column: str) -> NDArray[np.uint64]:
        """Read a column of image ids, uint64 [R]; raises FormatError if a field is not 16 lowercase hex digits."""
        texts = self.fields[column]
        ids = split_ids(_joined(texts, " "))
        if ids is None or len(ids) != len(texts):
            texts = texts.str.strip_suffix(" ")
            wrong = ~texts.str.contains(ID_PATTERN).to_numpy()
            self.refuse(wrong, column, "is not an image id", "write 16 lowercase hex digits")
            ids = split_ids(_joined(texts, " "))
        assert ids is not None
        return ids

    def id_lists(self, column: str) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Read a column of lists of image ids, separated by single spaces; a space after the last id is accepted.

        Returns:
            All ids, uint64 [W], and offsets int64 [R+1]: row r has the ids `offsets[r]` to `offsets[r + 1]`.

        Raises:
            FormatError: A field is not a list of ids.
        """
        texts = self.fields[column]
        lengths = texts.str.len_bytes().to_numpy()
        if ((lengths == 0) | ((lengths + 1) % (ID_DIGITS + 1) == 0)).all():
            ids = split_ids(_joined(texts if lengths.all() else texts.filter(lengths > 0), " "))
            if ids is not None:
                return ids, _offsets((lengths.astype(np.int64) + 1) // (ID_DIGITS + 1))
        words, offsets = self.words(column)
        return words.ids(column), offsets

    def words(self, column: str) -> tuple["Rows", NDArray[np.int64]]:
        """Split a column at single spaces; a space at the end is accepted.

        Returns:
            A row for each of W words, and offsets int64 [R+1]: row r has the words `offsets[r]` to `offsets[r + 1]`.

        Raises:
            FormatError: There are other spaces.
        """
        texts = self.fields[column].str.strip_suffix(" ")
        filled = texts.str.len_bytes().to_numpy() > 0
        lists = texts.filter(filled).str.split(" ")
        counts = np.zeros(len(texts), np.int64)
        counts[filled] = lists.list.len().to_numpy()
        words = Rows(self.path, np.repeat(self.lines, counts), {column: lists.explode()})
        empty = words.fields[column].str.len_bytes().to_numpy() == 0
        if empty.any():
            remedy = "put one space between two words and none elsewhere"
            raise words.error(int(np.argmax(empty)), column, "there is a space too many", remedy)
        return words, _offsets(counts)

    def take(self, rows: NDArray[np.bool_]) -> "Rows":
        """Return only the rows selected by a mask, bool [R]."""
        return Rows(self.path, self.lines[rows], {name: field.filter(rows) for name, field in self.fields.items()})

    def refuse(self, wrong: NDArray[np.bool_], column: str, problem: str, remedy: str) -> None:
        """Raise FormatError for the first wrong row, if there is any.

        Args:
            wrong: bool [R], the rows that are wrong.
            column: Name of the column.
            problem: What is wrong with the value.
            remedy: What to do.
        """
        if wrong.any():
            row = int(np.argmax(wrong))
            raise self.error(row, column, f"{shorten(str(self.fields[column][row]))} {problem}", remedy)

    def error(self, row: int, column: str, problem: str, remedy: str) -> FormatError:
        """Return an error that names the file, the line and the field of a problem."""
        return FormatError.at(self.path, problem, remedy, line=int(self.lines[row]), field=column)


def shorten(text: str) -> str:
    """Quote a value for a message, and shorten it if it is long."""
    return repr(text[:LONGEST_SHOWN] + "…" if len(text) > LONGEST_SHOWN else text)


def _joined(texts: pl.Series, separator: str) -> str:
    return str(texts.str.join(separator).item()) if len(texts) else ""


def _offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)])
