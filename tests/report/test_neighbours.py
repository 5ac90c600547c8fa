import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from landmarks.errors import LandmarksError
from landmarks.report import Sheet, choose_queries, draw_neighbours, neighbours, palette, tiles
from landmarks.retrieval import Ranking


@given(scored=st.integers(0, 60), without=st.integers(0, 5), count=st.integers(0, 20), seed=st.integers(0, 9))
def test_a_sample_is_mixed_repeatable_and_has_no_query_twice(scored, without, count, seed):
    quality = np.random.default_rng(seed).permutation(np.r_[np.linspace(0, 1, scored), np.full(without, np.nan)])
    sample = choose_queries(quality, count, seed)
    assert sample == choose_queries(quality, count, seed)
    rows = [row for _, row in sample]
    assert len(rows) == len(set(rows)) == min(count, scored + without)
    for kind, row in sample:
        assert (kind == "no landmark") == np.isnan(quality[row])
    if without and count > 1:
        assert any(kind == "no landmark" for kind, _ in sample)
    groups = [[quality[row] for k, row in sample if k == kind] for kind in ("best", "typical", "failure")]
    flat = [value for group in groups for value in group]
    assert flat == sorted(flat, reverse=True)
    if min(map(len, groups)) and scored >= 30 and count <= 9:
        assert groups[0][-1] >= 0.85 and groups[2][0] <= 0.15
        assert all(0.35 <= value <= 0.65 for value in groups[1])


@pytest.fixture
def sheet():
    """Three queries: a right and a wrong result, a failure with an empty place, and one without a landmark."""
    indices = np.array([[0, 1], [1, -1], [0, 1]], np.int32)
    scores = np.array([[0.9, 0.5], [0.4, -np.inf], [0.3, 0.2]], np.float32)
    relevant = np.array([[True, False], [False, False], [False, False]])
    quality = np.array([1.0, 0.0, np.nan])
    names = (np.array(["Tower Bridge", "Golden Gate", ""]), np.array(["Tower Bridge", ""]))
    return Sheet(
        Ranking(indices, scores), relevant, quality, np.arange(3, dtype=np.uint64), np.array([7, 8], np.uint64), *names
    )


def read(image_id):
    if image_id == 8:
        raise LandmarksError("unreadable")
    return np.full((30, 60, 3), (0, 0, 200), np.uint8)


def frames(image, row):
    """The colour in the middle of the left frame of the query and of both results."""
    top = tiles.MARGIN + neighbours.HEADER + row * neighbours.ROW_HEIGHT + tiles.FRAME // 2
    first = tiles.MARGIN + tiles.TILE_WIDTH + neighbours.QUERY_SPACE
    lefts = (tiles.MARGIN, first, first + tiles.TILE_WIDTH + tiles.SPACE)
    return [image.getpixel((left + 2, top)) for left in lefts]


def test_size_and_frame_colours(sheet, tmp_path):
    image = Image.open(draw_neighbours(sheet, read, tmp_path / "neighbours.png"))
    assert image.format == "PNG" and image.mode == "RGB"
    assert image.size == (780, 798)
    assert frames(image, 0) == [palette.INK, palette.RIGHT, palette.WRONG]
    assert frames(image, 1) == [palette.INK, palette.WRONG, palette.PAPER]
    pale = palette.PALE
    assert frames(image, 2) == [palette.NEUTRAL, pale, pale]
    # The frame of the query without a landmark is dashed.
    top = tiles.MARGIN + neighbours.HEADER + 2 * neighbours.ROW_HEIGHT + 2
    gap = (tiles.MARGIN + tiles.DASH + tiles.GAP // 2, top)
    assert image.getpixel(gap) == palette.PAPER


def test_the_same_sheet_gives_the_same_file(sheet, tmp_path):
    first, second = (draw_neighbours(sheet, read, tmp_path / name).read_bytes() for name in ("a.png", "b.png"))
    assert first == second


def test_nothing_to_draw_and_arrays_that_do_not_fit_are_errors(sheet, tmp_path):
    nobody = Sheet(
        Ranking(np.empty((0, 2), np.int32), np.empty((0, 2), np.float32)),
        sheet.relevant[:0],
        sheet.quality[:0],
        sheet.query_ids[:0],
        sheet.index_ids,
        sheet.query_names[:0],
        sheet.index_names,
    )
    with pytest.raises(LandmarksError, match="nothing to draw"):
        draw_neighbours(nobody, read, tmp_path / "x.png")
    with pytest.raises(LandmarksError, match="do not fit"):
        dataclasses.replace(sheet, relevant=sheet.relevant[:2])
