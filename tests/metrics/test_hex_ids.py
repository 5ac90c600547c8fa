import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landmarks.metrics.hex_ids import format_hex, hex_of, parse_hex

IDS = st.lists(st.integers(0, 2**64 - 1), max_size=20)


@given(IDS)
def test_round_trip_and_the_spelling_of_python(ids: list[int]) -> None:
    array = np.array(ids, np.uint64)
    digits = format_hex(array)
    assert [bytes(row).decode() for row in digits] == [f"{value:016x}" for value in ids]
    assert [hex_of(value) for value in array] == [f"{value:016x}" for value in ids]
    back, valid = parse_hex(digits)
    assert back.tolist() == ids
    assert valid.all()


@given(st.binary(min_size=16, max_size=16), st.integers(0, 15))
def test_only_lowercase_hex_digits_are_valid(raw: bytes, place: int) -> None:
    text = bytearray(b"0123456789abcdef")
    text[place] = raw[0]
    for digits in (raw, bytes(text)):
        _, valid = parse_hex(np.frombuffer(digits, np.uint8).reshape(1, 16))
        assert valid[0] == all(character in b"0123456789abcdef" for character in digits)
