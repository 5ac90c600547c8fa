from pathlib import Path
from typing import Any

import pytest

from landmarks.data.gldv2 import GLDv2Layout
from landmarks.data.stores import FolderStore, TarStore
from landmarks.storage import derived_folder


def test_paths_are_the_official_ones(tmp_path: Path) -> None:
    files = GLDv2Layout(tmp_path)
    assert files.table("train_clean") == tmp_path / "metadata/train_clean.csv"
    assert files.solution("retrieval") == tmp_path / "ground_truth/retrieval_solution_v2.1.csv"
    assert files.solution_address("retrieval") == str(files.solution("retrieval"))


def test_tars_come_sorted_and_without_hidden_ones(tiny: Any) -> None:
    (tiny.root / "train/._images_000.tar").write_bytes(b"left by macOS")
    assert GLDv2Layout(tiny.root).tars("train").names() == ["images_000.tar", "images_001.tar"]


def test_pictures_are_read_from_tars_if_there_are_any(tiny: Any) -> None:
    files = GLDv2Layout(tiny.root)
    (tiny.root / "train/0").mkdir()
    store = files.open_store("train")
    assert isinstance(store, TarStore) and len(store) == len(tiny.train)
    assert (derived_folder(tiny.root) / "offsets/train.safetensors").is_file()
    for tar in (tiny.root / "train").glob("*.tar"):
        tar.unlink()
    assert isinstance(files.open_store("train"), FolderStore)


def test_only_what_a_split_needs_is_missing(tiny: Any) -> None:
    files = GLDv2Layout(tiny.root)
    tiny.csv("train").unlink()
    assert files.missing(["train_clean"]) == {}
    assert files.missing(["train+index", "train"]) == {"metadata": [str(tiny.csv("train"))]}
    for tar in (tiny.root / "test").glob("*.tar"):
        tar.unlink()
    assert files.missing(["train_clean"]) == {"test": [f"{tiny.root / 'test'}: no tar and no extracted folder"]}
    (tiny.root / "test/a").mkdir()
    assert files.missing(["train_clean"]) == {}


def test_without_evaluation_less_is_needed(tiny: Any) -> None:
    files = GLDv2Layout(tiny.root)
    for name in ("test", "index", "index_image_to_landmark"):
        tiny.csv(name).unlink()
    for tar in (*(tiny.root / "test").iterdir(), *(tiny.root / "index").iterdir()):
        tar.unlink()
    assert files.missing(["train_clean"], evaluation=False) == {}
    needed = files.missing(["train+index"], evaluation=False)
    assert list(needed) == ["metadata", "index"] and len(needed["metadata"]) == 2
    assert list(files.missing(["train_clean"])) == ["metadata", "index", "test"]


def test_an_index_in_a_folder_that_cannot_be_written_serves_all_users(
    tiny: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.delenv("LANDMARKS_CACHE")  # whoever keeps the data writes beside it
        GLDv2Layout(tiny.root).open_store("train")
    beside = tiny.root / ".landmarks/offsets/train.safetensors"
    assert beside.is_file()
    caplog.set_level("INFO")
    caplog.clear()  # a command that ran before in this process may have set the level, too
    offsets = GLDv2Layout(tiny.root).offsets("train")
    assert offsets != beside and offsets.read_bytes() == beside.read_bytes()
    GLDv2Layout(tiny.root).open_store("train")
    assert not caplog.messages  # nothing was indexed again
