import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks.data.demo.camera import look_at
from landmarks.data.demo.canvas import Canvas
from landmarks.data.demo.revolved import Revolved, bulb, cone, cylinder, dome
from landmarks.data.demo.shapes import point
from landmarks.data.demo.texture import Texture

COLOUR = np.full((32, 64, 4), 255, np.uint8)
SKIN = Texture(COLOUR, np.zeros((32, 64), np.float32), np.zeros((32, 64), np.uint8), 8.0)
SUN = np.array([-1.0, 0.0, 0.0])
SHAPES = {
    "cylinder": cylinder(point(1, 2, 3), 4, 10, SKIN),
    "cone": cone(point(1, 2, 3), 5, 2, 8, SKIN),
    "spire": cone(point(1, 2, 3), 3, 0, 12, SKIN),
    "dome": dome(point(1, 2, 3), 5, 7, SKIN),
    "bulb": bulb(point(1, 2, 3), 2, 4, 7, SKIN),
}


def painted(shape: Revolved, eye: tuple[float, float, float], focal: float = 300) -> Canvas:
    view = look_at(point(*eye), point(1, 2, 7), width=240, height=200, focal=focal)
    canvas = Canvas(view, SUN)
    shape.paint(canvas)
    return canvas


@pytest.mark.parametrize("name", SHAPES)
@settings(max_examples=12)
@given(turn=st.floats(0, 6), away=st.floats(22, 3000), eye=st.floats(1, 40))
def test_every_pixel_lies_on_the_surface(name: str, turn: float, away: float, eye: float) -> None:
    shape = SHAPES[name]
    canvas = painted(shape, (away * np.cos(turn), away * np.sin(turn), eye), focal=9 * away)
    rows, cols = np.nonzero(canvas.nearness)
    assert len(rows) > 800
    rays = np.stack([cols + 0.5, rows + 0.5, np.ones(len(rows))], axis=1) @ canvas.camera.ray_matrix.T
    hits = canvas.camera.position + rays / canvas.nearness[rows, cols, None].astype(float) - shape.base
    above = hits[:, 2]
    a, b, c = shape.profile
    tolerance = 0.01 + 2e-5 * away  # float32 depth
    assert above.min() > -tolerance and above.max() < shape.height + tolerance
    radius = np.sqrt(np.maximum(a + b * above + c * above**2, 0))
    np.testing.assert_allclose(np.hypot(hits[:, 0], hits[:, 1]), radius, atol=0.15 + 4 * tolerance)


def test_profiles() -> None:
    assert SHAPES["cone"].radius(0) == 5 and SHAPES["cone"].radius(8) == pytest.approx(2)
    assert SHAPES["spire"].radius(12) == pytest.approx(0, abs=1e-6)
    assert SHAPES["dome"].radius(0) == 5 and SHAPES["dome"].radius(7) == pytest.approx(0, abs=1e-6)
    assert SHAPES["bulb"].radius(3.5) == pytest.approx(4) and SHAPES["bulb"].radius(7) == pytest.approx(2)


def test_sun_lights_the_side_that_faces_it() -> None:
    canvas = painted(SHAPES["cylinder"], (1, -40, 7))
    row = canvas.light[100, :, 1].astype(int)
    seen = np.flatnonzero(canvas.nearness[100])
    left, right = row[seen[: len(seen) // 4]], row[seen[-len(seen) // 3 :]]
    assert left.min() > 60 and right.max() == 0


def test_open_top_shows_the_far_inside() -> None:
    canvas = painted(SHAPES["cylinder"], (1, -20, 40))
    column = canvas.nearness[:, 120]
    depth = 1 / column[column > 0]
    assert np.abs(np.diff(depth)).max() > 5, "depth jumps from the near rim to the far wall"
