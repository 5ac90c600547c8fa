from typing import Any

import pytest

from landmarks.data.gldv2 import index_splits, open_layout
from landmarks.errors import LandmarksError
from shown import Shown


def test_all_splits_with_tars_are_indexed(tiny: Any) -> None:
    layout = open_layout(tiny.root)
    progress = Shown()
    done = index_splits(tiny.root, progress)
    assert [(each.split, len(each.update.offsets)) for each in done] == [("train", 12), ("index", 8), ("test", 4)]
    for split in ("train", "index", "test"):
        assert progress.shown[f"reading headers of {split}"] == [(1, 2, None), (2, 2, None)]
    for each in done:
        assert each.size == sum(path.stat().st_size for path in (tiny.root / each.split).glob("*.tar"))
        assert each.offsets == layout.offsets(each.split) and each.offsets.is_file()
    assert done[0].as_json()["new"] == ("images_000.tar", "images_001.tar")


def test_a_split_that_fails_does_not_stop_the_others(tiny: Any) -> None:
    layout = open_layout(tiny.root)
    layout.offsets("train").mkdir(parents=True)
    train, index = index_splits(tiny.root, Shown(), ["train", "index"])
    assert len(train.update.refused) == 1 and "cannot be written" in train.update.refused[0]
    assert len(index.update.offsets) == 8 and not index.update.refused


def test_splits_without_tars_are_left_out_unless_chosen(tiny: Any) -> None:
    tiny.remove_tars("test")
    assert [each.split for each in index_splits(tiny.root, Shown())] == ["train", "index"]
    assert [each.split for each in index_splits(tiny.root, Shown(), ["index"])] == ["index"]
    with pytest.raises(LandmarksError, match=r"test: no tars there, expected test/images_000.tar"):
        index_splits(tiny.root, Shown(), ["index", "test"])
    with pytest.raises(LandmarksError, match=r"nowhere: no tars there, .*landmarks data download"):
        index_splits(tiny.root / "nowhere", Shown())
