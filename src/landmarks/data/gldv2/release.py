"""The files of the official release of Google Landmarks v2, and how to tell whether one was downloaded completely.

Names, counts and columns are those of https://github.com/cvdfoundation/google-landmark (version 2.1 with the
hierarchical labels of May 2023). An md5 sum is published for every tar and for nothing else.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from landmarks.errors import LandmarksError

BASE_URL = "https://s3.amazonaws.com/google-landmark"  # address of the release
TARS = {"train": 500, "index": 100, "test": 20}  # number of tars in each folder
FOLDERS = tuple(TARS)  # folders of images
SPLITS = (*FOLDERS, "metadata")  # parts of the release that can be downloaded

# The files that training and evaluation read, with their first lines.
NEEDED = {
    "metadata/train.csv": "id,url,landmark_id",
    "metadata/train_clean.csv": "landmark_id,images",
    "metadata/index.csv": "id",
    "metadata/index_image_to_landmark.csv": "id,landmark_id",
    "metadata/test.csv": "id",
    "ground_truth/recognition_solution_v2.1.csv": "id,landmarks,Usage",
    "ground_truth/retrieval_solution_v2.1.csv": "id,images,Usage",
}
# Descriptive files for human readers, with their first column.
OPTIONAL = {
    "metadata/train_attribution.csv": "id",
    "metadata/train_label_to_category.csv": "landmark_id",
    "metadata/train_label_to_hierarchical.csv": "landmark_id",
    "metadata/index_label_to_category.csv": "landmark_id",
    "metadata/index_label_to_hierarchical.csv": "landmark_id",
}
_NUMBERS = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")
_MD5_LINE = re.compile(r"([0-9a-f]{32})[ \t]+\*?(\S+)\s*")


@dataclass(frozen=True)
class ReleaseFile:
    """A file of the release.

    Attributes:
        path: Its path below the base address, and below the root of a copy.
        md5_path: The file with its md5 sum, for tars only.
        first_columns: The first columns of its header, for tables only.
        needed: Whether training or evaluation reads the file.
    """

    path: str
    md5_path: str | None = None
    first_columns: str | None = None
    needed: bool = True

    def is_first_line(self, line: str) -> bool:
        """Return whether the file may begin with this line; a tar may begin with anything."""
        plain = line.removeprefix("\ufeff").replace('"', "")
        return self.first_columns is None or f"{plain},".startswith(f"{self.first_columns},")


def tar_files(split: str, numbers: Iterable[int]) -> list[ReleaseFile]:
    """Return the tars with these numbers of "train", "index" or "test"."""
    return [
        ReleaseFile(f"{split}/images_{number:03d}.tar", f"md5sum/{split}/md5.images_{number:03d}.txt")
        for number in numbers
    ]


def metadata_files() -> list[ReleaseFile]:
    """Return all tables and the ground truth, needed files first."""
    needed = [ReleaseFile(path, first_columns=columns) for path, columns in NEEDED.items()]
    return needed + [ReleaseFile(path, first_columns=column, needed=False) for path, column in OPTIONAL.items()]


def chosen_files(splits: Sequence[str], tars: str | None = None) -> list[ReleaseFile]:
    """Return the files to download.

    Args:
        splits: Some of `SPLITS`.
        tars: The numbers of the tars to choose, such as "7", "0-99" or "0-3,8"; None chooses all.

    Raises:
        LandmarksError: `tars` is invalid, or none of the splits has tars.
    """
    with_tars = [name for name in splits if name in TARS]
    if tars is not None and not with_tars:
        raise LandmarksError(f"--tars {tars}: the metadata has no tars; choose --split train, index or test")
    files = metadata_files() if "metadata" in splits else []
    for name in with_tars:
        files += tar_files(name, range(TARS[name]) if tars is None else parse_tar_numbers(tars, name))
    return files


def parse_tar_numbers(text: str, split: str) -> list[int]:
    """Read a choice of tars such as "7", "0-99" or "0-3,8": each number once, in order."""
    last = TARS[split] - 1
    numbers: set[int] = set()
    for part in text.split(","):
        match = _NUMBERS.fullmatch(part.strip())
        if match is None:
            raise LandmarksError(f"--tars {text}: {part!r} is neither a number nor a range; write for example 0-3,8")
        first, end = int(match[1]), int(match[2] or match[1])
        if first > end:
            raise LandmarksError(f"--tars {text}: the range {part} runs backwards; write {end}-{first}")
        if end > last:
            raise LandmarksError(f"--tars {text}: {split} has the tars 0-{last} only, not {end}")
        numbers.update(range(first, end + 1))
    return sorted(numbers)


def parse_md5(line: str, tar_name: str) -> str | None:
    """Return the md5 sum in the line of an `md5.images_NNN.txt`, or None if the line is not about that tar."""
    match = _MD5_LINE.fullmatch(line)
    return match[1] if match is not None and match[2] == tar_name else None
