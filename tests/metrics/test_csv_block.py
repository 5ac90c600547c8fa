"""Words of a block as numbers."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.metrics.csv_block import Block


def block_of(words: list[bytes]) -> tuple[Block, np.ndarray, np.ndarray]:
    lengths = np.array([len(word) + 1 for word in words], np.int64)
    ends = np.cumsum(lengths) - 1
    data = np.frombuffer(b"".join(word + b" " for word in words), np.uint8)
    none = np.empty((0, 2), np.int64)
    return Block(Path("x.csv"), ("id", "images"), data, none[:, 0], none, none), ends - lengths + 1, ends


@given(st.lists(st.integers(0, 10**18 - 1), min_size=1))
def test_landmarks_round_trip(numbers: list[int]) -> None:
    block, starts, ends = block_of([b"%d" % number for number in numbers])
    assert block.landmarks(starts, ends).tolist() == numbers


@pytest.mark.parametrize("word", [b"", b"-1", b"+1", b"1.0", b"x", b"1x", b"1_0", b"9" * 19, b"0" * 41, b"/", b":"])
def test_other_words_are_no_landmarks(word: bytes) -> None:
    block, starts, ends = block_of([b"7", word, b"8"])
    assert block.landmarks(starts, ends).tolist() == [7, -1, 8]


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_scores_round_trip_exactly(values: list[float]) -> None:
    block, starts, ends = block_of([repr(value).encode() for value in values])
    assert block.scores(starts, ends).tolist() == values


@pytest.mark.parametrize("word", [b"", b"x", b"1.0.0", b"0x1", b"0" * 41, b"1,5", b"nan"])
def test_other_words_are_no_scores(word: bytes) -> None:
    block, starts, ends = block_of([b"0.5", word, b"-1e-3"])
    assert np.array_equal(block.scores(starts, ends), [0.5, np.nan, -1e-3], equal_nan=True)
