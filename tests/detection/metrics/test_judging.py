"""Which detections count: the rules one by one, and any case against a plain program that follows them in loops."""

from collections import defaultdict
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks.detection.metrics import (
    CHALLENGE_2018,
    OPEN_IMAGES_V2,
    Judged,
    Rules,
    best_overlaps,
    intersection_over_union,
    judge,
    judging,
)
from landmarks.errors import FormatError
from true_boxes import Found, Label, True_, box_truth, found_boxes

A, B, C = "/m/a", "/m/b", "/m/c"
LEFT, RIGHT, WHOLE = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.0)
TRUTH_CLASSES, FOUND_CLASSES = [A, B, C], ["/m/new", C, B, A]

truth, detections = partial(box_truth, TRUTH_CLASSES), partial(found_boxes, FOUND_CLASSES)


def rows(judged: Judged) -> list[tuple[Any, ...]]:
    """Image, class, score and hit of what counts, in an order of its own."""
    names = [TRUTH_CLASSES[label] for label in judged.labels.tolist()]
    columns = (judged.image_ids.tolist(), names, judged.scores.tolist(), judged.hits.tolist())
    return sorted(zip(*columns, strict=True))


def hits(boxes: list[True_], labels: list[Label], found: list[Found], rules: Rules) -> list[tuple[float, float]]:
    judged = judge(truth(boxes, labels), detections(found), rules)
    return sorted(zip(judged.scores.tolist(), judged.hits.tolist(), strict=True), reverse=True)


BOTH = pytest.mark.parametrize("rules", [CHALLENGE_2018, OPEN_IMAGES_V2])

# What is known, what was found, and (score, hit) of what counts: by the challenge, and by V2 where that differs.
RULES_BY_EXAMPLE: dict[str, tuple] = {
    # Both overlap WHOLE most, so the second does not fall back on LEFT, which it also overlaps by half and more.
    "the second of a box is wrong even beside another box": (
        [(1, A, WHOLE, False), (1, A, LEFT, False)], [],
        [(1, A, (0, 0, 0.9, 1.0), 0.9), (1, A, (0, 0, 0.8, 1.0), 0.8)], [(0.9, 1), (0.8, 0)],
    ),
    "exactly one half is enough": ([(1, A, WHOLE, False)], [], [(1, A, LEFT, 0.9)], [(0.9, 1)]),
    "less is not": ([(1, A, WHOLE, False)], [], [(1, A, (0, 0, 0.499, 1), 0.9)], [(0.9, 0)]),
    # The surer one takes the single object, the other one is a part of the group, not a second find.
    "a single object in a group comes first": (
        [(1, A, WHOLE, True), (1, A, LEFT, False)], [], [(1, A, LEFT, 0.4), (1, A, (0, 0, 0.45, 1), 0.9)],
        [(0.9, 1), (0.4, 1)], [(0.9, 1)],
    ),
    "one larger than the group is wrong": ([(1, A, (0, 0, 0.4, 1.0), True)], [], [(1, A, WHOLE, 0.9)], [(0.9, 0)]),
    "a group is not found by a score of zero": ([(1, A, WHOLE, True)], [], [(1, A, LEFT, 0.0)], []),
    "an object is": ([(1, A, WHOLE, False)], [], [(1, A, LEFT, 0.0)], [(0, 1)]),
    "a class that is there was looked for": (
        [(1, A, WHOLE, False)], [(1, B, True)], [(1, B, WHOLE, 0.9), (1, C, WHOLE, 0.8)],
        [(0.9, 0)], [(0.9, 0), (0.8, 0)],
    ),
    "a class that is absent too": (
        [(1, A, WHOLE, False)], [(1, B, False)], [(1, B, WHOLE, 0.9), (1, C, WHOLE, 0.8)],
        [(0.9, 0)], [(0.9, 0), (0.8, 0)],
    ),
    "a box verifies its class": ([(1, A, LEFT, False)], [], [(1, A, RIGHT, 0.9)], [(0.9, 0)]),
    "a group does too": ([(1, A, LEFT, True)], [], [(1, A, RIGHT, 0.9)], [(0.9, 0)]),
    "unknown images and classes count nowhere": (
        [(1, A, WHOLE, False)], [], [(2, A, WHOLE, 0.9), (1, "/m/new", WHOLE, 0.8), (0, A, WHOLE, 0.7)], [],
    ),
    "nothing is known": ([], [], [(2, A, WHOLE, 0.9), (1, "/m/new", WHOLE, 0.8)], []),
    # LEFT takes the object and leaves nothing to RIGHT; the other way round LEFT would have found the group.
    "equal scores on an object are decided by corners": (
        [(1, A, WHOLE, False), (1, A, LEFT, True)], [], [(1, A, RIGHT, 0.5), (1, A, LEFT, 0.5)], [(0.5, 1), (0.5, 0)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES_BY_EXAMPLE)
def test_the_rules_by_example(name: str) -> None:
    boxes, labels, found, *expected = RULES_BY_EXAMPLE[name]
    for order in (found, found[::-1]):
        assert hits(boxes, labels, order, CHALLENGE_2018) == expected[0]
        assert hits(boxes, labels, order, OPEN_IMAGES_V2) == expected[-1]


def test_a_group_counts_once_or_not_at_all() -> None:
    boxes = [(1, A, WHOLE, True)]
    found = [(1, A, LEFT, 0.4), (1, A, RIGHT, 0.9), (1, A, (0.1, 0.1, 0.2, 0.2), 0.6), (1, B, LEFT, 0.8)]
    assert hits(boxes, [], found, CHALLENGE_2018) == [(0.9, 1)]  # B was not looked for
    assert hits(boxes, [], found, OPEN_IMAGES_V2) == [(0.8, 0)]
    assert hits(boxes, [], found, Rules(False, 0.25)) == [(0.9, 0.25), (0.8, 0)]
    assert judge(truth(boxes, []), detections(found), CHALLENGE_2018).num_boxes.tolist() == [1, 0, 0]
    assert judge(truth(boxes, []), detections(found), OPEN_IMAGES_V2).num_boxes.tolist() == [0, 0, 0]


@BOTH
def test_nothing_found(rules: Rules) -> None:
    judged = judge(truth([(1, A, WHOLE, False), (1, A, WHOLE, False)], []), detections([]), rules)
    assert judged.num_boxes.tolist() == [2, 0, 0]
    assert len(judged.hits) == 0


def test_rules_are_checked() -> None:
    for overlap in (0, 1.1, float("nan")):
        with pytest.raises(FormatError, match="must be above 0"):
            Rules(True, 1.0, overlap)
    with pytest.raises(FormatError, match="weight of a group-of box is -1"):
        Rules(True, -1)


def plain(boxes: list[True_], labels: list[Label], found: list[Found], rules: Rules) -> list[tuple[Any, ...]]:
    """The same rules, a box at a time."""
    known = {(image, name) for image, name, *_ in [*boxes, *labels]}
    images = {image for image, _ in known}
    groups: dict[tuple[int, str], list[Found]] = defaultdict(list)
    for detection in found:
        image, name, *_ = detection
        if name in TRUTH_CLASSES and image in images and (not rules.verified_only or (image, name) in known):
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


@settings(max_examples=100)
@given(BOXES, LABELS, FOUND, RULES, st.randoms(use_true_random=False))
def test_equals_the_plain_program_whatever_the_order_of_detections_and_labels(
    boxes: list[True_], labels: list[Label], found: list[Found], rules: Rules, random: Any
) -> None:
    expected = plain(boxes, labels, found, rules)
    judged = judge(
        truth(boxes, random.sample(labels, len(labels))), detections(random.sample(found, len(found))), rules
    )
    assert rows(judged) == expected
    counts = [
        sum(rules.group_of_weight if group else 1 for _, of, _, group in boxes if of == name) for name in (A, B, C)
    ]
    assert judged.num_boxes.tolist() == counts


@pytest.mark.parametrize("pairs", [1, 7, 1 << 20])
def test_blocks_of_any_size_find_the_same(pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "PAIRS", pairs)
    rng = np.random.default_rng(0)
    found, true = (np.sort(rng.integers(0, 9, (n, 2, 2)), axis=1).reshape(n, 4) / 8 for n in (60, 30))
    first = rng.integers(0, 30, 60)
    last = first + 1 + rng.integers(0, 30 - first)
    largest, rows = best_overlaps(found, first, last, true, intersection_over_union)
    for row in range(60):
        shares = intersection_over_union(np.repeat(found[row : row + 1], 30, axis=0), true)[first[row] : last[row]]
        assert largest[row] == shares.max()
        assert rows[row] == first[row] + np.argmax(shares)
