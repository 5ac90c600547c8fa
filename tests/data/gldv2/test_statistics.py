from pathlib import Path
from typing import Any

import pytest

from landmarks.data.gldv2 import read_statistics
from landmarks.errors import LandmarksError


def test_figures_of_a_small_world(tiny: Any) -> None:
    found = read_statistics(tiny.root)
    splits = found["splits"]
    assert {split: one["images"] for split, one in splits.items()} == {
        "train": 12,
        "train_clean": 8,
        "index": 8,
        "test": 4,
    }
    spread = {"mean": 3, "min": 1, "p25": 2.5, "median": 3.5, "p75": 4, "p95": 4, "max": 4, "landmarks_with_one": 1}
    assert splits["train"]["images_per_landmark"] == spread  # landmarks of 1, 3, 4 and 4 images
    assert (splits["index"]["landmarks"], splits["index"]["without_landmark"]) == (2, 2)
    assert splits["test"]["images_per_landmark"] is None and splits["test"]["landmarks"] == 0
    assert splits["train"]["tars"] == 2
    assert splits["train"]["tar_bytes"] == sum(path.stat().st_size for path in (tiny.root / "train").glob("*.tar"))
    sizes = splits["train"]["image_sizes"]
    assert sizes["measured"] == 12 and sizes["longer_than_2_to_1"] == 0
    assert all(sizes[f"short_side_{q}"] == 60 and sizes[f"long_side_{q}"] == 80 for q in ("p5", "median", "p95"))
    assert found["queries"] == {
        "retrieval": {"public": 1, "private": 1, "ignored": 2},
        "recognition": {"public": 1, "private": 2, "ignored": 1},
    }


def test_what_is_not_there_is_left_out(tiny: Any) -> None:
    tiny.csv("train").unlink()
    tiny.csv("index_image_to_landmark").unlink()
    (tiny.root / "ground_truth/recognition_solution_v2.1.csv").unlink()
    tiny.remove_tars("test")
    found = read_statistics(tiny.root)
    assert set(found["splits"]) == {"train_clean", "index", "test"} and set(found["queries"]) == {"retrieval"}
    assert found["splits"]["index"]["landmarks"] == 0 and found["splits"]["test"]["tars"] == 0
    assert found["splits"]["test"]["image_sizes"] is None


def test_wrong_tables_are_named(tiny: Any, tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match=r"there is no metadata/train\.csv"):
        read_statistics(tmp_path / "nowhere")
    solution = tiny.root / "ground_truth/recognition_solution_v2.1.csv"
    solution.write_text(solution.read_text().replace("Public", "Publik"))
    with pytest.raises(LandmarksError, match="Publik"):
        read_statistics(tiny.root)
    tiny.edit("train", ",7\n", ",seven\n")
    with pytest.raises(LandmarksError, match=r"train\.csv, line 2.*seven"):
        read_statistics(tiny.root)
