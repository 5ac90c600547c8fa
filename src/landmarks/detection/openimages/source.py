"""Open Images V4 in its official layout (Kuznetsova et al., "The Open Images Dataset V4", IJCV 2020).

    root/{train,validation,test}/<id>.jpg
    root/{train,validation,test}-annotations-bbox.csv
    root/{validation,test}-annotations-human-imagelabels-boxable.csv
    root/challenge-2018-class-descriptions-500.csv, or class-descriptions-boxable.csv
    root/bbox_labels_600_hierarchy.json

Files of the 2018 challenge are found by their names, too.
"""

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landmarks.data import FlatFolderStore, ImageSet, ImageTable, Root, local_folder
from landmarks.detection.metrics import Ancestors, BoxTruth, expand_truth, read_hierarchy
from landmarks.detection.openimages.annotations import (
    BoxRows,
    LabelRows,
    Policy,
    expand_rows,
    read_box_rows,
    read_label_rows,
)
from landmarks.detection.openimages.detection_set import BoxFlag, DetectionSet, ImageBoxes
from landmarks.errors import LandmarksError
from landmarks.ids import find_sorted, format_ids
from landmarks.recognition import DetectionClasses, read_classes

CLASSES = ("challenge-2018-class-descriptions-500.csv", "class-descriptions-boxable.csv")
HIERARCHY = "bbox_labels_600_hierarchy.json"
BOXES = ("{}-annotations-bbox.csv", "challenge-2018-{}-annotations-bbox.csv")
IMAGE_LABELS = (
    "{}-annotations-human-imagelabels-boxable.csv",
    "challenge-2018-{}-annotations-human-imagelabels.csv",
)
log = logging.getLogger(__name__)


class OpenImages:
    """Images of Open Images with their boxes, to train and to score a detector.

    Args:
        root: Folder of the layout above.
        classes: A table of class descriptions, the classes to detect in their order; a path below `root` or an
            absolute one. None takes the 500 of the 2018 challenge if they are there, else all 601.
        evaluation_split: What `validation()` and `truth()` give.
        expand: A box to train on is also one of each ancestor of its class. A detector that gives each place one
            class, as Faster R-CNN does, then has to choose; scores expand the truth whatever is chosen here.
        group_of: "use" trains on boxes around groups of objects like on others, "ignore" leaves them out.
        skip: Flags, such as "IsDepiction", whose boxes are not trained on.
        background: Train also on images of the folder in which no box of the classes was drawn.
        missing: What to do about images that the tables name and the folder lacks: "error" stops before any work,
            "skip" leaves them out and logs how many, for a partial download.
        bad_boxes: What to do about rows that cannot be right: "skip" leaves them out and logs how many of each kind,
            "error" stops at the first.
        name: What figures are stamped with; another set in this layout has another name.
    """

    def __init__(
        self,
        root: str | Root,
        classes: str | Path | None = None,
        evaluation_split: Literal["validation", "test"] = "validation",
        expand: bool = False,
        group_of: Literal["use", "ignore"] = "use",
        skip: Sequence[str] = (),
        background: bool = False,
        missing: Literal["error", "skip"] = "error",
        bad_boxes: Policy = "skip",
        name: str = "openimages",
    ) -> None:
        self.name = name
        self.root = local_folder(root)
        # a path below the root, or an absolute one, which stays
        self._class_table = self._file(CLASSES) if classes is None else self.root / classes
        self.evaluation_split = evaluation_split
        self.expand = expand
        self.background = background
        self.missing = missing
        self.bad_boxes: Policy = bad_boxes
        self.skip = [_flag(name) for name in skip] + ([BoxFlag.IsGroupOf] if group_of == "ignore" else [])

    def prepare(self) -> None:
        """Check that all files are there; an error lists everything that is missing."""
        splits = ("train", self.evaluation_split)
        files = [self._class_table, self.root / HIERARCHY, *(self._file(BOXES, split) for split in splits)]
        files.append(self._file(IMAGE_LABELS, self.evaluation_split))
        missing = [str(path) for path in files if not path.is_file()]
        missing += [f"{self.root / split}/<id>.jpg" for split in splits if not (self.root / split).is_dir()]
        if missing:
            lines = "\n  ".join(missing)
            raise LandmarksError(
                f"data.root={self.root} is not a complete Open Images folder; it lacks\n  {lines}\n"
                "The download page of Open Images V4 has them under these names"
            )

    def classes(self) -> DetectionClasses:
        """The classes to detect."""
        return self._classes

    def hierarchy(self) -> Ancestors:
        """For each class by machine name all those that it is a kind of."""
        return self._hierarchy

    def train(self) -> DetectionSet:
        """Images with boxes to train on, by rising id. Raises LandmarksError if there are none."""
        path = self._file(BOXES, "train")
        rows = read_box_rows(path, self._known, self.bad_boxes, self.skip)
        if self.expand:
            rows = expand_rows(rows, self._known, self._hierarchy)
        listed = rows.labels < len(self._classes)
        skipped = (rows.flags & np.uint8(sum(set(self.skip)))) != 0
        log.info(
            "%s: %d boxes, of which %d are of classes that are not detected and %d of kinds that are skipped",
            path,
            len(listed),
            np.count_nonzero(~listed),
            np.count_nonzero(listed & skipped),
        )
        store = FlatFolderStore(self.root / "train")
        images = _distinct(rows.ids[listed & ~skipped])
        if self.background:
            seen = np.union1d(rows.ids[listed], rows.doubtful)
            images = np.union1d(images, np.setdiff1d(store.ids(), seen, assume_unique=True))
        found = self._present(ImageSet(ImageTable.unlabelled(images), store), "train")
        if not len(found):
            raise LandmarksError(f"{path}: no box of the {len(self._classes)} classes is left to train on")
        return self._with_boxes(found, rows, listed & ~skipped)

    def validation(self) -> DetectionSet:
        """Images to score, by rising id: all for which a class to detect was verified, those without a box too."""
        return self._validation

    def truth(self) -> BoxTruth:
        """Boxes and image-level labels of `validation()`, expanded along the hierarchy, of the classes to detect."""
        return self._truth.of_images(self._validation.images.table.ids)

    @cached_property
    def _truth(self) -> BoxTruth:
        boxes, labels = self._scored
        annotated = BoxTruth(
            image_ids=boxes.ids,
            labels=boxes.labels,
            boxes=boxes.boxes.astype(np.float64, copy=False),
            group_of=(boxes.flags & np.uint8(BoxFlag.IsGroupOf)) != 0,
            verified_image_ids=labels.ids,
            verified_labels=labels.labels,
            present=labels.present,
            classes=self._known,
        )
        return expand_truth(annotated, self._hierarchy).of_classes(self._classes.names)

    @cached_property
    def _classes(self) -> DetectionClasses:
        return read_classes(self._class_table)

    @cached_property
    def _hierarchy(self) -> Ancestors:
        return read_hierarchy(self.root / HIERARCHY)

    @cached_property
    def _known(self) -> NDArray[np.str_]:
        """All machine names that may be in a table, those of the classes to detect first: str [K].

        Names that are in no table of classes that is there, nor in the hierarchy, are mistakes.
        """
        names = dict.fromkeys(self._classes.names.tolist())
        for path in (self.root / name for name in CLASSES if (self.root / name).is_file()):
            names.update(dict.fromkeys(read_classes(path).names.tolist()))
        names.update(dict.fromkeys(self._hierarchy))
        return np.array(list(names), dtype=np.str_)

    @cached_property
    def _scored(self) -> tuple[BoxRows, LabelRows]:
        split = self.evaluation_split
        return (
            read_box_rows(self._file(BOXES, split), self._known, self.bad_boxes, exact=True),
            read_label_rows(self._file(IMAGE_LABELS, split), self._known, self.bad_boxes),
        )

    @cached_property
    def _validation(self) -> DetectionSet:
        boxes, _ = self._scored
        table = ImageTable.unlabelled(np.union1d(self._truth.image_ids, self._truth.verified_image_ids))
        images = ImageSet(table, FlatFolderStore(self.root / self.evaluation_split))
        found = self._present(images, self.evaluation_split)
        return self._with_boxes(found, boxes, boxes.labels < len(self._classes))

    def _with_boxes(self, images: ImageSet, rows: BoxRows, chosen: NDArray[np.bool_]) -> DetectionSet:
        """Images by rising id, and those of the chosen rows that belong to them."""
        kept = chosen & (find_sorted(images.table.ids, rows.ids) >= 0)
        start = np.append(np.searchsorted(rows.ids[kept], images.table.ids), np.count_nonzero(kept))
        boxes = rows.boxes[kept].astype(np.float32, copy=False)
        return DetectionSet(images, ImageBoxes(start, rows.labels[kept], boxes, rows.flags[kept]), self._classes)

    def _file(self, names: Sequence[str], split: str = "") -> Path:
        """Of several official names the first that is there counts."""
        paths = [self.root / name.format(split) for name in names]
        return next((path for path in paths if path.is_file()), paths[0])

    def _present(self, images: ImageSet, split: str) -> ImageSet:
        absent = images.table.ids[~images.present]
        if not len(absent):
            return images
        what = f"{len(absent)} of {len(images)} {split} images are not in {self.root / split}"
        first = ", ".join(f"{name}.jpg" for name in format_ids(absent[:3]))
        if self.missing == "error":
            raise LandmarksError(
                f"{what}, first {first}; complete the download, or go on without them with data.source.missing=skip"
            )
        log.warning("%s and are left out, first %s", what, first)
        return images.take(images.present)


def _distinct(ids: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each of some ascending ids once, in a sixtieth of the time of np.unique."""
    return ids[np.append(True, ids[1:] != ids[:-1])] if len(ids) else ids


def _flag(name: str) -> BoxFlag:
    names = list(BoxFlag.__members__)
    if name not in names:
        raise LandmarksError(f"data.source.skip: {name!r} is no flag of a box; give some of {', '.join(names)}")
    return BoxFlag[name]
