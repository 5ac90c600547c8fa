from pathlib import Path

import pytest

from landmarks.errors import FormatError
from landmarks.recognition.detections import read_images


def test_pictures_without_boxes_and_unreadable_ones_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "images.csv").write_text('ImageID,Boxes,Reason\n00000000000000ff,0,\n0000000000000001,0,"a, ""b"""\n')
    images = read_images(tmp_path / "images.csv")
    assert images.ids.tolist() == [255, 1]
    assert images.readable.tolist() == [True, False]
    (tmp_path / "images.csv").write_text("ImageID,Boxes,Reason\n")
    assert len(read_images(tmp_path / "images.csv").ids) == 0


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("00000000000000ff,-1,", "field 'Boxes': '-1' is no number of boxes"),
        ("00000000000000ff,,", "field 'Boxes'"),
        ("00000000000000ff,2,broken", "boxes, though the image could not be read"),
        ("nothing,0,", "'nothing' is not an image id"),
    ],
)
def test_wrong_pictures_are_named(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "images.csv"
    path.write_text(f"ImageID,Boxes,Reason\n{row}\n")
    with pytest.raises(FormatError, match=f"line 2.*{message}"):
        read_images(path)
