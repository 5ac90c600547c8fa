import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from landmarks.data.stores import (
    FileStore,
    FlatFolderStore,
    FolderStore,
    ImageStore,
    JoinedStore,
    MissingImageError,
    read_by_id,
)
from landmarks.errors import LandmarksError
from landmarks.ids import parse_ids


def test_each_id_finds_its_own_file(tmp_path: Path) -> None:
    names = ["z é.jpg", "a.png", os.fsdecode(b"\xff-not-utf8.jpg")]
    for name in names:
        (tmp_path / name).write_bytes(os.fsencode(name))
    ids = parse_ids(["abc0000000000001", "0120000000000003", "abc0000000000002"])
    store: ImageStore = pickle.loads(pickle.dumps(FileStore(ids, [tmp_path / name for name in names])))
    assert [read_by_id(store, int(i)) for i in ids] == [os.fsencode(name) for name in names]
    (tmp_path / "a.png").unlink()
    with pytest.raises(MissingImageError, match=r"a\.png"):
        read_by_id(store, int(ids[1]))
    with pytest.raises(MissingImageError, match="no file is known"):
        read_by_id(store, 5)


def test_reading_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(MissingImageError, match=r"pipe\.jpg is no file"):
        read_by_id(FileStore(parse_ids(["abc0000000000001"]), [tmp_path / "pipe.jpg"]), 0xABC0000000000001)


A, B, C = "abc0000000000001", "abc0000000000002", "0120000000000003"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, data in ((A, b"one"), (C, b"three")):
        path = tmp_path / name[0] / name[1] / name[2] / f"{name}.jpg"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    (tmp_path / "a/b/c/notes.txt").write_text("not an image")
    return tmp_path


def test_the_extracted_tree_is_read(tree: Path) -> None:
    store = FolderStore(tree)
    ids = parse_ids([A, B, C])
    assert store.locate(ids).tolist() == [0, -1, 0]
    assert (store.read(int(ids[2])), store.read(int(ids[2]), 0, 2)) == (b"three", b"th")
    with pytest.raises(MissingImageError, match=f"{B}.*a/b/c/{B}.jpg"):
        store.read(int(ids[1]))


def test_a_missing_tree_has_no_images(tmp_path: Path) -> None:
    assert FolderStore(tmp_path / "nowhere").locate(parse_ids([A])).tolist() == [-1]


def test_images_of_one_folder(tmp_path: Path) -> None:
    for name in (f"{3:016x}.jpg", f"{2**63:016x}.jpg", f"{1:016x}.jpg", "readme.txt", "00.jpg", f"{4:016x}.png"):
        (tmp_path / name).write_bytes(name.encode())
    store = pickle.loads(pickle.dumps(FlatFolderStore(tmp_path)))
    assert store.ids().tolist() == [1, 3, 2**63] and store.ids().dtype == np.uint64
    ids = np.array([2**63, 2, 1], dtype=np.uint64)
    assert store.locate(ids).tolist() == [0, -1, 0]
    assert store.read(1, 0) == b"0000000000000001.jpg" and store.read(3, 0, 4) == b"0000"
    with pytest.raises(MissingImageError, match=r"image 0000000000000002: cannot read .*0000000000000002\.jpg"):
        store.read(2, -1)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    store = FlatFolderStore(tmp_path / "absent")
    with pytest.raises(LandmarksError, match=r"absent: the images cannot be listed \(No such file"):
        store.locate(np.array([1], dtype=np.uint64))


def test_the_store_that_has_the_image_is_asked(tmp_path: Path) -> None:
    for name in ("train", "wrong", "index"):
        (tmp_path / name).write_bytes(name.encode())
    a, b, c = parse_ids(["abc0000000000001", "abc0000000000002", "0120000000000003"])
    first = FileStore(np.array([a]), [tmp_path / "train"])
    second = FileStore(np.array([a, c]), [tmp_path / "wrong", tmp_path / "index"])
    store = JoinedStore(np.array([a]), first, second)
    assert (read_by_id(store, int(a)), read_by_id(store, int(c))) == (b"train", b"index")
    assert (store.locate(np.array([c, b, a])) >= 0).tolist() == [True, False, True]
    own = (first.locate(np.array([a, b])), second.locate(np.array([b, c])))
    assert store.join(*own).tolist() == store.locate(np.array([a, b, b, c])).tolist()
    with pytest.raises(MissingImageError, match="in neither of the two sets"):
        read_by_id(store, int(b))


def test_a_stamp_tells_a_file_from_another_of_its_name(tmp_path: Path) -> None:
    ids = parse_ids([A, B])
    for root in (tmp_path / "one", tmp_path / "two"):
        (root / "flat").mkdir(parents=True)
        for name, data in ((A, b"one"), (B, b"two!")):
            path = root / name[0] / name[1] / name[2] / f"{name}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            for place in (path, root / "flat" / f"{name}.jpg"):
                place.write_bytes(data)
                os.utime(place, ns=(0, 1_000_000_001))

    def stores(root: Path) -> list[ImageStore]:
        paths = [root / "flat" / f"{name}.jpg" for name in (A, B)]
        joined = JoinedStore(ids[:1], FolderStore(root), FlatFolderStore(root / "flat"))
        return [FileStore(ids, paths), FolderStore(root), FlatFolderStore(root / "flat"), joined]

    def stamps(root: Path) -> list[list[int]]:
        return [store.stamps(ids, store.locate(ids)).tolist() for store in stores(root)]

    before = stamps(tmp_path / "one")
    assert before == stamps(tmp_path / "one") and all(0 not in row for row in before)
    (tmp_path / "link").symlink_to(tmp_path / "one")
    assert stamps(tmp_path / "link") == before
    for here, there in zip(before, stamps(tmp_path / "two"), strict=True):
        assert not set(here) & set(there), "the same files below another root"
    for change in ("content", "size", "time"):
        path, flat = tmp_path / "one" / "a/b/c" / f"{B}.jpg", tmp_path / "one/flat" / f"{B}.jpg"
        for place in (path, flat):
            place.write_bytes({"content": b"TWO!", "size": b"longer than it was", "time": b"two!"}[change])
            os.utime(place, ns=(0, 1_000_000_002 if change == "time" else 1_000_000_001))
        assert [(a == c, b == d) for (a, b), (c, d) in zip(before, stamps(tmp_path / "one"), strict=True)] == [
            (True, False)
        ] * 4
    for place in (path, flat):
        place.unlink()
    assert [row[1] for row in stamps(tmp_path / "one")] == [0] * 4
