import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.ids import format_id, format_ids, parse_ids


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_format_and_parse_are_inverse(numbers: list[int]) -> None:
    texts = format_ids(np.array(numbers, dtype=np.uint64))
    assert texts == [format_id(number) for number in numbers]
    assert parse_ids(texts).tolist() == numbers
    assert parse_ids(texts).dtype == np.uint64


def test_known_value_reads_most_significant_digit_first() -> None:
    assert parse_ids(["00000000000000ff", "f000000000000000"]).tolist() == [255, 0xF << 60]


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "002ce818ff14474",
        "002ce818ff1447490",
        "002CE818FF144749",
        "002ce818ff14474g",
        " 02ce818ff144749",
        "é02ce818ff144749",
    ],
)
def test_bad_id_is_named(bad: str) -> None:
    with pytest.raises(LandmarksError, match=f"entry 1 is '{bad}'"):
        parse_ids(["002ce818ff144749", bad, "also bad"])
