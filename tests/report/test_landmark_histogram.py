from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from landmarks.errors import LandmarksError
from landmarks.report.landmark_histogram import octaves, plot_landmark_histogram


def test_octaves_are_exact_at_their_ends() -> None:
    powers = 2 ** np.arange(31)
    assert octaves(powers).tolist() == [1] * 31
    assert octaves(powers[1:] - 1).tolist() == [1] * 30
    assert octaves(np.array([1, 1, 2, 3, 4, 7, 8, 100])).tolist() == [2, 2, 2, 1, 0, 0, 1]


def test_each_split_has_its_colour(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    train = np.maximum(1, rng.lognormal(2, 1.5, 5000)).astype(np.int64)
    splits = {"train": train, "train_clean": train[:900] + 3, "index": rng.integers(1, 9, 800), "test": train[:0]}
    picture = Image.open(plot_landmark_histogram(splits, tmp_path / "figure.png"))
    assert picture.format == "PNG" and picture.size == (1080, 630)
    pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x00, 0x9E, 0x73)):
        assert (pixels == colour).all(axis=1).sum() > 300
    assert not (pixels == (0xCC, 0x79, 0xA7)).all(axis=1).any()  # test has no landmarks


def test_one_landmark_is_enough_and_none_is_an_error(tmp_path: Path) -> None:
    assert plot_landmark_histogram({"train": np.array([1])}, tmp_path / "figure.png").stat().st_size > 1000
    with pytest.raises(LandmarksError, match="nothing to draw"):
        plot_landmark_histogram({"test": np.empty(0, np.int64)}, tmp_path / "figure.png")
    with pytest.raises(LandmarksError, match=r"none/figure\.png: cannot be written \(No such file"):
        plot_landmark_histogram({"train": np.array([1])}, tmp_path / "none" / "figure.png")
