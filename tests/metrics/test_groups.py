import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landmarks.metrics import GroupedValues


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(2**64 - 4, 2**64 - 1)), max_size=12))
def test_repetitions_are_found_and_do_not_count(pairs: list[tuple[int, int]]) -> None:
    pairs = sorted(pairs, key=lambda pair: pair[0])
    values = np.array([value for _, value in pairs], np.uint64)
    start = np.searchsorted([group for group, _ in pairs], np.arange(4)).astype(np.int64)
    grouped = GroupedValues(values, start)
    assert len(grouped.repeated) == len(pairs) - len(set(pairs))
    assert {pairs[row] for row in grouped.repeated} <= {pair for pair in pairs if pairs.count(pair) > 1}
    found = grouped.find(values, np.array([group for group, _ in pairs], np.int64))
    assert [pairs[row] for row in found] == pairs
