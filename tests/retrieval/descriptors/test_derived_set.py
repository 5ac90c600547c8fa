import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval.descriptors import DescriptorWriter, ExtractionProtocol, derived_set, write_derived

PROTOCOL = ExtractionProtocol("a+b", "1*x+1*y", 448, "released")
IDS = np.arange(70, 90, dtype=np.uint64)
ROWS = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)


@pytest.fixture(autouse=True)
def blocks_of_three(monkeypatch):
    monkeypatch.setattr(derived_set, "BLOCK_BYTES", 3 * 8 * 4)


def test_writes_all_rows_in_blocks(tmp_path):
    asked = []

    def make(start, stop):
        asked.append((start, stop))
        return ROWS[start:stop]

    written = write_derived(tmp_path / "set", IDS, 4, PROTOCOL, "float16", make)
    np.testing.assert_array_equal(written.ids, IDS)
    np.testing.assert_array_equal(written.descriptors, ROWS.astype(np.float16))
    assert written.protocol == PROTOCOL
    assert asked == [(start, min(start + 3, 20)) for start in range(0, 20, 3)]


def test_an_interrupted_set_goes_on_with_whole_blocks(tmp_path):
    with DescriptorWriter(tmp_path / "set", 20, 4, PROTOCOL) as writer:
        writer.add(IDS[:7], ROWS[:7])
    asked = []

    def make(start, stop):
        asked.append(start)
        return ROWS[start:stop]

    written = write_derived(tmp_path / "set", IDS, 4, PROTOCOL, "float32", make)
    assert asked[0] == 6  # the torn block is made again
    np.testing.assert_array_equal(written.descriptors, ROWS)


def test_an_unfinished_set_of_other_pictures_is_not_continued(tmp_path):
    with DescriptorWriter(tmp_path / "set", 20, 4, PROTOCOL) as writer:
        writer.add(IDS[1:7], ROWS[:6])
    with pytest.raises(LandmarksError, match="is of other pictures: remove it"):
        write_derived(tmp_path / "set", IDS, 4, PROTOCOL, "float32", lambda start, stop: ROWS[start:stop])
