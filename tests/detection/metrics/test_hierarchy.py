"""Boxes, labels and detections on the classes above and below their own."""

import numpy as np

from landmarks.detection.metrics import BoxTruth, Detections, expand_detections, expand_truth, score_detections

# A castle is a building and a tourist sight, both are things; a house is a building.
ANCESTORS = {"castle": ["building", "sight", "thing"], "house": ("thing", "building"), "building": {"thing"},
             "sight": ["thing"], "thing": [], "car": []}  # fmt: skip
BOX = [0.0, 0.0, 0.5, 0.5]


def truth(classes: list[str], boxes: list[tuple[int, str]], labels: list[tuple[int, str, bool]]) -> BoxTruth:
    return BoxTruth(
        image_ids=np.array([image for image, _ in boxes], np.uint64),
        labels=np.array([classes.index(name) for _, name in boxes], np.int32),
        boxes=np.array([BOX] * len(boxes)).reshape(-1, 4),
        group_of=np.array([image % 2 == 1 for image, _ in boxes], np.bool_),
        verified_image_ids=np.array([image for image, *_ in labels], np.uint64),
        verified_labels=np.array([classes.index(name) for _, name, _ in labels], np.int32),
        present=np.array([present for *_, present in labels], np.bool_),
        classes=np.array(classes, np.str_),
    )


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
    found = Detections(
        np.array([1, 2], np.uint64), np.array([1, 0], np.int32), np.array([0.5, 0.75]),
        np.array([BOX, BOX]), np.array(["car", "castle"]),
    )  # fmt: skip
    expanded = expand_detections(found, ANCESTORS)
    assert named(expanded.image_ids, expanded.labels, expanded.classes) == [
        (1, "building"), (1, "castle"), (1, "sight"), (1, "thing"), (2, "car"),
    ]  # fmt: skip
    assert expanded.scores.tolist() == [0.5] * 4 + [0.75]


def test_the_general_class_is_right_of_the_special_one_and_not_the_other_way() -> None:
    expanded = expand_truth(truth(["castle"], [(2, "castle")], []), ANCESTORS)
    found = Detections(
        np.array([2, 2], np.uint64), np.array([0, 1], np.int32), np.array([0.5, 0.75]),
        np.array([BOX, BOX]), np.array(["building", "house"]),
    )  # fmt: skip
    figures = score_detections(expanded.of_classes(np.array(["building", "castle", "house"])), found)
    precisions = figures["challenge_2018"].as_dict()["ap@0.5"]
    assert precisions == {"building": 1.0, "castle": 0.0, "house": None}
