import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.local_features import FeatureKind, LocalFeatures
from landmarks.retrieval.local import (
    FeatureColumns,
    LocalFeatureTable,
    column_file,
)
from local_tables import features_of, table_of

KIND = FeatureKind("made up", 4, "uint8", 1.0)


def features(count: int, seed: int) -> LocalFeatures:
    rng = np.random.default_rng(seed)
    return LocalFeatures(
        rng.uniform(0, 99, (count, 2)).astype(np.float32),
        rng.uniform(1, 9, count).astype(np.float32),
        -np.arange(count, dtype=np.float32),
        rng.integers(0, 255, (count, 4)).astype(np.uint8),
        (seed + 1, seed + 2),
        KIND,
    )


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.data())
def test_rows_are_those_of_the_images_in_any_order(counts, data):
    all_features = [features(count, seed) for seed, count in enumerate(counts)]
    order = data.draw(st.lists(st.integers(0, len(counts) - 1), max_size=10))
    table = table_of(all_features).take(np.array(order, np.int64))
    assert table.starts.tolist() == [0, *np.cumsum([counts[i] for i in order]).tolist()]
    assert len(table) == len(order)
    rows, parts = table.descriptors, [all_features[i].descriptors for i in order]
    expected = np.concatenate([np.empty((0, 4), np.uint8), *parts])
    assert rows.shape == expected.shape and len(rows) == len(expected)
    assert np.array_equal(rows[:], expected) and np.array_equal(rows[::2], expected[::2])
    start, stop = sorted(data.draw(st.tuples(st.integers(0, 12), st.integers(0, 12))))
    assert np.array_equal(rows[start:stop], expected[start:stop])
    if len(expected):
        picked = np.array(data.draw(st.lists(st.integers(0, len(expected) - 1), max_size=6)), np.int64)
        assert np.array_equal(rows[picked], expected[picked])
    for place, row in enumerate(order):
        for name in ("points", "scales", "scores", "descriptors", "size"):
            assert np.array_equal(getattr(table.of(place), name), getattr(all_features[row], name))


def test_images_that_lie_together_are_not_copied():
    table = table_of([features(3, 0), features(0, 1), features(2, 2)])
    assert np.shares_memory(table.descriptors[1:4], table.columns.descriptors)
    assert np.shares_memory(table.take(np.array([1, 2])).descriptors[:], table.columns.descriptors)
    assert not np.shares_memory(table.take(np.array([2, 0])).descriptors[:], table.columns.descriptors)


def test_rows_outside_are_refused():
    rows = table_of([features(3, 0)]).descriptors
    for row in (3, -1):
        with pytest.raises(IndexError):
            rows[np.array([row])]


def test_a_table_on_disk_goes_to_other_processes_by_name(tmp_path):
    one = features(1000, 0)
    for name in ("points", "scales", "scores", "descriptors"):
        column_file(tmp_path, name).write_bytes(getattr(one, name).tobytes())
    memory = table_of([one])
    table = LocalFeatureTable(
        FeatureColumns.open(tmp_path, KIND, 1000), memory.firsts, memory.counts, memory.sizes, memory.keys
    )
    assert np.array_equal(table.descriptors[:], one.descriptors)
    sent = pickle.dumps(table)
    assert len(sent) < 3000
    assert np.array_equal(pickle.loads(sent).of(0).points, one.points)
    assert np.array_equal(pickle.loads(pickle.dumps(memory)).of(0).scales, one.scales)


def test_a_file_that_is_too_short_is_refused(tmp_path):
    for name in ("points", "scales", "scores", "descriptors"):
        column_file(tmp_path, name).write_bytes(b"1234")
    with pytest.raises(ValueError, match="length"):
        FeatureColumns.open(tmp_path, KIND, 1000)
    assert len(FeatureColumns.open(tmp_path, KIND, 0).points) == 0


COUNTS = (3, 0, 5, 1)


def numbered() -> LocalFeatureTable:
    """Descriptors whose two elements are the image and the place of the feature in it."""
    return table_of([features_of(np.stack([np.full(n, i), np.arange(n)], axis=1)) for i, n in enumerate(COUNTS)])


def test_each_image_gives_its_first_features():
    strongest = numbered().strongest(2)
    assert strongest.starts.tolist() == [0, 2, 2, 4, 5]
    assert strongest.descriptors[:].tolist() == [[0, 0], [0, 1], [2, 0], [2, 1], [3, 0]]
    assert strongest.descriptors[np.array([4, 1])].tolist() == [[3, 0], [0, 1]]
    assert strongest.images(np.arange(5)).tolist() == [0, 0, 2, 2, 3]
    other_order = numbered().take(np.array([2, 0])).strongest(4)
    assert other_order.descriptors[3:6].tolist() == [[2, 3], [0, 0], [0, 1]]
