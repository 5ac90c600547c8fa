import pytest

from landmarks.cli.data.splits import chosen_splits
from landmarks.errors import LandmarksError

KNOWN = ("train", "index", "test")


def test_each_once_as_asked() -> None:
    assert chosen_splits("test, train,test", KNOWN) == ["test", "train"]


@pytest.mark.parametrize("text", ["trian", "train,", "", "train;index"])
def test_what_is_no_split_is_named(text: str) -> None:
    with pytest.raises(LandmarksError, match="is none of train, index, test"):
        chosen_splits(text, KNOWN)
