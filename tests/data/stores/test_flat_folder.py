import pickle
from pathlib import Path

import numpy as np
import pytest

from landmarks.data.stores import FlatFolderStore, MissingImageError
from landmarks.errors import LandmarksError


def test_pictures_of_one_folder(tmp_path: Path) -> None:
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
    with pytest.raises(LandmarksError, match=r"absent: the pictures cannot be listed \(No such file"):
        store.locate(np.array([1], dtype=np.uint64))
