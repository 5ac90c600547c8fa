"""The sheet of queries that a stage helped and harmed: which image explains a change, and how it is drawn."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from images import scene, seen_from_elsewhere
from landmarks.errors import LandmarksError
from landmarks.report import RIGHT, WRONG, EffectSheet, Sheet, draw_effects, draw_risen
from landmarks.retrieval import Ranking, named_local_features

INDEX = np.arange(10, 14, dtype=np.uint64)


def sheet(indices: list[list[int]], relevant: list[list[bool]], quality: list[float]) -> Sheet:
    scores = np.where(np.array(indices) < 0, -np.inf, -np.arange(len(indices[0]))).astype(np.float32)
    return Sheet(
        Ranking(np.array(indices, np.int32), scores),
        np.array(relevant),
        np.array(quality),
        np.arange(len(indices), dtype=np.uint64),
        INDEX,
        np.array(["Tower", "Gate"][: len(indices)]),
        np.array(["Tower", "Tower", "Gate", ""]),
    )


@pytest.fixture
def changed() -> EffectSheet:
    """The first query was helped, as image 0 rose from place 2; the second was harmed by 3, which was not found yet."""
    before = sheet([[2, 1, 0], [2, 0, -1]], [[False, True, True], [True, False, False]], [0.58, 1.0])
    after = sheet([[0, 1, 2], [3, 2, 0]], [[True, True, False], [False, True, False]], [1.0, 0.5])
    return EffectSheet(before, after)


def read(image_id: int) -> np.ndarray:
    if image_id == 13:
        raise LandmarksError("unreadable")
    return scene(0) if image_id == 0 else seen_from_elsewhere(scene(0))


def test_the_image_that_explains_a_change(changed: EffectSheet) -> None:
    assert changed.risen(0) == (0, 2)
    assert changed.risen(1) == (0, -1)
    assert [changed.note(query) for query in (0, 1)] == ["helped, AP 0.580 → 1.000", "harmed, AP 1.000 → 0.500"]
    assert EffectSheet(changed.after, changed.after).risen(0) is None


def test_rows_show_results_before_and_after(changed: EffectSheet, tmp_path) -> None:  # type: ignore[no-untyped-def]
    image = np.asarray(Image.open(draw_effects(changed, read, tmp_path / "effects.png")))
    frames = [(image == colour).all(axis=2).any(axis=0) for colour in (RIGHT, WRONG)]
    assert image.ndim == 3 and frames[0].any() and frames[1].any()
    again = draw_effects(changed, read, tmp_path / "again.png").read_bytes()
    assert again == (tmp_path / "effects.png").read_bytes()


def test_matches_are_drawn_where_images_can_be_read(changed: EffectSheet, tmp_path) -> None:  # type: ignore[no-untyped-def]
    features = named_local_features("rootsift")
    out = draw_risen(changed, read, features, tmp_path / "matches.png")
    assert out is not None
    pixels = np.asarray(Image.open(out))
    assert (pixels == RIGHT).all(axis=2).any() and not (pixels == WRONG).all(axis=2).any()  # image 13 is unreadable
    unchanged = EffectSheet(changed.after, changed.after)
    assert draw_risen(unchanged, read, features, tmp_path / "none.png") is None and not (tmp_path / "none.png").exists()


def test_results_of_other_queries_are_refused(changed: EffectSheet) -> None:
    other = dataclasses.replace(changed.after, query_ids=changed.after.query_ids + 1)
    with pytest.raises(LandmarksError, match="other queries"):
        EffectSheet(changed.before, other)
