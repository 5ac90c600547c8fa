import numpy as np

from landmarks.data.demo.boxes.scenes import TURNS, square
from landmarks.data.demo.boxes.visible import view
from landmarks.data.demo.everyday import SUBJECTS


def test_all_everyday_pictures_take_turns() -> None:
    assert set(SUBJECTS) < set(TURNS)


def test_squares_show_things_near_enough_for_boxes() -> None:
    scenes = [square(np.random.default_rng(seed)) for seed in range(5)]
    kinds = {surface.thing.kind for scene in scenes for surface in scene.surfaces if surface.thing is not None}
    assert len(kinds) >= 8 and "boat" not in kinds
    boxes = [view(scene).boxes for scene in scenes[:2]]
    assert all(len(found) >= 2 for found in boxes)
