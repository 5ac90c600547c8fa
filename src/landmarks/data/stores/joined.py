"""Two stores behind one, for training on train and index images together."""

import numpy as np
from numpy.typing import NDArray

from landmarks.data.ids import format_id
from landmarks.data.stores.store import ABSENT, ImageStore, MissingImageError
from landmarks.data.table import find_sorted


class JoinedStore:
    """Two stores as one. Even locations are in the first store, odd ones in the second.

    Args:
        first_ids: uint64 [N], the ids that `first` answers for; all others go to `second`.
        first: A store.
        second: Another store.
    """

    def __init__(self, first_ids: NDArray[np.uint64], first: ImageStore, second: ImageStore) -> None:
        self._first_ids = np.sort(first_ids)
        self._stores = (first, second)

    def locate(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """See ImageStore."""
        in_second = find_sorted(self._first_ids, ids) < 0
        locations = np.empty(len(ids), dtype=np.int32)
        for number, (store, chosen) in enumerate(zip(self._stores, (~in_second, in_second), strict=True)):
            found = store.locate(ids[chosen])
            locations[chosen] = np.where(found >= 0, found * 2 + number, ABSENT)
        return locations

    def read(self, image_id: int, location: int, length: int | None = None) -> bytes:
        """See ImageStore."""
        if location < 0:
            raise MissingImageError(f"image {format_id(image_id)} is in neither of the two sets")
        return self._stores[location % 2].read(image_id, location // 2, length)
