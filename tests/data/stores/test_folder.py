from pathlib import Path

import pytest

from landmarks.data.stores import FolderStore, MissingImageError
from landmarks.ids import parse_ids

A, B, C = "abc0000000000001", "abc0000000000002", "0120000000000003"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, data in ((A, b"one"), (C, b"three")):
        path = tmp_path / name[0] / name[1] / name[2] / f"{name}.jpg"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    (tmp_path / "a/b/c/notes.txt").write_text("not a picture")
    return tmp_path


def test_the_extracted_tree_is_read(tree: Path) -> None:
    store = FolderStore(tree)
    ids = parse_ids([A, B, C])
    assert store.locate(ids).tolist() == [0, -1, 0]
    assert (store.read(int(ids[2])), store.read(int(ids[2]), 0, 2)) == (b"three", b"th")
    with pytest.raises(MissingImageError, match=f"{B}.*a/b/c/{B}.jpg"):
        store.read(int(ids[1]))


def test_there_is_nothing_where_there_is_no_folder(tmp_path: Path) -> None:
    assert FolderStore(tmp_path / "nowhere").locate(parse_ids([A])).tolist() == [-1]
