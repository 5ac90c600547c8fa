import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landmarks.metrics.lookup import find_in_groups, find_rows, first_repeat, sort_in_groups

SMALL = st.integers(0, 9)


@given(st.lists(SMALL, max_size=12), st.lists(SMALL, max_size=8, unique=True))
def test_find_rows(ids: list[int], known: list[int]) -> None:
    found = find_rows(np.array(ids, np.uint64), np.array(known, np.uint64))
    assert found.tolist() == [known.index(value) if value in known else -1 for value in ids]


@given(st.lists(SMALL, max_size=12))
def test_first_repeat(values: list[int]) -> None:
    repeats = [row for row, value in enumerate(values) if value in values[:row]]
    assert first_repeat(np.array(values, np.uint64)) == (repeats[0] if repeats else None)


@given(st.lists(st.lists(SMALL, max_size=9, unique=True), min_size=1, max_size=6), st.data())
def test_find_in_groups(groups: list[list[int]], data: st.DataObject) -> None:
    start = np.concatenate([[0], np.cumsum([len(group) for group in groups])]).astype(np.int64)
    values = sort_in_groups(np.array([value for group in groups for value in group], np.int64), start)
    assert values.tolist() == [value for group in groups for value in sorted(group)]
    wanted = data.draw(st.lists(st.tuples(st.integers(-1, len(groups) - 1), SMALL), max_size=15))
    found = find_in_groups(
        np.array([value for _, value in wanted], np.int64),
        np.array([group for group, _ in wanted], np.int64),
        values,
        start,
    )
    for (group, value), position in zip(wanted, found.tolist(), strict=True):
        if group >= 0 and value in groups[group]:
            assert position == start[group] + sorted(groups[group]).index(value)
        else:
            assert position == -1
