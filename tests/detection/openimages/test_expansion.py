import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landmarks.detection.openimages.annotations import BoxRows
from landmarks.detection.openimages.expansion import expand_rows

NAMES = np.array(["/m/a", "/m/b", "/m/c"])
ANCESTORS = {"/m/a": ("/m/b", "/m/c", "/m/unlisted"), "/m/b": ("/m/c",), "/m/c": ()}


@given(labels=st.lists(st.integers(0, 2), max_size=20))
def test_boxes_become_those_of_their_ancestors_too(labels: list[int]) -> None:
    count = len(labels)
    boxes = np.tile(np.arange(count, dtype=np.float32)[:, None], (1, 4))
    rows = BoxRows(
        np.arange(count, dtype=np.uint64) // 2,
        np.array(labels, dtype=np.int32),
        boxes,
        np.arange(count, dtype=np.uint8),
        np.empty(0, np.uint64),
    )
    expanded = expand_rows(rows, NAMES, ANCESTORS)
    expected = [(row, label) for row, first in enumerate(labels) for label in range(first, 3)]
    assert list(zip(expanded.flags.tolist(), expanded.labels.tolist(), strict=True)) == expected
    assert expanded.ids.tolist() == [row // 2 for row, _ in expected]
    assert expanded.boxes[:, 3].tolist() == [row for row, _ in expected]
