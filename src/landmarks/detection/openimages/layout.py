"""Where the files of Open Images lie below its root, under their official names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from landmarks.data import FlatFolderStore
from landmarks.errors import LandmarksError

Split = Literal["train", "validation", "test"]

CLASSES = ("challenge-2018-class-descriptions-500.csv", "class-descriptions-boxable.csv")
HIERARCHY = "bbox_labels_600_hierarchy.json"
BOXES = ("{}-annotations-bbox.csv", "challenge-2018-{}-annotations-bbox.csv")
IMAGE_LABELS = (
    "{}-annotations-human-imagelabels-boxable.csv",
    "challenge-2018-{}-annotations-human-imagelabels.csv",
)


@dataclass(frozen=True)
class OpenImagesLayout:
    """The files below `root`; of several names the first that is there counts.

    Attributes:
        root: Their folder.
        classes: A table of class descriptions below `root` or anywhere; None looks for the official ones.
    """

    root: Path
    classes: Path | None = None

    def class_descriptions(self) -> Path:
        """The classes to detect."""
        if self.classes is not None:
            return self.root / self.classes  # an absolute path stays
        return self._first(CLASSES)

    def known_classes(self) -> list[Path]:
        """All tables of classes that are there: names in none of them, nor in the hierarchy, are mistakes."""
        return [self.root / name for name in CLASSES if (self.root / name).is_file()]

    def hierarchy(self) -> Path:
        """The tree of classes."""
        return self.root / HIERARCHY

    def boxes(self, split: Split) -> Path:
        """The boxes of a split."""
        return self._first([name.format(split) for name in BOXES])

    def image_labels(self, split: Split) -> Path:
        """The verified image-level labels of a split."""
        return self._first([name.format(split) for name in IMAGE_LABELS])

    def pictures(self, split: Split) -> FlatFolderStore:
        """The pictures of a split."""
        return FlatFolderStore(self.root / split)

    def require(self, train: bool, evaluation: Split | None) -> None:
        """Raise one LandmarksError that lists what is missing for training and for the evaluation of a split."""
        files = [self.class_descriptions(), self.hierarchy()]
        splits: list[Split] = ["train"] if train else []
        splits += [evaluation] if evaluation else []
        files += [self.boxes(split) for split in splits]
        files += [self.image_labels(evaluation)] if evaluation else []
        missing = [str(path) for path in files if not path.is_file()]
        missing += [f"{self.root / split}/<id>.jpg" for split in splits if not (self.root / split).is_dir()]
        if missing:
            lines = "\n  ".join(missing)
            raise LandmarksError(
                f"data.root={self.root} is not a complete Open Images folder; it lacks\n  {lines}\n"
                "The download page of Open Images V4 has them under these names"
            )

    def _first(self, names: list[str] | tuple[str, ...]) -> Path:
        paths = [self.root / name for name in names]
        return next((path for path in paths if path.is_file()), paths[0])
