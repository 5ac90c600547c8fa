"""Which pictures lie in the tars or folders of a split, whatever the tables say."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.data.gldv2.checks.containers import Container, indexed_tars, open_folders, open_tar
from landmarks.data.gldv2.layout import GLDv2Layout
from landmarks.data.stores.offsets import OnTar, update_offsets
from landmarks.errors import LandmarksError
from landmarks.ids import find_sorted


@dataclass(frozen=True)
class Inventory:
    """What is there of "train", "index" or "test".

    Attributes:
        folder: Which of them.
        containers: Its tars, or the folders of the extracted tree.
        refused: What is wrong with the tars that cannot be read, a message each.
    """

    folder: str
    containers: Sequence[Container]
    refused: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing at all, not even a damaged tar."""
        return not self.containers and not self.refused

    @property
    def ids(self) -> NDArray[np.uint64]:
        """All pictures that are there: uint64 [N], ascending."""
        return self._ordered[0]

    def unlisted(self, listed: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], list[str]]:
        """Pictures that are not in `listed`, uint64 [M], ascending, and the place of each."""
        ids, places = self._ordered
        rows = np.flatnonzero(find_sorted(listed, ids) < 0)
        return ids[rows], [self.containers[place].name for place in places[rows]]

    def twice(self) -> tuple[NDArray[np.uint64], list[str]]:
        """Pictures that are in two containers, and in which."""
        ids, places = self._ordered
        rows = np.flatnonzero(ids[1:] == ids[:-1])
        pairs = zip(places[rows], places[rows + 1], strict=True)
        return ids[rows], [f"{self.containers[one].name} and {self.containers[two].name}" for one, two in pairs]

    @cached_property
    def _ordered(self) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
        """Every picture with the number of its container, ordered by id."""
        ids = np.concatenate([np.empty(0, np.uint64), *(container.ids for container in self.containers)])
        sizes = [len(container.ids) for container in self.containers]
        order = np.argsort(ids, kind="stable")
        return ids[order], np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)[order]


def take_inventory(layout: GLDv2Layout, folder: str, on_tar: OnTar | None = None) -> Inventory:
    """Ask the offset index of a folder, brought up to date, or list the extracted tree if there is no tar.

    Args:
        layout: Of the data set.
        folder: "train", "index" or "test".
        on_tar: Told of each tar whose headers had to be read, see `update_offsets`.

    Raises:
        LandmarksError: The index cannot be written, or an extracted tree lies at an address.
    """
    files = layout.tars(folder)
    names = files.names()
    if not names:
        if not isinstance(layout.root, Path):
            raise LandmarksError(
                f"{layout.root / folder}: only tars can be checked at an address; check an extracted tree on the "
                "machine where it lies"
            )
        return Inventory(folder, open_folders(layout.root, folder))
    update = update_offsets(files, layout.offsets(folder), on_tar=on_tar)
    containers: list[Container] = [*indexed_tars(folder, files, update.offsets)]
    for name in sorted(set(names) - {tar.name for tar in update.offsets.tars}):
        # A tar that is sound but holds pictures of another one: training refuses it, here they are all counted.
        with suppress(LandmarksError, OSError):
            containers.append(open_tar(folder, files, name))
    return Inventory(folder, sorted(containers, key=lambda container: container.name), update.refused)
