import pytest

from landmarks.data.demo.boxes.classes import class_of
from landmarks.data.demo.boxes.plan import NOTHING, Picture, build_subject, builder_of, draw_plan, world_of
from landmarks.data.demo.catalogue import BUILDERS, build_landmark
from landmarks.errors import LandmarksError


def test_splits_share_no_landmark() -> None:
    plan = draw_plan(0, 960)
    assert len({p.image_id for p in plan}) == len(plan) == 960
    assert all(len(p.image_id) == 16 and int(p.image_id, 16) >= 0 for p in plan)
    train, validation = ([p for p in plan if p.split == split] for split in ("train", "validation"))
    assert (len(train), len(validation)) == (800, 160)
    shown = [{p.subject for p in split} - {NOTHING} for split in (train, validation)]
    assert not shown[0] & shown[1] and shown[0] | shown[1] == set(range(len(shown[0] | shown[1])))
    assert len({(p.subject, p.shot) for p in plan}) == len(plan), "no picture twice"
    for split in (train, validation):
        assert sum(p.subject == NOTHING for p in split) / len(split) == pytest.approx(0.36, abs=0.01)


@pytest.mark.parametrize("pictures", [12, 13, 57])
def test_small_sets_have_both_splits_and_both_sorts(pictures: int) -> None:
    plan = draw_plan(3, pictures)
    assert len(plan) == pictures
    assert {(p.split, p.subject == NOTHING) for p in plan} == {(s, e) for s in ("train", "validation") for e in (0, 1)}


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(LandmarksError, match="11 pictures is too small: it needs at least 12"):
        draw_plan(0, 11)


def test_the_seed_fixes_ids() -> None:
    def ids(plan: list[Picture]) -> set[str]:
        return {p.image_id for p in plan}

    assert draw_plan(1, 30) == draw_plan(1, 30)
    assert not ids(draw_plan(1, 30)) & ids(draw_plan(2, 30))


def test_a_cycle_of_landmarks_has_every_kind_and_classes_of_their_own_often() -> None:
    builders = [builder_of(0, number) for number in range(40)]
    assert set(builders) == set(BUILDERS)
    titles = [class_of(builder.__name__.replace("_", " ")) for builder in builders]
    assert all(titles.count(title) >= 4 for title in ("Castle", "Lighthouse", "Skyscraper", "Tower"))


def test_landmarks_are_not_those_of_the_demo_world() -> None:
    assert build_subject(0, 5).width == build_subject(0, 5).width != build_landmark(0, 5).width
    assert world_of(0) != 0 and world_of(0) != world_of(1)
