"""Whole files of an address on this machine: tables and indexes are read often, and some are 550 MB.

A copy is fetched once and again when the file there has another size or version; beside `train.csv` lies
`train.csv.origin`, which says of which it is. Processes of one machine share the copies: one fetches, others wait.
"""

import fcntl
import json
import logging
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from landmarks.data.remote_files import RemoteFiles
from landmarks.data.stores import TarStamp
from landmarks.progress import BYTES, show_progress
from landmarks.storage import atomic_file

CHUNK = 4 << 20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LocalCopies:
    """Copies in `folder` of files at an address."""

    files: RemoteFiles
    folder: Path

    def fetch(self, name: str, path: str) -> Path:
        """Bring `folder/path` up to date with the file called `name` there.

        Raises:
            OSError: No answer, no room, or the file changed while it was read.
        """
        copy = self.folder / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        origin = copy.with_name(f"{copy.name}.origin")
        with origin.open("a+") as record:
            with suppress(OSError):  # a file system without locks: each process then makes its own copy
                fcntl.flock(record, fcntl.LOCK_EX)
            stamp = self.files.stamp(name)
            if not copy.is_file() or origin.read_text() != json.dumps(asdict(stamp)):
                record.truncate(0)
                self._copy(name, copy, stamp)
                record.write(json.dumps(asdict(stamp)))
        return copy

    def _copy(self, name: str, copy: Path, stamp: TarStamp) -> None:
        log.info("copying %s (%s bytes) to %s", self.files.address(name), f"{stamp.size:,}", copy)
        with atomic_file(copy) as file, show_progress() as progress:
            for offset in range(0, stamp.size, CHUNK):
                file.write(self.files.read(name, offset, min(CHUNK, stamp.size - offset)))
                progress.show(f"copying {name}", file.tell(), stamp.size, BYTES)
            if file.tell() != stamp.size or self.files.stamp(name) != stamp:
                raise OSError(f"{self.files.address(name)} changed while it was read; start again")
