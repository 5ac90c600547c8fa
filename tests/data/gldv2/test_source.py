import logging
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landmarks.data import ImageSet, Source
from landmarks.data.gldv2 import GLDv2
from landmarks.data.stores import FolderStore
from landmarks.errors import LandmarksError
from landmarks.ids import format_ids


def labels(images: ImageSet) -> dict[str, str | None]:
    names, marks = images.table.landmark_names, images.table.landmarks
    return {
        name: str(names[mark]) if mark >= 0 else None
        for name, mark in zip(format_ids(images.table.ids), marks, strict=True)
    }


@pytest.mark.parametrize("split", ["train", "train_clean", "index", "train+index"])
def test_mini_splits(shared_data: Path, split: Any) -> None:
    source: Source = GLDv2(shared_data / "gldv2_mini", train_split=split)
    source.prepare()
    train = source.train()
    expected = {"train": (1472, 66), "train_clean": (1411, 5), "index": (346, 26), "train+index": (1818, 92)}
    assert (len(train), train.table.num_landmarks) == expected[split]
    assert train.table.landmarks.min() >= 0
    assert (len(source.index()), len(source.queries())) == (405, 416)
    assert source.index().table.counts().sum() == 346
    assert source.gallery().table.num_landmarks == 5
    truth = source.truth()
    assert truth.retrieval is not None and len(truth.retrieval.query_ids) == 303
    assert truth.recognition is not None and len(truth.recognition.image_ids) == 416


def test_every_split_keeps_the_landmark_of_each_image(tiny: Any) -> None:
    source = GLDv2(tiny.root, train_split="train")
    assert labels(source.train()) == {name: str(mark) for name, mark in tiny.train.items()}
    assert source.train().table.landmark_names.tolist() == ["7", "20", "100", "3000"]
    clean = {name: str(mark) for name, mark in tiny.train.items() if mark in (7, 20)}
    assert labels(source.gallery()) == clean
    assert labels(source.index()) == {n: f"index:{m}" if m else None for n, m in tiny.index.items()}
    assert labels(source.queries()) == dict.fromkeys(tiny.test)


def test_label_spaces_of_train_and_index_are_never_mixed(tiny: Any) -> None:
    """Both know a landmark 7; they are different places."""
    joined = GLDv2(tiny.root, train_split="train+index").train()
    expected = {name: str(mark) for name, mark in tiny.train.items()}
    expected |= {name: f"index:{mark}" for name, mark in tiny.index.items() if mark}
    assert labels(joined) == expected
    assert joined.table.landmark_names.tolist() == ["7", "20", "100", "3000", "index:7", "index:9"]
    for row in range(len(joined)):
        assert joined.read(row).startswith(b"\xff\xd8")


def test_tars_and_extracted_folders_give_the_same(tiny: Any) -> None:
    def contents() -> dict[str, dict[str, bytes]]:
        source = GLDv2(tiny.root, train_split="train+index")
        source.prepare()
        sets = {"train": source.train(), "index": source.index(), "test": source.queries()}
        return {
            split: {name: images.read(row) for row, name in enumerate(format_ids(images.table.ids))}
            for split, images in sets.items()
        }

    from_tars = contents()
    tiny.remove_tars("index", extract=True)  # each split by itself
    assert contents() == from_tars
    tiny.remove_tars("train", "test", extract=True)
    assert isinstance(GLDv2(tiny.root).train().store, FolderStore)
    assert contents() == from_tars


def test_min_images_drops_landmarks_from_training_only(tiny: Any) -> None:
    source = GLDv2(tiny.root, "train", "train", min_images=4)
    assert source.train().table.landmark_names.tolist() == ["7", "20"]
    assert source.gallery().table.num_landmarks == 4
    with pytest.raises(LandmarksError, match="min_images=5"):
        GLDv2(tiny.root, min_images=5).train()


def test_lists_concern_training_and_come_before_min_images(
    tiny: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exclude = tmp_path / "exclude.txt"
    sevens = [name for name, mark in tiny.train.items() if mark == 7]
    exclude.write_text(f"{sevens[0]}\n20\nindex:7\n")  # of train, of train, and of the index set
    with caplog.at_level(logging.INFO):
        source = GLDv2(tiny.root, "train", "train", min_images=3, exclude=exclude)
        assert set(labels(source.train())) == {*sevens[1:], *(n for n, mark in tiny.train.items() if mark == 100)}
    assert "5 of 12 images of train left out" in caplog.text
    assert source.train().table.landmark_names.tolist() == ["7", "100"]
    assert set(labels(source.gallery())) == {*tiny.train} - {sevens[0]}  # an image that is bad votes for nothing
    only = GLDv2(tiny.root, "train", min_images=4, include=exclude)
    assert source.train().table.num_landmarks == 2 and only.train().table.landmark_names.tolist() == ["20"]
    joined = GLDv2(tiny.root, "train+index", include=exclude).train()
    assert joined.table.landmark_names.tolist() == ["7", "20", "index:7"] and len(joined) == 1 + 4 + 3


def test_lists_may_name_what_the_whole_data_set_knows(tiny: Any, tmp_path: Path) -> None:
    exclude = tmp_path / "exclude.txt"
    exclude.write_text("3000\nindex:9\n")  # neither is in train_clean
    assert len(GLDv2(tiny.root, exclude=exclude).train()) == 8
    exclude.write_text("3000\nindex:10\n")
    with pytest.raises(LandmarksError, match=r"line 2: landmark index:10 is not in train_clean or train\.csv or index"):
        GLDv2(tiny.root, exclude=exclude).train()


def test_one_error_lists_all_that_is_missing(tiny: Any) -> None:
    for name in ("train_clean", "test", "index_image_to_landmark"):
        tiny.csv(name).unlink()
    tiny.remove_tars("test")
    with pytest.raises(LandmarksError) as caught:
        GLDv2(tiny.root, train_split="train+index").prepare()
    lines = str(caught.value).splitlines()
    assert len(lines) == 6
    for name in ("train_clean.csv", "test.csv", "index_image_to_landmark.csv", f"{tiny.root / 'test'}: no tar"):
        assert sum(name in line for line in lines[1:]) == 1
    with pytest.raises(LandmarksError, match="not a complete Google Landmarks v2 folder"):
        GLDv2(tiny.root / "nowhere").prepare()


def test_only_what_is_trained_on_is_needed_without_evaluation(tiny: Any) -> None:
    for name in ("train_clean", "index", "test"):
        tiny.csv(name).unlink()
    tiny.remove_tars("index", "test")
    GLDv2(tiny.root, train_split="train").prepare(evaluation=False)
    with pytest.raises(LandmarksError) as caught:
        GLDv2(tiny.root, train_split="index").prepare(evaluation=False)
    assert len(str(caught.value).splitlines()) == 4  # with index.csv, its images, and how to get them


def test_only_queries_and_index_are_needed_without_training(tiny: Any) -> None:
    """Retrieval with published weights needs 95 of the 595 GB."""
    for name in ("train", "train_clean"):
        tiny.csv(name).unlink()
    tiny.remove_tars("train")
    GLDv2(tiny.root).prepare(training=False)
    with pytest.raises(LandmarksError, match=r"train_clean\.csv"):
        GLDv2(tiny.root).prepare()


def test_tables_and_tars_open_without_torch(tiny: Any) -> None:
    """Importing it takes longer than opening 4.1M images."""
    code = (
        "import sys; from landmarks.data.gldv2.source import GLDv2; GLDv2(sys.argv[1]).train(); "
        "print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code, tiny.root], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_index_labels_are_needed_only_to_train_on_them(tiny: Any) -> None:
    tiny.csv("index_image_to_landmark").unlink()
    source = GLDv2(tiny.root)
    source.prepare()
    assert set(labels(source.index()).values()) == {None}


def test_absent_ground_truth_is_no_error(tiny: Any, caplog: pytest.LogCaptureFixture) -> None:
    (tiny.root / "ground_truth/retrieval_solution_v2.1.csv").unlink()
    truth = GLDv2(tiny.root).truth()
    assert truth.retrieval is None and truth.recognition is not None
    assert "submission files can be written for retrieval" in caplog.text


def test_wrong_ground_truth_is_an_error(tiny: Any) -> None:
    path = tiny.root / "ground_truth/retrieval_solution_v2.1.csv"
    good = path.read_text()
    path.write_text(good.replace("Public", "Publik"))
    with pytest.raises(LandmarksError, match=r"retrieval_solution_v2\.1\.csv.*Publik"):
        GLDv2(tiny.root).truth()
    path.write_text(good.replace(tiny.test[0], "00000000000000ff"))
    with pytest.raises(LandmarksError, match=r"00000000000000ff.*same release"):
        GLDv2(tiny.root).truth()


def test_missing_images_are_named(tiny: Any, caplog: pytest.LogCaptureFixture) -> None:
    (tiny.root / "train/images_001.tar").unlink()
    with pytest.raises(LandmarksError, match=r"6 of 12 images of train are missing, first .*missing=skip"):
        GLDv2(tiny.root, train_split="train").train()
    with caplog.at_level(logging.WARNING):
        assert len(GLDv2(tiny.root, train_split="train", missing="skip").train()) == 6
    assert "6 of 12 images of train are missing" in caplog.text and "left out" in caplog.text


def test_tables_that_contradict_each_other(tiny: Any) -> None:
    some = next(iter(tiny.index))
    tiny.edit("index_image_to_landmark", some, "00000000000000ff")
    with pytest.raises(LandmarksError, match=r"index_image_to_landmark\.csv.*00000000000000ff"):
        GLDv2(tiny.root).index()
    tiny.edit("train_clean", next(iter(tiny.train)), "00000000000000fe")
    with pytest.raises(LandmarksError, match=r"train_clean\.csv: 1 images are not in .*train\.csv, first .*fe"):
        GLDv2(tiny.root).train()


def test_submission_numbers(tiny: Any) -> None:
    source = GLDv2(tiny.root, train_split="train")
    assert source.submission_landmark(np.array([3, -1, 0], dtype=np.int32)).tolist() == [3000, -1, 7]
    gallery = source.gallery().table.landmark_names
    assert source.submission_landmark(np.array([1], dtype=np.int32), gallery).tolist() == [20]
    mixed = GLDv2(tiny.root, train_split="train+index")
    assert mixed.submission_landmark(np.array([0, 3], dtype=np.int32)).tolist() == [7, 3000]
    with pytest.raises(LandmarksError, match="landmark index:7 is numbered as in the index set"):
        mixed.submission_landmark(np.array([0, 4], dtype=np.int32))


def test_categories_of_both_spaces(shared_data: Path, tiny: Any) -> None:
    names = GLDv2(shared_data / "gldv2_mini").category_names()
    assert names["62380"] == "gc ajanta cave"
    assert names["index:8730"] == "gc chenonceau"
    assert GLDv2(tiny.root).category_names() == {}


def test_a_source_can_be_sent_to_another_process(tiny: Any) -> None:
    source = GLDv2(tiny.root)
    source.train()
    copy = pickle.loads(pickle.dumps(source))
    assert labels(copy.train()) == labels(source.train())
    assert copy.index().present.all()
