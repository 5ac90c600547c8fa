import os
import pickle
from pathlib import Path

import pytest

from landmarks.data.stores import FileStore, ImageStore, MissingImageError, read_by_id
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
