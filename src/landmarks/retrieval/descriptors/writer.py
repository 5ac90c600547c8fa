"""Writes a descriptor set chunk by chunk, so that an interrupted extraction resumes where it stopped.

Rows are appended in a folder called ``<name>.partial`` (see `landmarks.storage.RowLog`), which is renamed at the end.
So the final name exists only for a finished set.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.ids import format_id
from landmarks.retrieval.blocks import MIB, Descriptors, rows_in_budget
from landmarks.retrieval.descriptors.descriptor_set import (
    DESCRIPTORS,
    IDS,
    PARTIAL_SUFFIX,
    PROTOCOL_FILE,
    STAMPS,
    DescriptorSet,
    refuse_repeats,
)
from landmarks.retrieval.descriptors.protocol import ExtractionProtocol
from landmarks.retrieval.progress import Progress
from landmarks.storage import Column, RowLog

Precision = Literal["float32", "float16"]

# Size of the blocks in which a derived set is computed.
BLOCK_BYTES = 32 * MIB


class OtherSetError(LandmarksError):
    """The folder to write to holds a set that was made with other settings."""


class DescriptorWriter:
    """Appends descriptors to a set; used in a ``with`` statement and ended with `finish`.

    An existing partial set of exactly the same protocol is resumed, and `done` holds its ids. Leaving the ``with``
    block without `finish` keeps the partial set.

    Args:
        folder: folder of the finished set; must not exist yet.
        capacity: maximum number of rows, which detects a wrong loop early.
        dim: values per row.
        protocol: how the descriptors are extracted.
        dtype: type of the values on disk.
        stamped: also store the versions of the image files, see `ImageSet.stamps`.

    Raises:
        OtherSetError: a partial set was made with other settings.
        LandmarksError: the folder exists, or cannot be written.
    """

    def __init__(
        self,
        folder: str | Path,
        capacity: int,
        dim: int,
        protocol: ExtractionProtocol,
        dtype: Precision = "float32",
        stamped: bool = False,
    ) -> None:
        self.folder = Path(folder)
        self.partial = self.folder.with_name(self.folder.name + PARTIAL_SUFFIX)
        self.capacity = capacity
        self.dim = dim
        self.dtype = np.dtype(dtype)
        if self.folder.exists():
            raise LandmarksError(f"{self.folder} exists already: choose another name or remove it")
        columns = {IDS: Column(np.uint64), DESCRIPTORS: Column(self.dtype, (dim,))}
        columns |= {STAMPS: Column(np.uint64)} if stamped else {}
        try:
            self._rows = RowLog(self.partial, columns)
            try:
                self._require_protocol(protocol)
            except BaseException:
                self.close()
                raise
        except ValueError as error:
            raise OtherSetError(f"{self.partial}/{error}; remove the folder") from error
        except OSError as error:
            raise LandmarksError(f"{self.partial}: cannot write here: {error}") from error

    @property
    def count(self) -> int:
        """Number of rows written so far."""
        return self._rows.count

    @property
    def done(self) -> NDArray[np.uint64]:
        """Ids of the images written so far, uint64 [count]."""
        return self._rows.read(IDS)

    @property
    def stamps(self) -> NDArray[np.uint64]:
        """Stamps of the images written so far, uint64 [count]; only for a stamped set."""
        return self._rows.read(STAMPS)

    def __enter__(self) -> "DescriptorWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def add(self, ids: NDArray[np.uint64], descriptors: Descriptors, stamps: NDArray[np.uint64] | None = None) -> None:
        """Append rows.

        Args:
            ids: uint64 [B].
            descriptors: [B, D], finite in the dtype on disk.
            stamps: uint64 [B], required for a stamped set.

        Raises:
            LandmarksError: shapes, types or values are invalid, or the disk cannot be written.
        """
        with np.errstate(over="ignore"):
            rows = np.ascontiguousarray(descriptors, self.dtype)
        if ids.dtype != np.uint64 or rows.shape != (len(ids), self.dim):
            raise LandmarksError(
                f"{self.folder}: {ids.dtype} ids {ids.shape} and descriptors {rows.shape} do not fit [B] and "
                f"[B, {self.dim}]"
            )
        if self.count + len(ids) > self.capacity:
            raise LandmarksError(f"{self.folder}: more rows than its capacity of {self.capacity}")
        broken = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(broken):
            raise LandmarksError(
                f"{self.folder}: {len(broken)} descriptors are not finite in {self.dtype}, the first is that of image "
                f"{format_id(ids[broken[0]])}"
            )
        count = self.count
        try:
            self._rows.add({IDS: ids, DESCRIPTORS: rows} | ({} if stamps is None else {STAMPS: stamps}))
        except OSError as error:
            raise LandmarksError(
                f"{self.partial}: could not write after {count} rows: {error}; free disk space and run the same "
                "extraction again, which resumes from there"
            ) from error

    def read(self, start: int, stop: int) -> tuple[NDArray[np.uint64], Descriptors]:
        """Return rows written earlier: ids uint64 [B] and descriptors [B, D] in the dtype on disk."""
        return self._rows.read(IDS, start, stop), self._rows.read(DESCRIPTORS, start, stop)

    def cut(self, count: int) -> None:
        """Drop all rows after the first `count`."""
        self._rows.cut(count)

    def finish(self) -> DescriptorSet:
        """Complete the files, rename the folder to its final name, and open the set."""
        if self.count == 0:
            raise LandmarksError(f"{self.folder}: no descriptor was added; check whether the images can be read")
        refuse_repeats(self.done, str(self.folder))
        try:
            self._rows.finish(self.folder)
        except OSError as error:
            raise LandmarksError(f"{self.folder}: could not finish the set: {error}") from error
        finally:
            self.close()
        return DescriptorSet.open(self.folder, check=False)

    def discard(self) -> None:
        """Remove the partial set."""
        self._rows.discard()

    def close(self) -> None:
        """Close the files and keep the partial set."""
        self._rows.close()

    def _require_protocol(self, protocol: ExtractionProtocol) -> None:
        path = self.partial / PROTOCOL_FILE
        if not path.exists():
            protocol.write(path)
        differences = ExtractionProtocol.read(path).differences(protocol, ignore=frozenset())
        if differences:
            raise OtherSetError(
                f"{self.partial}: the unfinished set was made with other settings ({'; '.join(differences)}): "
                "remove it or choose another name"
            )


def write_derived(
    folder: str | Path,
    ids: NDArray[np.uint64],
    dim: int,
    protocol: ExtractionProtocol,
    dtype: Precision,
    make: Callable[[int, int], Descriptors],
) -> DescriptorSet:
    """Write a set of the images `ids`, whose rows `start` to before `stop` are `make(start, stop)`, and open it."""
    rows = rows_in_budget(8 * dim, BLOCK_BYTES)
    with DescriptorWriter(folder, len(ids), dim, protocol, dtype) as writer:
        if writer.count < len(ids):
            writer.cut(writer.count // rows * rows)  # the same blocks, hence the same bits, as without interruption
        done = len(writer.done)
        if not np.array_equal(writer.done, ids[:done]):
            raise LandmarksError(
                f"{writer.partial}: the unfinished set holds other images: remove it or choose another name"
            )
        progress = Progress(f"rows of {Path(folder).name}", len(ids), done)
        for start in range(done, len(ids), rows):
            stop = min(start + rows, len(ids))
            writer.add(ids[start:stop], make(start, stop))
            progress.advance(stop - start)
        return writer.finish()
