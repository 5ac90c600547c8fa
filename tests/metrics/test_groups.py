import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landmarks.metrics import GroupedValues

SMALL = st.integers(0, 9)


@given(st.lists(st.lists(SMALL, max_size=9, unique=True), min_size=1, max_size=6), st.data())
def test_values_are_found_in_their_own_group(groups: list[list[int]], data: st.DataObject) -> None:
    start = np.concatenate([[0], np.cumsum([len(group) for group in groups])]).astype(np.int64)
    found = GroupedValues(np.array([value for group in groups for value in group], np.int64), start)
    assert len(found.repeated) == 0
    assert found.groups.tolist() == [number for number, group in enumerate(groups) for _ in group]
    wanted = data.draw(st.lists(st.tuples(st.integers(-1, len(groups) - 1), SMALL), max_size=15))
    places = found.find(
        np.array([value for _, value in wanted], np.int64), np.array([group for group, _ in wanted], np.int64)
    )
    for (group, value), position in zip(wanted, places.tolist(), strict=True):
        if group >= 0 and value in groups[group]:
            assert position == start[group] + groups[group].index(value)
        else:
            assert position == -1


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
