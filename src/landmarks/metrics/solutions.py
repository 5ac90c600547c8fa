"""Ground truth of both tasks as arrays, checked when it is created.

The values of query q are `values[start[q]:start[q + 1]]` (CSR layout), because Python sets of strings take many times
the memory. `public` splits the scored images into the public and the private part of the leaderboard. Ignored images
may occur in a submission, but do not count. `solution_files.py` reads and writes the files. Source: Weyand et al.,
"Google Landmarks Dataset v2", CVPR 2020.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import FormatError
from landmarks.ids import find_rows, first_repeat, format_id
from landmarks.metrics.groups import GroupedValues, group_of_each


@dataclass(frozen=True, eq=False)
class RetrievalSolution:
    """The correct index images of each query.

    Attributes:
        query_ids: uint64 [Q], unique.
        public: bool [Q], True for public, False for private.
        positives_start: int64 [Q+1], boundaries of each query's correct images; every query has at least one.
        positives: uint64 [P], ids of correct index images, unique within a query.
        ignored_ids: uint64 [I], query ids that are not scored.

    Raises:
        FormatError: the arrays violate one of these rules.
    """

    query_ids: NDArray[np.uint64]
    public: NDArray[np.bool_]
    positives_start: NDArray[np.int64]
    positives: NDArray[np.uint64]
    ignored_ids: NDArray[np.uint64]

    def __post_init__(self) -> None:
        _check_ids("query", self.query_ids, self.public, self.ignored_ids)
        check_array("positives", self.positives, np.uint64)
        check_groups("positives", self.positives_start, len(self.query_ids), len(self.positives))
        if len(self.query_ids) and self.num_positives.min() == 0:
            image_id = format_id(self.query_ids[np.argmin(self.num_positives)])
            raise FormatError(f"query {image_id} has no correct image, so it cannot be scored; ignore it")
        if len(self._positives.repeated):
            row = int(self._positives.repeated.min())
            query, image = format_id(self.query_ids[self._positives.groups[row]]), format_id(self.positives[row])
            raise FormatError(f"query {query} names the correct image {image} twice; name it once")

    @property
    def num_positives(self) -> NDArray[np.int64]:
        """Number of correct images of each query, int64 [Q]."""
        return np.diff(self.positives_start)

    @cached_property
    def _positives(self) -> GroupedValues:
        return GroupedValues(self.positives, self.positives_start)

    def find_positives(self, rows: NDArray[np.int64], image_ids: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Look up index images among the correct ones of queries.

        Args:
            rows: int64 [N], rows of `query_ids`; -1 = none.
            image_ids: uint64 [N], index images.

        Returns:
            int64 [N], rows of `positives`; -1 for an incorrect image.
        """
        return self._positives.find(image_ids, rows)


@dataclass(frozen=True, eq=False)
class RecognitionSolution:
    """The landmarks of each test image; most images show none.

    Attributes:
        image_ids: uint64 [Q], unique.
        public: bool [Q], True for public, False for private.
        landmarks_start: int64 [Q+1], boundaries of each image's landmarks.
        landmarks: int64 [L], landmark numbers, 0 or more.
        ignored_ids: uint64 [I], image ids that are not scored.

    Raises:
        FormatError: the arrays violate one of these rules.
    """

    image_ids: NDArray[np.uint64]
    public: NDArray[np.bool_]
    landmarks_start: NDArray[np.int64]
    landmarks: NDArray[np.int64]
    ignored_ids: NDArray[np.uint64]

    def __post_init__(self) -> None:
        _check_ids("image", self.image_ids, self.public, self.ignored_ids)
        check_groups("landmarks", self.landmarks_start, len(self.image_ids), len(self.landmarks))
        check_array("landmarks", self.landmarks, np.int64)
        if len(self.landmarks) and self.landmarks.min() < 0:
            row = int(group_of_each(self.landmarks_start)[np.argmin(self.landmarks)])
            image_id, landmark = format_id(self.image_ids[row]), self.landmarks.min()
            raise FormatError(f"image {image_id} has landmark {landmark}; give numbers of 0 or more, or none")

    @property
    def has_landmark(self) -> NDArray[np.bool_]:
        """Mask of the images that show a landmark, bool [Q]."""
        return np.diff(self.landmarks_start) > 0

    @cached_property
    def _landmarks(self) -> GroupedValues:
        return GroupedValues(self.landmarks, self.landmarks_start)

    def shows(self, rows: NDArray[np.int64], landmarks: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether images show landmarks.

        Args:
            rows: int64 [N], rows of `image_ids`; -1 = none.
            landmarks: int64 [N].

        Returns:
            bool [N].
        """
        return self._landmarks.find(landmarks, rows) >= 0


def scored_rows(
    image_ids: NDArray[np.uint64], solution_ids: NDArray[np.uint64], ignored_ids: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """Find the row of each submitted id in the solution.

    Args:
        image_ids: uint64 [N], submitted ids.
        solution_ids: uint64 [Q], scored ids.
        ignored_ids: uint64 [I], ids that are not scored.

    Returns:
        int64 [N], rows of `solution_ids`; -1 for an ignored id.

    Raises:
        FormatError: an id is neither scored nor ignored.
    """
    rows = find_rows(image_ids, solution_ids)
    unknown = (rows < 0) & (find_rows(image_ids, ignored_ids) < 0)
    if unknown.any():
        image_id = format_id(image_ids[np.argmax(unknown)])
        raise FormatError(f"id {image_id} is not in the solution; predict only for the images of the test split")
    return rows


def check_array(name: str, array: NDArray[Any], dtype: type[np.generic]) -> None:
    """Raise a FormatError unless the array has this dtype and one axis."""
    if array.ndim != 1 or array.dtype != dtype:
        raise FormatError(f"{name} is {array.dtype} {list(array.shape)}; give {dtype.__name__} [N]")


def check_groups(name: str, start: NDArray[np.int64], groups: int, values: int) -> None:
    """Raise a FormatError unless CSR boundaries ascend from 0 to the number of values."""
    check_array(f"{name}_start", start, np.int64)
    if len(start) != groups + 1 or start[0] != 0 or start[-1] != values or (np.diff(start) < 0).any():
        raise FormatError(f"{name}_start must be {groups + 1} numbers that ascend from 0 to {values}")


def check_unique(name: str, ids: NDArray[np.uint64]) -> None:
    """Raise a FormatError for ids of another dtype or an id that occurs twice."""
    check_array(f"{name}_ids", ids, np.uint64)
    row = first_repeat(ids)
    if row is not None:
        raise FormatError(f"{name} {format_id(ids[row])} occurs twice; keep one")


def _check_ids(name: str, ids: NDArray[np.uint64], public: NDArray[np.bool_], ignored: NDArray[np.uint64]) -> None:
    check_unique(name, ids)
    check_array("public", public, np.bool_)
    check_unique("ignored", ignored)
    if len(public) != len(ids):
        raise FormatError(f"public has {len(public)} values for {len(ids)} ids; give one for each")
    both = find_rows(ignored, ids) >= 0
    if both.any():
        raise FormatError(f"{name} {format_id(ignored[np.argmax(both)])} is both scored and ignored; keep one")
