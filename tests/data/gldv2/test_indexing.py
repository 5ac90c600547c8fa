from typing import Any

import pytest

from landmarks.data.gldv2.indexing import index_splits, splits_with_tars
from landmarks.data.gldv2.layout import GLDv2Layout
from landmarks.errors import LandmarksError


def test_all_splits_with_tars_are_indexed(tiny: Any) -> None:
    layout = GLDv2Layout(tiny.root)
    told: list[tuple[object, ...]] = []
    done = list(index_splits(layout, splits_with_tars(layout), on_tar=lambda *values: told.append(values)))
    assert [(each.split, len(each.update.offsets)) for each in done] == [("train", 12), ("index", 8), ("test", 4)]
    assert [values[0] for values in told] == ["train", "train", "index", "index", "test", "test"]
    for each in done:
        assert each.size == sum(path.stat().st_size for path in (tiny.root / each.split).glob("*.tar"))
        assert each.offsets == layout.offsets(each.split) and each.offsets.is_file()
    assert done[0].as_json()["new"] == ("images_000.tar", "images_001.tar")


def test_a_split_that_fails_does_not_stop_the_others(tiny: Any) -> None:
    layout = GLDv2Layout(tiny.root)
    layout.offsets("train").mkdir(parents=True)
    train, index = index_splits(layout, ["train", "index"])
    assert len(train.update.refused) == 1 and "cannot be written" in train.update.refused[0]
    assert len(index.update.offsets) == 8 and not index.update.refused


def test_splits_without_tars_are_left_out_unless_chosen(tiny: Any) -> None:
    for path in (tiny.root / "test").iterdir():
        path.unlink()
    layout = GLDv2Layout(tiny.root)
    assert splits_with_tars(layout) == ["train", "index"]
    assert splits_with_tars(layout, ["index"]) == ["index"]
    with pytest.raises(LandmarksError, match=r"test: no tars there, expected test/images_000.tar"):
        splits_with_tars(layout, ["index", "test"])
    with pytest.raises(LandmarksError, match=r"nowhere: no tars there, .*landmarks data download"):
        splits_with_tars(GLDv2Layout(tiny.root / "nowhere"))
