import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landmarks.metrics.groups import SortedGroups

SMALL = st.integers(0, 9)


@given(st.lists(st.lists(SMALL, max_size=9, unique=True), min_size=1, max_size=6), st.data())
def test_values_are_found_in_their_own_group(groups: list[list[int]], data: st.DataObject) -> None:
    start = np.concatenate([[0], np.cumsum([len(group) for group in groups])]).astype(np.int64)
    found = SortedGroups(np.array([value for group in groups for value in group], np.int64), start)
    assert found.values.tolist() == [value for group in groups for value in sorted(group)]
    assert found.groups.tolist() == [number for number, group in enumerate(groups) for _ in group]
    wanted = data.draw(st.lists(st.tuples(st.integers(-1, len(groups) - 1), SMALL), max_size=15))
    places = found.find(
        np.array([value for _, value in wanted], np.int64), np.array([group for group, _ in wanted], np.int64)
    )
    for (group, value), position in zip(wanted, places.tolist(), strict=True):
        if group >= 0 and value in groups[group]:
            assert position == start[group] + sorted(groups[group]).index(value)
        else:
            assert position == -1


def test_large_unsigned_values_are_in_order() -> None:
    values = np.array([2**64 - 1, 5, 2**63], np.uint64)
    found = SortedGroups(values, np.array([0, 3], np.int64))
    assert found.values.tolist() == [5, 2**63, 2**64 - 1]
    assert found.find(values, np.zeros(3, np.int64)).tolist() == [2, 0, 1]
