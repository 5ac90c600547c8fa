import multiprocessing
import pickle
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.pool import Pool, ThreadPool
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from landmarks.data.stores import (
    LocalTars,
    MissingImageError,
    TarStore,
    open_tar_store,
    read_by_id,
    update_offsets,
)
from landmarks.errors import LandmarksError
from landmarks.ids import parse_ids

NAMES = [f"{i:03x}{i * 7919:013x}" for i in range(20)]
BYTES = {name: name.encode() * (i + 1) for i, name in enumerate(NAMES)}
IDS = parse_ids(NAMES)
FORK, SPAWN = (multiprocessing.get_context(method) for method in ("fork", "spawn"))


def opened(tars: Sequence[Path]) -> TarStore:
    folder = tars[0].parent
    return open_tar_store(LocalTars(folder), folder / ".landmarks" / "offsets.safetensors")


def read_all(store: TarStore) -> dict[str, bytes]:
    return {name: read_by_id(store, int(number)) for name, number in zip(NAMES, IDS, strict=True)}


@pytest.fixture
def tars(tmp_path: Path, make: SimpleNamespace) -> list[Path]:
    parts = [dict(list(BYTES.items())[part::2]) for part in (0, 1)]
    return [make.write_tar(tmp_path / f"images_00{i}.tar", part) for i, part in enumerate(parts)]


def test_every_image_is_found_in_its_tar(tars: list[Path]) -> None:
    store = opened(tars)
    assert read_all(store) == BYTES
    assert len(store) == 20
    assert (store.locate(np.array([IDS[3], 5, IDS[0]], dtype=np.uint64)) >= 0).tolist() == [True, False, True]
    with pytest.raises(MissingImageError, match=f"0000000000000005 is in none of the 2 tars of {tars[0].parent}"):
        read_by_id(store, 5)


def test_the_beginning_of_an_image(tars: list[Path]) -> None:
    store = opened(tars)
    row = int(store.locate(IDS[:1])[0])
    for length in (0, 1, 15, 16, 17, 100_000):
        assert store.read(int(IDS[0]), row, length) == BYTES[NAMES[0]][:length]


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_locations_are_right_in_any_order(tars: list[Path], data: st.DataObject) -> None:
    store = opened(tars)
    wanted = data.draw(st.lists(st.sampled_from(IDS.tolist()) | st.integers(0, 2**64 - 1), max_size=30))
    locations = store.locate(np.array(wanted, dtype=np.uint64))
    assert locations.dtype == np.int32
    assert [row >= 0 for row in locations] == [number in IDS for number in wanted]
    assert all(store.read(i, row) == BYTES[f"{i:016x}"] for i, row in zip(wanted, locations, strict=True) if row >= 0)


@pytest.mark.parametrize("make_pool", [FORK.Pool, SPAWN.Pool, ThreadPool])
def test_other_processes_and_threads_read_the_same(tars: list[Path], make_pool: Callable[[int], Pool]) -> None:
    store = opened(tars)
    read_all(store)  # whatever a process may keep from reading must not disturb the next
    with make_pool(2) as pool:
        results = pool.map(partial(read_by_id, store), [int(i) for i in np.tile(IDS, 10)], chunksize=5)
    assert results == list(BYTES.values()) * 10


def test_a_pickled_store_does_not_carry_its_index(tars: list[Path]) -> None:
    pickled = pickle.dumps(opened(tars))
    assert len(pickled) < 500
    assert read_all(pickle.loads(pickled)) == BYTES


def test_locations_outlive_a_renewed_index(tars: list[Path], make: SimpleNamespace) -> None:
    store = opened(tars)
    locations = store.locate(IDS)
    pickled = pickle.dumps(store)
    make.write_tar(tars[0].with_name("images_002.tar"), {"0000000000000001": b"before all others"})
    update_offsets(store.files, store.offsets_path)
    renewed = pickle.loads(pickled)  # in a worker that is started later
    for reader in (store, renewed):
        for name, number, location in zip(NAMES, IDS, locations, strict=True):
            assert reader.read(int(number), int(location)) == BYTES[name]
    with pytest.raises(MissingImageError, match="is in none of the 3 tars"):
        renewed.read(5, 30)


def test_an_index_that_is_gone_is_named(tars: list[Path]) -> None:
    store = opened(tars)
    pickled = pickle.dumps(store)
    store.offsets_path.unlink()
    with pytest.raises(LandmarksError, match=r"offsets.safetensors: .*No such file.*run `landmarks data index`"):
        pickle.loads(pickled)
    assert read_all(store) == BYTES  # what is mapped stays


def test_a_tar_that_changes_later_gives_an_error_not_another_image(tars: list[Path], make: SimpleNamespace) -> None:
    store = opened(tars)
    first = int(IDS[0])
    tars[1].replace(tars[0])
    with pytest.raises(MissingImageError, match=r"images_000.tar has changed since .*run `landmarks data index`"):
        read_by_id(store, first)
    make.write_tar(tars[0], {NAMES[0]: b"of another size"})
    with pytest.raises(MissingImageError, match="has changed since"):
        read_by_id(store, first)
    tars[0].write_bytes(bytes(10240))
    with pytest.raises(MissingImageError, match="has changed since"):
        read_by_id(store, first)
    tars[0].write_bytes(tars[0].read_bytes()[:520])
    with pytest.raises(
        MissingImageError, match=r"images_000.tar has become shorter since .*run `landmarks data index`"
    ):
        read_by_id(store, first)
    tars[0].unlink()
    with pytest.raises(MissingImageError, match=r"images_000.tar cannot be read \(No such file"):
        read_by_id(store, first)


def test_the_stamp_of_an_image_is_that_of_its_tar_and_its_place_there(tars: list[Path], make: SimpleNamespace) -> None:
    def stamps() -> np.ndarray:
        store = opened(tars)
        return store.stamps(IDS, store.locate(IDS))

    before = stamps()
    assert len(set(before.tolist())) == 20 and np.array_equal(stamps(), before)
    members = {name: data[::-1] for name, data in list(BYTES.items())[1::2]}
    make.write_tar(tars[1], members)
    assert (stamps() == before).tolist() == [True, False] * 10
    store = opened(tars)
    assert store.stamps(IDS[:2], np.array([-1, 0], np.int32))[0] == 0
