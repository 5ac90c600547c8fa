import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from landmarks.data.ids import parse_ids
from landmarks.data.stores.files import FileStore
from landmarks.data.stores.folder import FolderStore
from landmarks.data.stores.joined import JoinedStore
from landmarks.data.stores.store import ImageStore, MissingImageError, read_by_id

A, B, C = "abc0000000000001", "abc0000000000002", "0120000000000003"


def extract(root: Path, members: dict[str, bytes]) -> Path:
    for name, data in members.items():
        path = root / name[0] / name[1] / name[2] / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def test_folder_store_reads_the_extracted_tree(tmp_path: Path) -> None:
    store = FolderStore(extract(tmp_path, {A: b"one", C: b"three"}))
    (tmp_path / "a/b/c/notes.txt").write_text("not a picture")
    ids = parse_ids([A, B, C])
    assert store.locate(ids).tolist() == [0, -1, 0]
    assert store.read(int(ids[2])) == b"three"
    with pytest.raises(MissingImageError, match=f"{B}.*a/b/c/{B}.jpg"):
        store.read(int(ids[1]))


def test_folder_store_holds_nothing_where_there_is_no_folder(tmp_path: Path) -> None:
    assert FolderStore(tmp_path / "nowhere").locate(parse_ids([A])).tolist() == [-1]


def test_file_store_finds_each_id_its_own_file(tmp_path: Path) -> None:
    names = ["z é.jpg", "a.png", os.fsdecode(b"\xff-not-utf8.jpg")]
    for name in names:
        (tmp_path / name).write_bytes(os.fsencode(name))
    ids = parse_ids([A, C, B])
    store: ImageStore = pickle.loads(pickle.dumps(FileStore(ids, [tmp_path / name for name in names])))
    assert [read_by_id(store, int(i)) for i in ids] == [os.fsencode(name) for name in names]
    (tmp_path / "a.png").unlink()
    with pytest.raises(MissingImageError, match=r"a\.png"):
        read_by_id(store, int(ids[1]))
    with pytest.raises(MissingImageError, match="no file is known"):
        read_by_id(store, 5)


def test_joined_store_asks_the_store_that_has_the_image(tmp_path: Path) -> None:
    first = FolderStore(extract(tmp_path / "train", {A: b"train"}))
    second = FolderStore(extract(tmp_path / "index", {A: b"wrong", C: b"index"}))
    a, b, c = parse_ids([A, B, C])
    store = JoinedStore(np.array([a]), first, second)
    assert (read_by_id(store, int(a)), read_by_id(store, int(c))) == (b"train", b"index")
    assert store.locate(np.array([c, b, a])).tolist() == [1, -1, 0]
