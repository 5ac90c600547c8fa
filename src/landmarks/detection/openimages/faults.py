"""What cannot be right in an annotation file: counted by kind and told once, or the first of it an error.

Among millions of boxes drawn by hand a few are wrong. To leave them out unsaid would hide that a file was converted
badly; to stop at each would make the others useless.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError

Policy = Literal["error", "skip"]

log = logging.getLogger(__name__)


@dataclass
class Faults:
    """An account of one file.

    Attributes:
        path: The file.
        policy: "error" stops at the first row that is wrong; "skip" leaves such rows out and counts them.
        rows: Rows that were looked at.
        left_out: For each kind of fault how many rows have it, and the first of them.
        mended: The same of rows that are used after a repair.
    """

    path: Path
    policy: Policy
    rows: int = 0
    left_out: dict[str, tuple[int, str]] = field(default_factory=dict)
    mended: dict[str, tuple[int, str]] = field(default_factory=dict)

    def judge(
        self,
        faults: dict[str, NDArray[np.bool_]],
        mended: dict[str, NDArray[np.bool_]],
        describe: Callable[[int], str],
    ) -> NDArray[np.bool_]:
        """Account for some rows."""
        usable = ~np.any(list(faults.values()), axis=0)
        self.rows += len(usable)
        if self.policy == "error":
            self._refuse({**faults, **mended}, describe)
        free = np.ones(len(usable), np.bool_)
        for kind, rows in faults.items():
            self._count(self.left_out, kind, rows & free, describe)
            free &= ~rows
        for kind, rows in mended.items():
            self._count(self.mended, kind, rows & usable, describe)
        return usable

    def report(self, what: str) -> None:
        """Log what was left out and what was mended, each in one line, if anything was."""
        for account, verb in ((self.left_out, "left out"), (self.mended, "mended")):
            if account:
                count = sum(count for count, _ in account.values())
                kinds = "; ".join(f"{count} {kind}, first {first}" for kind, (count, first) in account.items())
                log.warning("%s: %d of %d %s %s: %s", self.path, count, self.rows, what, verb, kinds)

    def _refuse(self, faults: dict[str, NDArray[np.bool_]], describe: Callable[[int], str]) -> None:
        firsts = [(int(np.argmax(rows)), kind) for kind, rows in faults.items() if rows.any()]
        if firsts:
            row, kind = min(firsts, key=lambda first: first[0])
            raise LandmarksError(
                f"{self.path}, {describe(row)} is {kind}; correct it, or leave such rows out with "
                "data.source.bad_boxes=skip"
            )

    @staticmethod
    def _count(
        account: dict[str, tuple[int, str]], kind: str, rows: NDArray[np.bool_], describe: Callable[[int], str]
    ) -> None:
        count = int(np.count_nonzero(rows))
        if count:
            before, first = account.get(kind) or (0, describe(int(np.argmax(rows))))
            account[kind] = (before + count, first)
