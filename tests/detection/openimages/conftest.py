"""A small Open Images in the official layout, to read and to damage."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COLUMNS = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
)
CLASSES = {"/m/tower": "Tower", "/m/castle": "Castle", "/m/building": "Building", "/m/dog": "Dog"}
TREE = {
    "LabelName": "/m/root",
    "Subcategory": [
        {
            "LabelName": "/m/building",
            "Subcategory": [{"LabelName": "/m/tower"}, {"LabelName": "/m/castle"}],
            "Part": [{"LabelName": "/m/door", "Subcategory": [{"LabelName": "/m/gate"}]}],
        },
        {"LabelName": "/m/dog"},
        {"LabelName": "/m/door"},
    ],
}


def row(image: int, name: str, box: tuple[float, ...], *, flags: str = "0,0,0,0,0") -> str:
    """A line of a table of boxes; the box is XMin, YMin, XMax, YMax."""
    left, top, right, bottom = box
    return f"{image:016x},xclick,{name},1,{left},{right},{top},{bottom},{flags}"


@dataclass
class TinyOpenImages:
    """Train images 1 to 4 and 9, of which 9 has no box; validation images 0xa to 0xc, of which 0xc has no box."""

    root: Path

    def boxes(self, split: str) -> Path:
        return self.root / f"{split}-annotations-bbox.csv"

    def labels(self, split: str) -> Path:
        return self.root / f"{split}-annotations-human-imagelabels-boxable.csv"

    def add(self, split: str, *lines: str) -> None:
        with self.boxes(split).open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def image(self, split: str, number: int, pixels: np.ndarray, **options: object) -> Path:
        path = self.root / split / f"{number:016x}.jpg"
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=95, **options)
        path.write_bytes(file.getvalue())
        return path


@pytest.fixture
def tiny(tmp_path: Path) -> TinyOpenImages:
    """A complete folder."""
    made = TinyOpenImages(tmp_path / "oid")
    for split in ("train", "validation"):
        (made.root / split).mkdir(parents=True)
        made.boxes(split).write_text(COLUMNS + "\n")
    sizes = {1: (60, 80), 2: (60, 80), 3: (80, 60), 4: (50, 50), 9: (40, 90)}
    for image, size in sizes.items():
        made.image("train", image, np.full((*size, 3), 20 * image, np.uint8))
    for image in (10, 11, 12):
        made.image("validation", image, np.full((60, 80, 3), 10 * image, np.uint8))
    made.add(
        "train",
        row(2, "/m/dog", (0.1, 0.2, 0.3, 0.4)),
        row(1, "/m/tower", (0.25, 0.1, 0.5, 0.9)),
        row(1, "/m/building", (0.0, 0.0, 1.0, 1.0), flags="1,-1,0,0,0"),
        row(3, "/m/castle", (0.5, 0.5, 1.0, 1.0), flags="0,0,1,0,0"),
        row(4, "/m/tower", (0.2, 0.2, 0.6, 0.6), flags="0,0,0,1,0"),
        row(4, "/m/door", (0.2, 0.2, 0.3, 0.3)),
    )
    made.add(
        "validation",
        row(10, "/m/tower", (0.1, 0.1, 0.5, 0.5)),
        row(10, "/m/dog", (0.333333, 0.5, 0.9, 0.9)),
        row(11, "/m/castle", (0.0, 0.0, 0.5, 0.5), flags="0,0,1,0,0"),
    )
    labels = ["ImageID,Source,LabelName,Confidence", f"{10:016x},verification,/m/tower,1"]
    labels += [f"{11:016x},verification,/m/castle,1", f"{12:016x},verification,/m/building,0"]
    made.labels("validation").write_text("\n".join(labels) + "\n")
    descriptions = "".join(f"{name},{title}\n" for name, title in CLASSES.items())
    (made.root / "challenge-2018-class-descriptions-500.csv").write_text(descriptions)
    (made.root / "class-descriptions-boxable.csv").write_text(descriptions + "/m/door,Door\n")
    (made.root / "bbox_labels_600_hierarchy.json").write_text(json.dumps(TREE))
    return made


@pytest.fixture(scope="session")
def box_row() -> Callable[..., str]:
    """`box_row(image, name, (XMin, YMin, XMax, YMax), flags=…)`: a line of a table of boxes."""
    return row
