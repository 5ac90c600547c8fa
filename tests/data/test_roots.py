import pickle
from pathlib import Path

import pytest
from upath import UPath

from landmarks.data import local_folder, open_root
from landmarks.errors import LandmarksError


def test_folders_are_paths() -> None:
    assert open_root("data/gldv2") == Path("data/gldv2")
    assert open_root(Path("/data")) == Path("/data")
    assert open_root("file:///data/gldv2") == Path("/data/gldv2")
    assert open_root("odd name: with = signs") == Path("odd name: with = signs")


def test_addresses_keep_their_slashes() -> None:
    root = open_root("https://example.org/gldv2/")
    assert not isinstance(root, Path)
    assert str(root / "train" / "images_000.tar") == "https://example.org/gldv2/train/images_000.tar"
    assert str(open_root(root)) == str(pickle.loads(pickle.dumps(root))) == "https://example.org/gldv2"


def test_the_package_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(scheme: str) -> None:
        raise ImportError("not installed")

    monkeypatch.setattr("fsspec.get_filesystem_class", without)
    with pytest.raises(LandmarksError, match=r"s3://bucket/gldv2.*pip install s3fs"):
        open_root("s3://bucket/gldv2")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("htps://example.org/gldv2", "htps:// is not a known kind of address"),
        ("simplecache::https://example.org", "chain of addresses"),
        ("https://example.org/gldv2?key=1", r"must not contain \? or #"),
    ],
)
def test_what_cannot_be_the_address_of_a_folder_is_refused(address: str, message: str) -> None:
    with pytest.raises(LandmarksError, match=message):
        open_root(address)


def test_an_empty_root_is_not_the_working_directory() -> None:
    with pytest.raises(LandmarksError, match=r"data\.root is empty"):
        open_root("")


def test_local_data_cannot_be_at_an_address() -> None:
    assert local_folder("photos") == Path("photos")
    with pytest.raises(LandmarksError, match=r"data\.root=memory://photos is an address"):
        local_folder(UPath("memory://photos"))
