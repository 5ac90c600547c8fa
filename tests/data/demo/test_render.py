from dataclasses import replace

import numpy as np
import pytest

from landmarks.data.demo.camera import Camera, look_at
from landmarks.data.demo.light import MOMENTS, draw_light, towards
from landmarks.data.demo.photograph import Exposure
from landmarks.data.demo.render import Scene, render
from landmarks.data.demo.shapes import point, wall
from landmarks.data.demo.texture import Texture


def grey(level: int = 160) -> Texture:
    colour = np.full((32, 32, 4), 255, np.uint8)
    colour[..., :3] = level
    return Texture(colour, np.zeros((32, 32), np.float32), np.zeros((32, 32), np.uint8), 4.0)


def camera() -> Camera:
    return look_at(point(0, -40, 12), point(0, 0, 5), width=200, height=150, focal=200)


def scene(moment: str = "clear", **changes: object) -> Scene:
    light = replace(draw_light(np.random.default_rng(1), -np.pi / 2, moment), sun=towards(np.pi, 0.6), clouds=0.0)
    screen = wall(point(-6, 0), point(6, 0), 10, grey())
    built = Scene(camera(), light, [screen], point(0, 0, 5), 30.0, "paving", ("none", 0, 0.0), Exposure(noise=0.0), 4)
    return replace(built, **changes)  # type: ignore[arg-type]


def brightness(image: np.ndarray, spot: np.ndarray) -> float:
    x, y = camera().project(spot[None])[0][0].astype(int)
    return float(image[y - 2 : y + 3, x - 2 : x + 3].mean())


def test_a_wall_casts_its_shadow_on_the_side_away_from_the_sun() -> None:
    # The sun stands low in the west, so a wall that runs north and south throws its shadow eastwards.
    upright = wall(point(0, 4), point(0, -4), 8, replace_two_sided(grey()))
    image = render(scene(surfaces=[upright]))
    east, west = brightness(image, point(6, 0)), brightness(image, point(-6, 0))
    assert east < 0.75 * west
    unshaded = scene(surfaces=[upright])
    unshaded.light = replace(unshaded.light, shadows=0.0)
    image = render(unshaded)
    assert brightness(image, point(6, 0)) == pytest.approx(brightness(image, point(-6, 0)), rel=0.15)


def replace_two_sided(texture: Texture) -> Texture:
    colour = texture.colour.copy()
    colour[0, 0, 3] = 0  # a pinhole: seen and shading from both sides
    return Texture(colour, texture.height, texture.glass, texture.density)


def test_fog_swallows_what_is_far() -> None:
    near, far = (wall(point(x - 5, y), point(x + 5, y), 12, grey(20)) for x, y in ((-8.0, 0.0), (8.0, 150.0)))
    contrast = []
    for haze in (0.0005, 0.008):
        view = scene("fog", surfaces=[near, far])
        view.light = replace(view.light, haze=haze)
        image = render(view)
        contrast.append(brightness(image, point(8, 150, 5)) - brightness(image, point(-8, 0, 5)))
    assert contrast[1] > contrast[0] + 20


def test_water_mirrors_what_stands_on_it() -> None:
    bright = scene(surfaces=[wall(point(-6, 0), point(6, 0), 10, grey(255))], ground="water")
    dark = scene(surfaces=[wall(point(-6, 0), point(6, 0), 10, grey(10))], ground="water")
    spot = camera().project(point(0, 0, -4)[None])[0][0].astype(int)
    patches = [render(s)[spot[1] - 3 : spot[1] + 4, spot[0] - 3 : spot[0] + 4].mean() for s in (bright, dark)]
    assert patches[0] > patches[1] + 40


def test_windows_are_lit_at_night_only() -> None:
    texture = grey(60)
    texture.glass[8:24, 8:24] = 250
    surfaces = [wall(point(-6, 0), point(6, 0), 10, texture)]
    ratios = []
    for moment in ("clear", "night"):
        image = render(scene(moment, surfaces=surfaces))
        ratios.append(brightness(image, point(0, 0, 5)) / brightness(image, point(-5, 0, 9)))
    assert ratios[1] > 1.5 * ratios[0]


@pytest.mark.parametrize("moment", MOMENTS)
def test_every_moment_gives_a_picture_and_the_same_one_twice(moment: str) -> None:
    one, two = render(scene(moment)), render(scene(moment))
    assert one.shape == (150, 200, 3) and one.dtype == np.uint8
    assert np.array_equal(one, two)
    assert 8 < one.mean() < 235 and one.std() > 4
