import io
import multiprocessing
import pickle
import tarfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from landmarks.data.ids import format_ids, parse_ids
from landmarks.data.stores.folder import FolderStore
from landmarks.data.stores.store import MissingImageError, read_by_id
from landmarks.data.stores.tars import TarStore
from landmarks.errors import LandmarksError

NAMES = [f"{i:03x}{i * 7919:013x}" for i in range(20)]
BYTES = {name: name.encode() * (i + 1) for i, name in enumerate(NAMES)}
IDS = parse_ids(NAMES)


def read_all(store: TarStore) -> dict[str, bytes]:
    return {name: read_by_id(store, int(number)) for name, number in zip(NAMES, IDS, strict=True)}


@pytest.fixture
def tars(tmp_path: Path, make: SimpleNamespace) -> list[Path]:
    parts = [dict(list(BYTES.items())[part::2]) for part in (0, 1)]
    return [make.write_tar(tmp_path / f"images_00{i}.tar", part) for i, part in enumerate(parts)]


def test_every_image_is_found_in_its_tar(tars: list[Path]) -> None:
    store = TarStore(tars)
    assert read_all(store) == BYTES
    assert len(store) == 20
    assert (store.locate(np.array([IDS[3], 5, IDS[0]], dtype=np.uint64)) >= 0).tolist() == [True, False, True]
    with pytest.raises(MissingImageError, match=r"0000000000000005 is in none of the 2 tars"):
        read_by_id(store, 5)


def test_mini_tars_and_their_extraction_hold_the_same_bytes(shared_data: Path, tmp_path: Path) -> None:
    tar_paths = sorted((shared_data / "gldv2_mini/test").glob("*.tar"))
    for path in tar_paths:
        with tarfile.open(path) as tar:
            tar.extractall(tmp_path, filter="data")
    names = [path.stem for path in tmp_path.rglob("*.jpg")]
    ids = parse_ids(names)
    store, folder = TarStore(tar_paths), FolderStore(tmp_path)
    assert len(store) == len(ids) == 416
    assert (folder.locate(ids) >= 0).all() and (store.locate(ids) >= 0).all()
    assert all(read_by_id(store, int(i)) == folder.read(int(i)) for i in ids)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_read_the_same(tars: list[Path], method: str) -> None:
    store = TarStore(tars)
    read_all(store)  # whatever a process may keep from reading must not disturb the next
    with multiprocessing.get_context(method).Pool(2) as pool:
        results = pool.map(partial(read_by_id, store), [int(i) for i in np.tile(IDS, 10)], chunksize=5)
    assert results == list(BYTES.values()) * 10


def test_threads_read_the_same(tars: list[Path]) -> None:
    store = TarStore(tars)
    with ThreadPoolExecutor(8) as pool:
        assert (
            list(pool.map(partial(read_by_id, store), [int(i) for i in np.tile(IDS, 50)])) == list(BYTES.values()) * 50
        )


def test_pickle_keeps_it_working(tars: list[Path]) -> None:
    assert read_all(pickle.loads(pickle.dumps(TarStore(tars)))) == BYTES


@pytest.mark.parametrize("end", [100, 512 + 20, 1024, 1024 + 100, 2048, 10240, 10240 + 511])
def test_cut_off_tar_is_named_wherever_it_ends(tars: list[Path], end: int) -> None:
    whole = tars[1].read_bytes()
    tars[1].write_bytes(whole[:end])
    with pytest.raises(LandmarksError, match=r"images_001.tar.*download it again"):
        TarStore(tars)


def test_damaged_header_in_mid_file_is_not_taken_for_the_end(tars: list[Path]) -> None:
    data = bytearray(tars[0].read_bytes())
    data[1024 : 1024 + 512] = bytes(range(256)) * 2  # the second member's header
    tars[0].write_bytes(data)
    with pytest.raises(LandmarksError, match=r"images_000.tar.*byte 1024"):
        TarStore(tars)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x1f\x8b" + bytes(600)])
def test_what_is_no_tar_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "images_007.tar"
    path.write_bytes(content)
    with pytest.raises(LandmarksError, match=r"images_007.tar: not a complete uncompressed tar"):
        TarStore([path])


def test_missing_tar_is_named(tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match=r"gone\.tar.*No such file"):
        TarStore([tmp_path / "gone.tar"])


def test_tar_that_shrinks_later_gives_an_error_not_half_a_picture(tars: list[Path]) -> None:
    store = TarStore(tars)
    tars[0].write_bytes(tars[0].read_bytes()[:520])
    with pytest.raises(MissingImageError, match="shorter"):
        read_by_id(store, int(IDS[0]))
    tars[0].unlink()
    with pytest.raises(MissingImageError, match="cannot read"):
        read_by_id(store, int(IDS[0]))


def test_image_in_two_tars_is_refused(tars: list[Path], tmp_path: Path, make: SimpleNamespace) -> None:
    extra = make.write_tar(tmp_path / "copy.tar", {NAMES[4]: b"again"})
    with pytest.raises(LandmarksError, match=f"{NAMES[4]} is in .*images_000.tar and again in .*copy.tar"):
        TarStore([*tars, extra])


def test_other_members_and_formats_are_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "mixed.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        folder = tarfile.TarInfo("0/0/0")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name in ("README.txt", f"0/0/0/._{NAMES[0]}.jpg", f"./0/0/0/{NAMES[0]}.jpg"):
            info = tarfile.TarInfo(name)
            info.size, info.pax_headers = 5, {"comment": "ü" * 300}
            tar.addfile(info, io.BytesIO(b"bytes"))
    store = TarStore([path])
    assert len(store) == 1 and read_by_id(store, int(IDS[0])) == b"bytes"


def test_no_tars_hold_nothing() -> None:
    store = TarStore([])
    assert (store.locate(IDS) < 0).all() and format_ids(IDS) == NAMES
