"""Names of boxes: the surest can be read whatever else lies there. The rest is seen in `test_boxes`."""

import numpy as np
import pytest
from PIL import Image

from landmarks.detection.box_drawing import DrawnBoxes, draw_on

RED, BLUE = (200, 0, 0), (0, 0, 200)


@pytest.mark.parametrize("surest_first", [True, False])
def test_the_surest_name_lies_on_top_of_weak_ones(surest_first: bool) -> None:
    titles = ["Tower", *["Car"] * 40]
    scores = [0.9, *[0.2] * 40]
    if not surest_first:
        titles.reverse()
        scores.reverse()
    corners = np.tile([0.3, 0.4, 0.6, 0.8], (41, 1))
    image = Image.new("RGB", (300, 200), (128, 128, 128))
    draw_on(image, DrawnBoxes(corners, np.array(titles), np.array(scores)), {"Tower": RED, "Car": BLUE})
    above = np.asarray(image)[80 - 14 : 80 - 1, 92:140].reshape(-1, 3)
    assert (above == RED).all(axis=1).mean() > 0.4 and not (above == BLUE).all(axis=1).any()


def test_the_size_of_letters_sets_that_of_lines_and_grounds() -> None:
    box = DrawnBoxes(np.array([[0.2, 0.5, 0.8, 0.9]]), np.array(["Tower"]), np.array([0.5]))
    extents = []
    for text in (11, 44):
        image = Image.new("RGB", (600, 600))
        draw_on(image, box, {"Tower": RED}, text)
        drawn = (np.asarray(image) == RED).all(axis=2)
        extents.append((300 - np.nonzero(drawn)[0].min(), drawn[450, 100:150].sum()))
    assert extents[0] == pytest.approx((15, 2), abs=1) and extents[1] == pytest.approx((60, 8), abs=2)
