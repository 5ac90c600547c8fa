from pathlib import Path

from landmarks.data.roots import open_root


def test_folders_are_paths() -> None:
    assert open_root("data/gldv2") == Path("data/gldv2")
    assert open_root(Path("/data")) == Path("/data")


def test_addresses_keep_their_slashes() -> None:
    root = open_root("https://example.org/gldv2")
    assert not isinstance(root, Path)
    assert str(root / "train" / "images_000.tar") == "https://example.org/gldv2/train/images_000.tar"
    assert open_root(root) is root
