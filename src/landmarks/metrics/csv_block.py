"""Some lines of an official CSV file as bytes, and their fields as ids and numbers, by NumPy alone.

Everything works on byte positions of all rows at once; Python objects are made for messages only.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.metrics.errors import FormatError
from landmarks.metrics.hex_ids import DIGITS, parse_hex

LONGEST_WORD = 40  # characters of a number or of a Usage; longer ones are malformed anyway


@dataclass(frozen=True, eq=False)
class Words:
    """Space-separated words of one column: byte positions [W], and `offsets` [R+1], the words of each row."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    offsets: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Block:
    """Some consecutive lines: the bytes, and for R rows and C columns where each field starts and ends."""

    path: Path
    columns: tuple[str, ...]
    data: NDArray[np.uint8]
    lines: NDArray[np.int64]  # [R] line numbers in the file
    starts: NDArray[np.int64]  # [R, C]
    ends: NDArray[np.int64]  # [R, C]

    def error(self, row: int, column: int, problem: str, remedy: str) -> FormatError:
        """Name the file, the line and the field of a problem in this block."""
        line, field = int(self.lines[row]), self.columns[column]
        return FormatError.at(self.path, problem, remedy, line=line, field=field)

    def text(self, start: int, end: int) -> str:
        """Read some bytes, for messages; shortened when long."""
        shown = self.data[start : min(end, start + LONGEST_WORD)].tobytes().decode("ascii", "replace")
        return repr(shown + "…" if end - start > LONGEST_WORD else shown)

    def characters(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Read short words: uint8 [W, width], zeros after the end; empty if longer than `LONGEST_WORD`."""
        lengths = np.where(ends - starts > LONGEST_WORD, 0, ends - starts)
        width = int(lengths.max(initial=1))
        inside = np.arange(width) < lengths[:, None]
        return self.data[np.where(inside, starts[:, None] + np.arange(width), 0)] * inside

    def texts(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.bytes_]:
        """Read short words as byte strings [W]; one longer than `LONGEST_WORD` is empty."""
        characters = self.characters(starts, ends)
        return characters.view(f"S{characters.shape[1]}").reshape(-1)

    def landmarks(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
        """Read words as landmark numbers, int64 [W]; -1 where a word is not 1 to 18 digits."""
        characters = self.characters(starts, ends)
        digits = characters - np.uint8(ord("0"))  # wraps around below '0'
        lengths = np.count_nonzero(characters, axis=1)
        valid = (lengths > 0) & (lengths <= 18) & ((digits <= 9) | (characters == 0)).all(axis=1)
        numbers = np.zeros(len(characters), np.int64)
        for column in range(min(characters.shape[1], 18)):
            numbers = np.where(column < lengths, numbers * 10 + digits[:, column], numbers)
        return np.where(valid, numbers, -1)

    def scores(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.float64]:
        """Read words as numbers, float64 [W]; NaN where a word is none."""
        texts = self.texts(starts, ends)
        try:
            return texts.astype(np.float64)
        except ValueError:  # the file will be refused: look at the words one by one for the first that is wrong
            return np.array([_number_or_nan(text) for text in texts.tolist()])

    def words(self, column: int) -> Words:
        """Split a column at single spaces. One trailing space is tolerated; an empty field has no words."""
        starts, ends = self.starts[:, column], self.ends[:, column]
        ends = ends - ((ends > starts) & (self.data[ends - 1] == ord(" ")))
        spaces = np.flatnonzero(self.data == ord(" "))
        first, last = np.searchsorted(spaces, starts), np.searchsorted(spaces, ends)
        filled = ends > starts
        counts = np.where(filled, last - first + 1, 0)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        row = np.searchsorted(starts, spaces, side="right") - 1
        spaces = spaces[(row >= 0) & (spaces < ends[row])]
        opens, closes = np.zeros(offsets[-1], np.bool_), np.zeros(offsets[-1], np.bool_)
        opens[offsets[:-1][filled]] = True
        closes[offsets[1:][filled] - 1] = True
        word_starts, word_ends = np.empty(offsets[-1], np.int64), np.empty(offsets[-1], np.int64)
        word_starts[opens], word_starts[~opens] = starts[filled], spaces + 1
        word_ends[closes], word_ends[~closes] = ends[filled], spaces
        return Words(word_starts, word_ends, offsets)

    def image_ids(self, column: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Read a column of image ids: uint64 [W], and offsets int64 [R+1] that assign them to rows.

        Raises:
            FormatError: a word is not 16 lowercase hex digits.
        """
        words = self.words(column)
        wrong = words.ends - words.starts != DIGITS
        ids = np.zeros(len(wrong), np.uint64)
        if not wrong.any() and len(wrong):
            ids, valid = parse_hex(np.lib.stride_tricks.sliding_window_view(self.data, DIGITS)[words.starts])
            wrong = ~valid
        if wrong.any():
            word = int(np.argmax(wrong))
            row = int(np.searchsorted(words.offsets, word, side="right")) - 1
            shown = self.text(words.starts[word], words.ends[word])
            problem = f"{shown} is not an image id" if shown != "''" else "there is a space too many"
            raise self.error(row, column, problem, "write 16 lowercase hex digits an id, one space between ids")
        return ids, words.offsets

    def row_ids(self) -> NDArray[np.uint64]:
        """Read the first column, exactly one image id a row: uint64 [R]."""
        ids, offsets = self.image_ids(0)
        counts = np.diff(offsets)
        if (counts != 1).any():
            row = int(np.argmax(counts != 1))
            problem = "the id is empty" if counts[row] == 0 else "there is more than one id"
            raise self.error(row, 0, problem, "write one image id a line")
        return ids


def _number_or_nan(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
