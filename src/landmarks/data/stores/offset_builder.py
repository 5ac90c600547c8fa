"""Reads the headers of many tars and writes the offset index while it grows.

Finished tars are written into the index every few seconds, so that a run that is cut off goes on where it stopped: an
unfinished index is a good index of fewer tars. Threads do the work: at half a million headers a second the interpreter
is never what one waits for, but disks and networks are.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event

from landmarks.data.stores.offset_file import write_offsets
from landmarks.data.stores.offset_table import IndexedTar, Offsets, merge
from landmarks.data.stores.tar_files import TarFiles, TarStamp
from landmarks.data.stores.tar_headers import Pictures, read_headers
from landmarks.data.stores.tar_members import RefusedTarError
from landmarks.errors import LandmarksError

SECONDS_BETWEEN_WRITES = 10.0
# Writing a large index takes a second: it is done so rarely that it takes at most this share of the time.
SHARE_OF_WRITES = 0.05

OnTar = Callable[[str, int, int], None]

log = logging.getLogger(__name__)


class OffsetBuilder:
    """Reads tars and puts them into an index.

    Args:
        files: Where they are.
        path: The file of the index.
        offsets: What of the index is good already.
        before: The tars that were in it before, good or not.

    Attributes:
        offsets: The index as it was written last.
        refused: A message for each tar that could not be put into it.
    """

    def __init__(self, files: TarFiles, path: Path, offsets: Offsets, before: dict[str, TarStamp]) -> None:
        self.files = files
        self.path = path
        self.offsets = offsets
        self.before = before
        self.refused: list[str] = []
        self._finished: list[tuple[IndexedTar, Pictures]] = []
        self._stopped = Event()

    def run(self, wanted: dict[str, TarStamp], workers: int, on_tar: OnTar | None) -> None:
        """Read the tars, several at a time, and write the index at the end and in between, whatever happens."""
        if wanted:
            log.info("reading the headers of %d tars for %s", len(wanted), self.path)
        next_write = time.monotonic() + SECONDS_BETWEEN_WRITES
        with ThreadPoolExecutor(workers) as pool:
            try:
                jobs = {pool.submit(self._read_tar, name, stamp): name for name, stamp in wanted.items()}
                for done, job in enumerate(as_completed(jobs), 1):
                    try:
                        self._finished.append(job.result())
                    except LandmarksError as error:
                        self.refused.append(str(error))
                    if on_tar:
                        on_tar(jobs[job], done, len(wanted))
                    if time.monotonic() > next_write:
                        next_write = self._write()
                        log.info("%d of %d tars are indexed", done, len(wanted))
            finally:
                self._stopped.set()
                pool.shutdown(cancel_futures=True)
                self._write()
        self.refused.sort()
        log.info("%s: %d pictures in %d tars", self.path, len(self.offsets), len(self.offsets.tars))

    def _read_tar(self, name: str, stamp: TarStamp) -> tuple[IndexedTar, Pictures]:
        address = self.files.address(name)
        try:
            read = self.files.walk(name)

            def read_unless_stopped(offset: int, length: int) -> bytes:
                if self._stopped.is_set():
                    raise InterruptedError
                return read(offset, length)

            pictures = read_headers(read_unless_stopped, stamp.size)
        except RefusedTarError as error:
            message = f"{address}: {error}"
            if name in self.before and self.before[name].size > stamp.size:
                message += f" (it had {self.before[name].size:,} bytes when it was indexed, now {stamp.size:,})"
            raise LandmarksError(message) from error
        except OSError as error:
            raise LandmarksError(f"{address}: cannot be read ({error.strerror or error})") from error
        return IndexedTar(name, stamp, len(pictures.ids)), pictures

    def _write(self) -> float:
        """Put finished tars into the index and write it. Returns the time before which to leave it alone."""
        start = time.monotonic()
        self.offsets, left_out = merge(self.offsets, self._finished)
        self._finished = []
        for name, (other, image) in left_out.items():
            self.refused.append(
                f"image {image} is in {self.files.address(other)} and again in {self.files.address(name)}; remove the "
                "copy that is not part of the set"
            )
        write_offsets(self.offsets, self.path)
        end = time.monotonic()
        return end + max(SECONDS_BETWEEN_WRITES, (end - start) / SHARE_OF_WRITES)
