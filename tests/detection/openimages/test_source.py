import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from landmarks.detection.metrics import BoxTruth, expand_truth, read_truth
from landmarks.detection.openimages import DetectionSet, OpenImages
from landmarks.errors import LandmarksError


def titles(made: DetectionSet) -> dict[int, list[str]]:
    """The titles of the boxes in each image."""
    names = made.classes.titles[made.boxes.labels]
    return {image: names[made.boxes.of(row)].tolist() for row, image in enumerate(made.images.table.ids.tolist())}


def rows(truth: BoxTruth) -> set[tuple[Any, ...]]:
    boxes = zip(truth.image_ids, truth.classes[truth.labels], map(tuple, truth.boxes), truth.group_of, strict=True)
    labels = zip(truth.verified_image_ids, truth.classes[truth.verified_labels], truth.present, strict=True)
    return {*boxes, *labels}


def test_images_and_boxes_to_train_on(tiny: Any) -> None:
    source = OpenImages(tiny.root)
    source.prepare()
    assert source.classes().titles.tolist() == ["Tower", "Castle", "Building", "Dog"]
    train = source.train()
    assert titles(train) == {1: ["Tower", "Building"], 2: ["Dog"], 3: ["Castle"], 4: ["Tower"]}
    np.testing.assert_allclose(train.boxes.boxes[0], [0.25, 0.1, 0.5, 0.9])
    assert train.boxes.group_of.tolist() == [False, False, False, True, False]
    assert train.images.present.all() and train.images.read(0).startswith(b"\xff\xd8")


def test_what_is_trained_on_can_be_chosen(tiny: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert titles(OpenImages(tiny.root, group_of="ignore").train()).keys() == {1, 2, 4}
    assert titles(OpenImages(tiny.root, skip=["IsDepiction", "IsOccluded"]).train()) == {
        1: ["Tower"],
        2: ["Dog"],
        3: ["Castle"],
    }
    expanded = titles(OpenImages(tiny.root, expand=True).train())
    assert expanded[1] == ["Tower", "Building", "Building"] and expanded[3] == ["Castle", "Building"]
    with caplog.at_level(logging.INFO):
        everything = OpenImages(tiny.root, classes="class-descriptions-boxable.csv").train()
    assert titles(everything)[4] == ["Tower", "Door"]
    assert "6 boxes, of which 0 are of other classes and 0 have a flag" in caplog.text
    with pytest.raises(LandmarksError, match="'IsGroup' is not a flag of boxes; choose from IsOccluded"):
        OpenImages(tiny.root, skip=["IsGroup"])


def test_images_without_boxes_are_background_only_where_nothing_was_left_out(
    tiny: Any, box_row: Callable[..., str]
) -> None:
    for image in (5, 6):
        tiny.image("train", image, np.zeros((20, 20, 3), np.uint8))
    tiny.add("train", box_row(5, "/m/dog", (0.5, 0.1, 0.4, 0.2)), box_row(6, "/m/door", (0.1, 0.1, 0.4, 0.2)))
    (tiny.root / "train" / "README.txt").write_text("not an image")
    plain = OpenImages(tiny.root, background=True, group_of="ignore").train()
    # 5 shows a dog that was drawn wrongly, 3 a group that is ignored; 6 a class that is not detected, 9 nothing
    assert titles(plain) == {1: ["Tower", "Building"], 2: ["Dog"], 4: ["Tower"], 6: [], 9: []}


def test_images_to_score_are_those_in_which_a_class_to_detect_was_verified(tiny: Any) -> None:
    with tiny.labels("validation").open("a") as file:  # of this one only a door
        file.write(f"{13:016x},verification,/m/door,1\n")
    validation = OpenImages(tiny.root).validation()
    assert titles(validation) == {10: ["Tower", "Dog"], 11: ["Castle"], 12: []}


def test_the_truth_is_that_of_the_score_command(tiny: Any) -> None:
    source = OpenImages(tiny.root)
    truth = source.truth()
    assert truth.classes.tolist() == source.classes().names.tolist()
    read = expand_truth(read_truth(tiny.boxes("validation"), tiny.labels("validation")), source.hierarchy())
    read = read.of_classes(truth.classes)
    assert rows(truth) == rows(read) and len(truth.labels) == len(read.labels) == 5
    left = 0.333333  # as written, not rounded to float32
    assert (10, "/m/dog", (left, 0.5, 0.9, 0.9), False) in rows(truth)
    assert (11, "/m/building", (0.0, 0.0, 0.5, 0.5), True) in rows(truth)
    assert (12, "/m/tower", False) in rows(truth) and (11, "/m/building", True) in rows(truth)


def test_the_test_split_can_be_scored_instead(tiny: Any) -> None:
    (tiny.root / "validation").rename(tiny.root / "test")
    tiny.boxes("validation").rename(tiny.boxes("test"))
    tiny.labels("validation").rename(tiny.labels("test"))
    source = OpenImages(tiny.root, evaluation_split="test")
    source.prepare()
    assert len(source.validation()) == 3 and len(source.truth().labels) == 5
    with pytest.raises(LandmarksError, match=r"validation-annotations-bbox\.csv\n.*\n.*validation/<id>\.jpg"):
        OpenImages(tiny.root).prepare()


def test_files_of_the_challenge_are_found(tiny: Any) -> None:
    tiny.boxes("train").rename(tiny.root / "challenge-2018-train-annotations-bbox.csv")
    tiny.labels("validation").rename(tiny.root / "challenge-2018-validation-annotations-human-imagelabels.csv")
    source = OpenImages(tiny.root)
    source.prepare()
    assert len(source.train()) == 4 and len(source.validation()) == 3


def test_all_missing_files_are_listed_at_once(tiny: Any) -> None:
    for name in ("bbox_labels_600_hierarchy.json", "train-annotations-bbox.csv"):
        (tiny.root / name).unlink()
    with pytest.raises(LandmarksError) as caught:
        OpenImages(tiny.root, classes="mine.csv").prepare()
    for name in ("mine.csv", "bbox_labels_600_hierarchy.json", "train-annotations-bbox.csv"):
        assert f"{tiny.root / name}" in str(caught.value)
    with pytest.raises(LandmarksError, match="is an address"):
        OpenImages("https://host/oid")


def test_images_that_are_listed_but_absent(tiny: Any, caplog: pytest.LogCaptureFixture) -> None:
    (tiny.root / "train" / f"{2:016x}.jpg").unlink()
    (tiny.root / "validation" / f"{11:016x}.jpg").unlink()
    with pytest.raises(LandmarksError, match=r"1 of 4 train images are not in .*first 0000000000000002\.jpg") as caught:
        OpenImages(tiny.root).train()
    assert "data.source.missing=skip" in str(caught.value)
    source = OpenImages(tiny.root, missing="skip")
    assert titles(source.train()).keys() == {1, 3, 4}
    assert titles(source.validation()) == {10: ["Tower", "Dog"], 12: []}
    truth = source.truth()  # what is known of an absent image is not asked for
    assert set(truth.image_ids.tolist()) == {10} and set(truth.verified_image_ids.tolist()) == {10, 12}
    assert "1 of 4 train images are not in" in caplog.text and "1 of 3 validation images" in caplog.text


def test_nothing_left_to_train_on(tiny: Any) -> None:
    (tiny.root / "mine.csv").write_text("/m/gate,Gate\n")
    with pytest.raises(LandmarksError, match="no box of the 1 classes is left to train on"):
        OpenImages(tiny.root, classes="mine.csv").train()


@pytest.mark.parametrize("split", ["train", "validation"])
def test_bad_rows_follow_the_policy(
    tiny: Any, box_row: Callable[..., str], caplog: pytest.LogCaptureFixture, split: str
) -> None:
    first = {"train": 1, "validation": 10}[split]
    tiny.add(split, box_row(first, "/m/dog", (0.5, 0.1, 0.4, 0.2)), box_row(first, "/m/unicorn", (0, 0, 1, 1)))
    loose, strict = OpenImages(tiny.root), OpenImages(tiny.root, bad_boxes="error")
    found = titles(getattr(loose, split)())
    assert found[first] == (["Tower", "Building"] if split == "train" else ["Tower", "Dog"])
    assert f"{split}-annotations-bbox.csv: 2 of" in caplog.text and "1 of an unknown class" in caplog.text
    with pytest.raises(LandmarksError, match=r"is a box with XMin > XMax or YMin > YMax; correct it"):
        getattr(strict, split)()
