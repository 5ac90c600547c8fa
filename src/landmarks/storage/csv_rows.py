"""Some rows of a CSV file, and their columns as ids, names and numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from landmarks.errors import FormatError
from landmarks.ids import ID_DIGITS, ID_PATTERN, split_ids

LONGEST_SHOWN = 40  # characters of a value in a message


@dataclass(frozen=True, eq=False)
class Rows:
    """Some consecutive rows of a file.

    Attributes:
        path: the file.
        lines: int64 [R], line numbers in the file.
        fields: the columns asked for, [R] each: finite numbers where these were asked for, texts otherwise.
    """

    path: Path
    lines: NDArray[np.int64]
    fields: Mapping[str, pl.Series]

    def __len__(self) -> int:
        return len(self.lines)

    def texts(self, column: str) -> list[str]:
        """A column as it is."""
        return self.fields[column].to_list()

    def numbers(self, column: str) -> NDArray[np.float64]:
        """A column that was asked for as numbers, float64 [R]."""
        return self.fields[column].to_numpy()

    def codes(self, column: str, codes: dict[str, int]) -> NDArray[np.int32]:
        """A column of names as numbers, int32 [R]; new ones are added to `codes`. Raises FormatError for no name."""
        empty = self.fields[column].str.len_bytes().to_numpy() == 0
        self.refuse(empty, column, "is not a name", "write one")
        for name in self.fields[column].unique().to_list():
            codes.setdefault(name, len(codes))
        numbers = self.fields[column].replace_strict(list(codes), list(codes.values()), return_dtype=pl.Int32)
        return numbers.to_numpy()

    def whole_numbers(self, column: str) -> NDArray[np.int64]:
        """A column of whole numbers of 0 and more, int64 [R]; -1 where a field is none."""
        return whole_numbers(self.fields[column])

    def ids(self, column: str) -> NDArray[np.uint64]:
        """Read a column of image ids, uint64 [R]. Raises FormatError where a field is not 16 lowercase hex digits."""
        texts = self.fields[column]
        ids = split_ids(_joined(texts, " "))
        if ids is not None and len(ids) == len(texts):
            return ids
        texts = texts.str.strip_suffix(" ")
        self.refuse(
            ~texts.str.contains(ID_PATTERN).to_numpy(), column, "is not an image id", "write 16 lowercase hex digits"
        )
        ids = split_ids(_joined(texts, " "))
        assert ids is not None
        return ids

    def id_lists(self, column: str) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """A column of any number of image ids, one space between them and perhaps one behind the last.

        Returns:
            uint64 [W], and offsets int64 [R+1]: row r has the ids `offsets[r]` to `offsets[r + 1]`.
        """
        texts = self.fields[column]
        lengths = texts.str.len_bytes().to_numpy()
        if ((lengths == 0) | ((lengths + 1) % (ID_DIGITS + 1) == 0)).all():
            ids = split_ids(_joined(texts if lengths.all() else texts.filter(lengths > 0), " "))
            if ids is not None:
                return ids, _offsets((lengths.astype(np.int64) + 1) // (ID_DIGITS + 1))
        words = self.words(column)
        wrong = ~words.texts.str.contains(ID_PATTERN).to_numpy()
        remedy = "write 16 lowercase hex digits an id, one space between ids"
        words.refuse(wrong, column, "is not an image id", remedy)
        ids = split_ids(_joined(words.texts, " "))
        assert ids is not None
        return ids, words.offsets

    def words(self, column: str) -> "Words":
        """Split a column at single spaces. One trailing space is tolerated; an empty field has no words."""
        texts = self.fields[column].str.strip_suffix(" ")
        filled = texts.str.len_bytes().to_numpy() > 0
        lists = texts.filter(filled).str.split(" ")
        counts = np.zeros(len(texts), np.int64)
        counts[filled] = lists.list.len().to_numpy()
        return Words(self, lists.explode(), _offsets(counts))

    def take(self, rows: NDArray[np.bool_]) -> "Rows":
        """Only some of the rows: bool [R]."""
        return Rows(self.path, self.lines[rows], {name: field.filter(rows) for name, field in self.fields.items()})

    def refuse(self, wrong: NDArray[np.bool_], column: str, problem: str, remedy: str) -> None:
        """Raise FormatError that names the first of the rows that are wrong, and its field, if there is any."""
        if wrong.any():
            row = int(np.argmax(wrong))
            raise self.error(row, column, f"{shorten(str(self.fields[column][row]))} {problem}", remedy)

    def error(self, row: int, column: str, problem: str, remedy: str) -> FormatError:
        """Name the file, the line and the field of a problem."""
        return FormatError.at(self.path, problem, remedy, line=int(self.lines[row]), field=column)


class Words(NamedTuple):
    """Space-separated words of a column, texts [W]; row r has the words `offsets[r]` to `offsets[r + 1]`."""

    rows: Rows
    texts: pl.Series
    offsets: NDArray[np.int64]

    def refuse(self, wrong: NDArray[np.bool_], column: str, problem: str, remedy: str) -> None:
        """Raise FormatError that names the first of the words that are wrong, and its line, if there is any."""
        if wrong.any():
            word = int(np.argmax(wrong))
            row = int(np.searchsorted(self.offsets, word, side="right")) - 1
            text = str(self.texts[word])
            raise self.rows.error(
                row, column, f"{shorten(text)} {problem}" if text else "there is a space too many", remedy
            )


def whole_numbers(texts: pl.Series) -> NDArray[np.int64]:
    """Texts of 1 to 18 digits as numbers, int64 [N]; -1 where a text is anything else."""
    lengths = texts.str.len_bytes().to_numpy()
    digits = _joined(texts, "")
    if len(texts) and lengths.min() >= 1 and lengths.max() <= 18 and digits.isascii() and digits.isdigit():
        return texts.cast(pl.Int64).to_numpy()
    good = texts.str.contains("^[0-9]{1,18}$")
    return texts.set(~good, "-1").cast(pl.Int64).to_numpy()


def _joined(texts: pl.Series, separator: str) -> str:
    return str(texts.str.join(separator).item()) if len(texts) else ""


def _offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)])


def shorten(text: str) -> str:
    """Quote a value for a message; shortened when long."""
    return repr(text[:LONGEST_SHOWN] + "…" if len(text) > LONGEST_SHOWN else text)
