"""Whole files of an address on this machine: tables and indexes are read often, and some are 550 MB.

A copy is fetched once and again when the file there has another size or version; beside `train.csv` lies
`train.csv.origin`, which says of which it is. Processes of one machine share the copies: one fetches, others wait.
"""

import fcntl
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from landmarks.data.remote_files import RemoteFiles
from landmarks.data.stores.tar_files import TarStamp
from landmarks.storage.atomic_file import atomic_file

CHUNK = 4 << 20
WORTH_A_BAR = 32 << 20

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
        with atomic_file(copy) as file, _bar(stamp.size, copy.name) as bar:
            for offset in range(0, stamp.size, CHUNK):
                data = self.files.read(name, offset, min(CHUNK, stamp.size - offset))
                file.write(data)
                bar.advance(bar.task_ids[0], len(data))
            if file.tell() != stamp.size or self.files.stamp(name) != stamp:
                raise OSError(f"{self.files.address(name)} changed while it was read; start again")


@contextmanager
def _bar(size: int, name: str) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=size < WORTH_A_BAR) as bar:
        bar.add_task(name, total=size)
        yield bar
