import json
from pathlib import Path

from landmarks.data.demo.boxes.classes import CLASSES, hierarchy
from landmarks.data.demo.boxes.drawing import Drawn
from landmarks.data.demo.boxes.plan import Picture
from landmarks.data.demo.boxes.visible import Box
from landmarks.data.demo.boxes.writer import PictureFolders

BOXES = [
    Box("Tower", 0.25, 0.125, 0.5, 1.0, occluded=True, truncated=True),
    Box("Tree", 0.0, 0.5, 0.0625, 0.75, occluded=False, truncated=True, group_of=True),
    Box("Tree", 1 / 3, 0.5, 2 / 3, 0.75, occluded=False, truncated=False),
]


def test_rows_are_those_of_open_images(tmp_path: Path) -> None:
    folders = PictureFolders(tmp_path, 0)
    folders.add(Picture("00ff00ff00ff00ff", "train", 4, 1), Drawn(b"one", BOXES, []))
    folders.add(Picture("00000000000000aa", "train", -1, 0), Drawn(b"two", [], list(CLASSES) * 20))
    folders.add(Picture("0123456789abcdef", "validation", -1, 1), Drawn(b"three", [], ["Boat"]))
    folders.write_tables()
    assert (tmp_path / "train" / "00ff00ff00ff00ff.jpg").read_bytes() == b"one"
    assert (tmp_path / "train-annotations-bbox.csv").read_text() == (
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,"
        "IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
        "00ff00ff00ff00ff,rendered,/m/01fdzj,1,0.250000,0.500000,0.125000,1.000000,1,1,0,0,0\n"
        "00ff00ff00ff00ff,rendered,/m/07j7r,1,0.000000,0.062500,0.500000,0.750000,0,1,1,0,0\n"
        "00ff00ff00ff00ff,rendered,/m/07j7r,1,0.333333,0.666667,0.500000,0.750000,0,0,0,0,0\n"
    )
    lines = (tmp_path / "train-annotations-human-imagelabels-boxable.csv").read_text().splitlines()
    assert lines[0] == "ImageID,Source,LabelName,Confidence"
    assert lines[-2:] == ["00ff00ff00ff00ff,rendered,/m/01fdzj,1", "00ff00ff00ff00ff,rendered,/m/07j7r,1"]
    absent = lines[1:-2]
    assert all(line.startswith("00000000000000aa,rendered,/m/") and line.endswith(",0") for line in absent)
    assert 0.65 < len(absent) / (20 * len(CLASSES)) < 0.85, "not all that is absent was looked for"
    assert (tmp_path / "class-descriptions-boxable.csv").read_text().startswith("/m/0cgh4,Building\n")
    assert json.loads((tmp_path / "bbox_labels_600_hierarchy.json").read_text()) == hierarchy()
