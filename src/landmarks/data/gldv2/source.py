"""Google Landmarks v2 in its official layout (Weyand et al., "Google Landmarks Dataset v2", CVPR 2020).

    root/{train,index,test}/images_NNN.tar      or extracted: root/train/a/b/c/<id>.jpg
    root/metadata/{train,train_clean,index,index_image_to_landmark,test}.csv
    root/ground_truth/{retrieval,recognition}_solution_v2.1.csv

A split is read from its tars if its folder contains any, else from the extracted tree. Without the ground truth,
submission files for the test images can still be written. Training on `train+index` concatenates the two label spaces:
their numbers are unrelated, and landmarks of both are never merged.
"""

import logging
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landmarks.data.gldv2 import tables
from landmarks.data.gldv2.layout import Task, solution_name
from landmarks.data.gldv2.local import open_layout
from landmarks.data.gldv2.tables import read_categories
from landmarks.data.image_lists import listed_rows, read_image_list
from landmarks.data.roots import Root, open_root
from landmarks.data.source import GroundTruth, ImageSet, Source
from landmarks.data.stores import ImageStore, JoinedStore
from landmarks.data.table import INDEX_PREFIX, ImageTable
from landmarks.errors import LandmarksError
from landmarks.ids import find_sorted, format_ids
from landmarks.metrics import read_recognition_solution, read_retrieval_solution

TrainSplit = Literal["train", "train_clean", "index", "train+index"]
GallerySplit = Literal["train", "train_clean"]

log = logging.getLogger(__name__)


class GLDv2(Source):
    """The Google Landmarks v2 splits, tables and ground truth.

    Args:
        root: Folder or address with the layout above.
        train_split: Images to train on: "train" (4.1M images), "train_clean" (1.6M), "index" (its images that have
            a landmark) or "train+index".
        gallery_split: Labelled images that vote for landmarks in recognition. They are train images, because
            recognition is scored on train landmarks.
        min_images: Landmarks with fewer images are left out of training; counted after applying the lists below.
        missing: What to do about images that are in the tables but not in the store: "error" stops before any work,
            "skip" leaves them out and logs how many, for partial downloads.
        include: A file that lists the images or landmarks to train on, see `image_lists`; None for all.
        exclude: A file that lists images or landmarks to leave out of training. An image listed by its id (for example
            because it is corrupt) is left out of the gallery too. Otherwise both lists concern training only, so that
            recognition results remain comparable.
        name: Name recorded with metrics and descriptors. Another data set in this layout needs another name, because
            metrics of "gldv2" may be compared with published ones.
        release: Version of the ground truth; None for that of another data set.
    """

    def __init__(
        self,
        root: str | Root,
        train_split: TrainSplit = "train_clean",
        gallery_split: GallerySplit = "train_clean",
        min_images: int = 1,
        missing: Literal["error", "skip"] = "error",
        include: str | Path | None = None,
        exclude: str | Path | None = None,
        name: str = "gldv2",
        release: str | None = "v2.1",
    ) -> None:
        self.name = name
        self.release = release
        self.root = open_root(root)
        self.files = open_layout(self.root)
        self.train_split = train_split
        self.gallery_split = gallery_split
        self.min_images = min_images
        self.missing = missing
        self.include = None if include is None else Path(include)
        self.exclude = None if exclude is None else Path(exclude)
        self._stores: dict[str, ImageStore] = {}
        self._splits: dict[str, ImageSet] = {}

    def prepare(self, training: bool = True, evaluation: bool = True) -> None:
        """Check that all files exist. Raises LandmarksError that lists all missing ones. See Source."""
        splits = [self.train_split, *([self.gallery_split] if evaluation else [])] if training else []
        missing = self.files.missing(splits, evaluation)
        if missing:
            lines = "\n  ".join(line for lines in missing.values() for line in lines)
            folder = self.root if isinstance(self.root, Path) else "FOLDER"
            raise LandmarksError(
                f"data.root={self.root} is not a complete Google Landmarks v2 folder; it lacks\n  {lines}\n"
                f"`landmarks data download --root {folder} --split {','.join(missing)}` downloads what is missing"
            )

    def train(self) -> ImageSet:
        """Return the images of the training split, each with a landmark."""
        return self._train

    @cached_property
    def _train(self) -> ImageSet:
        images = self._split(self.train_split)
        table = self._listed(images.table).labelled(self.min_images)
        if len(table) == 0:
            raise LandmarksError(
                f"no landmark of {self.train_split} has min_images={self.min_images} images: nothing to train on"
            )
        log.info("train on %s: %d images of %d landmarks", self.train_split, len(table), table.num_landmarks)
        return ImageSet(table, images.store)

    def _listed(self, table: ImageTable) -> ImageTable:
        if self.include is None and self.exclude is None:
            return table
        # A list may contain entries that are not in the split, but none that are not in the data set.
        known: list[tuple[str, Callable[[], ImageTable]]] = [(self.train_split, lambda: table)]
        if self.files.has_table("train"):
            known.append(("train.csv", lambda: tables.read_labels(self.files.table("train"))))
        if self.files.has_table("index"):
            known.append(("index.csv", lambda: self._index_table))
        rows = listed_rows(table, self.include, self.exclude, known)
        names = [f"{key} {path}" for key, path in (("include", self.include), ("exclude", self.exclude)) if path]
        left_out = len(table) - np.count_nonzero(rows)
        log.info("%s: %d of %d images of %s left out", ", ".join(names), left_out, len(table), self.train_split)
        return table.take(rows)

    def gallery(self) -> ImageSet:
        """Return the labelled train images that vote in recognition, without those that `exclude` lists by id."""
        return self._gallery

    @cached_property
    def _gallery(self) -> ImageSet:
        images = self._split(self.gallery_split)
        if self.exclude is None:
            return images
        ids = np.sort(read_image_list(self.exclude).ids)
        return images.take(find_sorted(ids, images.table.ids) < 0)

    def index(self) -> ImageSet:
        """Return all index images. Those without a line in index_image_to_landmark.csv have landmark -1."""
        return self._present(self._index_table, self._store("index"), "index")

    def queries(self) -> ImageSet:
        """Return the test images, without landmarks."""
        return self._present(ImageTable.unlabelled(self._test_ids), self._store("test"), "test")

    def truth(self) -> GroundTruth:
        """Return the v2.1 ground truth, as far as its files exist."""
        retrieval = read_retrieval_solution(path) if (path := self._solution("retrieval")) else None
        recognition = read_recognition_solution(path) if (path := self._solution("recognition")) else None
        if retrieval is not None:
            self._refuse_unknown_queries("retrieval", retrieval.query_ids)
        if recognition is not None:
            self._refuse_unknown_queries("recognition", recognition.image_ids)
        return GroundTruth(retrieval, recognition)

    def _solution(self, task: Task) -> Path | None:
        if self.files.has_solution(task):
            return self.files.solution(task)
        log.warning(
            "%s is missing: submission files can be written for %s, but no metrics computed",
            self.root / solution_name(task),
            task,
        )
        return None

    def _refuse_unknown_queries(self, task: Task, ids: NDArray[np.uint64]) -> None:
        tables.refuse_unknown(self.files.solution(task), ids, self._test_ids, self.files.table("test"))

    def submission_landmark(
        self, landmark: NDArray[np.int32], landmark_names: NDArray[np.str_] | None = None
    ) -> NDArray[np.int64]:
        """Return the official train landmark numbers; index landmarks are an error. See Source."""
        names = self.train().table.landmark_names if landmark_names is None else landmark_names
        used = np.unique(landmark[landmark >= 0])
        foreign = used[np.strings.startswith(names[used], INDEX_PREFIX)]
        if len(foreign):
            raise LandmarksError(
                f"landmark {names[foreign[0]]} is numbered as in the index set, but recognition is scored with numbers "
                "of the train set; use a gallery or a model of train or train_clean"
            )
        numbers = np.full(len(names) + 1, -1, dtype=np.int64)  # -1 looks up the last element
        numbers[used] = names[used].astype(np.int64)
        return numbers[landmark]

    def category_names(self) -> dict[str, str]:
        """Return readable landmark names for both label spaces, as far as the files exist. See Source."""
        names: dict[str, str] = {}
        for split, prefix in (("train", ""), ("index", INDEX_PREFIX)):
            if self.files.has_table(f"{split}_label_to_category"):
                titles = read_categories(self.files.table(f"{split}_label_to_category"))
                names |= {f"{prefix}{number}": title for number, title in titles.items()}
        return names

    def _split(self, split: TrainSplit) -> ImageSet:
        """Return all labelled images of a split, read once since training and gallery often use the same split."""
        if split not in self._splits:
            self._splits[split] = self._read_split(split)
        return self._splits[split]

    def _read_split(self, split: TrainSplit) -> ImageSet:
        if split == "train+index":
            train, index = self._split("train"), self._split("index")
            store = JoinedStore(train.table.ids, train.store, index.store)
            assert train.table.locations is not None and index.table.locations is not None
            locations = store.join(train.table.locations, index.table.locations)
            return ImageSet(train.table.joined(index.table).located(locations), store)
        if split == "index":
            images = self.index()
            return ImageSet(images.table.labelled(), images.store)
        read = tables.read_labels if split == "train" else tables.read_clean
        return self._present(read(self.files.table(split)), self._store("train"), split)

    @cached_property
    def _test_ids(self) -> NDArray[np.uint64]:
        return tables.read_ids(self.files.table("test"))

    @cached_property
    def _index_table(self) -> ImageTable:
        ids = tables.read_ids(self.files.table("index"))
        if not self.files.has_table("index_image_to_landmark"):
            return ImageTable.unlabelled(ids)
        path = self.files.table("index_image_to_landmark")
        labels = tables.read_labels(path, INDEX_PREFIX)
        tables.refuse_unknown(path, labels.ids, ids, self.files.table("index"))
        rows = labels.find(ids)
        landmarks = np.where(rows >= 0, labels.landmarks[rows], -1).astype(np.int32)
        return ImageTable(ids, landmarks, labels.landmark_names)

    def _store(self, folder: str) -> ImageStore:
        if folder not in self._stores:
            self._stores[folder] = self.files.open_store(folder)
        return self._stores[folder]

    def _present(self, table: ImageTable, store: ImageStore, split: str) -> ImageSet:
        """Raise an error for images missing in the store, or leave them out, as `missing` says."""
        images = ImageSet(table, store)
        here = images.present
        if here.all():
            return images
        absent = table.ids[~here]
        if split == "train_clean" and self.files.has_table("train"):
            # Only now: reading train.csv takes ten times as long as train_clean.csv.
            clean, whole = self.files.table(split), self.files.table("train")
            tables.refuse_unknown(clean, absent, tables.read_ids(whole), whole)
        message = (
            f"{self.root / split.removesuffix('_clean')}: {len(absent)} of {len(table)} images of {split} "
            f"are missing, first {', '.join(format_ids(absent[:3]))}"
        )
        if self.missing == "error":
            raise LandmarksError(f"{message}; download the rest or set data.source.missing=skip")
        log.warning("%s; they are left out", message)
        return images.take(here)
