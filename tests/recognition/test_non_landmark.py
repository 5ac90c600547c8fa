import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from found import CLASSES, TITLES, Box, found_objects
from landmarks.config import config_root
from landmarks.errors import LandmarksError
from landmarks.recognition import NonLandmarkRule, covered_area
from landmarks.recognition.detections import DetectionClasses, read_classes

RULE = NonLandmarkRule({"buildings": ["Tower"]}, {"people": ["Person"], "animals": ["dog"]}, least_area=0.4)
ALL, HALF, CORNER = (0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.5, 1.0), (0.0, 0.0, 0.125, 0.125)


def decide(*boxes: tuple[str, float, tuple[float, float, float, float]], rule: NonLandmarkRule = RULE) -> bool:
    found = found_objects([(7, *box) for box in boxes], [7])
    return bool(rule.judge(found, np.array([7], np.uint64)).no_landmark[0])


def test_only_stated_evidence_filters() -> None:
    assert decide(("Person", 0.9, HALF))
    assert decide(("Person", 0.9, HALF), ("Tree", 0.9, ALL))
    assert not decide(("Person", 0.9, HALF), ("Tower", 0.3, HALF))  # someone in front of a tower
    assert not decide(("Person", 0.9, CORNER))
    assert not decide(("Person", 0.4, ALL))
    assert not decide(("Tree", 0.9, ALL))
    assert not decide()
    assert decide(rule=dataclasses.replace(RULE, found_nothing="filter"))
    assert not decide(("Tree", 0.2, CORNER), rule=dataclasses.replace(RULE, found_nothing="filter"))


def test_boxes_count_together_and_not_twice() -> None:
    left, right = (0.0, 0.0, 0.25, 1.0), (0.25, 0.0, 0.5, 1.0)
    assert decide(("Person", 0.9, left), ("Dog", 0.9, right))
    assert not decide(("Person", 0.9, left), ("Dog", 0.9, left), ("Person", 0.8, left))
    assert decide(("Person", 0.5, (0.0, 0.0, 0.4, 1.0)))  # the bounds themselves suffice
    assert not decide(("Person", 0.9, HALF), ("Tower", 0.5, (0.0, 0.0, 0.2, 0.2)))  # 0.5 x 0.04
    assert decide(("Person", 0.9, HALF), ("Tower", 0.49, (0.0, 0.0, 0.2, 0.2)))


BOXES = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(TITLES),
        st.sampled_from([0.1, 0.4, 0.5, 0.75, 1.0]),
        st.tuples(*[st.integers(0, 8)] * 4).map(
            lambda c: (min(c[0], c[2]) / 8, min(c[1], c[3]) / 8, max(c[0], c[2]) / 8, max(c[1], c[3]) / 8)
        ),
    ),
    max_size=12,
)


@settings(max_examples=60)
@given(boxes=BOXES, more=BOXES)
def test_more_evidence_pulls_to_its_own_side(boxes: list[Box], more: list[Box]) -> None:
    ids = np.arange(5, dtype=np.uint64)

    def filtered(*parts: list[Box]) -> np.ndarray:
        return RULE.judge(found_objects([box for part in parts for box in part], range(5)), ids).no_landmark

    before = filtered(boxes)
    against = [box for box in more if box[1] in ("Person", "Dog")]
    pro = [box for box in more if box[1] == "Tower"]
    neither = [box for box in more if box[1] == "Tree"]
    assert (filtered(boxes, against) >= before).all()
    assert (filtered(boxes, pro) <= before).all()
    assert (filtered(boxes, neither) == before).all()
    assert not filtered(pro, neither).any()
    assert (filtered(boxes[::-1]) == before).all()
    sterner = dataclasses.replace(RULE, least_area=0.6, least_score=0.75, most_for=0.01)
    assert (sterner.judge(found_objects(boxes, range(5)), ids).no_landmark <= before).all()


def test_judgement_says_what_decided() -> None:
    boxes: list[Box] = [
        (1, "Person", 0.6, HALF),
        (1, "Dog", 0.9, CORNER),
        (1, "Person", 0.4, ALL),
        (2, "Tower", 0.5, ALL),
        (2, "Tower", 0.9, HALF),
        (9, "Person", 0.9, ALL),
    ]
    judged = RULE.judge(found_objects(boxes, [1, 2, 3, 9]), np.array([3, 4, 2, 1], np.uint64))
    assert judged.looked_at.tolist() == [True, False, True, True]
    assert judged.found.tolist() == [0, 0, 2, 3]
    assert judged.best_for.tolist() == [-1, -1, 3, -1]
    assert judged.speaks_for.tolist() == [0, 0, 0.5, 0]
    assert judged.best_against.tolist() == [-1, -1, -1, 0]
    assert judged.num_against.tolist() == [0, 0, 0, 2]
    assert judged.against_area.tolist() == [0, 0, 0, 0.5]
    assert judged.no_landmark.tolist() == [False, False, False, True]
    nothing = RULE.judge(found_objects([], []), np.array([3], np.uint64))
    assert not nothing.looked_at[0] and not nothing.no_landmark[0]


def test_classes_that_the_detector_lacks() -> None:
    rule = dataclasses.replace(RULE, speaks_for={"buildings": ["Tower", "Towers", "Castle"]})
    with pytest.raises(
        LandmarksError, match=r"'Towers' is not one of the 4.*did you mean 'Tower'\? \(and 1.*missing_classes: ignore"
    ):
        rule.find_classes(CLASSES)
    sides = dataclasses.replace(rule, missing_classes="ignore").find_classes(CLASSES)
    assert sides.unknown == ("Towers", "Castle")
    assert sides.speaks_for.tolist() == [True, False, False, False]
    lost = dataclasses.replace(RULE, speaks_for={"buildings": ["Castle"]}, missing_classes="ignore")
    with pytest.raises(
        LandmarksError, match=r"knows no class of speaks_for \(Castle …\); its classes are Tower, Person"
    ):
        lost.find_classes(CLASSES)


def test_no_class_speaks_for_both_sides() -> None:
    rule = dataclasses.replace(RULE, speaks_against={"others": ["Person", "/m/00"]})  # the Tower's machine name
    with pytest.raises(LandmarksError, match="Tower cannot speak both for and against"):
        rule.find_classes(CLASSES)


def test_a_title_that_two_classes_share_means_both() -> None:
    classes = DetectionClasses(np.array(["/m/0", "/m/1", "/m/2"]), np.array(["Tower", "Mouse", "Mouse"]))
    rule = NonLandmarkRule({"a": ["/m/0"]}, {"b": ["Mouse"]})
    assert rule.find_classes(classes).speaks_against.tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"least_area": 0.0}, r"least_area is 0.0, it must lie in \(0, 1\]"),
        ({"least_score": 1.5}, "least_score is 1.5"),
        ({"most_for": float("nan")}, "most_for is nan"),
        ({"speaks_for": {"none": None}}, "speaks_for names no class"),
    ],
)
def test_senseless_rules_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(LandmarksError, match=message):
        dataclasses.replace(RULE, **changes)


def test_the_rule_in_yaml_names_classes_of_the_published_detector(shared_data: Path) -> None:
    node = OmegaConf.load(config_root() / "conf" / "stage" / "filter.yaml").rule
    rule = instantiate(node)
    classes = read_classes(shared_data / "openimages" / "challenge-2018-class-descriptions-500.csv")
    sides = rule.find_classes(classes)
    assert not sides.unknown
    assert not (sides.speaks_for & sides.speaks_against).any()
    neutral = set(classes.titles[~(sides.speaks_for | sides.speaks_against)].tolist())
    assert {"Tree", "Boat", "Train", "Window", "Flag", "Vehicle"} <= neutral


GRID = 16


@given(counts=st.lists(st.integers(0, 12), max_size=6), seed=st.integers(0, 2**32 - 1))
def test_equals_counting_pixels(counts: list[int], seed: int) -> None:
    """Corners on a grid, some outside the image, so that pixels count exactly."""
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.integers(-3, GRID + 4, (sum(counts), 2, 2)), axis=1).reshape(-1, 4)
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    expected = []
    for first, last in pairwise(start):
        pixels = np.zeros((GRID, GRID), bool)
        for left, top, right, bottom in np.clip(corners[first:last], 0, GRID):
            pixels[top:bottom, left:right] = True
        expected.append(pixels.mean())
    np.testing.assert_array_equal(covered_area(corners / GRID, start), expected)
