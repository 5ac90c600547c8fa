"""Descriptors of a folder of images, kept between searches and computed again only for files that have changed.

They are stored as a descriptor set, like those of `landmarks extract`, in a folder named after the model and a hash of
its settings. Changed files are recognised by path, size and time. An interrupted run is resumed.
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
from landmarks.ids import format_id
from landmarks.interop.single_images import embedded
from landmarks.interop.unreadable_files import UnreadableFiles
from landmarks.models import OnnxNetwork, OpenedModel, weights_hash
from landmarks.retrieval import DescriptorSet, DescriptorWriter, ExtractionProtocol, OtherSetError
from landmarks.storage import FileLock, LockedError, derived_folder

PLACE = "search"
"""Name of the folder for descriptors within a derived folder, see `landmarks.storage.derived_folder`."""
TOGETHER = 256  # descriptors written at once; at most these are lost if the process is killed
BLOCK = 4096  # descriptors copied at once

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FolderDescriptors:
    """The images of a folder and their descriptors.

    Attributes:
        descriptors: Descriptors of the N images that could be read, memory-mapped.
        images: These images, in the same order.
        unreadable: Why each of the other images could not be read, by path.
        made: Number of images that were embedded now; the descriptors of the others were kept.
    """

    descriptors: DescriptorSet
    images: ImageSet
    unreadable: dict[Path, str]
    made: int


def holds_descriptors(folder: Path) -> bool:
    """Return whether a folder is a descriptor set."""
    return (folder / "protocol.json").is_file()


def model_protocol(model: OpenedModel, scales: Sequence[float] = (1.0,), flip: bool = False) -> ExtractionProtocol:
    """Return the protocol of descriptors that a model gives for single images.

    Args:
        model: The model.
        scales: See `embed_images`.
        flip: See `embed_images`.
    """
    if isinstance(model.network, OnnxNetwork):  # its record may have the hash of the original weights
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
    """Embed those images in a folder and all folders below it that are new or have changed since the last call.

    Args:
        model: Model opened for "descriptors".
        folder: Folder of images; labels are not needed. Hidden files are left out, and links are followed.
        keep: Folder for the descriptors of any number of models; by default the derived folder of `folder`, see
            `landmarks.storage.derived_folder`.
        scales: See `landmarks.interop.embed_images`.
        flip: See `landmarks.interop.embed_images`.
        follow: Iterates over the paths that are embedded, for example to show progress.

    Returns:
        The images that could be read, and their descriptors.

    Raises:
        LandmarksError: No image can be read, or the descriptors cannot be written.
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
            f"{shown(parent)}: descriptors cannot be kept there ({error.strerror}); name another folder, keep (--keep)"
        ) from None
    try:
        return _Renewal(folder, place, images, paths, protocol).renew(model, scales, flip, follow)
    finally:
        lock.release()


class _Renewal:
    """Update of the descriptor set of a folder: rows of unchanged files are copied, the others computed."""

    def __init__(
        self, folder: Path, place: Path, images: ImageSet, paths: Sequence[Path], protocol: ExtractionProtocol
    ) -> None:
        self.folder = folder
        self.place = place
        self.images = images
        self.paths = paths
        self.protocol = protocol
        self.ids = images.table.ids
        self.stamps = images.stamps()
        self.renewed = place.with_name(f"{place.name}.renewed")
        self.added = place.with_name(f"{place.name}.added")
        record = place.with_name(f"{place.name}.unreadable.json")
        self.unreadable = UnreadableFiles(record, protocol.versions, paths, self._state)

    def renew(
        self,
        model: OpenedModel,
        scales: Sequence[float],
        flip: bool,
        follow: Callable[[Sequence[Path]], Iterable[Path]],
    ) -> FolderDescriptors:
        """Embed missing images, and write a new set if it differs from the existing one."""
        if self.renewed.is_dir():  # an earlier process finished it, but was killed before renaming it
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
        with self._writer(model, self.added) as writer:
            there = np.isin(self.ids, writer.done)
            there[list(self.unreadable.reasons)] = True
            wanted = np.flatnonzero(~kept & ~there)
            self._embed(writer, model, wanted, scales, flip, follow)
            self.unreadable.save()
            made = writer.count
            if not made and not kept.any():
                writer.discard()
                raise LandmarksError(self.unreadable.summary(self.folder))
            if before is None:
                writer.finish()
                self.added.rename(self.place)
            elif made or kept.sum() < len(before):
                self._join(before, rows[kept], writer)
            else:
                writer.discard()
        found = DescriptorSet.open(self.place, check=False)
        return FolderDescriptors(
            found, self.images.take(self.images.table.find(found.ids)), self.unreadable.by_path(), made
        )

    def _state(self, row: int) -> str:
        return f"{format_id(self.ids[row])}-{format_id(self.stamps[row])}"

    def _before(self) -> DescriptorSet | None:
        """Open the existing set; remove it if it is corrupt."""
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
        """Open the writer, resuming an interrupted search unless its files or versions differ."""
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
        for _, row in embedded(model, self.paths, refused=lambda *_: None):  # ONNX networks have no `dim`
            return len(row)
        raise LandmarksError(f"{shown(self.folder)}: none of its {len(self.paths)} images can be read")

    def _embed(
        self,
        writer: DescriptorWriter,
        model: OpenedModel,
        wanted: NDArray[np.intp],
        scales: Sequence[float],
        flip: bool,
        follow: Callable[[Sequence[Path]], Iterable[Path]],
    ) -> None:
        """Embed some rows, and note why others cannot be read."""
        chosen = [self.paths[row] for row in wanted.tolist()]

        def refused(place: int, error: LandmarksError) -> None:
            self.unreadable.add(int(wanted[place]), error)

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
        """Write the kept and the added rows as one set, and replace the existing set with it."""
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
    """Return a hash of the protocol and the folder, which tells apart sets that are kept in one place."""
    values = {key: value for key, value in asdict(protocol).items() if key not in protocol.not_compared}
    text = json.dumps([values, str(folder.resolve())], sort_keys=True, default=str)
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
