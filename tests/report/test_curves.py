import numpy as np
import pytest
from PIL import Image

from landmarks.errors import LandmarksError
from landmarks.report import plot_curves, read_curves


@pytest.fixture
def files(tmp_path):
    """Two files of one run as Lightning's CSV logger writes them; the second was resumed at step 3."""
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    first.write_text(
        "epoch,step,train/loss,public/map@100,lr-SGD,note\n"
        "0,1,5.0,,0.01,\n0,2,4.0,,,x\n0,2,,0.1,,\n1,3,9.0,,0.01,\n1,4,8.0,,0.01,\n"
    )
    second.write_text("epoch,step,train/loss,public/map@100,public/gap\n1,3,3.0,,\n1,4,2.5,,\n1,4,,0.2,0.3\n")
    return [first, second]


def test_files_of_a_resumed_run_are_joined_and_later_ones_win(files):
    curves = read_curves(files)
    assert set(curves) == {"train/loss", "public/map@100", "public/gap", "lr-SGD"}
    steps, values = curves["train/loss"]
    np.testing.assert_array_equal(steps, [1, 2, 3, 4])
    np.testing.assert_array_equal(values, [5.0, 4.0, 3.0, 2.5])
    np.testing.assert_array_equal(curves["public/map@100"][1], [0.1, 0.2])


def test_the_image_has_a_panel_for_losses_and_one_for_scores(files, tmp_path):
    image = Image.open(plot_curves(files, tmp_path / "curves.png"))
    assert image.format == "PNG" and image.size == (1680, 570)
    pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):  # one loss; mAP and GAP
        assert (pixels == colour).all(axis=1).sum() > 100


def test_losses_alone_make_one_panel_and_long_curves_are_smoothed(tmp_path):
    lines = [f"0,{step},{10 - step / 100 + (-1) ** step}" for step in range(300)]
    (tmp_path / "m.csv").write_text("epoch,step,train/loss\n" + "\n".join(lines))
    image = Image.open(plot_curves([tmp_path / "m.csv"], tmp_path / "curves.png"))
    assert image.size == (840, 570)


def test_what_is_no_log_is_named(tmp_path):
    with pytest.raises(LandmarksError, match=r"no metrics\.csv given"):
        read_curves([])
    with pytest.raises(LandmarksError, match=r"absent\.csv: not a readable CSV"):
        read_curves([tmp_path / "absent.csv"])
    path = tmp_path / "m.csv"
    path.write_text("")
    with pytest.raises(LandmarksError, match=r"m\.csv: not a readable CSV"):
        read_curves([path])
    for step in ("99999999999999999999", "first"):
        path.write_text(f"step,train/loss\n{step},2.5\n1,2.0\n")
        with pytest.raises(LandmarksError, match=r"m\.csv: not a readable CSV"):
            read_curves([path])
    path.write_text("a,b\n1,2\n")
    with pytest.raises(LandmarksError, match="no column step"):
        read_curves([path])
    path.write_text("epoch,step,lr\n0,1,0.1\n")
    with pytest.raises(LandmarksError, match=r"no column with a loss or a score; found \['lr'\]"):
        plot_curves([path], tmp_path / "curves.png")
