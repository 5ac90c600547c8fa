import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.ids import find_rows, first_repeat, format_id, format_ids, join_ids, parse_ids, split_ids


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


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_join_and_split_are_inverse(numbers: list[int]) -> None:
    text = join_ids(np.array(numbers, np.uint64))
    assert text == " ".join(f"{number:016x}" for number in numbers)
    ids = split_ids(text)
    assert ids is not None and ids.dtype == np.uint64 and ids.tolist() == numbers


@given(st.text(st.sampled_from("0aAfg \t\u00e9"), min_size=1, max_size=4), st.integers(0, 33))
def test_what_is_no_list_of_ids_is_not_split(noise: str, place: int) -> None:
    good = "0123456789abcdef fedcba9876543210"
    text = good[:place] + noise + good[place + len(noise) :]
    ids = split_ids(text)
    words = text.split(" ")
    if all(len(word) == 16 and set(word) <= set("0123456789abcdef") for word in words):
        assert ids is not None and ids.tolist() == [int(word, 16) for word in words]
    else:
        assert ids is None


SMALL = st.integers(0, 9)


@given(st.lists(SMALL, max_size=12), st.lists(SMALL, max_size=8, unique=True))
def test_find_rows(wanted: list[int], ids: list[int]) -> None:
    found = find_rows(np.array(wanted, np.uint64), np.array(ids, np.uint64))
    assert found.tolist() == [ids.index(value) if value in ids else -1 for value in wanted]


@given(st.lists(SMALL, max_size=12))
def test_first_repeat(values: list[int]) -> None:
    repeats = [row for row, value in enumerate(values) if value in values[:row]]
    assert first_repeat(np.array(values, np.uint64)) == (repeats[0] if repeats else None)
