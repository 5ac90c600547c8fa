from pathlib import Path
from typing import Any

from landmarks.data.gldv2.layout import GLDv2Layout


def test_paths_are_the_official_ones(tmp_path: Path) -> None:
    files = GLDv2Layout(tmp_path)
    assert files.table("train_clean") == tmp_path / "metadata/train_clean.csv"
    assert files.solution("retrieval") == tmp_path / "ground_truth/retrieval_solution_v2.1.csv"


def test_tars_come_sorted_and_without_hidden_ones(tiny: Any) -> None:
    (tiny.root / "train/._images_000.tar").write_bytes(b"left by macOS")
    names = [path.name for path in GLDv2Layout(tiny.root).tars("train")]
    assert names == ["images_000.tar", "images_001.tar"]


def test_only_what_a_split_needs_is_missing(tiny: Any) -> None:
    files = GLDv2Layout(tiny.root)
    tiny.csv("train").unlink()
    assert files.missing(["train_clean"]) == []
    (line,) = files.missing(["train+index", "train"])
    assert str(tiny.csv("train")) in line and "download" in line
