import pickle
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data import open_root
from landmarks.data.stores import (
    LocalTars,
    MissingImageError,
    ReadAhead,
    RemoteFiles,
    RemoteFolderStore,
    find_tars,
    open_tar_store,
    read_by_id,
)
from landmarks.errors import LandmarksError
from landmarks.ids import parse_ids
from landmarks.storage import RetryPolicy

NAMES = [f"{i:03x}{i * 7919:013x}" for i in range(20)]
BYTES = {name: name.encode() * (i + 1) for i, name in enumerate(NAMES)}


@pytest.fixture
def server(tmp_path: Path, make: SimpleNamespace, http_server: Callable[[Path], Any]) -> Any:
    for part in (0, 1):
        members = dict(list(BYTES.items())[part::2])
        make.write_tar(tmp_path / f"there/train/images_00{part}.tar", members)
    return http_server(tmp_path / "there")


@pytest.fixture
def files(server: Any) -> RemoteFiles:
    return open_files(server.url)


def open_files(url: str) -> RemoteFiles:
    return RemoteFiles(open_root(url), retry=RetryPolicy(attempts=2, first_wait=0.01), timeout=5)  # type: ignore[arg-type]


def no_index() -> list[str]:
    return []


def test_headers_come_in_large_pieces_and_an_image_in_one_request(
    files: RemoteFiles, server: Any, tmp_path: Path
) -> None:
    store = open_tar_store(find_tars(files, "train", no_index), tmp_path / "train.safetensors")
    assert len(server.seen("train/images_000.tar")) == 1
    before = len(server.requests)
    assert {name: read_by_id(store, int(number)) for name, number in zip(NAMES, parse_ids(NAMES), strict=True)} == BYTES
    assert len(server.requests) - before == len(NAMES)


def test_without_a_list_the_official_names_are_tried_until_one_is_missing(files: RemoteFiles, server: Any) -> None:
    server.fail("train/", status=403)
    server.fail("train/images_002.tar", method="*", status=403)  # as S3 answers for what is not there
    assert find_tars(files, "train", no_index).names() == ["images_000.tar", "images_001.tar"]
    known = find_tars(files, "train", lambda: ["images_007.tar", "a.tar"]).names()
    assert known == ["a.tar", "images_000.tar", "images_001.tar", "images_007.tar"]


def test_more_tars_than_are_asked_for_at_once_are_all_found(files: RemoteFiles, server: Any) -> None:
    server.fail("train/", status=404)
    for number in range(40):
        (server.folder / f"train/images_{number:03d}.tar").touch()
    assert len(find_tars(files, "train", no_index).names()) == 40


def test_a_tar_of_another_size_is_indexed_again_one_of_the_same_size_found_out_by_its_header(
    files: RemoteFiles, server: Any, tmp_path: Path, make: SimpleNamespace
) -> None:
    path, first = tmp_path / "train.safetensors", int(parse_ids(NAMES)[0])
    open_tar_store(LocalTars(server.folder / "train"), path)
    tar = server.folder / "train/images_000.tar"
    size = tar.stat().st_size
    make.write_tar(tar, dict(reversed(list(BYTES.items())[::2])))
    assert tar.stat().st_size == size
    with pytest.raises(MissingImageError, match=r"http://.*images_000\.tar has changed since it was indexed"):
        read_by_id(open_tar_store(find_tars(files, "train", no_index), path), first)
    make.write_tar(tar, {NAMES[0]: b"new" * 9999})
    store = open_tar_store(find_tars(files, "train", no_index), path)
    assert read_by_id(store, first) == b"new" * 9999


def test_a_server_that_dies_is_a_missing_image_at_its_address(files: RemoteFiles, server: Any, tmp_path: Path) -> None:
    store = open_tar_store(find_tars(files, "train", no_index), tmp_path / "train.safetensors")
    server.fail("train/images_000.tar", status=502)
    with pytest.raises(MissingImageError, match=f"{NAMES[0]}.*{server.url}/train/images_000.tar.*502"):
        read_by_id(store, int(parse_ids(NAMES)[0]))
    assert read_by_id(store, int(parse_ids(NAMES)[1])) == BYTES[NAMES[1]]


@given(
    st.binary(max_size=200),
    st.lists(st.tuples(st.integers(0, 250), st.integers(0, 60)), max_size=20),
    st.integers(1, 99),
)
def test_reading_ahead_changes_no_byte(content: bytes, reads: list[tuple[int, int]], block: int) -> None:
    read = ReadAhead(lambda offset, length: content[offset : offset + length], block)
    assert [read(*where) for where in reads] == [content[start : start + length] for start, length in reads]


A, B, C = "abc0000000000001", "abc0000000000002", "0120000000000003"
IDS = parse_ids([A, B, C])


@pytest.fixture
def extracted(tmp_path: Path, http_server: Callable[[Path], Any]) -> Any:
    """A server of an extracted tree."""
    for name, data in ((A, b"one"), (C, b"three")):
        path = tmp_path / "train" / name[0] / name[1] / name[2] / f"{name}.jpg"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    (tmp_path / "train/a/b/c/notes.txt").write_text("not an image")
    return http_server(tmp_path)


def open_store(url: str) -> RemoteFolderStore:
    return RemoteFolderStore(open_files(url), "train")


def test_the_extracted_tree_is_listed_and_read(extracted: Any) -> None:
    store = pickle.loads(pickle.dumps(open_store(extracted.url)))
    assert store.locate(IDS).tolist() == [0, -1, 0]
    assert (store.read(int(IDS[2])), store.read(int(IDS[2]), 0, 2)) == (b"three", b"th")
    with pytest.raises(MissingImageError, match=f"{B}.*{extracted.url}/train/a/b/c/{B}.jpg"):
        store.read(int(IDS[1]))


def test_stamps_change_with_the_address(extracted: Any, http_server: Callable[[Path], Any]) -> None:
    store, other = open_store(extracted.url), open_store(http_server(extracted.folder).url)
    stamps = store.stamps(IDS, store.locate(IDS)).tolist()
    assert stamps == store.stamps(IDS, store.locate(IDS)).tolist() and len(set(stamps)) == 3
    assert not set(stamps) & set(other.stamps(IDS, other.locate(IDS)).tolist())


def test_without_lists_images_are_there_until_they_are_read(extracted: Any) -> None:
    extracted.fail("train/", status=403)
    store = open_store(extracted.url)
    assert store.locate(IDS).tolist() == [0, 0, 0]
    assert store.read(int(IDS[0])) == b"one"
    with pytest.raises(MissingImageError, match=B):
        store.read(int(IDS[1]))


def test_no_answer_is_one_message_with_the_address() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(LandmarksError, match=f"{url}/train: .*the address is right"):
            open_store(url).locate(IDS)
