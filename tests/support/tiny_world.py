"""A part of the demo world that tests can read in no time: 8 landmarks and 165 images in the official layout."""

import csv
import io
import os
import shutil
import tarfile
from collections.abc import Callable
from contextlib import suppress
from hashlib import md5
from pathlib import Path

from landmarks.config import demo_data

WORLD = Path(demo_data("world"))
# The last but one is in train only, the last in the index only; train_clean leaves out 5 images of the others.
LANDMARKS = (
    "Cathedral of Belona", "Lattice tower of Norona", "Mosque of Korford", "Onion church of Aldhaven",
    "Palace of Varville", "Pyramid of Ostermoor", "Suspension bridge of Ashona", "Castle of Aldmere",
)  # fmt: skip
EMPTY = {"index": 4, "test": 9}  # images without a landmark
IMAGES = {"train": 97, "index": 33, "test": 35}

Row = dict[str, str]


def write_tiny_world(root: Path) -> None:
    """Copy the part to `root`; whoever comes second, at the same time even, finds it there."""
    if root.is_dir():
        return
    part = root.with_name(f".{root.name}.{os.getpid()}")
    ids = _write_tables(part)
    for split, chosen in ids.items():
        assert len(chosen) == IMAGES[split]
        _write_tars(part, split, chosen)
    with suppress(OSError):  # another process was faster
        part.rename(root)
    shutil.rmtree(part, ignore_errors=True)


def _write_tables(part: Path) -> dict[str, set[str]]:
    """Write the rows of the chosen landmarks and images, and return the ids of each split."""

    def keep(name: str, chosen: Callable[[Row], bool]) -> list[Row]:
        with (WORLD / name).open(newline="") as file:
            rows = csv.DictReader(file)
            kept = [row for row in rows if chosen(row)]
        (part / name).parent.mkdir(parents=True, exist_ok=True)
        with (part / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, rows.fieldnames or ())
            writer.writeheader()
            writer.writerows(kept)
        return kept

    def is_chosen(row: Row) -> bool:
        return row["category"].removeprefix("Category:") in LANDMARKS

    names = {split: keep(f"metadata/{split}_label_to_category.csv", is_chosen) for split in ("train", "index")}
    numbers = {split: {row["landmark_id"] for row in rows} for split, rows in names.items()}
    train = keep("metadata/train.csv", lambda row: row["landmark_id"] in numbers["train"])
    keep("metadata/train_clean.csv", lambda row: row["landmark_id"] in numbers["train"])

    labels = "metadata/index_image_to_landmark.csv"
    labelled = {row["id"] for row in _rows(labels)}
    index = {row["id"] for row in keep(labels, lambda row: row["landmark_id"] in numbers["index"])}
    index.update([row["id"] for row in _rows("metadata/index.csv") if row["id"] not in labelled][: EMPTY["index"]])
    keep("metadata/index.csv", lambda row: row["id"] in index)

    solutions = [f"ground_truth/{task}_solution_v2.1.csv" for task in ("recognition", "retrieval")]
    test, empty = set(), []
    for one, other in zip(*map(_rows, solutions), strict=True):
        if one["landmarks"] in numbers["train"] or other["images"].split()[0] in index:
            test.add(one["id"])
        elif not one["landmarks"] and other["images"] == "None":
            empty.append(one["id"])
    test.update(empty[: EMPTY["test"]])
    for name in ("metadata/test.csv", *solutions):
        keep(name, lambda row: row["id"] in test)
    return {"train": {row["id"] for row in train}, "index": index, "test": test}


def _rows(name: str) -> list[Row]:
    with (WORLD / name).open(newline="") as file:
        return list(csv.DictReader(file))


def _write_tars(part: Path, split: str, ids: set[str]) -> None:
    (part / split).mkdir()
    (part / "md5sum" / split).mkdir(parents=True)
    for path in sorted((WORLD / split).glob("*.tar")):
        copy = part / split / path.name
        with tarfile.open(path) as tar, tarfile.open(copy, "w", format=tarfile.USTAR_FORMAT) as target:
            for member in tar:
                file = tar.extractfile(member)
                if file is not None and Path(member.name).stem in ids:
                    target.addfile(member, io.BytesIO(file.read()))
        digest = md5(copy.read_bytes()).hexdigest()
        (part / "md5sum" / split / f"md5.{path.stem}.txt").write_text(f"{digest}  {path.name}\n")
