"""Lists of images or landmarks to train on, or to leave out, such as those of the revisited Oxford and Paris sets.

A list is a text file with one entry per line and comments after `#`. An entry is an image (16 hex digits), a landmark
of the train set (`1501`) or one of the index set (`index:1501`).

A list can also be a CSV file whose header has a column `images` (as in train_clean.csv), `id` (as in train.csv) or
`landmark_id` (as in train_label_to_category.csv); the first of these that exists is read. A CSV file may have no rows:
`landmarks data verify --list` writes one if it finds nothing to leave out. CSV is read several times as fast as text.
"""

import re
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.data.table import INDEX_PREFIX, ImageTable
from landmarks.errors import LandmarksError
from landmarks.ids import ID_PATTERN, find_sorted, format_id
from landmarks.storage import read_rows

LANDMARK = re.compile("(?P<space>index:)?(?P<number>[0-9]{1,9})")
is_id = re.compile(ID_PATTERN).fullmatch
COLUMNS = ("images", "id", "landmark_id")


@dataclass(frozen=True, eq=False)
class ImageList:
    """The N images and the landmarks of a list, with their line numbers for messages."""

    path: Path
    ids: NDArray[np.uint64]
    id_lines: NDArray[np.int64]
    landmarks: Mapping[str, int]  # name as in an image table -> line

    def __len__(self) -> int:
        return len(self.ids) + len(self.landmarks)

    def rows(self, table: ImageTable) -> NDArray[np.bool_]:
        """Return which images of a table are listed, by their id or by their landmark: bool [N]."""
        names = np.isin(table.landmark_names, np.array(list(self.landmarks), dtype=np.str_))
        # Landmark -1 looks up the appended False.
        rows = np.append(names, False)[table.landmarks]
        if len(self.ids):
            rows |= find_sorted(np.sort(self.ids), table.ids) >= 0
        return rows

    def refuse_unknown(self, tables: Iterable[tuple[str, Callable[[], ImageTable]]]) -> None:
        """Raise LandmarksError if no table contains an entry; a table is opened only if earlier ones lack an entry."""
        unknown, landmarks = np.arange(len(self.ids)), dict(self.landmarks)
        searched = []
        for name, opened in tables:
            if not len(unknown) and not landmarks:
                return
            table = opened()
            searched.append(name)
            unknown = unknown[find_sorted(np.sort(table.ids), self.ids[unknown]) < 0]
            known = set(table.landmark_names.tolist())
            landmarks = {landmark: line for landmark, line in landmarks.items() if landmark not in known}
        entries = [(int(self.id_lines[row]), f"image {format_id(self.ids[row])}") for row in unknown[:1]]
        entries += [(line, f"landmark {landmark}") for landmark, line in landmarks.items()]
        if entries:
            line, entry = min(entries)
            raise LandmarksError(
                f"{self.path}, line {line}: {entry} is not in {' or '.join(searched)}; "
                f"{len(unknown) + len(landmarks)} of the {len(self)} entries are unknown: correct or remove them"
            )


def read_image_list(path: Path) -> ImageList:
    """Read a list in any of the formats above.

    Args:
        path: The text or CSV file.

    Returns:
        The images and landmarks that it lists.

    Raises:
        LandmarksError: The file cannot be read, is empty or has an invalid line; names the file and the line.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            header = [name.strip('"') for name in file.readline().rstrip().split(",")]
            column = next((name for name in COLUMNS if name in header), None)
            file.seek(0)
            return _read_text(path, file) if column is None else _read_csv(path, column)
    except OSError as error:
        raise LandmarksError(f"{path}: the list cannot be read ({error.strerror})") from error


def _read_text(path: Path, lines: Iterable[str]) -> ImageList:
    # Arrays, not lists: an image then costs 16 bytes.
    ids, id_lines = array("Q"), array("q")
    landmarks: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if is_id(text):
            ids.append(int(text, 16))
            id_lines.append(number)
        elif text:
            landmarks.setdefault(_landmark(path, number, text), number)
    if not ids and not landmarks:
        raise LandmarksError(f"{path}: the list is empty; list images or landmarks, one per line, or give no list")
    return ImageList(path, np.array(ids, dtype=np.uint64), np.array(id_lines, dtype=np.int64), landmarks)


def _read_csv(path: Path, column: str) -> ImageList:
    landmarks: dict[str, int] = {}
    ids, id_lines = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    for rows in read_rows(path, (column,)):
        if column == "landmark_id":
            for line, text in zip(rows.lines.tolist(), rows.texts(column), strict=True):
                landmarks.setdefault(_landmark(path, line, text), line)
        else:
            images, offsets = rows.id_lists(column)
            ids.append(images)
            id_lines.append(np.repeat(rows.lines, np.diff(offsets)))
    return ImageList(path, np.concatenate(ids), np.concatenate(id_lines), landmarks)


def _landmark(path: Path, line: int, text: str) -> str:
    """Return the name of a landmark in an image table: numbers without leading zeros."""
    landmark = LANDMARK.fullmatch(text)
    if landmark is None:
        raise LandmarksError(
            f"{path}, line {line}: {text[:40]!r} is neither an image (16 digits of 0-9 and a-f) nor a landmark (1501, "
            f"or {INDEX_PREFIX}1501 of the index set)"
        )
    return f"{landmark['space'] or ''}{int(landmark['number'])}"


def listed_rows(
    table: ImageTable,
    include: Path | None,
    exclude: Path | None,
    tables: Sequence[tuple[str, Callable[[], ImageTable]]],
) -> NDArray[np.bool_]:
    """Apply a list of images to keep and a list of images to leave out.

    Args:
        table: The N images to choose from.
        include: The list of images to keep; None keeps all.
        exclude: The list of images to leave out.
        tables: Named tables that may contain entries of the lists, whether or not `table` does; opened when needed.

    Returns:
        Which images of `table` remain: bool [N].

    Raises:
        LandmarksError: A list cannot be read, has an entry that no table contains, or no image remains.
    """
    rows = np.ones(len(table), dtype=np.bool_)
    for path, keep in ((include, True), (exclude, False)):
        if path is not None:
            listed = read_image_list(path)
            listed.refuse_unknown(tables)
            rows &= listed.rows(table) == keep
    if not rows.any():
        names = " and ".join(str(path) for path in (include, exclude) if path is not None)
        raise LandmarksError(f"{names}: none of the {len(table)} images of {tables[0][0]} remains; correct the lists")
    return rows
