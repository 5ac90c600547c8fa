"""What processes do for the store of local features: read an image, know it by its content, extract it if it is new.

Apart from the store so that a process need not import what only the other side of the work uses.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.data import ImageSet, MissingImageError, UnreadableImageError, decode
from landmarks.models import LocalExtractor, LocalFeatures
from landmarks.retrieval.local.records import Records, find, is_sound
from landmarks.retrieval.local.table import KEY_BYTES, FeatureColumns


@dataclass(frozen=True)
class Found:
    """What a process answers about one image."""

    key: bytes | None  # hash of its bytes and of the extractor; None where there were no bytes
    record: np.void | None = None  # where its features are, if they were there and sound
    features: LocalFeatures | None = None  # new ones, if not
    fault: str = ""  # why it could not be read


@dataclass(frozen=True)
class Extraction:
    """The work of a process: look images up by their key or content, check what is there, extract the rest."""

    images: ImageSet  # where the images are
    extractor: LocalExtractor  # finds and describes features
    signature: bytes  # at most 16 bytes that tell this extractor's features from others
    known: Records  # records of what is there, in order of keys
    columns: FeatureColumns  # the features that they name

    def __call__(self, job: tuple[NDArray[np.integer], list[bytes]]) -> list[Found]:
        """Answer for some rows of the images, in their order, with the key of each, empty where it is not known."""
        rows, keys = job
        return [self._find(row, key) for row, key in zip(rows.tolist(), keys, strict=True)]

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
            return Found(key, record, LocalFeatures.none(self.extractor.dim), str(error))
        return Found(key, features=features)
