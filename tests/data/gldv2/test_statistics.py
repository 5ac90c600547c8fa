import json
from pathlib import Path
from typing import Any

import pytest

from landmarks.data.gldv2.statistics import GROUPS, group_name, read_statistics
from landmarks.errors import LandmarksError


def test_figures_of_a_small_world(tiny: Any) -> None:
    found = read_statistics(tiny.root)
    assert {split: one.pictures for split, one in found.splits.items()} == {
        "train": 12,
        "train_clean": 8,
        "index": 8,
        "test": 4,
    }
    train = found.splits["train"]
    assert sorted(train.per_landmark.tolist()) == [1, 3, 4, 4] and train.groups.tolist() == [1, 3, 0, 0, 0, 0, 0]
    assert found.splits["index"].per_landmark.tolist() == [3, 3]
    assert len(found.splits["test"].per_landmark) == 0
    assert train.tars == 2
    assert train.tar_bytes == sum(path.stat().st_size for path in (tiny.root / "train").glob("*.tar"))
    assert train.sizes.tolist() == [[60, 80]] * 12
    queries = {task: (one.public, one.private, one.ignored) for task, one in found.solutions.items()}
    assert queries == {"retrieval": (1, 1, 2), "recognition": (1, 2, 1)}


def test_the_figures_of_real_tables(shared_data: Path) -> None:
    report = json.loads(json.dumps(read_statistics(shared_data / "gldv2_mini").as_json()))
    train = report["splits"]["train"]
    assert (train["pictures"], train["landmarks"], train["tars"]) == (1472, 66, 4)
    spread = train["pictures_per_landmark"]
    assert (spread["min"], spread["median"], spread["max"]) == (1, 1, 389)
    assert spread["mean"] == pytest.approx(1472 / 66)
    assert sum(group["landmarks"] for group in spread["groups"]) == 66
    assert sum(group["share"] for group in spread["groups"]) == pytest.approx(1)
    assert report["splits"]["index"]["without_landmark"] == 59
    assert report["splits"]["test"]["pictures_per_landmark"] is None
    sizes = report["splits"]["test"]["picture_sizes"]
    assert sizes["measured"] == 416 and sizes["short_side"]["p50"] < 224 < sizes["long_side"]["p95"] == 800
    assert report["queries"]["retrieval"] == {"public": 116, "private": 187, "ignored": 113}


def test_what_is_not_there_is_left_out(tiny: Any) -> None:
    tiny.csv("train").unlink()
    tiny.csv("index_image_to_landmark").unlink()
    (tiny.root / "ground_truth/recognition_solution_v2.1.csv").unlink()
    for path in (tiny.root / "test").iterdir():
        path.unlink()
    found = read_statistics(tiny.root)
    assert set(found.splits) == {"train_clean", "index", "test"} and set(found.solutions) == {"retrieval"}
    assert len(found.splits["index"].per_landmark) == 0 and found.splits["test"].tars == 0
    assert len(found.splits["test"].sizes) == 0


def test_groups_are_named_by_their_ends() -> None:
    names = [group_name(number) for number in range(len(GROUPS))]
    assert names == ["1", "2-4", "5-19", "20-99", "100-499", "500-1999", "2000+"]


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
