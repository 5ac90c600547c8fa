"""The findings of a check of a Google Landmarks v2 folder, as messages, as JSON and as a list of ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from landmarks.data.gldv2.checks.images import ImageFault
from landmarks.errors import LandmarksError
from landmarks.ids import format_id, format_ids
from landmarks.storage import atomic_file

Split = Literal["train", "train_clean", "index", "test"]
CHECKED_SPLITS: tuple[Split, ...] = get_args(Split)  # splits that the checks cover
# Folder of each split's images, by split.
FOLDER: dict[Split, str] = {"train": "train", "train_clean": "train", "index": "index", "test": "test"}
# What `train.py data=gldv2` reads by default: train_clean for training and gallery, index and test for evaluation.
NEEDED: tuple[Split, ...] = ("train_clean", "index", "test")

TableFault = Literal["missing", "unlisted", "listed_twice", "stored_twice", "unlabelled", "unknown", "leaked"]
TABLE_FAULTS: tuple[TableFault, ...] = get_args(TableFault)  # faults found by comparing tables and tars
IMAGE_FAULTS: tuple[ImageFault, ...] = get_args(ImageFault)  # faults found by decoding images
Kind = TableFault | ImageFault
# Faults of images that training can leave out; other faults are errors in files, or images that are in no table.
EXCLUDABLE: tuple[Kind, ...] = ("missing", "leaked", *IMAGE_FAULTS)
EXAMPLES = 3
MAX_UNREADABLE = 100  # data.max_unreadable of conf/data/gldv2.yaml: a run stops at the next one


@dataclass(frozen=True, eq=False)
class Fault:
    """Images of one split with the same fault.

    Attributes:
        kind: The fault.
        split: The split.
        ids: uint64 [N].
        where: Where each was found: a tar, a table or a reason.
        blocks: Splits that cannot be used because of it.
    """

    kind: Kind
    split: Split
    ids: NDArray[np.uint64]
    where: Sequence[str]
    blocks: frozenset[Split] = frozenset()


@dataclass(frozen=True)
class FileProblem:
    """A message about a missing, corrupt or invalid file, and the splits that it makes unusable."""

    message: str
    blocks: frozenset[Split]


@dataclass(frozen=True)
class Findings:
    """All findings of a check.

    Attributes:
        root: Folder or address of the data set.
        deep: Whether the images were decoded.
        needed: The splits that must be usable for training to start.
        counts: For each checked split the images in its table that are "listed", "present" or "without_landmark", and
            its "landmarks" and "landmarks_with_one_image".
        faults: At most one for each kind, split and cause, none without images.
        problems: Missing, corrupt or invalid files.
    """

    root: str
    deep: bool
    needed: tuple[Split, ...]
    counts: dict[Split, dict[str, int]]
    faults: tuple[Fault, ...]
    problems: tuple[FileProblem, ...]

    def usable(self, split: Split) -> bool:
        """Return whether a split can be used in spite of all findings."""
        findings: list[Fault | FileProblem] = [*self.faults, *self.problems]
        return all(split not in finding.blocks for finding in findings)

    @property
    def can_train(self) -> bool:
        """Whether all needed splits can be used."""
        return all(self.usable(split) for split in self.needed)

    @property
    def reasons(self) -> list[str]:
        """Sentences that say why training cannot start and what to do; empty if it can start."""
        needed = set(self.needed)
        reasons = [problem.message for problem in self.problems if problem.blocks & needed]
        blocking = [fault for fault in self.faults if fault.blocks & needed]
        missing = [fault for fault in blocking if fault.kind == "missing"]
        if missing:
            parts = [f"{len(one.ids):,} of {self.counts[one.split]['listed']:,} of {one.split}" for one in missing]
            folders = ",".join(dict.fromkeys(FOLDER[one.split] for one in missing))
            reasons.append(
                f"images are missing, {' and '.join(parts)}: `landmarks data download --root {self.root} --split "
                f"{folders}` downloads them, data.source.missing=skip trains without them"
            )
        reasons += [
            f"{_images(fault)} of {fault.split} cannot be read, and a run stops at more than "
            f"{MAX_UNREADABLE}: {_remedy(fault.split)}"
            for fault in blocking
            if fault.kind == "unreadable"
        ]
        return reasons + [
            f"{fault.where[0]} names {_images(fault)} that metadata/{fault.split}.csv does not list: both "
            "files must be of the same release; download them again"
            for fault in blocking
            if fault.kind == "unknown"
        ]

    def count(self, kind: Kind, split: Split) -> int:
        """Return how many images of a split have a fault."""
        ids = [fault.ids for fault in self._of(kind, split)]
        return len(ids[0]) if len(ids) == 1 else len(np.unique(np.concatenate([np.empty(0, np.uint64), *ids])))

    def examples(self, kind: Kind, split: Split) -> list[tuple[str, str]]:
        """Return the first few ids with a fault and where they were found."""
        pairs = (pair for one in self._of(kind, split) for pair in zip(one.ids.tolist(), one.where, strict=True))
        return [(format_id(image_id), where) for image_id, where in islice(pairs, EXAMPLES)]

    def _of(self, kind: Kind, split: Split) -> list[Fault]:
        return [fault for fault in self.faults if (fault.kind, fault.split) == (kind, split)]

    def as_json(self) -> dict[str, Any]:
        """Return the findings as JSON values, always with all keys; counts that need decoding are null without it."""
        return {
            "root": self.root,
            "deep": self.deep,
            "can_train": self.can_train,
            "reasons": self.reasons,
            "needed": list(self.needed),
            "splits": {
                split: {
                    "usable": self.usable(split),
                    **counts,
                    "faults": {kind: self._fault_json(kind, split) for kind in (*TABLE_FAULTS, *IMAGE_FAULTS)},
                }
                for split, counts in self.counts.items()
            },
            "problems": [{"message": problem.message, "blocks": sorted(problem.blocks)} for problem in self.problems],
        }

    def _fault_json(self, kind: Kind, split: Split) -> dict[str, Any]:
        unknown = kind in IMAGE_FAULTS and not self.deep
        examples = [{"id": image_id, "where": where} for image_id, where in self.examples(kind, split)]
        return {"count": None if unknown else self.count(kind, split), "examples": examples}

    def write_list(self, path: Path) -> int:
        """Write the ids of images that training can leave out as a CSV file for `data.source.exclude`.

        The columns are id, kind, split and where. An image of train and train_clean is listed once for each of its
        faults. Images of test are not listed, since they are never trained on.

        Args:
            path: The file.

        Returns:
            The number of images in the list.

        Raises:
            LandmarksError: The file cannot be written.
        """
        parts = [
            pl.DataFrame({"id": format_ids(fault.ids), "where": list(fault.where)}).select(
                "id", pl.lit(fault.kind).alias("kind"), pl.lit(fault.split).alias("split"), "where"
            )
            for fault in self.faults
            if fault.kind in EXCLUDABLE and fault.split != "test"
        ]
        nothing = pl.DataFrame(schema=dict.fromkeys(("id", "kind", "split", "where"), pl.String))
        listed = pl.concat([nothing, *parts]).unique(["id", "kind"], keep="first", maintain_order=True)
        try:
            with atomic_file(path) as file:
                listed.write_csv(file)
        except OSError as error:
            raise LandmarksError(f"{path}: the list cannot be written ({error.strerror or error})") from error
        return listed["id"].n_unique()


def _images(fault: Fault) -> str:
    return f"{len(fault.ids):,} image{'s' if len(fault.ids) > 1 else ''}"


def _remedy(split: Split) -> str:
    """Return what to do about many unreadable images; exclude lists apply to training, not to evaluation."""
    if FOLDER[split] == "train":
        return "write them to a file with `--list FILE` and give that as data.source.exclude"
    return "download its tars again, or raise data.max_unreadable"
