"""Descriptors of any folder of images, kept from one search to the next and made anew only for what has changed.

They are a descriptor set as `landmarks extract` writes it, in a folder whose name tells models and settings apart. A
set is known to be of today's files by their places, sizes and times. What a kill leaves is gone on with.
"""

import json
import logging
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.config import file_name, versions
from landmarks.data import ImageSet, find_images, images_of_files
from landmarks.errors import LandmarksError, shown
from landmarks.interop.single_images import embedded
from landmarks.models import OnnxNetwork, OpenedModel, weights_hash
from landmarks.retrieval import DescriptorSet, DescriptorWriter, ExtractionProtocol, OtherSetError
from landmarks.storage import FileLock, LockedError, derived_folder

PLACE = "search"
"""Below what is derived from a folder."""
TOGETHER = 256  # descriptors written at once, the most that a kill loses
BLOCK = 4096  # descriptors copied at once

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FolderDescriptors:
    """The images of a folder and their descriptors.

    Attributes:
        descriptors: Of the N images that could be read; memory-mapped.
        images: The same images in the same order.
        unreadable: Why each of the others could not, by path.
        made: How many were embedded now; the rest was kept from before.
    """

    descriptors: DescriptorSet
    images: ImageSet
    unreadable: dict[Path, str]
    made: int

    def path(self, row: int) -> str:
        """The path of an image from the folder on."""
        return self.images.path(row)


def holds_descriptors(folder: Path) -> bool:
    """Whether a folder is a descriptor set."""
    return (folder / "protocol.json").is_file()


def model_protocol(model: OpenedModel, scales: Sequence[float] = (1.0,), flip: bool = False) -> ExtractionProtocol:
    """Say how a model makes descriptors, so that those of others are not compared with them."""
    if isinstance(model.network, OnnxNetwork):  # its weights are in the file, which may say whose they were
        known = model.record.origin.get("weights")
        weights = known or blake2b(model.path.read_bytes(), digest_size=8).hexdigest()
    else:
        weights = weights_hash(model.network)
    prepared = model.preprocessing
    return ExtractionProtocol(
        model=model.name,
        weights=weights,
        input_size=prepared.short_side,
        resize=prepared.mode,
        scales=tuple(scales),
        flip=flip,
        data="folder",
        split="index",
        precision="32-true",
        versions=versions(),
    )


def embed_folder(
    model: OpenedModel,
    folder: str | Path,
    keep: str | Path | None = None,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    follow: Callable[[Sequence[Path]], Iterable[Path]] = iter,
) -> FolderDescriptors:
    """Embed the images in a folder and all folders below it, those that are new or have changed since the last time.

    Args:
        model: Opened for "descriptors".
        folder: With images in any order; labels are not asked for. Hidden files are left out, links followed.
        keep: Folder for the descriptors of any number of models; by default what is derived from the folder, see
            `landmarks.storage.derived_folder`.
        scales: See `landmarks.interop.embed_images`.
        flip: Likewise.
        follow: Goes through the paths that are embedded, to show how far it is.

    Raises:
        LandmarksError: There is no image that can be read, or the descriptors cannot be kept there.
    """
    folder = Path(folder)
    paths = find_images(folder)
    if not paths:
        raise LandmarksError(f"{shown(folder)}: holds no image of a known format, nor do the folders below it")
    images = images_of_files(paths, folder)
    protocol = model_protocol(model, scales, flip)
    parent = Path(keep) if keep is not None else derived_folder(folder) / PLACE
    place = parent / f"{file_name(model.name)}-{_key(protocol, folder)}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place.with_name(f"{place.name}.lock"))
    except LockedError:
        raise LandmarksError(f"{shown(place)}: another search embeds this folder now; wait until it is done") from None
    except OSError as error:
        raise LandmarksError(
            f"{shown(parent)}: descriptors cannot be kept there ({error.strerror}); name another place with --keep"
        ) from None
    try:
        return _Renewal(place, images, paths, protocol).renew(model, scales, flip, follow)
    finally:
        lock.release()


class _Renewal:
    """Brings the set of a folder up to date: rows of unchanged files are copied, the others made."""

    def __init__(self, place: Path, images: ImageSet, paths: Sequence[Path], protocol: ExtractionProtocol) -> None:
        self.place = place
        self.images = images
        self.paths = paths
        self.protocol = protocol
        self.ids = images.table.ids
        self.stamps = images.stamps()
        self.renewed = place.with_name(f"{place.name}.renewed")
        self.added = place.with_name(f"{place.name}.added")

    def renew(
        self,
        model: OpenedModel,
        scales: Sequence[float],
        flip: bool,
        follow: Callable[[Sequence[Path]], Iterable[Path]],
    ) -> FolderDescriptors:
        """Embed what is missing, and write the set anew where it is not the one of before."""
        if self.renewed.is_dir():  # finished, and then killed before it got its name
            shutil.rmtree(self.place, ignore_errors=True)
            self.renewed.rename(self.place)
        if self.added.is_dir() and not self.place.is_dir():
            self.added.rename(self.place)
        before = self._before()
        kept = np.zeros(len(self.ids), bool)
        if before is not None:
            assert before.stamps is not None
            rows = before.rows(self.ids)
            kept = (rows >= 0) & (before.stamps[rows] == self.stamps)
        unreadable: dict[Path, str] = {}
        with self._writer(model, self.added) as writer:
            there = np.isin(self.ids, writer.done)
            wanted = np.flatnonzero(~kept & ~there)
            self._embed(writer, model, wanted, scales, flip, follow, unreadable)
            made = writer.count
            if not made and not kept.any():
                writer.discard()
                reasons = "\n".join(f"  {shown(path)}: {reason}" for path, reason in unreadable.items())
                raise LandmarksError(f"none of the {len(self.paths)} images can be used:\n{reasons}")
            if before is None:
                writer.finish()
                self.added.rename(self.place)
            elif made or kept.sum() < len(before):
                self._join(before, rows[kept], writer)
            else:
                writer.discard()
        found = DescriptorSet.open(self.place, check=False)
        return FolderDescriptors(found, self.images.take(self.images.table.find(found.ids)), unreadable, made)

    def _before(self) -> DescriptorSet | None:
        """Open the set of the last time; one that is no longer what was written is removed."""
        if not self.place.is_dir():
            return None
        try:
            found = DescriptorSet.open(self.place)
        except LandmarksError as error:
            log.warning("%s; all images are embedded again", error)
            shutil.rmtree(self.place, ignore_errors=True)
            return None
        return found

    def _writer(self, model: OpenedModel, folder: Path) -> DescriptorWriter:
        """Open what an interrupted search has left, unless it is of other files or another version."""
        dim = self._dim(model)
        for _ in range(2):
            try:
                writer = DescriptorWriter(folder, len(self.ids), dim, self.protocol, stamped=True)
            except OtherSetError:
                shutil.rmtree(folder.with_name(f"{folder.name}.partial"), ignore_errors=True)
                continue
            rows = self.images.table.find(writer.done)
            if (rows >= 0).all() and (self.stamps[rows] == writer.stamps).all():
                return writer
            writer.discard()
        return DescriptorWriter(folder, len(self.ids), dim, self.protocol, stamped=True)

    def _dim(self, model: OpenedModel) -> int:
        dim: object = getattr(model.network, "dim", None)
        if isinstance(dim, int):
            return dim
        for _, row in embedded(model, self.paths, refused=lambda *_: None):  # a program of others does not say
            return len(row)
        raise LandmarksError(f"none of the {len(self.paths)} images can be read")

    def _embed(
        self,
        writer: DescriptorWriter,
        model: OpenedModel,
        wanted: NDArray[np.intp],
        scales: Sequence[float],
        flip: bool,
        follow: Callable[[Sequence[Path]], Iterable[Path]],
        unreadable: dict[Path, str],
    ) -> None:
        chosen = [self.paths[row] for row in wanted.tolist()]

        def refused(place: int, error: LandmarksError) -> None:
            unreadable[chosen[place]] = str(error).removeprefix(f"{shown(chosen[place])}: ")

        places: list[int] = []
        rows: list[NDArray[np.float32]] = []

        def write() -> None:
            if places:
                some = wanted[places]
                writer.add(self.ids[some], np.stack(rows), self.stamps[some])
                places.clear()
                rows.clear()

        for place, row in embedded(model, follow(chosen), scales, flip, refused):
            places.append(place)
            rows.append(row)
            if len(places) == TOGETHER:
                write()
        write()

    def _join(self, before: DescriptorSet, rows: NDArray[np.int64], added: DescriptorWriter) -> None:
        """Write the rows that stay and those that came as one set, and put it in the place of the one before."""
        assert before.stamps is not None
        shutil.rmtree(self.renewed.with_name(f"{self.renewed.name}.partial"), ignore_errors=True)
        with DescriptorWriter(self.renewed, len(self.ids), before.dim, self.protocol, stamped=True) as writer:
            for start in range(0, len(rows), BLOCK):
                some = rows[start : start + BLOCK]
                writer.add(before.ids[some], before.descriptors[some], before.stamps[some])
            stamps = added.stamps
            for start in range(0, added.count, BLOCK):
                stop = min(start + BLOCK, added.count)
                writer.add(*added.read(start, stop), stamps[start:stop])
            writer.finish()
        shutil.rmtree(self.place)
        self.renewed.rename(self.place)
        added.discard()


def _key(protocol: ExtractionProtocol, folder: Path) -> str:
    """Tell sets apart by what makes them, and by their folder where several are kept in one place."""
    values = {key: value for key, value in asdict(protocol).items() if key not in protocol.not_compared}
    text = json.dumps([values, str(folder.resolve())], sort_keys=True, default=str)
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
