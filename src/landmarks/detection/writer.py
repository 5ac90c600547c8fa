"""Writes detections chunk by chunk, so that an interrupted detection goes on where it stopped.

Everything is appended in a folder called ``<name>.partial``; closing gives it its name, so the finished name exists
only for a finished set. Boxes are written before the pictures that they are in, and a picture counts once its line in
``images.csv`` is whole: boxes behind the last of those are cut off when the set is opened again.
"""

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from landmarks.detection.metrics.files import detection_lines
from landmarks.detection.recovery import recover
from landmarks.errors import LandmarksError
from landmarks.metrics.errors import FormatError
from landmarks.metrics.hex_ids import hex_of
from landmarks.metrics.lookup import find_rows, first_repeat
from landmarks.recognition.detections.boxes import Detections
from landmarks.recognition.detections.classes import DetectionClasses, read_classes
from landmarks.recognition.detections.protocol import DetectionProtocol
from landmarks.recognition.detections.tables import (
    BOXES_FILE,
    CLASSES_FILE,
    IMAGES_FILE,
    PARTIAL_SUFFIX,
    PROTOCOL_FILE,
    as_landmarks_error,
    classes_text,
    csv_lines,
)
from landmarks.retrieval.descriptors.writer import OtherSetError
from landmarks.storage import atomic_file
from landmarks.storage.append_log import write_all

_open_writers: "WeakSet[DetectionWriter]" = WeakSet()


def _let_go() -> None:
    """A process that reads pictures for us must not hold the lock: it may outlive a killed writer by seconds."""
    for writer in list(_open_writers):
        writer.let_go()


os.register_at_fork(after_in_child=_let_go)


class DetectionWriter:
    """Appends detections; used in a ``with`` statement, ended with `close`.

    A set of exactly the same protocol and classes that lies there, finished or not, is gone on with. Leaving the
    ``with`` block without `close` keeps the unfinished set.

    Args:
        folder: of the finished set.
        classes: what the detector tells apart.
        protocol: what makes the detections.

    Raises:
        OtherSetError: what lies there was made otherwise.
        LandmarksError: another process writes it, it is damaged, or the disk refuses.
    """

    def __init__(self, folder: str | Path, classes: DetectionClasses, protocol: DetectionProtocol) -> None:
        self.folder = Path(folder)
        self.partial = self.folder.with_name(self.folder.name + PARTIAL_SUFFIX)
        self.names = classes.names
        self._closed = False
        try:
            self._take_up_finished(classes, protocol)
            self.partial.mkdir(parents=True, exist_ok=True)
            self._boxes = (self.partial / BOXES_FILE).open("a+b", buffering=0)
            try:
                self._lock()
                _require_same(self.partial, classes, protocol)
                self._parts = [recover(self.partial, self._boxes)]
                self._images = (self.partial / IMAGES_FILE).open("ab", buffering=0)
            except BaseException:
                self._boxes.close()
                raise
        except FormatError as error:
            raise as_landmarks_error(error) from error
        except OSError as error:
            raise LandmarksError(f"{self.partial}: cannot write here: {error}") from error
        self._seen = set(self._parts[0].tolist())
        _open_writers.add(self)

    def __enter__(self) -> "DetectionWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go()

    @property
    def done(self) -> NDArray[np.uint64]:
        """The pictures looked at, uint64 [N]. Those that could not be read are not among them: they are tried again."""
        return np.concatenate(self._parts)

    def add(self, ids: NDArray[np.uint64], found: Detections) -> None:
        """Append what was found in some pictures.

        Args:
            ids: uint64 [B], the pictures looked at; nothing may have been found in some.
            found: boxes of the writer's classes in those pictures, in any order.

        Raises:
            LandmarksError: a picture was there before, a box is in none of `ids` or of other classes, or a full disk.
                What was added before stays good.
        """
        self._refuse_repeats(ids)
        if found.classes.tolist() != self.names.tolist():
            raise LandmarksError(f"{self.folder}: boxes of other classes ({', '.join(found.classes[:3])} …)")
        place = find_rows(found.image_ids, ids)
        if (place < 0).any():
            stranger = hex_of(found.image_ids[int(np.argmin(place))])
            raise LandmarksError(f"{self.folder}: a box is in picture {stranger}, which is not among those looked at")
        order = np.argsort(place, kind="stable")
        in_order = Detections(
            found.image_ids[order], found.labels[order], found.scores[order], found.boxes[order], found.classes
        )
        counts = np.bincount(place, minlength=len(ids)).tolist()
        pictures = zip(map(hex_of, ids.tolist()), counts, [""] * len(counts), strict=True)
        self._append(b"".join(detection_lines(in_order)), csv_lines(pictures))
        self._parts.append(ids)
        self._seen.update(ids.tolist())

    def add_unreadable(self, pictures: Iterable[tuple[str, str]]) -> None:
        """Append pictures, 16 hex digits each, that could not be read, and why.

        Raises:
            LandmarksError: a full disk.
        """
        self._append(b"", csv_lines((name, 0, " ".join(reason.split()) or "unreadable") for name, reason in pictures))

    def close(self) -> None:
        """Give the folder its final name.

        Raises:
            LandmarksError: the disk refused.
        """
        if self._closed:
            return
        try:
            for file in (self._boxes, self._images):
                os.fsync(file.fileno())
            self.partial.rename(self.folder)
        except OSError as error:
            raise LandmarksError(f"{self.folder}: could not finish the set: {error}") from error
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Close the files and keep the unfinished set."""
        self._closed = True
        self._images.close()
        self._boxes.close()

    def _append(self, boxes: bytes, images: bytes) -> None:
        if self._closed:
            raise LandmarksError(f"{self.folder}: the set is closed")
        try:
            write_all(self._boxes, boxes)
            write_all(self._images, images)
        except OSError as error:
            self.let_go()  # half a line may lie there now; opening the set again cuts it off
            raise LandmarksError(
                f"{self.partial}: could not write: {error}; make room and run the same again, it goes on from there"
            ) from error

    def _refuse_repeats(self, ids: NDArray[np.uint64]) -> None:
        again = first_repeat(ids)
        repeats = [image_id for image_id in ids.tolist() if image_id in self._seen]
        repeats += [] if again is None else [int(ids[again])]
        if repeats:
            raise LandmarksError(f"{self.folder}: picture {hex_of(repeats[0])} was added before")

    def _take_up_finished(self, classes: DetectionClasses, protocol: DetectionProtocol) -> None:
        """Make a finished set an unfinished one again, for pictures that it lacks."""
        if not self.folder.exists():
            return
        if self.partial.exists():
            raise LandmarksError(f"{self.folder} is there, and unfinished beside it {self.partial}: remove one of them")
        if not (self.folder / PROTOCOL_FILE).is_file():
            raise LandmarksError(f"{self.folder} is there and holds no detections: choose another folder")
        _require_same(self.folder, classes, protocol)
        self.folder.rename(self.partial)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._boxes, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LandmarksError(f"{self.partial}: another process writes this set; give each its own") from error


def _require_same(folder: Path, classes: DetectionClasses, protocol: DetectionProtocol) -> None:
    """Write classes and protocol into a new folder, or refuse one that has others."""
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
            f"{folder}: the detections there were made otherwise ({'; '.join(differences)}): remove them or choose "
            "another folder"
        )


def _brief(classes: DetectionClasses) -> str:
    shown = ", ".join(classes.titles[:3].tolist())
    return f"{len(classes.names)} ({shown}{', …' if len(classes.names) > 3 else ''})"
