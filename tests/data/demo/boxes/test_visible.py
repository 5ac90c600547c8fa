"""Boxes against renderings with and without the thing, and against the geometry of the camera."""

import numpy as np
import pytest

from landmarks.data.demo.boxes.classes import class_of
from landmarks.data.demo.boxes.visible import Box, OwnedCanvas, view
from landmarks.data.demo.camera import look_at
from landmarks.data.demo.canvas import Surface, named, paint_all
from landmarks.data.demo.everyday import SUBJECTS, everyday
from landmarks.data.demo.landmark import Architect
from landmarks.data.demo.light import draw_light
from landmarks.data.demo.panel import Panel
from landmarks.data.demo.render import Scene, empty_canvas, finish, render
from landmarks.data.demo.scenery import moved, ordinary_house, place
from landmarks.data.demo.shapes import point, wall
from landmarks.data.demo.shots import photograph
from landmarks.data.demo.site import draw_site
from landmarks.data.demo.sprites import SIZES
from landmarks.data.demo.texture import Texture
from landmarks.data.demo.towers import lighthouse

CAMERA = look_at(point(0, 0, 2), point(0, 30, 2), width=400, height=300, focal=360)


def scene_of(*surfaces: Surface) -> Scene:
    light = draw_light(np.random.default_rng(1), -np.pi / 2, "overcast")
    return Scene(CAMERA, light, list(surfaces), point(0, 20), 30.0, None, ("none", 0, 0.0))


def plain() -> Texture:
    size = 64
    colour = np.full((size, size, 4), 255, np.uint8)
    return Texture(colour, np.zeros((size, size), np.float32), np.zeros((size, size), np.uint8), 8.0)


def board(x: float, y: float, width: float, height: float, bottom: float = 1.0) -> list[Surface]:
    return named("poster", [wall(point(x, y, bottom), point(x + width, y, bottom), height, plain())])


def corners(box: Box) -> np.ndarray:
    return np.array([box.left, box.top, box.right, box.bottom])


def expected(surface: Surface) -> np.ndarray:
    """The extent of a flat surface by the camera's projection, as shares of the frame."""
    pixels = CAMERA.project(surface.corners)[0] / [CAMERA.width, CAMERA.height]
    return np.clip(np.concatenate([pixels.min(0), pixels.max(0)]), 0, 1)


def alone(kind: str) -> list[Surface]:
    if kind == "house":
        return moved(ordinary_house(3)[0], point(2, 24), 0.4)
    if kind == "lighthouse":
        built = lighthouse(Architect.of(5, 5)).surfaces
        return named("lighthouse", [s for s in built if s.thing is None])
    return [place(kind, 1, point(1.5, 14), CAMERA, 0.8)]


@pytest.mark.parametrize("kind", ["person", "car", "conifer", "bare", "flag", "house", "lighthouse"])
def test_a_box_is_what_changes_when_the_thing_comes_in(kind: str) -> None:
    camera = look_at(point(40, -50, 2), point(2, 0, 16), width=300, height=400, focal=420)
    scene, empty = scene_of(*alone(kind)), scene_of()
    images = []
    for one in (scene, empty):
        one.camera = camera if kind == "lighthouse" else CAMERA
        canvas = empty_canvas(one, OwnedCanvas)
        paint_all(canvas, one.surfaces)
        images.append(finish(canvas, one, None))
    (box,) = view(scene).boxes
    changed = (images[0] != images[1]).any(axis=2)
    rows, cols = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    height, width = changed.shape
    extent = [cols[0] / width, rows[0] / height, (cols[-1] + 1) / width, (rows[-1] + 1) / height]
    np.testing.assert_array_equal(corners(box), extent)
    assert box.title == class_of(kind) and not (box.occluded or box.group_of)


@pytest.mark.parametrize(("x", "width"), [(-3, 4), (1.3, 2.2), (-9, 6), (-20, 40)])
def test_boxes_agree_with_the_camera(x: float, width: float) -> None:
    (surface,) = board(x, 12, width, 2.5)
    (box,) = view(scene_of(surface)).boxes
    assert abs(corners(box) - expected(surface)).max() < 1.2 / 400
    assert box.truncated == bool((np.isin(corners(box), [0, 1])).any())


def test_what_is_hidden_is_not_in_the_box() -> None:
    (behind,), (front,) = board(-4, 20, 8, 3), named("car", board(-0.5, 10, 6, 6, bottom=-2))
    boxes = {box.title: box for box in view(scene_of(behind, front)).boxes}
    poster, car = corners(boxes["Poster"]), corners(boxes["Car"])
    assert abs(car - expected(front)).max() < 1.2 / 400
    assert abs(poster[2] - car[0]) < 1e-9, "its right end is where the other begins"
    assert abs(poster[[0, 1, 3]] - expected(behind)[[0, 1, 3]]).max() < 1.2 / 400
    assert boxes["Poster"].occluded and not boxes["Car"].occluded


def test_what_is_hidden_but_for_a_strip_has_no_box_and_is_not_surely_absent() -> None:
    (behind,), (front,) = board(-4, 20, 8, 3), named("car", board(-1.8, 10, 6, 6, bottom=-2))
    seen = view(scene_of(behind, front))
    assert [box.title for box in seen.boxes] == ["Car"]
    assert seen.unboxed == {"Poster"} and seen.kinds == {"poster", "car"}


def test_what_is_far_away_has_no_box() -> None:
    person = place("person", 0, point(0, 60), CAMERA)
    assert view(scene_of(person)).boxes == [] and view(scene_of(person)).unboxed == {"Person"}
    outside = place("person", 0, point(100, 60), CAMERA)
    assert view(scene_of(outside)).kinds == set(), "nothing of it is in the frame"


@pytest.mark.parametrize(("number", "step", "boxes"), [(5, 1.5, 1), (4, 1.5, 4), (5, 4.2, 5)])
def test_many_that_hide_each_other_are_a_group(number: int, step: float, boxes: int) -> None:
    trees: list[Surface] = [place("poplar", i, point(step * (i - 2), 25 + i), CAMERA) for i in range(number)]
    found = view(scene_of(*trees)).boxes
    assert len(found) == boxes and all(box.group_of == (boxes == 1) for box in found)
    around = np.array([corners(box) for box in found])
    singles = np.array([corners(view(scene_of(tree)).boxes[0]) for tree in trees])
    np.testing.assert_allclose(np.r_[around[:, :2].min(0), around[:, 2:].max(0)],
                               np.r_[singles[:, :2].min(0), singles[:, 2:].max(0)], atol=1e-9)  # fmt: skip
    if boxes == 1:
        assert not found[0].occluded, "they hide each other; nothing else hides them"


def test_a_landmark_is_one_thing_beside_its_own_house() -> None:
    landmark = lighthouse(Architect.of(7, 3))
    site = draw_site(landmark, [7, 3])
    scenes = [photograph(landmark, site, [7, 3, shot]) for shot in range(3)]
    for scene in scenes:
        seen = view(scene, landmark)
        assert [box.title for box in seen.boxes].count("Lighthouse") == 1
        np.testing.assert_array_equal(seen.image, render(scene), "the picture is as it was without boxes")
        without = view(scene)
        assert "Lighthouse" not in {box.title for box in without.boxes}
        rest = [box for box in seen.boxes if box.title != "Lighthouse"]
        assert rest == without.boxes, "who owns the landmark changes nothing else"


def test_everything_in_everyday_pictures_has_a_class_of_its_own() -> None:
    kinds = set(SIZES)
    for subject in SUBJECTS:
        for seed in range(3):
            kinds |= {s.thing.kind for s in subject(np.random.default_rng(seed)).surfaces if s.thing is not None}
    assert {"table", "bottle", "plate", "cup", "fruit", "furniture", "poster", "house"} < kinds
    assert not {kind for kind in kinds if class_of(kind) == "Building"}


def test_unnamed_surfaces_of_everyday_pictures_are_walls_and_floors() -> None:
    for seed in range(6):
        unnamed = [s for s in everyday([3, 0, seed]).surfaces if s.thing is None]
        assert all(isinstance(s, Panel) for s in unnamed) and len(unnamed) <= 5
