"""Writes detections chunk by chunk, so that an interrupted run resumes where it stopped.

Everything is appended in a folder called ``<name>.partial`` (see `landmarks.storage.AppendLog`). Closing renames it, so
that the final name exists only for a finished set. Unreadable images are written at the end, when the set is closed,
and removed again when it is resumed, so that they are read again.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from landmarks.detection.metrics import DETECTIONS_HEADER, detection_lines
from landmarks.errors import LandmarksError
from landmarks.ids import find_rows, first_repeat, format_id
from landmarks.recognition import (
    BOXES_FILE,
    CLASSES_FILE,
    IMAGE_COLUMNS,
    IMAGES_FILE,
    PARTIAL_SUFFIX,
    PROTOCOL_FILE,
    STAMP_COLUMNS,
    STAMPS_FILE,
    DetectionClasses,
    DetectionProtocol,
    Detections,
    classes_text,
    csv_lines,
    read_classes,
    read_images,
)
from landmarks.retrieval import OtherSetError
from landmarks.storage import CHECKSUMS_FILE, AppendLog, atomic_file


class DetectionWriter:
    """Appends detections to a set; for use in a ``with`` statement, finished with `close`.

    An existing set with the same protocol and classes, finished or not, is resumed. Leaving the ``with`` block without
    `close` keeps the unfinished set.

    Args:
        folder: The folder of the set.
        classes: Classes of the detector.
        protocol: How the detections are made.
        images: Ids and stamps of all images that may be added, uint64 [N] each (see `ImageSet.stamps`); None does not
            record which files were used.

    Raises:
        OtherSetError: The folder contains a set with another protocol, other classes, or other files with the same ids.
        LandmarksError: The folder cannot be written or contains something else.
    """

    def __init__(
        self,
        folder: str | Path,
        classes: DetectionClasses,
        protocol: DetectionProtocol,
        images: tuple[NDArray[np.uint64], NDArray[np.uint64]] | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.partial = self.folder.with_name(self.folder.name + PARTIAL_SUFFIX)
        self.names = classes.names
        self._closed = False
        self._unreadable = b""
        self._stamps = None if images is None else dict(zip(*(part.tolist() for part in images), strict=True))
        heads = {BOXES_FILE: DETECTIONS_HEADER.encode(), IMAGES_FILE: csv_lines([IMAGE_COLUMNS])}
        if images is not None:
            heads[STAMPS_FILE] = csv_lines([STAMP_COLUMNS])
        try:
            self._take_up_finished(classes, protocol)
            self._log = AppendLog(self.partial, heads)
            try:
                _require_same(self.partial, classes, protocol)
                self._parts = [self._drop_unreadable()]
                self._refuse_changed(self.partial)
            except BaseException:
                self.let_go()
                raise
        except ValueError as error:
            raise LandmarksError(f"{self.partial}/{error}; remove it") from error
        except OSError as error:
            raise LandmarksError(f"{self.partial}: cannot write here: {error}") from error
        self._seen = set(self._parts[0].tolist())

    def __enter__(self) -> "DetectionWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go()

    @property
    def done(self) -> NDArray[np.uint64]:
        """The images processed so far, uint64 [N], without unreadable ones, which are read again."""
        return np.concatenate(self._parts)

    def add(self, ids: NDArray[np.uint64], found: Detections) -> None:
        """Append the detections in some images. After an error, everything added before stays valid.

        Args:
            ids: The images, uint64 [B], including those without detections.
            found: Boxes of the writer's classes in these images, in any order.

        Raises:
            LandmarksError: An image was added before, a box is of another image or class, or the disk is full.
        """
        self._refuse_repeats(ids)
        if found.classes.tolist() != self.names.tolist():
            raise LandmarksError(f"{self.folder}: boxes of other classes ({', '.join(found.classes[:3])} …)")
        place = find_rows(found.image_ids, ids)
        if (place < 0).any():
            stranger = format_id(found.image_ids[int(np.argmin(place))])
            raise LandmarksError(f"{self.folder}: a box is in image {stranger}, which is not among the images added")
        in_order = found.take(np.argsort(place, kind="stable"))
        counts = np.bincount(place, minlength=len(ids)).tolist()
        images = zip(map(format_id, ids.tolist()), counts, [""] * len(counts), strict=True)
        chunk = {BOXES_FILE: b"".join(detection_lines(in_order)), IMAGES_FILE: csv_lines(images)}
        if self._stamps is not None:
            chunk[STAMPS_FILE] = csv_lines((format_id(one), self._stamps[one]) for one in ids.tolist())
        self._append(chunk)
        self._parts.append(ids)
        self._seen.update(ids.tolist())

    def add_unreadable(self, images: Iterable[tuple[str, str]]) -> None:
        """Record unreadable images: pairs of the id, 16 hex digits, and the reason."""
        rows = ((name, 0, " ".join(reason.split()) or "unreadable") for name, reason in images)
        self._unreadable += csv_lines(rows)

    def close(self) -> None:
        """Finish the set and give the folder its final name. Raises LandmarksError if its files were changed."""
        if self._closed:
            return
        self._append({IMAGES_FILE: self._unreadable})
        try:
            self._log.finish(self.folder)
        except OSError as error:
            raise LandmarksError(f"{self.folder}: could not finish the set: {error}") from error
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Close the files and keep the unfinished set."""
        self._closed = True
        self._log.close()

    def _append(self, chunk: dict[str, bytes]) -> None:
        if self._closed:
            raise LandmarksError(f"{self.folder}: the set is closed")
        try:
            self._log.append(chunk)
        except OSError as error:
            self._closed = True
            raise LandmarksError(
                f"{self.partial}: could not write: {error}; free disk space and run the same command again to resume"
            ) from error

    def _drop_unreadable(self) -> NDArray[np.uint64]:
        """Remove the unreadable images, which are read again; return the others, uint64 [N]."""
        path = self.partial / IMAGES_FILE
        images = read_images(path)
        count = int(images.readable.sum())
        if not images.readable[:count].all():
            raise LandmarksError(f"{path}: this set was written by an earlier version and cannot be resumed: remove it")
        lines = path.read_bytes().splitlines(keepends=True)
        self._log.truncate({IMAGES_FILE: sum(map(len, lines[: 1 + count]))})
        return images.ids[:count]

    def _refuse_repeats(self, ids: NDArray[np.uint64]) -> None:
        again = first_repeat(ids)
        repeats = [image_id for image_id in ids.tolist() if image_id in self._seen]
        repeats += [] if again is None else [int(ids[again])]
        if repeats:
            raise LandmarksError(f"{self.folder}: image {format_id(repeats[0])} was added before")

    def _take_up_finished(self, classes: DetectionClasses, protocol: DetectionProtocol) -> None:
        """Reopen a finished set, if there is one, for images that it does not contain."""
        if not self.folder.exists():
            return
        if self.partial.exists():
            raise LandmarksError(f"{self.folder} and the unfinished {self.partial} both exist: remove one of them")
        if not (self.folder / PROTOCOL_FILE).is_file():
            raise LandmarksError(f"{self.folder} exists and contains no detections: choose another folder")
        _require_same(self.folder, classes, protocol)
        self._refuse_changed(self.folder)
        if not (self.folder / CHECKSUMS_FILE).is_file():
            raise LandmarksError(
                f"{self.folder}: this set was written by an earlier version and cannot be resumed: remove it"
            )
        self.folder.rename(self.partial)

    def _refuse_changed(self, folder: Path) -> None:
        """Raise OtherSetError for a set whose images have been replaced or are from another root."""
        if self._stamps is None:
            return
        images = read_images(folder / IMAGES_FILE)
        looked_at = images.ids[images.readable].tolist()
        with suppress(FileNotFoundError):
            rows = (folder / STAMPS_FILE).read_text().split()[1:]
            recorded = {int(row[:16], 16): int(row[17:]) for row in rows}
            others = [one for one in looked_at if recorded.get(one) != self._stamps.get(one, recorded.get(one))]
            if not others:
                return
            raise OtherSetError(
                f"{folder}: {len(others)} of its {len(looked_at)} images are now other files (another root, size or "
                f"time), first {format_id(others[0])}: remove the detections or choose another folder"
            )
        raise OtherSetError(
            f"{folder}: it does not record the files of its images: remove the detections or choose another folder"
        )


def _require_same(folder: Path, classes: DetectionClasses, protocol: DetectionProtocol) -> None:
    """Write classes and protocol into a new folder; raise OtherSetError for a folder that has others."""
    path = folder / PROTOCOL_FILE
    if not path.exists():
        with atomic_file(folder / CLASSES_FILE) as file:
            file.write(classes_text(classes))
        protocol.write(path)
    differences = DetectionProtocol.read(path).differences(protocol)
    there = read_classes(folder / CLASSES_FILE)
    if there.names.tolist() != classes.names.tolist() or there.titles.tolist() != classes.titles.tolist():
        differences.append(f"classes: {_brief(there)} != {_brief(classes)}")
    if differences:
        raise OtherSetError(
            f"{folder}: the detections there were made with other settings ({'; '.join(differences)}): remove them or "
            "choose another folder"
        )


def _brief(classes: DetectionClasses) -> str:
    shown = ", ".join(classes.titles[:3].tolist())
    return f"{len(classes.names)} ({shown}{', …' if len(classes.names) > 3 else ''})"
