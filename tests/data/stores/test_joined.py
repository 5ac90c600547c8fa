from pathlib import Path

import numpy as np
import pytest

from landmarks.data.stores import FileStore, JoinedStore, MissingImageError, read_by_id
from landmarks.ids import parse_ids


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
