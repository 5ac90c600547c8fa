import numpy as np

from landmarks.data.demo.texture import Texture, openness, sunlight


def relief(height: np.ndarray) -> np.ndarray:
    return sunlight(height.astype(np.float32), 10.0, -55.0, 42.0)


def test_flat_wall_is_neutral() -> None:
    flat = np.zeros((40, 60))
    assert (relief(flat) == 128).all()
    assert (openness(flat.astype(np.float32), 10.0) == 255).all()


def test_ledge_casts_its_shadow_away_from_the_sun() -> None:
    height = np.zeros((60, 60))
    height[20:24, 25:35] = 0.6
    sun_left, sun_right = relief(height), sunlight(height.astype(np.float32), 10.0, 55.0, 42.0)
    below = slice(26, 30)
    assert sun_left[below, 36:40].mean() < 60 < sun_left[below, 15:20].mean()
    assert sun_right[below, 20:24].mean() < 60 < sun_right[below, 40:45].mean()
    assert sun_left[5:15].min() == 128, "nothing above the ledge is in its shadow"


def test_recess_is_darker() -> None:
    height = np.zeros((60, 60), np.float32)
    height[20:40, 20:40] = -0.8
    sky = openness(height, 10.0)
    assert sky[21, 21] < sky[30, 30] <= 255 and sky[2, 2] == 255


def test_levels_halve_and_follow_the_scale() -> None:
    colour = np.full((64, 128, 4), 255, np.uint8)
    texture = Texture(colour, np.zeros((64, 128), np.float32), np.zeros((64, 128), np.uint8), 10.0)
    assert not texture.has_openings
    assert [texture.colours(k).shape[:2] for k in range(3)] == [(64, 128), (32, 64), (16, 32)]
    assert texture.lights(2, 0.0, 1.0).shape == (16, 32, 4)
    assert texture.level(1.0) == 0 and texture.level(4.0) == 2 and texture.level(1e9) == 4
