import pickle
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from landmarks.data import RemoteFiles, open_root
from landmarks.data.stores import MissingImageError, RemoteFolderStore
from landmarks.errors import LandmarksError
from landmarks.ids import parse_ids
from landmarks.storage import RetryPolicy

A, B, C = "abc0000000000001", "abc0000000000002", "0120000000000003"
IDS = parse_ids([A, B, C])


@pytest.fixture
def server(tmp_path: Path, http_server: Callable[[Path], Any]) -> Any:
    for name, data in ((A, b"one"), (C, b"three")):
        path = tmp_path / "train" / name[0] / name[1] / name[2] / f"{name}.jpg"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    (tmp_path / "train/a/b/c/notes.txt").write_text("not a picture")
    return http_server(tmp_path)


def open_store(url: str) -> RemoteFolderStore:
    root = open_root(url)
    assert isinstance(root, UPath)
    return RemoteFolderStore(RemoteFiles(root, retry=RetryPolicy(attempts=2, first_wait=0.01)), "train")


def test_the_extracted_tree_is_listed_and_read(server: Any) -> None:
    store = pickle.loads(pickle.dumps(open_store(server.url)))
    assert store.locate(IDS).tolist() == [0, -1, 0]
    assert (store.read(int(IDS[2])), store.read(int(IDS[2]), 0, 2)) == (b"three", b"th")
    with pytest.raises(MissingImageError, match=f"{B}.*{server.url}/train/a/b/c/{B}.jpg"):
        store.read(int(IDS[1]))


def test_without_lists_images_are_there_until_they_are_read(server: Any) -> None:
    server.fail("train/", status=403)
    store = open_store(server.url)
    assert store.locate(IDS).tolist() == [0, 0, 0]
    assert store.read(int(IDS[0])) == b"one"
    with pytest.raises(MissingImageError, match=B):
        store.read(int(IDS[1]))


def test_no_answer_is_one_message_with_the_address() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(LandmarksError, match=f"{url}/train: .*is the address right"):
            open_store(url).locate(IDS)
