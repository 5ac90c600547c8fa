from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data.demo.plan import NOTHING, SPLITS, draw_plan
from landmarks.errors import LandmarksError


@given(seed=st.integers(0, 2**31), landmarks=st.integers(4, 60), each=st.integers(10, 30))
def test_every_plan_is_a_whole_world(seed: int, landmarks: int, each: int) -> None:
    plan = draw_plan(seed, landmarks, landmarks * each)
    assert len(plan.pictures) == landmarks * each
    assert len({p.image_id for p in plan.pictures}) == len(plan.pictures)
    assert len({(p.subject, p.shot) for p in plan.pictures}) == len(plan.pictures), "no picture is drawn twice"
    for split in SPLITS:
        assert plan.of(split) == sorted(plan.of(split), key=lambda p: p.image_id)
    train, index, test = (plan.of(split) for split in SPLITS)
    assert {p.label for p in train} == set(plan.train_numbers)
    assert {p.label for p in index} - {NOTHING} == set(plan.index_numbers)
    assert plan.clean < set(plan.train_numbers) or landmarks < 20
    wrong = [p for p in train if p.label != p.subject]
    assert 2 <= len(wrong) <= 0.05 * len(train) + 2
    assert all(p.label == p.subject for p in index + test)
    assert {p.subject for p in test} <= set(range(NOTHING, landmarks))


def test_the_standard_world() -> None:
    plan = draw_plan(0, 40, 1200)
    count = {split: len(plan.of(split)) for split in SPLITS}
    assert count == {"train": 720, "index": 240, "test": 240}
    test = plan.of("test")
    assert sum(p.subject == NOTHING for p in test) == 80
    usage = Counter(p.usage for p in test)
    assert usage["Ignored"] >= 1 and min(usage["Public"], usage["Private"]) > 80
    only_train = set(plan.train_numbers) - set(plan.index_numbers)
    only_index = set(plan.index_numbers) - set(plan.train_numbers)
    assert len(only_train) == len(only_index) == 4 and len(plan.clean) == 34
    asked = {p.subject for p in test}
    assert asked & only_train and asked & only_index and only_index - asked


def test_same_seed_same_plan() -> None:
    assert draw_plan(5, 10, 200) == draw_plan(5, 10, 200) != draw_plan(6, 10, 200)


@pytest.mark.parametrize(("landmarks", "pictures"), [(3, 1000), (40, 399), (0, 0), (-4, 10)])
def test_too_small_is_refused(landmarks: int, pictures: int) -> None:
    with pytest.raises(LandmarksError, match="at least 4 landmarks"):
        draw_plan(0, landmarks, pictures)
