"""Two stores behind one, for training on train and index images together."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from landmarks.data.stores.store import ABSENT, ImageStore, MissingImageError
from landmarks.ids import find_sorted, format_id


class JoinedStore:
    """Two stores as one. Even locations are in the first store, odd ones in the second.

    Args:
        first_ids: uint64 [N], the ids that `first` answers for; all others go to `second`.
        first: A store.
        second: Another store.
    """

    def __init__(self, first_ids: NDArray[np.uint64], first: ImageStore, second: ImageStore) -> None:
        self._first_ids = first_ids
        self._stores = (first, second)

    @cached_property
    def _sorted_first_ids(self) -> NDArray[np.uint64]:
        return np.sort(self._first_ids)

    def locate(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """See ImageStore."""
        in_second = find_sorted(self._sorted_first_ids, ids) < 0
        locations = np.empty(len(ids), dtype=np.int32)
        for number, (store, chosen) in enumerate(zip(self._stores, (~in_second, in_second), strict=True)):
            found = store.locate(ids[chosen])
            locations[chosen] = _numbered(found, number)
        return locations

    def join(self, first: NDArray[np.int32], second: NDArray[np.int32]) -> NDArray[np.int32]:
        """Locations of images that were located in their own store: int32 [A], int32 [B] -> int32 [A + B]."""
        return np.concatenate([_numbered(first, 0), _numbered(second, 1)])

    def read(self, image_id: int, location: int, length: int | None = None) -> bytes:
        """See ImageStore."""
        if location < 0:
            raise MissingImageError(f"image {format_id(image_id)} is in neither of the two sets")
        return self._stores[location % 2].read(image_id, location // 2, length)


def _numbered(locations: NDArray[np.int32], store: int) -> NDArray[np.int32]:
    return np.where(locations >= 0, locations * 2 + store, ABSENT).astype(np.int32)
