import cv2
import numpy as np
import pytest

from landmarks.data.demo.camera import Camera, look_at
from landmarks.data.demo.canvas import Canvas
from landmarks.data.demo.panel import Panel
from landmarks.data.demo.shapes import TRIANGLE, point, wall
from landmarks.data.demo.texture import Texture

SUN = np.array([0.0, -0.8, 0.6])


def plain(level: int, size: int = 64) -> Texture:
    colour = np.full((size, size, 4), 255, np.uint8)
    colour[..., :3] = level
    return Texture(colour, np.zeros((size, size), np.float32), np.zeros((size, size), np.uint8), 8.0)


def camera(x: float = 0.0, y: float = -20.0) -> Camera:
    return look_at(point(x, y, 3), point(0, 0, 3), width=200, height=160, focal=220)


def painted(*panels: Panel, view: Camera | None = None) -> Canvas:
    canvas = Canvas(view or camera(), SUN)
    for panel in panels:
        panel.paint(canvas)
    return canvas


def test_texture_lands_where_the_camera_says() -> None:
    texture = plain(40, 256)
    squares = np.kron((np.indices((8, 8)).sum(0) % 2), np.ones((32, 32))).astype(np.uint8) * 200
    texture.colour[..., 0] = squares
    view = camera(x=9)
    canvas = painted(wall(point(-4, 0), point(4, 0), 8, texture), view=view)
    middles = np.array([[-4 + i + 0.5, 0, 8 - j - 0.5] for j in range(8) for i in range(8)])
    x, y = view.project(middles)[0].astype(int).T
    expected = np.array([[(i + j) % 2 * 200 for i in range(8)] for j in range(8)]).ravel()
    np.testing.assert_allclose(canvas.colour[y, x, 0], expected, atol=12)


def test_depth_is_exact() -> None:
    canvas = painted(wall(point(-40, 0), point(40, 0), 30, plain(100)), view=camera())
    np.testing.assert_allclose(1 / canvas.nearness[50], 20, rtol=1e-5)


@pytest.mark.parametrize("order", [1, -1])
def test_the_nearer_hides_whatever_the_order(order: int) -> None:
    far, near = (wall(point(-3, y), point(3, y), 6, plain(level)) for y, level in ((0.0, 50), (-2.0, 180)))
    assert painted(*[far, near][::order]).colour[80, 100, 0] == 180


def test_walls_are_seen_from_outside_only() -> None:
    front = wall(point(-3, 0), point(3, 0), 6, plain(90))
    back = wall(point(3, 0), point(-3, 0), 6, plain(90))
    assert painted(front).nearness.any() and not painted(back).nearness.any()
    seen = Panel(back.origin, back.across, back.up, back.texture, two_sided=True)
    assert painted(seen).nearness.any()


def test_openings_and_outlines_let_the_sky_through() -> None:
    texture = plain(90)
    texture.colour[20:44, 20:44, 3] = 0
    holed = wall(point(-3, 0), point(3, 0), 6, Texture(texture.colour, texture.height, texture.glass, 8.0))
    assert painted(holed).nearness[80, 100] == 0 and painted(holed).nearness[80, 72] > 0
    whole, gable = (
        painted(wall(point(-3, 0), point(3, 0), 6, plain(90), shape)).nearness > 0 for shape in (None, TRIANGLE)
    )
    assert gable.sum() == pytest.approx(whole.sum() / 2, rel=0.04) and not (gable & ~whole).any()


def test_wall_beside_the_photographer_is_cut_not_turned_inside_out() -> None:
    beside = wall(point(2, 30), point(2, -60), 6, plain(90))
    canvas = painted(beside)
    seen = canvas.nearness > 0
    assert seen[:, 101:].any() and not seen[:, :100].any()
    assert 1 / canvas.nearness[seen].max() > 0.4


def test_shadow_map_holds_the_same_depth_as_a_picture() -> None:
    texture = plain(90)
    texture.colour[20:44, 20:44, 3] = 0
    panel = wall(point(-3, 0), point(3, 1), 6, Texture(texture.colour, texture.height, texture.glass, 8.0))
    whole, depth = painted(panel), Canvas(camera(), SUN, depth_only=True)
    panel.paint(depth)
    assert np.array_equal(whole.nearness, depth.nearness) and not depth.colour.any()


def test_wall_turned_from_the_sun_gets_none() -> None:
    lit = painted(wall(point(-3, 0), point(3, 0), 6, plain(90))).light[80, 100, 1]
    canvas = Canvas(camera(), np.array([0.0, 0.8, 0.6]))
    wall(point(-3, 0), point(3, 0), 6, plain(90)).paint(canvas)
    assert lit == pytest.approx(0.8 * 1.4 * 128, abs=2) and canvas.light[80, 100, 1] == 0
    assert cv2.countNonZero(canvas.light[..., 0]) > 0
