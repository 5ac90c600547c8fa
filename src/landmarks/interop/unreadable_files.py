"""Remembers between searches why files of a folder cannot be read, so that each is read again only once it changed."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from landmarks.errors import LandmarksError, shown
from landmarks.storage import atomic_file

LISTED = 10  # reasons in an error message


class UnreadableFiles:
    """The files of a folder that cannot be read, and why, with what an earlier search has found out.

    Args:
        record: JSON file that keeps the reasons.
        versions: Versions of the packages that read images: of others nothing is known.
        paths: The N files.
        state: From the row of a file to what tells it from other files and from its own earlier contents.

    Attributes:
        reasons: Why files cannot be read, by row.
    """

    def __init__(
        self, record: Path, versions: Mapping[str, str], paths: Sequence[Path], state: Callable[[int], str]
    ) -> None:
        self._record = record
        self._versions = dict(versions)
        self._paths = paths
        self._state = state
        known = self._known()
        rows = range(len(paths)) if known else ()
        self.reasons = {row: known[state(row)] for row in rows if state(row) in known}
        self._lasting = dict(self.reasons)

    def _known(self) -> dict[str, str]:
        with suppress(OSError, ValueError, TypeError, LookupError):  # is not there, or is not ours
            found = json.loads(self._record.read_text())
            if found["versions"] == self._versions:
                return {state: why for state, why in found["files"].items() if isinstance(why, str)}
        return {}

    def add(self, row: int, error: LandmarksError) -> None:
        """Note why a file cannot be read now; a disk or a network that fails may answer the next time."""
        self.reasons[row] = str(error).removeprefix(f"{shown(self._paths[row])}: ")
        if not isinstance(error.__context__, OSError):
            self._lasting[row] = self.reasons[row]

    def save(self) -> None:
        """Write the reasons that only a change of the file can mend."""
        files = {self._state(row): self._lasting[row] for row in sorted(self._lasting)}
        if files or self._record.exists():
            with atomic_file(self._record) as file:
                file.write(json.dumps({"versions": self._versions, "files": files}, indent=1).encode())

    def by_path(self) -> dict[Path, str]:
        """Return the reasons by path, in the order of the files."""
        return {self._paths[row]: self.reasons[row] for row in sorted(self.reasons)}

    def summary(self, folder: Path) -> str:
        """Return a message for a folder of which no file can be read, with the first reasons."""
        lines = [f"  {shown(path)}: {reason}" for path, reason in self.by_path().items()]
        more = [f"  and {len(lines) - LISTED:,} more"] if len(lines) > LISTED else []
        return "\n".join([f"{shown(folder)}: none of its {len(lines):,} images can be read:", *lines[:LISTED], *more])
