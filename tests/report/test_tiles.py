import numpy as np
import pytest
from PIL import Image

from landmarks.report import Tile, draw_tile, font, letterboxed, palette, shortened, tiles


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(50, 100, (168, 84)), (400, 100, (42, 168)), (1, 5000, (168, 1)), (168, 168, (168, 168))],
)
def test_images_keep_their_shape(height, width, size):
    assert letterboxed(np.zeros((height, width, 3), np.uint8)).size == size


def test_an_unreadable_image_and_a_mark_are_drawn():
    canvas = Image.new("RGB", (tiles.TILE_WIDTH, tiles.TILE_HEIGHT), palette.PAPER)
    draw_tile(canvas, 0, 0, Tile(None, palette.WRONG, "name", "note", mark="✗"))
    pixels = np.asarray(canvas)
    assert tuple(pixels[tiles.TILE_WIDTH - tiles.FRAME - 3, tiles.TILE_WIDTH - tiles.FRAME - 3]) == palette.WRONG
    assert tuple(pixels[20, 20]) == palette.MAT
    assert (pixels[tiles.TILE_WIDTH :] != 255).any()


def test_names_with_anything_in_them_are_drawn():
    canvas = Image.new("RGB", (tiles.TILE_WIDTH, tiles.TILE_HEIGHT), palette.PAPER)
    draw_tile(canvas, 0, 0, Tile(None, palette.WRONG, "a\nb\x1b", "\udcff"))
    assert (np.asarray(canvas)[tiles.TILE_WIDTH :] != 255).any()


@pytest.mark.parametrize("text", ["", "Tower", "Cathédrale Notre-Dame de Strasbourg (Bas-Rhin)", "x" * 500])
def test_names_fit_and_keep_both_ends(text):
    short = shortened(text, 150, font(13))
    assert font(13).getlength(short) <= 150
    if short != text:
        head, tail = short.split("…")
        assert head and text.startswith(head) and text.endswith(tail)
        assert font(13).getlength(short) > 130
