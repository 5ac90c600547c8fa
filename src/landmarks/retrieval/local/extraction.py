"""The work of the processes of the local feature store: read an image, look it up by its content, extract if new.

Separate from the store so that the processes do not import what only the main process needs.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.config import available_cores
from landmarks.data import ImageSet, MissingImageError, UnreadableImageError, decode
from landmarks.local_features import LocalExtractor, LocalFeatures
from landmarks.retrieval.local.records import Records, find, is_sound
from landmarks.retrieval.local.table import KEY_BYTES, FeatureColumns


@dataclass(frozen=True)
class Found:
    """The result of a process for one image."""

    key: bytes | None  # hash of its bytes and of the extractor; None if the file is missing
    record: np.void | None = None  # location of its features in the store, if present and intact
    features: LocalFeatures | None = None  # new features otherwise
    fault: str = ""  # why the image could not be read


@dataclass(frozen=True)
class Extraction:
    """The work of a process: look images up by key or content, check stored features, extract missing ones."""

    images: ImageSet  # the image files
    extractor: LocalExtractor  # detects and describes features
    signature: bytes  # at most 16 bytes that identify the extractor and its settings
    known: Records  # records of stored images, sorted by key
    columns: FeatureColumns  # the features to which the records point

    def __call__(self, job: tuple[NDArray[np.integer], list[bytes]]) -> list[Found]:
        """Process some rows of the images, in order, given the key of each, empty if unknown."""
        rows, keys = job
        if not self.extractor.on_gpu:
            return list(map(self._find, rows.tolist(), keys))
        with ThreadPoolExecutor(available_cores()) as pool:  # images are read and decoded while the GPU computes
            return list(pool.map(self._find, rows.tolist(), keys))

    def _find(self, row: int, known: bytes) -> Found:
        record = find(self.known, known) if known else None
        if record is not None and record["readable"] and is_sound(record, self.columns):
            return Found(known, record)
        try:
            data = self.images.read(row)
        except MissingImageError as error:
            return Found(None, fault=str(error))
        key = hashlib.blake2b(data, digest_size=KEY_BYTES, salt=self.signature).digest()
        record = find(self.known, key)
        if record is not None and record["readable"] and is_sound(record, self.columns):
            return Found(key, record)
        try:
            features = self.extractor(decode(data))
        except UnreadableImageError as error:
            return Found(key, record, LocalFeatures.none(self.extractor.kind), str(error))
        return Found(key, features=features)
