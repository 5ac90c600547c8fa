import errno
from pathlib import Path

import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval.descriptors import DescriptorSet, DescriptorWriter, ExtractionProtocol, write_derived
from landmarks.retrieval.descriptors import writer as writer_module
from landmarks.storage import RowLog

PROTOCOL = ExtractionProtocol("res152", "ab12", 448, "aspect", split="index")
DATA = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
IDS = np.arange(1000, 1050, dtype=np.uint64)


def write(folder: Path, start: int, stop: int, **options) -> DescriptorWriter:
    """Add rows [start, stop) in chunks of 7 and leave the writer open."""
    writer = DescriptorWriter(folder, 50, 6, PROTOCOL, **options)
    for first in range(start, stop, 7):
        part = slice(first, min(first + 7, stop))
        writer.add(IDS[part], DATA[part])
    return writer


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_is_read_is_what_was_written(tmp_path, dtype):
    written = write(tmp_path / "set", 0, 50, dtype=dtype).finish()
    np.testing.assert_array_equal(written.ids, IDS)
    np.testing.assert_array_equal(written.descriptors, DATA.astype(dtype))
    assert written.protocol == PROTOCOL
    # Plain NumPy reads it too.
    np.testing.assert_array_equal(np.load(tmp_path / "set" / "descriptors.npy", allow_pickle=False), DATA.astype(dtype))
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    with pytest.raises(LandmarksError, match="exists already"):
        DescriptorWriter(tmp_path / "set", 50, 6, PROTOCOL)


@pytest.mark.parametrize("name", ["descriptors.npy", "ids.npy"])
@pytest.mark.parametrize("torn", [b"half a row", b"x" * 1000])
def test_an_interrupted_extraction_goes_on_where_it_stopped(tmp_path, name, torn):
    write(tmp_path / "set", 0, 20).close()
    with (tmp_path / "set.partial" / name).open("ab") as file:  # as a kill in the middle of a chunk leaves it
        file.write(torn)
    with DescriptorWriter(tmp_path / "set", 50, 6, PROTOCOL) as writer:
        assert writer.done.tolist() == IDS[:20].tolist()
    resumed = write(tmp_path / "set", 20, 50).finish()
    write(tmp_path / "whole", 0, 50).finish()
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "set" / path.name).read_bytes() == path.read_bytes()
    assert len(resumed) == 50


def test_bits_that_flip_are_an_error_or_change_nothing(tmp_path):
    write(tmp_path / "set", 0, 50).finish()
    rng = np.random.default_rng(0)
    for path in sorted((tmp_path / "set").iterdir()):
        good = path.read_bytes()
        noticed = 0
        for place in rng.integers(0, len(good), 60).tolist():
            path.write_bytes(good[:place] + bytes([good[place] ^ 1 << int(rng.integers(8))]) + good[place + 1 :])
            try:
                found = DescriptorSet.open(tmp_path / "set")
            except LandmarksError as error:
                assert str(path.parent) in str(error)
                noticed += 1
            else:
                assert found.protocol == PROTOCOL
                np.testing.assert_array_equal(found.ids, IDS)
                np.testing.assert_array_equal(found.descriptors, DATA)
        assert noticed > 40 or (noticed > 10 and path.name == "ids.npy")  # a header's spaces make no difference
        path.write_bytes(good)
    DescriptorSet.open(tmp_path / "set")


def test_a_set_without_checksums_is_refused(tmp_path):
    write(tmp_path / "set", 0, 20).finish()
    (tmp_path / "set" / "checksums.txt").unlink()
    with pytest.raises(LandmarksError, match=r"checksums\.txt: is missing.*extract it again"):
        DescriptorSet.open(tmp_path / "set")


def test_an_exception_leaves_an_unfinished_set(tmp_path):
    with pytest.raises(RuntimeError), write(tmp_path / "set", 0, 10):
        raise RuntimeError
    assert not (tmp_path / "set").exists()
    with pytest.raises(LandmarksError, match="unfinished"):
        DescriptorSet.open(tmp_path / "set")
    writer = DescriptorWriter(tmp_path / "set", 50, 6, PROTOCOL)
    np.testing.assert_array_equal(writer.done, IDS[:10])
    writer.discard()
    assert not list(tmp_path.iterdir())


def test_a_partial_set_of_another_kind_is_not_continued(tmp_path):
    write(tmp_path / "set", 0, 10).close()
    with pytest.raises(LandmarksError, match=r"made with other settings \(split: 'index' != 'test'\)"):
        DescriptorWriter(tmp_path / "set", 50, 6, ExtractionProtocol("res152", "ab12", 448, "aspect", split="test"))
    with pytest.raises(LandmarksError, match=r"descriptors\.npy: the existing file cannot be continued"):
        DescriptorWriter(tmp_path / "set", 50, 5, PROTOCOL)
    with pytest.raises(LandmarksError, match=r"descriptors\.npy: the existing file cannot be continued"):
        DescriptorWriter(tmp_path / "set", 50, 6, PROTOCOL, dtype="float16")


def test_wrong_rows_are_named(tmp_path):
    with pytest.raises(LandmarksError, match="no descriptor was added"):
        DescriptorWriter(tmp_path / "set", 3, 6, PROTOCOL, dtype="float16").finish()
    with DescriptorWriter(tmp_path / "set", 3, 6, PROTOCOL, dtype="float16") as writer:
        with pytest.raises(LandmarksError, match="do not fit"):
            writer.add(IDS[:2], DATA[:3])
        with pytest.raises(LandmarksError, match="more rows than its capacity of 3"):
            writer.add(IDS[:4], DATA[:4])
        large = DATA[:2].copy()
        large[1, 0] = 1e6
        with pytest.raises(LandmarksError, match="not finite in float16, the first is that of image 00000000000003e9"):
            writer.add(IDS[:2], large)
        writer.add(IDS[[0, 0]], DATA[:2])
        with pytest.raises(LandmarksError, match="1 ids occur twice"):
            writer.finish()
    assert not (tmp_path / "set").exists()


def test_a_full_disk_is_an_error_that_says_what_to_do(tmp_path, monkeypatch):
    def full(log, rows):
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = write(tmp_path / "set", 0, 20)
    monkeypatch.setattr(RowLog, "add", full)
    with pytest.raises(
        LandmarksError, match=r"could not write after 20 rows: .*No space.*run the same extraction again"
    ):
        writer.add(IDS[20:27], DATA[20:27])


@pytest.mark.parametrize("done", [0, 7, 50])
def test_a_derived_set_is_made_in_whole_blocks_also_after_an_interruption(tmp_path, monkeypatch, done):
    monkeypatch.setattr(writer_module, "BLOCK_BYTES", 3 * 8 * 6)
    write(tmp_path / "set", 0, done).close()
    asked = []

    def make(start, stop):
        asked.append((start, stop))
        return DATA[start:stop]

    if done:
        with pytest.raises(LandmarksError, match="holds other images: remove it"):
            write_derived(tmp_path / "set", IDS[::-1].copy(), 6, PROTOCOL, "float32", make)
    written = write_derived(tmp_path / "set", IDS, 6, PROTOCOL, "float32", make)
    np.testing.assert_array_equal(written.ids, IDS)
    np.testing.assert_array_equal(written.descriptors, DATA)
    # A torn block is made again; the last one is whole, though shorter.
    first = done // 3 * 3 if done < 50 else 50
    assert asked == [(start, min(start + 3, 50)) for start in range(first, 50, 3)]
