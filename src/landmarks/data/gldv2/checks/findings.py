"""What a check of a Google Landmarks v2 folder found, for people, for programs and as a list of ids."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from landmarks.data.gldv2.checks.records import PictureFault
from landmarks.data.gldv2.checks.tables import no_ids
from landmarks.errors import LandmarksError
from landmarks.ids import find_sorted, format_id, format_ids
from landmarks.storage.atomic_file import atomic_file

Split = Literal["train", "train_clean", "index", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
FOLDER: dict[Split, str] = {"train": "train", "train_clean": "train", "index": "index", "test": "test"}
# What `train.py data=gldv2` reads unless told otherwise: train_clean to train on and to vote, index and test to score.
NEEDED: tuple[Split, ...] = ("train_clean", "index", "test")

TableFault = Literal["missing", "unlisted", "listed_twice", "stored_twice", "unlabelled", "unknown", "leaked"]
TABLE_FAULTS: tuple[TableFault, ...] = get_args(TableFault)
PICTURE_FAULTS: tuple[PictureFault, ...] = get_args(PictureFault)
Kind = TableFault | PictureFault
# What training can leave out; the other kinds are mistakes in files, or pictures that no table names.
EXCLUDABLE: tuple[Kind, ...] = ("missing", "leaked", *PICTURE_FAULTS)
EXAMPLES = 3
MAX_UNREADABLE = 100  # data.max_unreadable of conf/data/gldv2.yaml: a run stops at the next one


@dataclass(frozen=True, eq=False)
class Fault:
    """Pictures of one split with the same fault.

    Attributes:
        kind: What is wrong with them.
        split: Whose pictures they are.
        ids: uint64 [N].
        where: N places: a tar, a table, a reason.
        blocks: Splits that cannot be used because of it.
    """

    kind: Kind
    split: Split
    ids: NDArray[np.uint64]
    where: Sequence[str]
    blocks: frozenset[Split] = frozenset()


@dataclass(frozen=True)
class FileProblem:
    """A file that is missing, damaged or wrong: a message that names it, and the splits that it makes unusable."""

    message: str
    blocks: frozenset[Split]


@dataclass(frozen=True)
class SplitCounts:
    """How much of a split there is.

    Attributes:
        listed: Pictures in its table.
        present: Those of them whose bytes are there.
        without_landmark: Those in its table that have none; most test pictures, some of the index.
        landmarks: Distinct ones.
        single: Landmarks with one picture.
    """

    listed: int
    present: int
    without_landmark: int
    landmarks: int
    single: int


@dataclass(frozen=True)
class Findings:
    """All that was found.

    Attributes:
        root: The folder or address that was checked.
        deep: Whether the pictures were decoded.
        needed: The splits on which it depends whether training can start.
        counts: Of each split that was checked.
        faults: At most one of each kind and split and cause, none without pictures.
        problems: Files with which something is wrong.
    """

    root: str
    deep: bool
    needed: tuple[Split, ...]
    counts: dict[Split, SplitCounts]
    faults: tuple[Fault, ...]
    problems: tuple[FileProblem, ...]

    def usable(self, split: Split) -> bool:
        """Whether nothing that was found keeps a split from being used."""
        blocked = frozenset().union(*(one.blocks for one in self.faults), *(one.blocks for one in self.problems))
        return split not in blocked

    @property
    def can_train(self) -> bool:
        """Whether all needed splits can be used."""
        return all(self.usable(split) for split in self.needed)

    @property
    def reasons(self) -> list[str]:
        """Why training cannot start and what to do, a sentence each; empty if it can."""
        needed = set(self.needed)
        reasons = [problem.message for problem in self.problems if problem.blocks & needed]
        missing = [fault for fault in self.faults if fault.kind == "missing" and fault.blocks & needed]
        if missing:
            parts = [f"{len(one.ids):,} of {self.counts[one.split].listed:,} of {one.split}" for one in missing]
            folders = ",".join(dict.fromkeys(FOLDER[one.split] for one in missing))
            reasons.append(
                f"pictures are missing, {' and '.join(parts)}: `landmarks data download --root {self.root} --split "
                f"{folders}` fetches them, data.source.missing=skip trains without them"
            )
        reasons += [
            f"{_pictures(len(fault.ids))} of {fault.split} cannot be read, and a run stops at more than "
            f"{MAX_UNREADABLE}: {_remedy(fault.split)}"
            for fault in self.faults
            if fault.kind == "unreadable" and fault.blocks & needed
        ]
        return reasons + [
            f"{fault.where[0]} names {_pictures(len(fault.ids))} that metadata/{fault.split}.csv does not list: both "
            "files must be of the same release, download them again"
            for fault in self.faults
            if fault.kind == "unknown" and fault.blocks & needed
        ]

    def count(self, kind: Kind, split: Split) -> int:
        """Pictures of a split with a fault."""
        ids = [fault.ids for fault in self.faults if (fault.kind, fault.split) == (kind, split)]
        return len(ids[0]) if len(ids) == 1 else len(np.unique(np.concatenate([no_ids(), *ids])))

    def examples(self, kind: Kind, split: Split) -> list[tuple[str, str]]:
        """The first few ids and places."""
        pairs = (
            (format_id(image_id), where)
            for fault in self.faults
            if (fault.kind, fault.split) == (kind, split)
            for image_id, where in zip(fault.ids[:EXAMPLES].tolist(), fault.where[:EXAMPLES], strict=True)
        )
        return [pair for pair, _ in zip(pairs, range(EXAMPLES), strict=False)]

    def as_json(self) -> dict[str, Any]:
        """The same for programs. The keys are always all there; counts that only decoding tells are null without."""
        return {
            "root": self.root,
            "deep": self.deep,
            "can_train": self.can_train,
            "reasons": self.reasons,
            "needed": list(self.needed),
            "splits": {split: self._split_json(split) for split in self.counts},
            "problems": [{"message": problem.message, "blocks": sorted(problem.blocks)} for problem in self.problems],
        }

    def _split_json(self, split: Split) -> dict[str, Any]:
        counts = self.counts[split]
        faults: dict[str, Any] = {}
        for kind in (*TABLE_FAULTS, *PICTURE_FAULTS):
            examples = [{"id": image_id, "where": where} for image_id, where in self.examples(kind, split)]
            unknown = kind in PICTURE_FAULTS and not self.deep
            faults[kind] = {"count": None if unknown else self.count(kind, split), "examples": examples}
        return {
            "usable": self.usable(split),
            "listed": counts.listed,
            "present": counts.present,
            "without_landmark": counts.without_landmark,
            "landmarks": counts.landmarks,
            "landmarks_with_one_picture": counts.single,
            "faults": faults,
        }

    def write_list(self, path: Path) -> int:
        """Write the ids of pictures that training can leave out as CSV, and how many they are.

        The columns are id, kind, split and where; the file can be given as `data.source.exclude`. A picture of train
        and train_clean is listed once for each of its faults. Pictures of test are no part of any training.

        Raises:
            LandmarksError: The file cannot be written.
        """
        listed: dict[Kind, NDArray[np.uint64]] = {}
        try:
            with atomic_file(path) as file:
                text = io.TextIOWrapper(file, "utf-8", newline="")
                writer = csv.writer(text, lineterminator="\n")
                writer.writerow(["id", "kind", "split", "where"])
                for fault in self.faults:
                    if fault.kind not in EXCLUDABLE or fault.split == "test":
                        continue
                    before = listed.get(fault.kind, no_ids())
                    rows = np.flatnonzero(find_sorted(before, fault.ids) < 0)
                    for row, name in zip(rows.tolist(), format_ids(fault.ids[rows]), strict=True):
                        writer.writerow([name, fault.kind, fault.split, fault.where[row]])
                    listed[fault.kind] = np.sort(np.concatenate([before, fault.ids[rows]]))
                text.detach()
        except OSError as error:
            raise LandmarksError(f"{path}: the list cannot be written ({error.strerror or error})") from error
        return len(np.unique(np.concatenate([no_ids(), *listed.values()])))


def _pictures(count: int) -> str:
    return f"{count:,} picture{'s' if count > 1 else ''}"


def _remedy(split: Split) -> str:
    """What to do about many unreadable pictures: lists leave pictures out of training, not out of the evaluation."""
    if FOLDER[split] == "train":
        return "write them to a file with `--list FILE` and give that as data.source.exclude"
    return "download its tars again, or raise data.max_unreadable"
