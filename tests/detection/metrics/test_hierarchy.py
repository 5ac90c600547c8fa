"""Boxes, labels and detections on the classes above and below their own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landmarks.detection.metrics import BoxTruth, expand_detections, expand_truth, read_hierarchy, score_detections
from landmarks.errors import LandmarksError
from landmarks.recognition.detections import read_classes
from true_boxes import Label, box_truth, found_boxes

# A castle is a building and a tourist sight, both are things; a house is a building.
ANCESTORS = {"castle": ["building", "sight", "thing"], "house": ("thing", "building"), "building": {"thing"},
             "sight": ["thing"], "thing": [], "car": []}  # fmt: skip
BOX = (0.0, 0.0, 0.5, 0.5)


def truth(classes: list[str], boxes: list[tuple[int, str]], labels: list[Label]) -> BoxTruth:
    """All boxes are alike; those of image 1 are groups."""
    return box_truth(classes, [(image, name, BOX, image == 1) for image, name in boxes], labels)


def named(images: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> list[tuple[int, str]]:
    return sorted(zip(images.tolist(), classes[labels].tolist(), strict=True))


def test_boxes_and_positive_labels_go_up_and_negative_ones_down() -> None:
    given = truth(
        ["house", "castle", "car"],
        [(1, "castle"), (2, "house"), (2, "car")],
        [(1, "castle", True), (2, "house", False), (2, "car", True)],
    )
    expanded = expand_truth(given, ANCESTORS)
    assert expanded.classes.tolist() == ["house", "castle", "car", "building", "sight", "thing"]
    assert named(expanded.image_ids, expanded.labels, expanded.classes) == [
        (1, "building"), (1, "castle"), (1, "sight"), (1, "thing"),
        (2, "building"), (2, "car"), (2, "house"), (2, "thing"),
    ]  # fmt: skip
    assert (expanded.group_of == (expanded.image_ids == 1)).all()
    assert (expanded.boxes == BOX).all()
    present = expanded.present
    assert named(expanded.verified_image_ids[present], expanded.verified_labels[present], expanded.classes) == [
        (1, "building"), (1, "castle"), (1, "sight"), (1, "thing"), (2, "car"),
    ]  # fmt: skip
    assert named(expanded.verified_image_ids[~present], expanded.verified_labels[~present], expanded.classes) == [
        (2, "house")
    ]


def test_an_absent_class_rules_out_all_below() -> None:
    expanded = expand_truth(truth(["building"], [], [(1, "building", False)]), ANCESTORS)
    assert expanded.classes.tolist() == ["building", "castle", "house", "thing"]
    assert named(expanded.verified_image_ids, expanded.verified_labels, expanded.classes) == [
        (1, "building"), (1, "castle"), (1, "house"),
    ]  # fmt: skip
    assert not expanded.present.any()


def test_a_class_outside_the_hierarchy_stays_as_it_is() -> None:
    given = truth(["other"], [(1, "other")], [(1, "other", False)])
    expanded = expand_truth(given, ANCESTORS)
    assert expanded.classes.tolist() == ["other"]
    assert expanded.labels.tolist() == expanded.verified_labels.tolist() == [0]
    assert expand_truth(truth([], [], []), {}).classes.tolist() == []


def test_detections_go_up_with_their_scores() -> None:
    found = found_boxes(["car", "castle"], [(1, "castle", BOX, 0.5), (2, "car", BOX, 0.75)])
    expanded = expand_detections(found, ANCESTORS)
    assert named(expanded.image_ids, expanded.labels, expanded.classes) == [
        (1, "building"), (1, "castle"), (1, "sight"), (1, "thing"), (2, "car"),
    ]  # fmt: skip
    assert expanded.scores.tolist() == [0.5] * 4 + [0.75]


def test_the_general_class_is_right_of_the_special_one_and_not_the_other_way() -> None:
    expanded = expand_truth(truth(["castle"], [(2, "castle")], []), ANCESTORS)
    found = found_boxes(["building", "house"], [(2, "building", BOX, 0.5), (2, "house", BOX, 0.75)])
    figures = score_detections(expanded.of_classes(np.array(["building", "castle", "house"])), found)
    precisions = figures["challenge_2018"].as_dict()["ap@0.5"]
    assert precisions == {"building": 1.0, "castle": 0.0, "house": None}


def test_the_official_hierarchy(shared_data: Path) -> None:
    folder = shared_data / "openimages"
    tree = read_hierarchy(folder / "bbox_labels_600_hierarchy.json")
    classes = read_classes(folder / "class-descriptions-boxable.csv")
    title = dict(zip(classes.names.tolist(), classes.titles.tolist(), strict=True))
    assert set(tree) == set(title)  # the root, which is no class, is left out

    def above(text: str) -> set[str]:
        return {title[name] for name in tree[classes.names[classes.find(text)]]}

    assert above("Castle") == above("Tower") == above("Lighthouse") == {"Building"}
    assert above("Spoon") == {"Kitchen utensil", "Kitchenware", "Tableware", "Tool"}
    assert above("Tank") == {"Weapon", "Vehicle", "Land vehicle"}
    # parts are no kinds: in the file these lie below Building, Person and Land vehicle
    assert above("Laptop") == above("Human nose") == above("Auto part") == set()
    assert above("Guitar") == {"Musical instrument"}
    for name, names in tree.items():  # whatever lies above an ancestor lies above
        assert len(set(names)) == len(names) and name not in names
        assert all(set(tree[other]) <= set(names) for other in names)


def tree(*below: Any) -> bytes:
    return json.dumps({"LabelName": "/m/root", "Subcategory": list(below)}).encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "is not a class"),
        (tree({"LabelName": ""}), "is not a class"),
        (tree({"Subcategory": []}), "is not a class"),
        (b'{"LabelName": "/m/root", "Subcategory": {"LabelName": "/m/a"}}', "Subcategory of /m/root is not a list"),
        (tree({"LabelName": "/m/a", "Subcategory": [{"LabelName": "/m/b", "Subcategory": [{"LabelName": "/m/a"}]}]}),
         "/m/a is its own ancestor"),
        (None, "cannot be read"),
        (b'{"LabelName": "/m/root", "Sub', r"is not valid JSON .*download the file again"),
        (b"\xff\xfe\x00", "is not valid JSON"),
        (b'{"LabelName":"/m/r","Subcategory":[' * 200 + b'{"LabelName":"/m/x"}' + b"]}" * 200, "more than 100 levels"),
        (b'{"LabelName":"/m/r","Subcategory":[' * 100_000, "is not valid JSON"),
    ],
)  # fmt: skip
def test_what_is_no_hierarchy(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "tree.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LandmarksError, match=message):
        read_hierarchy(path)
