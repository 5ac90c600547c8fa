"""Heat maps: attention lies where it was found, and a sheet holds every image."""

from pathlib import Path

import numpy as np
from PIL import Image

from landmarks.local_features import AttentionMap
from landmarks.report import HEAT, Attended, draw_attention, heat_overlay


def attended(height: int, width: int, row: int, column: int) -> Attended:
    values = np.full((4, 6), 0.1, np.float32)
    values[row, column] = 3.0
    rows, columns = np.arange(4) * height / 4 + 3, np.arange(6) * width / 6 + 3  # not in the middle of its share
    return Attended("a.jpg", np.zeros((height, width, 3), np.uint8), AttentionMap(values, rows, columns))


def test_heat_is_where_the_attention_is() -> None:
    for one, shrink in ((attended(80, 120, 2, 4), 1.0), (attended(1600, 2400, 2, 4), 512 / 2400)):
        overlay = heat_overlay(one).astype(int)
        y, x = np.unravel_index(overlay.sum(axis=2).argmax(), overlay.shape[:2])
        place = np.array([one.attention.rows[2], one.attention.columns[4]]) * shrink
        assert np.abs(place - (y, x)).max() <= 1
        assert np.abs(overlay[y, x] - np.array(HEAT[-1]) * 0.85).max() < 12
        np.testing.assert_allclose(overlay[-1, 0], np.array(HEAT[0]) * 0.35, atol=1)


def test_even_attention_and_slim_images_are_drawn(tmp_path: Path) -> None:
    rows = np.arange(5) * 180.0
    even = Attended(
        "b.jpg", np.full((900, 2, 3), 90, np.uint8), AttentionMap(np.ones((5, 1), np.float32), rows, rows[:1])
    )
    out = draw_attention([attended(80, 120, 0, 0), even, even, even], "Attention", tmp_path / "new" / "sheet.png")
    sheet = Image.open(out)
    one = Image.open(draw_attention([even], "Attention", tmp_path / "one.png"))
    assert sheet.width > 2.5 * one.width and sheet.height > 1.5 * one.height
    assert len(np.unique(np.asarray(sheet).reshape(-1, 3), axis=0)) > 50
