"""Values in groups, such as the correct images of each query, looked up without Python loops."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SLOTS = 4  # per value
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # odd and with random-looking bits: multiplying by it is a good hash


def group_of_each(start: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the group of every value in CSR layout: [G+1] boundaries -> int64 [start[-1]]."""
    return np.repeat(np.arange(len(start) - 1), np.diff(start))


class GroupedValues:
    """A hash table of values in groups, in CSR layout; most look-ups end in one step.

    The slots of a group are adjacent, so that its look-ups stay in the processor's cache. A value whose slot is taken
    goes to the next free one.

    Args:
        values: uint64 or int64 [V], group g is `values[start[g]:start[g + 1]]`, in any order.
        start: int64 [G+1] boundaries.

    Attributes:
        values: the argument.
        groups: int64 [V], the group of each value.
        repeated: int64, rows of values that occur more than once in their group, except one of each.
    """

    def __init__(self, values: NDArray[Any], start: NDArray[np.int64]) -> None:
        self.values, self.groups = values, group_of_each(start)
        self._first_slot, self._num_slots = start[:-1] * _SLOTS, np.diff(start).astype(np.uint64) * np.uint64(_SLOTS)
        self._table = np.full(len(values) * _SLOTS + 1, -1, np.int32)
        rows, slots = np.arange(len(values)), self._slots(values, self.groups)
        repeated = [rows[:0]]
        while len(rows):
            free = self._table[slots] < 0
            self._table[slots[free]] = rows[free]  # if several want the same slot, one gets it
            there = self._table[slots]
            same = (self.values[there] == self.values[rows]) & (self.groups[there] == self.groups[rows])
            repeated.append(rows[same & (there != rows)])
            rows, slots = rows[~same], (slots[~same] + 1) % len(self._table)
        self.repeated = np.concatenate(repeated)

    def find(self, wanted: NDArray[Any], groups: NDArray[np.int64]) -> NDArray[np.int64]:
        """Look up values in their groups.

        Args:
            wanted: [N], the values.
            groups: int64 [N], the group of each; -1 = none.

        Returns:
            int64 [N], rows in `values`; -1 for a value that is not in its group.
        """
        found = np.full(len(wanted), -1, np.int64)
        if len(self.values) == 0:
            return found
        slots = self._slots(wanted, groups)
        there = self._table[slots]
        asked = np.flatnonzero((there >= 0) & (groups >= 0))
        slots, there = slots[asked], there[asked]
        while len(asked):
            hit = (self.values[there] == wanted[asked]) & (self.groups[there] == groups[asked])
            found[asked[hit]] = there[hit]
            asked, slots = asked[~hit], (slots[~hit] + 1) % len(self._table)
            there = self._table[slots]
            taken = there >= 0  # the search ends at a free slot
            asked, slots, there = asked[taken], slots[taken], there[taken]
        return found

    def _slots(self, values: NDArray[Any], groups: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the preferred slot of each value."""
        share = (values.astype(np.uint64, copy=False) * _SPREAD) >> np.uint64(32)
        within = (share * self._num_slots[groups]) >> np.uint64(32)
        return self._first_slot[groups] + within.view(np.int64)
