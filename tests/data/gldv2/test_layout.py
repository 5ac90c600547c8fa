from typing import Any

import pytest

from landmarks.data.gldv2 import open_layout
from landmarks.data.stores import FolderStore, TarStore
from landmarks.storage import derived_folder


def test_images_are_read_from_tars_if_there_are_any(tiny: Any) -> None:
    files = open_layout(tiny.root)
    (tiny.root / "train/0").mkdir()
    store = files.open_store("train")
    assert isinstance(store, TarStore) and len(store) == len(tiny.train)
    assert (derived_folder(tiny.root) / "offsets/train.safetensors").is_file()
    tiny.remove_tars("train")
    assert isinstance(files.open_store("train"), FolderStore)


def test_an_index_in_a_folder_that_cannot_be_written_serves_all_users(
    tiny: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.delenv("LANDMARKS_CACHE")  # whoever keeps the data writes beside it
        open_layout(tiny.root).open_store("train")
    beside = tiny.root / ".landmarks/offsets/train.safetensors"
    assert beside.is_file()
    caplog.set_level("INFO")
    caplog.clear()  # a command that ran before in this process may have set the level, too
    offsets = open_layout(tiny.root).offsets("train")
    assert offsets != beside and offsets.read_bytes() == beside.read_bytes()
    open_layout(tiny.root).open_store("train")
    assert not caplog.messages  # nothing was indexed again
