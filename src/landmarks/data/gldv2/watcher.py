"""What a download tells: how far it is while it runs, and what became of each file."""

from dataclasses import dataclass
from typing import Literal, Protocol

State = Literal["done", "skipped", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of a file: `size` in bytes as it lies there (0 if it does not), and why."""

    path: str
    state: State
    size: int
    reason: str


class Watcher(Protocol):
    """Is told how a download goes, from several threads."""

    def planned(self, files: int, size: int) -> None:
        """So many files are to be completed (or checked), for which so many bytes are still to come."""

    def reached(self, path: str, size: int, total: int | None) -> None:
        """So many bytes of a file are there (or checked), of a total that may be unknown."""

    def ended(self, outcome: Outcome) -> None:
        """A file is done, skipped or failed."""
