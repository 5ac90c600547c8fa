"""The figure of neighbours: what it shows of right and wrong results."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

import landmarks
from images import scene
from landmarks.report import RIGHT, WRONG, plot_neighbours
from landmarks.report.palette import NEUTRAL, css

IMAGES = [scene(seed, 40, 60) for seed in range(4)]
RANKING = landmarks.Ranking(
    np.array([[0, 2, -1], [3, 1, 0]], np.int32), np.array([[0.9, 0.5, -np.inf], [0.8, 0.7, 0.6]], np.float32)
)


def frames(figure: object) -> list[str]:
    axes = [axis for axis in figure.axes if axis.get_xlabel()]  # type: ignore[attr-defined]
    return [to_hex(axis.spines["left"].get_edgecolor()) for axis in axes]


def test_right_and_wrong_are_told_apart() -> None:
    figure = plot_neighbours(
        RANKING, IMAGES[:2], IMAGES, query_labels=["tower", None], index_labels=["tower", "gate", "gate", "dom"]
    )
    assert len(figure.axes) == 8 and not plt.get_fignums()
    colours = frames(figure)
    assert colours[1:3] == [css(RIGHT), css(WRONG)] and colours[4:] == [css(NEUTRAL)] * 3
    texts = [axis.get_xlabel() for axis in figure.axes]
    assert texts[1] == "✓ 0.900\ntower" and texts[2].startswith("✗ 0.500") and texts[3] == ""


def test_chosen_queries_and_images_that_cannot_be_read() -> None:
    figure = landmarks.plot_neighbours(RANKING, IMAGES[:2], [*IMAGES[:3], "gone.jpg"], queries=[1], results=1)
    assert len(figure.axes) == 2 and [text.get_text() for text in figure.axes[1].texts] == ["unreadable"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"queries": 0}, "nothing to draw"),
        ({"queries": [2]}, "no row 2"),
        ({"query_labels": [1, 2]}, "give both or neither"),
        ({"query_labels": [1], "index_labels": [1] * 4}, "1 labels for 2 images"),
    ],
)
def test_mistakes_are_said(settings: dict[str, object], said: str) -> None:
    with pytest.raises(landmarks.LandmarksError, match=said):
        plot_neighbours(RANKING, IMAGES[:2], IMAGES, **settings)  # type: ignore[arg-type]
