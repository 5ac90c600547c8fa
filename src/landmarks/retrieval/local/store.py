"""Stores the local features of images on disk, so that each image is processed once.

An image's features are found by the hash of its encoded bytes and of what the extractor depends on: an image that
was replaced, another setting or another version of OpenCV can never meet old features. Which hash a file has is kept by
its place, size and times, so that its bytes are read once and not in every run.

On disk a feature takes 16 bytes and its descriptor: 144 in all for RootSIFT, ALIKED and DISK, 80 for XFeat. So an image
with 1000 of them takes 144 or 80 kB, and the 761,757 index images of GLDv2 110 or 61 GB. In memory an image takes about
130 bytes in this process and 50 in each worker, 99 and 38 MB for that index; features are memory-mapped, never all in
memory.
"""

import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.data import ImageSet
from landmarks.errors import LandmarksError
from landmarks.local_features import Geometry, LocalExtractor, Matcher, PairMatcher
from landmarks.retrieval.local.extraction import Extraction, Found
from landmarks.retrieval.local.records import RECORD, FeatureFiles, Records
from landmarks.retrieval.local.table import KEY_BYTES, LocalFeatureTable
from landmarks.retrieval.local.workers import Workers
from landmarks.retrieval.progress import Progress
from landmarks.retrieval.state import Resources
from landmarks.storage import user_cache

log = logging.getLogger(__name__)

KNOWN = 4096  # stored images per process, whose features only need a check
CHUNK = 16  # images per job and per append, the most that a killed run loses per process
NAMED = 5  # unreadable images that a warning names


class LocalFeatureStore:
    """The features of one extractor, in a subfolder of `folder`, and how those of two images are compared.

    Several runs may share a store; they extract one after another, and a later run reuses the features of earlier ones.

    Args:
        extractor: detects and describes the features.
        folder: parent folder; by default ``local_features`` in `$LANDMARKS_CACHE`, `$XDG_CACHE_HOME/landmarks` or
            ``~/.cache/landmarks``. It may be deleted at any time between runs.
        matcher: finds tentative pairs of the features of two images; by default `Matcher()`.
        geometry: decides which of them are inliers; by default `Geometry()`.
    """

    def __init__(
        self,
        extractor: LocalExtractor,
        folder: str | Path | None = None,
        matcher: PairMatcher | None = None,
        geometry: Geometry | None = None,
    ) -> None:
        self.extractor = extractor
        self.matcher = matcher or Matcher()
        self.geometry = geometry or Geometry()
        self._parent = Path(folder) if folder is not None else None

    @property
    def folder(self) -> Path:
        """Folder with the features of this extractor."""
        parent = self._parent if self._parent is not None else user_cache() / "local_features"
        return parent / f"{type(self.extractor).__name__.lower()}-{self._signature().hex()}"

    def collect(self, images: ImageSet, rows: NDArray[np.integer], resources: Resources) -> LocalFeatureTable:
        """Return the features of some images, extracting those that are missing or corrupt.

        Features are stored chunk by chunk. Images that cannot be read have no features; a warning counts and names
        them.

        Args:
            images: the image files.
            rows: integers [n], rows of the images to use.
            resources: gives the number of processes.

        Returns:
            A table of n images in the order of `rows`.

        Raises:
            LandmarksError: the disk cannot be written, or none of two or more images can be read.
        """
        places = np.zeros(len(rows), RECORD)
        bad: list[str] = []
        stamps = images.stamps(rows)
        stamps[stamps % 2 == 1] = 0  # these stamps would not detect a replaced image
        try:
            with FeatureFiles(self.folder, self.extractor.kind) as files:
                work = Extraction(images, self.extractor, self._signature(), files.known, files.columns())
                known = files.keys_of(stamps)
                parts = [slice(start, start + CHUNK) for start in range(0, len(rows), CHUNK)]
                jobs = [(rows[part], known[part]) for part in parts]
                new = sum(not key for key in known)
                processes = min(resources.workers, -(-new // CHUNK) + (len(rows) - new) // KNOWN) or 1
                processes = 1 if self.extractor.on_gpu else processes
                noted: list[tuple[int, bytes]] = []
                progress = Progress("local features of images", len(rows))
                with Workers("local features", work, processes) as workers:
                    for part, found in zip(parts, workers.map(jobs), strict=True):
                        _fill(places[part], found, files)
                        for row, stamp, key, one in zip(rows[part], stamps[part], known[part], found, strict=True):
                            if one.fault:
                                bad.append(f"{images.name(int(row))}: {one.fault}")
                            elif stamp and one.key is not None and one.key != key:
                                noted.append((int(stamp), one.key))
                        progress.advance(len(found))
                if noted:
                    files.remember(noted)
                files.sync()
                columns = files.columns()
        except OSError as error:
            raise LandmarksError(
                f"{self.folder}: could not write local features: {error}; free disk space, or choose another folder, "
                "and run the same command again: finished work is kept"
            ) from error
        self._report(bad, len(rows))
        firsts, counts = places["first"].astype(np.int64), places["count"].astype(np.int64)
        sizes = np.stack([places["height"], places["width"]], axis=1).astype(np.int32)
        keys = np.ascontiguousarray(places["key"]).view(np.uint8).reshape(len(rows), KEY_BYTES)
        return LocalFeatureTable(columns, firsts, counts, sizes, keys)

    def _report(self, bad: list[str], count: int) -> None:
        if not bad:
            return
        message = f"{len(bad)} of {count} images could not be read and have no local features: " + "; ".join(
            bad[:NAMED] + ["…"] * (len(bad) > NAMED)
        )
        if len(bad) == count > 1:
            raise LandmarksError(message)
        log.warning("%s", message)

    def _signature(self) -> bytes:
        text = json.dumps({**self.extractor.signature(), **asdict(self.extractor.kind)}, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _fill(places: Records, found: list[Found], files: FeatureFiles) -> None:
    """Store the locations of the next images' features in `places`, after appending new features to the files."""
    new = [
        (one.key, one.features, not one.fault)
        for one in found
        if one.record is None and one.key is not None and one.features is not None
    ]
    added = iter(files.append(new) if new else ())
    for place, one in enumerate(found):
        if one.key is not None:
            places[place] = one.record if one.record is not None else next(added)
