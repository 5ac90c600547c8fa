"""Open Images V4 in its official layout (Kuznetsova et al., "The Open Images Dataset V4", IJCV 2020).

    root/{train,validation,test}/<id>.jpg
    root/{train,validation,test}-annotations-bbox.csv
    root/{validation,test}-annotations-human-imagelabels-boxable.csv
    root/challenge-2018-class-descriptions-500.csv, or class-descriptions-boxable.csv
    root/bbox_labels_600_hierarchy.json

The files of the 2018 challenge are accepted under their own names.
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
    """The images of Open Images with their boxes, for training and evaluating a detector.

    Args:
        root: Folder with the layout above.
        classes: A table of class descriptions, which lists the classes to detect; a path below `root` or an absolute
            one. None takes the 500 classes of the 2018 challenge if the file exists, else all 601.
        evaluation_split: The split of `validation()` and `truth()`.
        expand: Whether to repeat training boxes for all ancestors of their class. A detector that gives each object
            one class, such as Faster R-CNN, then has to choose; evaluation always expands the ground truth.
        group_of: "use" trains on boxes around groups of objects as on others, "ignore" leaves them out.
        skip: Flags, such as "IsDepiction", whose boxes are left out of training.
        background: Whether to train also on images of the folder without boxes of the classes.
        missing: What to do about images that are in the tables but not in the folder: "error" stops before any work,
            "skip" leaves them out and logs how many, for partial downloads.
        bad_boxes: What to do about implausible rows: "skip" leaves them out and logs how many of each kind, "error"
            stops at the first.
        name: Name recorded with metrics; another data set in this layout needs another name.
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
        self._class_table = self._file(CLASSES) if classes is None else self.root / classes
        self.evaluation_split = evaluation_split
        self.expand = expand
        self.background = background
        self.missing = missing
        self.bad_boxes: Policy = bad_boxes
        self.skip = [_flag(name) for name in skip] + ([BoxFlag.IsGroupOf] if group_of == "ignore" else [])

    def prepare(self) -> None:
        """Check that all files exist. Raises LandmarksError that lists all missing ones."""
        splits = ("train", self.evaluation_split)
        files = [self._class_table, self.root / HIERARCHY, *(self._file(BOXES, split) for split in splits)]
        files.append(self._file(IMAGE_LABELS, self.evaluation_split))
        missing = [str(path) for path in files if not path.is_file()]
        missing += [f"{self.root / split}/<id>.jpg" for split in splits if not (self.root / split).is_dir()]
        if missing:
            lines = "\n  ".join(missing)
            raise LandmarksError(
                f"data.root={self.root} is not a complete Open Images folder; it lacks\n  {lines}\n"
                "The download page of Open Images V4 offers them under these names"
            )

    def classes(self) -> DetectionClasses:
        """Return the classes to detect."""
        return self._classes

    def hierarchy(self) -> Ancestors:
        """Return the ancestors of each class, by machine name."""
        return self._hierarchy

    def train(self) -> DetectionSet:
        """Return the training images with their boxes, by ascending id. Raises LandmarksError if there are none."""
        path = self._file(BOXES, "train")
        rows = read_box_rows(path, self._known, self.bad_boxes, self.skip)
        if self.expand:
            rows = expand_rows(rows, self._known, self._hierarchy)
        listed = rows.labels < len(self._classes)
        skipped = (rows.flags & np.uint8(sum(set(self.skip)))) != 0
        log.info(
            "%s: %d boxes, of which %d are of other classes and %d have a flag in data.source.skip",
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
        """Return the evaluation images, by ascending id: all in which a class was verified, even without boxes."""
        return self._validation

    def truth(self) -> BoxTruth:
        """Return the ground truth of `validation()` for the classes to detect, expanded along the hierarchy."""
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
        """All valid machine names, those of the classes to detect first: str [K].

        Names that are neither in an existing table of classes nor in the hierarchy are errors.
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
        """Combine images, which are by ascending id, with their boxes among the chosen rows."""
        kept = chosen & (find_sorted(images.table.ids, rows.ids) >= 0)
        start = np.append(np.searchsorted(rows.ids[kept], images.table.ids), np.count_nonzero(kept))
        boxes = rows.boxes[kept].astype(np.float32, copy=False)
        return DetectionSet(images, ImageBoxes(start, rows.labels[kept], boxes, rows.flags[kept]), self._classes)

    def _file(self, names: Sequence[str], split: str = "") -> Path:
        """Return the first existing file of several official names, or the first name if none exists."""
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
                f"{what}, first {first}; complete the download, or leave them out with data.source.missing=skip"
            )
        log.warning("%s and are left out, first %s", what, first)
        return images.take(images.present)


def _distinct(ids: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the distinct ids of an ascending array, in a sixtieth of the time of np.unique."""
    return ids[np.append(True, ids[1:] != ids[:-1])] if len(ids) else ids


def _flag(name: str) -> BoxFlag:
    names = list(BoxFlag.__members__)
    if name not in names:
        raise LandmarksError(f"data.source.skip: {name!r} is not a flag of boxes; choose from {', '.join(names)}")
    return BoxFlag[name]
