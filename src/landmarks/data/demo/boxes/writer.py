"""Pictures with boxes, written as Open Images V4 writes them.

Pictures as root/{train,validation}/<id>.jpg; boxes, image-level labels, class descriptions and hierarchy by the
official file names and columns. Of the classes that a picture surely lacks only some are verified, as there.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from landmarks.data.demo.boxes.classes import CLASSES, hierarchy
from landmarks.data.demo.boxes.drawing import Drawn
from landmarks.data.demo.boxes.plan import SPLITS, Picture
from landmarks.data.demo.boxes.visible import Box

BOX_COLUMNS = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
)
LABEL_COLUMNS = "ImageID,Source,LabelName,Confidence"
SOURCE = "rendered"  # where Open Images says how people drew or verified it
VERIFIED = 0.75  # share of the absent classes that are verified


class PictureFolders:
    """The pictures of a detection set and the rows of its tables.

    Args:
        root: folder of the set.
        seed: fixes which absent classes are verified.
    """

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self._rng = np.random.default_rng([seed, 8])
        self._rows: dict[str, list[tuple[str, list[Box], list[str]]]] = {split: [] for split in SPLITS}
        for split in SPLITS:
            (root / split).mkdir()

    def add(self, picture: Picture, drawn: Drawn) -> None:
        """Write a picture and keep what its tables will say."""
        (self.root / picture.split / f"{picture.image_id}.jpg").write_bytes(drawn.jpeg)
        verified = [title for title in drawn.absent if self._rng.random() < VERIFIED]
        self._rows[picture.split].append((picture.image_id, drawn.boxes, verified))

    def write_tables(self) -> None:
        """Write boxes, image-level labels, class descriptions and hierarchy."""
        for split, rows in self._rows.items():
            rows.sort()
            boxes = (_box_row(image_id, box) for image_id, boxes, _ in rows for box in boxes)
            labels = (row for image_id, boxes, absent in rows for row in _label_rows(image_id, boxes, absent))
            _write(self.root / f"{split}-annotations-bbox.csv", [BOX_COLUMNS, *boxes])
            _write(self.root / f"{split}-annotations-human-imagelabels-boxable.csv", [LABEL_COLUMNS, *labels])
        classes = (f"{name},{title}" for title, (name, _) in CLASSES.items())
        _write(self.root / "class-descriptions-boxable.csv", classes)
        (self.root / "bbox_labels_600_hierarchy.json").write_text(json.dumps(hierarchy(), indent=2) + "\n")


def _box_row(image_id: str, box: Box) -> str:
    corners = ",".join(f"{share:.6f}" for share in (box.left, box.right, box.top, box.bottom))
    flags = f"{box.occluded:d},{box.truncated:d},{box.group_of:d},0,0"
    return f"{image_id},{SOURCE},{CLASSES[box.title][0]},1,{corners},{flags}"


def _label_rows(image_id: str, boxes: Sequence[Box], absent: Sequence[str]) -> list[str]:
    present = {box.title for box in boxes}
    verified = [(title, 1) for title in CLASSES if title in present] + [(title, 0) for title in absent]
    return [f"{image_id},{SOURCE},{CLASSES[title][0]},{confidence}" for title, confidence in verified]


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("\n".join(lines) + "\n", newline="")
