from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labelled import labelled
from landmarks.cleaning import Cleaned, clean_images
from landmarks.errors import LandmarksError
from landmarks.report import RIGHT, WRONG, draw_cleaned, sheet_landmark
from resources import make_resources


@pytest.fixture(scope="module")
def cleaned() -> Cleaned:
    return clean_images(*labelled([40, 25, 60, 1, 30], wrong=30)[:2], make_resources())


def read(image_id: int) -> np.ndarray:
    if image_id % 7 == 0:
        raise LandmarksError("unreadable")
    return np.full((30, 60, 3), (0, 0, 200), np.uint8)


def test_the_landmark_that_lost_most(cleaned: Cleaned) -> None:
    images = cleaned.images
    lost = np.bincount(images.landmarks[~cleaned.kept], minlength=5)
    assert lost[sheet_landmark(cleaned)] == lost[[0, 1, 2, 4]].max()  # landmark 3 keeps nothing
    assert images.landmark_names[sheet_landmark(cleaned, "20")] == "20"
    with pytest.raises(LandmarksError, match="no embedded image belongs to landmark 50"):
        sheet_landmark(cleaned, "50")


def test_kept_images_are_green_and_stand_above_fallen_ones(cleaned: Cleaned, tmp_path: Path) -> None:
    for landmark in (2, 3):  # more images than fit, and a single one
        out = draw_cleaned(cleaned, landmark, read, tmp_path / "new" / f"{landmark}.png")
        pixels = np.asarray(Image.open(out).convert("RGB"))
        green, red = ((pixels == colour).all(axis=2).any(axis=1) for colour in (RIGHT, WRONG))
        kept = cleaned.kept[cleaned.images.landmarks == landmark]
        assert green.any() == kept.any() and red.any() == (~kept).any()
        if green.any() and red.any():
            assert np.flatnonzero(green).max() < np.flatnonzero(red).min()


def test_a_place_that_cannot_be_written_is_named(cleaned: Cleaned, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LandmarksError, match=r"sheet\.png: cannot be written"):
        draw_cleaned(cleaned, 0, read, tmp_path / "file" / "sheet.png")
