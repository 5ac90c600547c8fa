"""Images with match lines: what is matched, and that lines are drawn where the points are."""

import numpy as np
import pytest

import landmarks
from images import scene, seen_from_elsewhere
from landmarks.report import BOX, MatchedPair, draw_matches, match_images
from landmarks.retrieval import named_local_features

WHITE = np.full((100, 200, 3), 255, np.uint8)


def near(drawing: object, colour: tuple[int, int, int]) -> np.ndarray:
    return np.abs(np.asarray(drawing).astype(int) - colour).max(axis=2) < 60


def test_lines_lead_from_point_to_point_and_images_are_equally_high() -> None:
    points = (np.array([[50, 25]], np.float32), np.array([[25, 12]], np.float32))
    pair = MatchedPair((WHITE, WHITE[:50, :100]), points, np.array([True]))
    drawing = draw_matches(pair, width=404, height=100)
    assert drawing.size == (404, 100) and pair.summary == "1 inliers of 1 pairs"
    rows, columns = np.nonzero(near(drawing, BOX))
    assert rows.min() >= 22 and rows.max() <= 29
    assert 47 <= columns.min() <= 50 and 255 <= columns.max() <= 258
    rejected = draw_matches(MatchedPair(pair.images, points, np.array([False])), 404, 100)
    assert not near(rejected, BOX).any()


@pytest.mark.parametrize("shape", [(1, 400), (400, 1)])
def test_images_of_any_shape_are_drawn(shape: tuple[int, int]) -> None:
    none = np.empty((0, 2), np.float32)
    drawing = draw_matches(MatchedPair((np.zeros((*shape, 3), np.uint8), WHITE), (none, none), np.empty(0, np.bool_)))
    assert min(drawing.size) >= 1


def test_the_same_scene_has_inliers_where_it_moved() -> None:
    image = scene(0)
    features = named_local_features("rootsift", geometry__threshold=8)
    assert features.geometry.threshold == 8
    pair = match_images(image, seen_from_elsewhere(image, angle=0, zoom=1.2), features)
    assert pair.inliers.sum() > 30
    middle = np.array([100, 80])
    first, second = (points[pair.inliers] - middle for points in pair.points)
    assert np.median(np.abs(second - 1.2 * first)) < 2
    assert not match_images(image, scene(1), features).inliers.any()


def test_a_figure_counts_inliers() -> None:
    image = scene(0)
    figure = landmarks.plot_matches(image, seen_from_elsewhere(image), "rootsift", matcher="mutual")
    title = figure.axes[0].get_title(loc="left")
    assert " inliers of " in title and not title.startswith("0 ")
    assert len(figure.axes[0].images) == 1


@pytest.mark.parametrize(
    ("given", "settings", "said"),
    [
        ("siift", {}, "no local_features 'siift'"),
        ("rootsift", {"matcher": "mutal"}, "no matcher 'mutal'"),
        ("rootsift", {"geometry__treshold": 3}, "treshold"),
        (named_local_features("rootsift"), {"geometry__threshold": 3}, "geometry__threshold: only"),
    ],
)
def test_mistakes_are_said(given: object, settings: dict[str, object], said: str) -> None:
    with pytest.raises(landmarks.LandmarksError, match=said):
        landmarks.plot_matches(WHITE, WHITE, given, **settings)  # type: ignore[arg-type]
