"""The classes of a detector, in the order of its labels.

Open Images identifies a class by a machine name such as /m/01fdzj and gives its title in a table without a header,
`/m/01fdzj,Tower`. The 500 lines of `challenge-2018-class-descriptions-500.csv` are the classes of the published 2019
detector, in its order: label 0 is background, label i is line i.
"""

import csv
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError

BACKGROUND = 1  # a detector's labels are rows of `DetectionClasses` plus this


@dataclass(frozen=True, eq=False)
class DetectionClasses:
    """The classes that a detector distinguishes.

    Attributes:
        names: str [C], machine names such as /m/01fdzj, each once.
        titles: str [C], human-readable names such as "Tower".
    """

    names: NDArray[np.str_]
    titles: NDArray[np.str_]

    def __post_init__(self) -> None:
        if self.names.shape != self.titles.shape or self.names.ndim != 1 or not len(self.names):
            raise LandmarksError(
                f"{self.names.shape} names but {self.titles.shape} titles; give one of each to at least one class"
            )
        if len(self._rows) != len(self.names):
            names = self.names.tolist()
            twice = next(name for row, name in enumerate(names) if self._rows[name] != row)
            raise LandmarksError(f"the class {twice} occurs twice; give each class once")

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names.tolist())}

    @cached_property
    def _rows_by_title(self) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = {}
        for row, title in enumerate(self.titles.tolist()):
            rows.setdefault(title.casefold(), []).append(row)
        return rows

    def called(self, name_or_title: str) -> list[int]:
        """Return the rows of the classes with this machine name, or this title in any case; two may share a title."""
        if name_or_title in self._rows:
            return [self._rows[name_or_title]]
        return self._rows_by_title.get(name_or_title.casefold(), [])

    def find(self, name_or_title: str) -> int:
        """Return the row of a class, given its machine name, or its title in any case.

        Raises:
            LandmarksError: There is no such class (the message suggests similar ones), or two classes have this title,
                such as Bench and Mouse in the challenge's table.
        """
        rows = self.called(name_or_title)
        if len(rows) == 1:
            return rows[0]
        if rows:
            names = " and ".join(self.names[rows].tolist())
            raise LandmarksError(f"{name_or_title!r} is the title of both {names}; give one of these names instead")
        alike = get_close_matches(name_or_title.casefold(), self._rows_by_title, n=3)
        close = [str(self.titles[self._rows_by_title[title][0]]) for title in alike]
        close = close or get_close_matches(name_or_title, self._rows, n=3)
        hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "give a title such as 'Tower'"
        raise LandmarksError(f"{name_or_title!r} is not one of the {len(self)} classes of the detector; {hint}")

    def rows(self, names: NDArray[np.str_]) -> NDArray[np.int32]:
        """Return the row of each machine name: str [N] -> int32 [N], -1 for an unknown one."""
        distinct, places = np.unique(names, return_inverse=True)
        rows = np.array([self._rows.get(name, -1) for name in distinct.tolist()], dtype=np.int32)
        return rows[places] if len(names) else rows


def read_classes(path: str | Path) -> DetectionClasses:
    """Read a table of classes with lines such as `/m/01fdzj,Tower`, with or without the header LabelName,DisplayName.

    Raises:
        LandmarksError: The file cannot be read or is invalid; names the line.
    """
    path = Path(path)
    names: dict[str, int] = {}
    titles: list[str] = []
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            lines = csv.reader(file)
            for fields in lines:
                if not fields or (not names and fields == ["LabelName", "DisplayName"]):
                    continue
                name, title = _description(path, lines.line_num, fields)
                if name in names:
                    raise LandmarksError(
                        f"{path}, line {lines.line_num}: {name} is already on line {names[name]}; give each class once"
                    )
                names[name] = lines.line_num
                titles.append(title)
    except OSError as error:
        raise LandmarksError(f"{path}: the classes cannot be read ({error.strerror})") from error
    except csv.Error as error:
        raise LandmarksError(f"{path}: not a CSV file ({error}); write lines such as '/m/01fdzj,Tower'") from error
    if not names:
        raise LandmarksError(f"{path}: holds no classes; write lines such as '/m/01fdzj,Tower'")
    return DetectionClasses(np.array(list(names), dtype=np.str_), np.array(titles, dtype=np.str_))


def _description(path: Path, line: int, fields: list[str]) -> tuple[str, str]:
    if len(fields) == 2 and is_machine_name(fields[0]) and fields[1].strip():
        return fields[0], fields[1].strip()
    shown = ",".join(fields)[:60]
    raise LandmarksError(f"{path}, line {line}: {shown!r} is not a class; write a line such as '/m/01fdzj,Tower'")


def is_machine_name(text: str) -> bool:
    """Return whether a text looks like a machine name such as /m/01fdzj or /g/11b5m75d4q."""
    return text.startswith(("/m/", "/g/", "/t/")) and len(text) > 3 and not any(c.isspace() for c in text)
