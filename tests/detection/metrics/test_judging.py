"""Which detections count: the rules one by one, and any case against a plain program that follows them in loops."""

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks.detection.metrics import CHALLENGE_2018, OPEN_IMAGES_V2, BoxTruth, Judged, Rules, judge
from landmarks.errors import FormatError
from landmarks.recognition.detections import Detections

A, B, C = "/m/a", "/m/b", "/m/c"
LEFT, RIGHT, WHOLE = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.0)
TRUTH_CLASSES, FOUND_CLASSES = [A, B, C], ["/m/new", C, B, A]

True_ = tuple[int, str, tuple[float, float, float, float], bool]
Found = tuple[int, str, tuple[float, float, float, float], float]
Label = tuple[int, str, bool]


def truth(boxes: list[True_], labels: list[Label]) -> BoxTruth:
    return BoxTruth(
        image_ids=np.array([box[0] for box in boxes], np.uint64),
        labels=np.array([TRUTH_CLASSES.index(box[1]) for box in boxes], np.int32),
        boxes=np.array([box[2] for box in boxes], np.float64).reshape(-1, 4),
        group_of=np.array([box[3] for box in boxes], np.bool_),
        verified_image_ids=np.array([label[0] for label in labels], np.uint64),
        verified_labels=np.array([TRUTH_CLASSES.index(label[1]) for label in labels], np.int32),
        present=np.array([label[2] for label in labels], np.bool_),
        classes=np.array(TRUTH_CLASSES),
    )


def detections(found: list[Found]) -> Detections:
    return Detections(
        image_ids=np.array([box[0] for box in found], np.uint64),
        labels=np.array([FOUND_CLASSES.index(box[1]) for box in found], np.int32),
        scores=np.array([box[3] for box in found], np.float64),
        boxes=np.array([box[2] for box in found], np.float64).reshape(-1, 4),
        classes=np.array(FOUND_CLASSES),
    )


def rows(judged: Judged) -> list[tuple[Any, ...]]:
    """Image, class, score and hit of what counts, in an order of its own."""
    names = [TRUTH_CLASSES[label] for label in judged.labels.tolist()]
    columns = (judged.image_ids.tolist(), names, judged.scores.tolist(), judged.hits.tolist())
    return sorted(zip(*columns, strict=True))


def hits(boxes: list[True_], labels: list[Label], found: list[Found], rules: Rules) -> list[tuple[float, float]]:
    judged = judge(truth(boxes, labels), detections(found), rules)
    return sorted(zip(judged.scores.tolist(), judged.hits.tolist(), strict=True), reverse=True)


BOTH = pytest.mark.parametrize("rules", [CHALLENGE_2018, OPEN_IMAGES_V2])


@BOTH
def test_the_second_detection_of_a_box_is_wrong_even_beside_another_box(rules: Rules) -> None:
    boxes = [(1, A, WHOLE, False), (1, A, LEFT, False)]
    # Both overlap WHOLE most, so the second does not fall back on LEFT, which it also overlaps by half and more.
    found = [(1, A, (0, 0, 0.9, 1.0), 0.9), (1, A, (0, 0, 0.8, 1.0), 0.8)]
    assert hits(boxes, [], found, rules) == [(0.9, 1), (0.8, 0)]


@BOTH
def test_the_threshold_is_reached_at_exactly_one_half(rules: Rules) -> None:
    assert hits([(1, A, WHOLE, False)], [], [(1, A, LEFT, 0.9)], rules) == [(0.9, 1)]
    assert hits([(1, A, WHOLE, False)], [], [(1, A, (0, 0, 0.499, 1), 0.9)], rules) == [(0.9, 0)]


def test_a_group_counts_once_or_not_at_all() -> None:
    boxes = [(1, A, WHOLE, True)]
    found = [(1, A, LEFT, 0.4), (1, A, RIGHT, 0.9), (1, A, (0.1, 0.1, 0.2, 0.2), 0.6), (1, B, LEFT, 0.8)]
    assert hits(boxes, [], found, CHALLENGE_2018) == [(0.9, 1)]  # B was not looked for
    assert hits(boxes, [], found, OPEN_IMAGES_V2) == [(0.8, 0)]
    assert hits(boxes, [], found, Rules(False, 0.25)) == [(0.9, 0.25), (0.8, 0)]
    assert judge(truth(boxes, []), detections(found), CHALLENGE_2018).num_boxes.tolist() == [1, 0, 0]
    assert judge(truth(boxes, []), detections(found), OPEN_IMAGES_V2).num_boxes.tolist() == [0, 0, 0]


def test_a_single_object_inside_a_group_comes_first() -> None:
    boxes = [(1, A, WHOLE, True), (1, A, LEFT, False)]
    found = [(1, A, LEFT, 0.4), (1, A, (0, 0, 0.45, 1), 0.9)]
    # The surer one takes the single object, the other one is a part of the group, not a second find.
    assert hits(boxes, [], found, CHALLENGE_2018) == [(0.9, 1), (0.4, 1)]
    assert hits(boxes, [], found, OPEN_IMAGES_V2) == [(0.9, 1)]


def test_equal_scores_on_one_object_are_decided_by_their_corners() -> None:
    boxes = [(1, A, WHOLE, False), (1, A, LEFT, True)]
    # LEFT takes the object and leaves nothing to RIGHT; the other way round LEFT would have found the group.
    for found in ([(1, A, LEFT, 0.5), (1, A, RIGHT, 0.5)], [(1, A, RIGHT, 0.5), (1, A, LEFT, 0.5)]):
        assert hits(boxes, [], found, CHALLENGE_2018) == [(0.5, 1), (0.5, 0)]


def test_a_detection_larger_than_the_group_is_wrong() -> None:
    boxes = [(1, A, (0, 0, 0.4, 1.0), True)]
    assert hits(boxes, [], [(1, A, WHOLE, 0.9)], CHALLENGE_2018) == [(0.9, 0)]


def test_a_group_is_not_found_by_a_score_of_zero() -> None:
    assert hits([(1, A, WHOLE, True)], [], [(1, A, LEFT, 0.0)], CHALLENGE_2018) == []
    assert hits([(1, A, WHOLE, False)], [], [(1, A, LEFT, 0.0)], CHALLENGE_2018) == [(0, 1)]


@pytest.mark.parametrize("present", [True, False])
def test_unverified_classes_are_left_out_by_the_challenge_only(present: bool) -> None:
    boxes, found = [(1, A, WHOLE, False)], [(1, B, WHOLE, 0.9), (1, C, WHOLE, 0.8)]
    assert hits(boxes, [(1, B, present)], found, CHALLENGE_2018) == [(0.9, 0)]
    assert hits(boxes, [(1, B, present)], found, OPEN_IMAGES_V2) == [(0.9, 0), (0.8, 0)]


def test_a_box_verifies_its_class() -> None:
    assert hits([(1, A, LEFT, False)], [], [(1, A, RIGHT, 0.9)], CHALLENGE_2018) == [(0.9, 0)]
    assert hits([(1, A, LEFT, True)], [], [(1, A, RIGHT, 0.9)], CHALLENGE_2018) == [(0.9, 0)]


@BOTH
def test_unknown_pictures_and_classes_count_nowhere(rules: Rules) -> None:
    found = [(2, A, WHOLE, 0.9), (1, "/m/new", WHOLE, 0.8), (0, A, WHOLE, 0.7)]
    assert hits([(1, A, WHOLE, False)], [], found, rules) == []
    assert hits([], [], found, rules) == []


@BOTH
def test_nothing_found(rules: Rules) -> None:
    judged = judge(truth([(1, A, WHOLE, False), (1, A, WHOLE, False)], []), detections([]), rules)
    assert judged.num_boxes.tolist() == [2, 0, 0]
    assert len(judged.hits) == 0


def test_rules_are_checked() -> None:
    for overlap in (0, 1.1, float("nan")):
        with pytest.raises(FormatError, match="give a share above 0"):
            Rules(True, 1.0, overlap)
    with pytest.raises(FormatError, match="weight of a group-of box is -1"):
        Rules(True, -1)


def plain(boxes: list[True_], labels: list[Label], found: list[Found], rules: Rules) -> list[tuple[Any, ...]]:
    """The same rules, a box at a time."""
    known = {(image, name) for image, name, *_ in [*boxes, *labels]}
    pictures = {image for image, _ in known}
    groups: dict[tuple[int, str], list[Found]] = defaultdict(list)
    for detection in found:
        image, name, *_ = detection
        if name in TRUTH_CLASSES and image in pictures and (not rules.verified_only or (image, name) in known):
            groups[image, name].append(detection)
    judged = []
    for (image, name), inside in groups.items():
        singles = [box for at, of, box, group in boxes if (at, of) == (image, name) and not group]
        crowds = [box for at, of, box, group in boxes if (at, of) == (image, name) and group]
        taken: set[int] = set()
        best: dict[int, float] = {}
        for *_, box, score in sorted(inside, key=lambda detection: (-detection[3], detection[2])):
            shares = [shared(box, single) / max(area(box) + area(single) - shared(box, single), 1e-99)
                      for single in singles]  # fmt: skip
            nearest = int(np.argmax(shares)) if shares else -1
            if nearest >= 0 and shares[nearest] >= rules.overlap and nearest not in taken:
                taken.add(nearest)
                judged.append((image, name, score, 1.0))
                continue
            parts = [shared(box, crowd) / max(area(box), 1e-99) for crowd in crowds]
            nearest = int(np.argmax(parts)) if parts else -1
            if nearest >= 0 and parts[nearest] >= rules.overlap:
                best[nearest] = max(best.get(nearest, 0), score)
            else:
                judged.append((image, name, score, 0.0))
        if rules.group_of_weight:
            judged += [(image, name, score, rules.group_of_weight) for score in best.values() if score > 0]
    return sorted(judged)


def area(box: tuple[float, ...]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def shared(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)


@st.composite
def box(draw: st.DrawFn) -> tuple[float, float, float, float]:
    """On a grid of quarters, so that equal overlaps, exact halves and boxes without area are frequent."""
    x, y = (sorted(draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))) for _ in range(2))
    return x[0] / 4, y[0] / 4, x[1] / 4, y[1] / 4


IMAGES, SCORES = st.integers(0, 3), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
BOXES = st.lists(st.tuples(IMAGES, st.sampled_from([A, B]), box(), st.booleans()), max_size=12)
LABELS = st.lists(st.tuples(IMAGES, st.sampled_from(TRUTH_CLASSES), st.booleans()), max_size=4)
FOUND = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(FOUND_CLASSES), box(), SCORES), max_size=16)
RULES = st.builds(
    Rules, st.booleans(), st.sampled_from([0.0, 0.5, 1.0]), overlap=st.sampled_from([0.25, 0.5, 0.75, 1.0])
)


@settings(max_examples=150)
@given(BOXES, LABELS, FOUND, RULES)
def test_equals_the_plain_program(boxes: list[True_], labels: list[Label], found: list[Found], rules: Rules) -> None:
    assert rows(judge(truth(boxes, labels), detections(found), rules)) == plain(boxes, labels, found, rules)


@given(BOXES, LABELS, FOUND, RULES, st.randoms(use_true_random=False))
def test_the_order_of_detections_and_labels_changes_nothing(
    boxes: list[True_], labels: list[Label], found: list[Found], rules: Rules, random: Any
) -> None:
    before = judge(truth(boxes, labels), detections(found), rules)
    after = judge(truth(boxes, random.sample(labels, len(labels))), detections(random.sample(found, len(found))), rules)
    assert rows(after) == rows(before)
    assert after.num_boxes.tolist() == before.num_boxes.tolist()
