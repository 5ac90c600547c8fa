import os
from pathlib import Path

import pytest

from landmarks.data import open_root
from landmarks.storage import derived_folder


@pytest.fixture(autouse=True)
def no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other tests keep to a cache of their own."""
    monkeypatch.delenv("LANDMARKS_CACHE", raising=False)


def test_a_chosen_cache_keeps_the_data_untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANDMARKS_CACHE", str(tmp_path / "cache"))
    assert derived_folder(tmp_path / "gldv2").parent == tmp_path / "cache"


def test_beside_the_data_where_that_can_be_written(tmp_path: Path) -> None:
    assert derived_folder(tmp_path) == tmp_path / ".landmarks"


def test_otherwise_in_the_cache_with_one_folder_per_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    roots = [tmp_path / "a", tmp_path / "b", open_root("https://example.org/gldv2")]
    folders = [derived_folder(root) for root in roots]
    assert len(set(folders)) == 3
    assert all(folder.parent == tmp_path / "cache" / "landmarks" for folder in folders)
    assert derived_folder(tmp_path / "a") == folders[0]
    assert derived_folder(open_root("https://example.org/gldv2/")) == folders[2]
