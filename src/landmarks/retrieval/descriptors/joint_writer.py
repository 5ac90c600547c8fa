"""A descriptor set, with its regions, that several processes write together and that survives a kill.

Rank 0 appends to the set itself, every other rank to a part of its own, ``<name>.rank<i>``. At the end, and when a
killed run is resumed, rank 0 merges the parts into the set; so a run may be resumed with another number of ranks.
"""

import logging
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.ids import find_sorted, format_id
from landmarks.retrieval.blocks import MIB, Descriptors, rows_in_budget
from landmarks.retrieval.descriptors.descriptor_set import PARTIAL_SUFFIX, DescriptorSet
from landmarks.retrieval.descriptors.protocol import ExtractionProtocol
from landmarks.retrieval.descriptors.writer import DescriptorWriter, OtherSetError, Precision

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Layer:
    """One of the descriptor arrays extracted from the same images: of whole images, or of their regions.

    Attributes:
        folder: folder of the finished set.
        dim: values per row.
        protocol: how they are extracted.
        dtype: type of the values on disk.
    """

    folder: Path
    dim: int
    protocol: ExtractionProtocol
    dtype: Precision = "float32"

    @property
    def partial(self) -> Path:
        """Folder of the set until it is finished."""
        return self.folder.with_name(self.folder.name + PARTIAL_SUFFIX)

    def of_rank(self, rank: int) -> "Layer":
        """Return the layer to which a rank writes."""
        return replace(self, folder=self.folder.with_name(f"{self.folder.name}.rank{rank}")) if rank else self

    def part_ranks(self) -> set[int]:
        """Return the ranks above 0 that left a part on disk."""
        pattern = re.compile(re.escape(self.folder.name) + r"\.rank(\d+)" + re.escape(PARTIAL_SUFFIX))
        names = (path.name for path in self.folder.parent.iterdir())
        return {int(match[1]) for name in names if (match := pattern.fullmatch(name))}

    def clear(self) -> None:
        """Remove the set, finished or not, and the parts of all ranks."""
        if self.folder.parent.is_dir():
            for path in (self.folder, self.partial, *(self.of_rank(rank).partial for rank in self.part_ranks())):
                shutil.rmtree(path, ignore_errors=True)


class JointWriter:
    """Writes one rank's part of a set; the rows of all layers stay aligned, even after a kill.

    An existing set of exactly the same protocol is resumed, whether finished or not.

    Args:
        layers: arrays to write: descriptors of whole images and, optionally, of regions.
        ids: uint64 [N], all images of the set, including those that other ranks embed.
        rank: rank of this process.
        stamps: uint64 [N], versions of the image files, see `ImageSet.stamps`; stored in the set.

    Raises:
        OtherSetError: the existing set was made with other settings, holds other images, or image files have changed
            since.
        LandmarksError: the folder holds something else, or another process is writing the set.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        ids: NDArray[np.uint64],
        rank: int = 0,
        stamps: NDArray[np.uint64] | None = None,
    ) -> None:
        self._whole = list(layers)
        self._layers = [layer.of_rank(rank) for layer in layers]
        self._wanted = ids
        self._stamps = stamps
        self._order = np.argsort(ids)
        self._sorted = ids[self._order]
        self._writers: list[DescriptorWriter] = []
        for number, layer in enumerate(self._layers):
            self._refuse_others(layer, stamped=stamps is not None and number == 0)
        try:
            for number, layer in enumerate(self._layers):
                _reopen(layer)
                stamped = stamps is not None and number == 0
                self._writers.append(
                    DescriptorWriter(layer.folder, len(ids), layer.dim, layer.protocol, layer.dtype, stamped)
                )
            self._align()
            if stamps is not None:
                self._refuse_changed(self._layers[0].partial, self.ids, self._writers[0].stamps)
            strangers = int((~np.isin(self.ids, ids)).sum())
            if strangers:
                raise OtherSetError(
                    f"{self._layers[0].partial}: {strangers} of its images are not among those to embed: "
                    "remove the folder or choose another one"
                )
        except LandmarksError:
            self.close()
            raise

    @classmethod
    def resumed(
        cls,
        layers: Sequence[Layer],
        ids: NDArray[np.uint64],
        replace_others: bool = False,
        stamps: NDArray[np.uint64] | None = None,
    ) -> "JointWriter":
        """Open the set as rank 0 and merge the parts that all ranks of an earlier run left.

        Args:
            layers: see the class.
            ids: see the class.
            replace_others: remove a set that was made with other settings instead of refusing it.
            stamps: see the class.

        Raises:
            OtherSetError: see the class; not with `replace_others`.
            LandmarksError: see the class.
        """
        try:
            writer = cls(layers, ids, stamps=stamps)
            try:
                writer.take_over()
            except LandmarksError:
                writer.close()
                raise
        except OtherSetError as error:
            if not replace_others:
                raise
            log.info("Extracting again: %s", error)
            for layer in layers:
                layer.clear()
            writer = cls(layers, ids, stamps=stamps)
        return writer

    @property
    def ids(self) -> NDArray[np.uint64]:
        """Ids of the images embedded so far, uint64 [n]."""
        return self._writers[0].done

    def add(self, ids: NDArray[np.uint64], *rows: Descriptors) -> None:
        """Append rows: ids uint64 [B] and for each layer its values [B, dim]."""
        for number, (writer, values) in enumerate(zip(self._writers, rows, strict=True)):
            stamps = None if self._stamps is None or number else self._stamps[self._rows(ids)]
            writer.add(ids, values, stamps)

    def take_over(self) -> None:
        """Append the rows that other ranks wrote and remove their parts; safe to interrupt and repeat."""
        for rank in sorted(set().union(*(layer.part_ranks() for layer in self._whole))):
            part = JointWriter(self._whole, self._wanted, rank, self._stamps)
            try:
                self._append(part)
            finally:
                part.close()
            for writer in part._writers:
                writer.discard()

    def finish(self) -> list[DescriptorSet]:
        """Complete all layers and open them."""
        return [writer.finish() for writer in self._writers]

    def close(self) -> None:
        """Close the files and keep the rows written so far."""
        for writer in self._writers:
            writer.close()

    def _append(self, part: "JointWriter") -> None:
        new = ~np.isin(part.ids, self.ids)
        block = rows_in_budget(sum(writer.dim * writer.dtype.itemsize for writer in self._writers), 64 * MIB)
        for start in range(0, len(new), block):
            chosen = new[start : start + block]
            found = [writer.read(start, start + block) for writer in part._writers]
            self.add(found[0][0][chosen], *(rows[chosen] for _, rows in found))

    def _rows(self, ids: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the rows of these ids among all ids of the set, -1 for others."""
        found = find_sorted(self._sorted, ids)
        return np.where(found >= 0, self._order[found], -1) if len(self._order) else found

    def _refuse_others(self, layer: Layer, stamped: bool) -> None:
        """Raise an OtherSetError if a finished set was made otherwise; nothing is changed on disk."""
        if not layer.folder.exists():
            return
        found = DescriptorSet.open(layer.folder)
        differences = found.protocol.differences(layer.protocol, ignore=frozenset())
        kind, expected = (found.descriptors.dtype.name, found.dim), (layer.dtype, layer.dim)
        if kind != expected:
            differences.append(f"values: {kind} != {expected}")
        if stamped and found.stamps is None:
            differences.append("its image files are not recorded")
        if differences:
            raise OtherSetError(
                f"{layer.folder}: the set there was made with other settings ({'; '.join(differences)}): "
                "remove it or choose another folder"
            )
        if stamped and found.stamps is not None:
            self._refuse_changed(layer.folder, found.ids, found.stamps)

    def _refuse_changed(self, folder: Path, ids: NDArray[np.uint64], stamps: NDArray[np.uint64]) -> None:
        """Raise an OtherSetError if image files were replaced since, or belong to another root."""
        assert self._stamps is not None
        rows = self._rows(ids)
        changed = ids[(rows >= 0) & (self._stamps[rows] != stamps)]
        if len(changed):
            raise OtherSetError(
                f"{folder}: the files of {len(changed)} of its {len(ids)} images have changed (another root, size or "
                f"time), the first is {format_id(changed[0])}: remove the set or choose another folder"
            )

    def _align(self) -> None:
        """Cut all layers to the rows that they share: a kill may have come between two writes."""
        count = min(writer.count for writer in self._writers)
        first = self._writers[0].done[:count]
        for writer in self._writers[1:]:
            apart = np.flatnonzero(writer.done[:count] != first)
            count = min(count, int(apart[0])) if len(apart) else count
            first = first[:count]
        for writer in self._writers:
            writer.cut(count)


def _reopen(layer: Layer) -> None:
    """Turn a finished set into an unfinished one, to add missing images."""
    if layer.folder.exists():
        shutil.rmtree(layer.partial, ignore_errors=True)  # the finished set holds all of its rows
        layer.folder.rename(layer.partial)
