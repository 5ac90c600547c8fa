import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landmarks.detection.openimages.repeats import repeated_rows

ROWS = st.lists(st.tuples(*[st.integers(0, 1)] * 6), max_size=40)


@given(rows=ROWS)
def test_every_row_but_the_first_of_its_like(rows: list[tuple[int, ...]]) -> None:
    array = np.array(rows, dtype=np.int64).reshape(-1, 6)
    seen: set[tuple[int, ...]] = set()
    expected = [row in seen or seen.add(row) is not None for row in rows]
    found = repeated_rows(array[:, 0].astype(np.uint64), array[:, 1].astype(np.int32), array[:, 2:].astype(np.float32))
    assert found.tolist() == expected


def test_rows_that_only_share_a_hash_are_no_repetitions() -> None:
    ids = np.array([1, 2], dtype=np.uint64)
    words = ids * np.uint64(0xBF58476D1CE4E5B9)  # the digest after a label of 0
    first, second = (words ^ (words >> np.uint64(31))).tolist()
    boxes = np.zeros((2, 4))
    boxes[1, 0] = np.array([first ^ second], dtype=np.uint64).view(np.float64)[0]  # takes the difference away
    assert np.isfinite(boxes).all()
    assert repeated_rows(ids, np.zeros(2, np.int32), boxes).tolist() == [False, False]
    assert repeated_rows(ids[[0, 1, 0]], np.zeros(3, np.int32), boxes[[0, 1, 0]]).tolist() == [False, False, True]
