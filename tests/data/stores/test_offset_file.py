import resource
import signal
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from landmarks.data.stores import (
    NO_OFFSETS,
    Images,
    IndexedTar,
    Offsets,
    TarStamp,
    merge,
    read_offsets,
    select,
    write_offsets,
)
from landmarks.errors import LandmarksError
from landmarks.storage import save_sealed


def tar(name: str, ids: list[int]) -> tuple[IndexedTar, Images]:
    numbers = np.array(sorted(ids), dtype=np.uint64)
    places = (numbers % 1000).astype(np.uint32)
    return IndexedTar(name, TarStamp(1, "1"), len(ids)), Images(numbers, places + 1, places)


def as_dict(offsets: Offsets) -> dict[int, tuple[str, int, int]]:
    assert (offsets.ids[1:] > offsets.ids[:-1]).all()
    assert sum(entry.images for entry in offsets.tars) == len(offsets)
    names = [offsets.tars[number].name for number in offsets.tar]
    rows = zip(names, offsets.block.tolist(), offsets.length.tolist(), strict=True)
    return dict(zip(offsets.ids.tolist(), rows, strict=True))


@given(
    st.lists(st.sets(st.integers(0, 2**64 - 1), max_size=5), max_size=6),
    st.integers(0, 6),
    st.sets(st.integers(0, 5)),
)
def test_tars_can_be_added_and_removed(contents: list[set[int]], first: int, removed: set[int]) -> None:
    seen: set[int] = set()
    parts = []
    for number, ids in enumerate(contents):
        parts.append(tar(f"{number}", list(ids - seen)))
        seen |= ids
    offsets, left_out = merge(NO_OFFSETS, parts[:first])
    offsets, also_left_out = merge(offsets, parts[first:])
    assert not left_out and not also_left_out
    kept = select(offsets, lambda tar: int(tar.name) not in removed)
    expected = {
        int(i): (entry.name, int(i) % 1000 + 1, int(i) % 1000)
        for entry, images in parts
        if int(entry.name) not in removed
        for i in images.ids
    }
    assert as_dict(kept) == expected
    assert [entry.name for entry in kept.tars] == [e.name for e, _ in parts if int(e.name) not in removed]
    assert [column.dtype for column in (kept.ids, kept.tar, kept.block, kept.length)] == ["u8", "u2", "u4", "u4"]


COLUMNS = ("ids", "tar", "block", "length")
OFFSETS = Offsets(
    (IndexedTar("a.tar", TarStamp(10240, "17"), 2), IndexedTar("b.tar", TarStamp(2**40, 'ETag "ü"'), 3)),
    np.array([3, 5, 2**63, 2**64 - 2, 2**64 - 1], dtype=np.uint64),
    np.array([1, 0, 1, 0, 1], dtype=np.uint16),
    np.array([1, 2**32 - 1, 3, 4, 5], dtype=np.uint32),
    np.array([0, 2**28, 3, 4, 5], dtype=np.uint32),
)


def same(one: Offsets, other: Offsets) -> bool:
    return one.tars == other.tars and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        and getattr(one, name).dtype == getattr(other, name).dtype
        for name in COLUMNS
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "offsets" / "train.safetensors"


@pytest.mark.parametrize("offsets", [OFFSETS, NO_OFFSETS])
def test_what_is_written_is_read(path: Path, offsets: Offsets) -> None:
    write_offsets(offsets, path)
    assert same(read_offsets(path), offsets)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(path.parent.stat().st_mode) & 0o666


def test_arrays_are_maps_of_the_file_that_nobody_can_write_to(path: Path) -> None:
    write_offsets(OFFSETS, path)
    offsets = read_offsets(path)
    assert all(isinstance(getattr(offsets, name).base, np.memmap) for name in COLUMNS)
    with pytest.raises(ValueError, match="read-only"):
        offsets.ids[0] = 1
    write_offsets(NO_OFFSETS, path)  # what is mapped stays what it was
    assert same(offsets, OFFSETS)


@given(st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_is_found(path: Path, data: st.DataObject) -> None:
    if not path.exists():
        write_offsets(OFFSETS, path)
    whole = path.read_bytes()
    start = data.draw(st.integers(0, len(whole) - 1))
    corrupt = whole[:start] + data.draw(st.binary(min_size=1, max_size=8)) + whole[start + 1 :]
    corrupt = corrupt[: data.draw(st.none() | st.integers(0, len(corrupt)))]
    corrupt_path = path.with_name("corrupt")
    corrupt_path.write_bytes(corrupt)
    try:
        read = read_offsets(corrupt_path)
    except ValueError:
        return
    # Names and stamps have no checksum: a tar that is called otherwise is one that changed.
    assert all(np.array_equal(getattr(read, name), getattr(OFFSETS, name)) for name in COLUMNS)


@pytest.mark.parametrize(
    ("columns", "metadata"),
    [
        ({}, {"format": "landmarks offsets 0"}),
        ({"more": OFFSETS.tar}, {}),
        ({"ids": OFFSETS.ids.astype(np.int64)}, {}),
        ({"ids": OFFSETS.ids[:4]}, {}),
        ({}, {"tars": "[]"}),
        ({}, {"tars": '[["a.tar", 1, "1", 5]]'}),
        ({}, {"tars": '[["a.tar", 1, "1", 6], ["b.tar", 1, "1", -1]]'}),
        ({}, {"tars": '[["a.tar", "1", "1", 5], ["b.tar", 1, "1", 0]]'}),
        ({}, {"tars": "[" * 100000}),
    ],
)
def test_files_of_other_programs_are_refused(
    path: Path, columns: dict[str, np.ndarray], metadata: dict[str, str]
) -> None:
    """Sealed as ours are, so that the checksum is right."""
    ours = {name: getattr(OFFSETS, name) for name in COLUMNS}
    tars = '[["a.tar", 10240, "17", 2], ["b.tar", 1, "1", 3]]'
    save_sealed(path, save_file, ours | columns, {"format": "landmarks offsets 2", "tars": tars} | metadata)
    with pytest.raises(ValueError, match=r"it is of another format|it is corrupt|list"):
        read_offsets(path)
    save_sealed(path, save_file, ours, {"format": "landmarks offsets 2", "tars": tars})
    assert len(read_offsets(path)) == 5
    save_file(ours, path, {"format": "landmarks offsets 2", "tars": tars})  # without a seal
    with pytest.raises(ValueError, match="it is of another format"):
        read_offsets(path)


def test_impossible_positions_are_refused(path: Path) -> None:
    for change in (
        {"ids": OFFSETS.ids[::-1]},
        {"ids": OFFSETS.ids * 0},
        {"tar": OFFSETS.tar + np.uint16(1)},
        {"block": OFFSETS.block - np.uint32(1)},
        {"length": OFFSETS.length + np.uint32(1)},
    ):
        write_offsets(Offsets(**{**vars(OFFSETS), **change}), path)
        with pytest.raises(ValueError, match="it is corrupt"):
            read_offsets(path)


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, bytes(8), bytes(7), (2).to_bytes(8, "little") + b"[]"])
def test_what_is_no_index_is_not_used(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "train.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError):
        read_offsets(path)
    with pytest.raises(FileNotFoundError):
        read_offsets(tmp_path / "index.safetensors")


def test_a_full_disk_is_an_error_and_leaves_the_old_index(path: Path) -> None:
    write_offsets(OFFSETS, path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(LandmarksError, match=r"train.safetensors: the offset index cannot be written .*free disk"):
            write_offsets(OFFSETS, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert same(read_offsets(path), OFFSETS)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
