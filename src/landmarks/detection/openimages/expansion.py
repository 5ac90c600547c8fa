"""What the hierarchy of classes adds to boxes and to image-level labels.

The official evaluation counts a box of a class as one of each of its ancestors, a picture that shows a class as showing
its ancestors, and one that does not as showing none of its descendants. To train with more boxes for the same place is
a choice of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from landmarks.detection.openimages.annotations import BoxRows


def expand_rows(rows: BoxRows, names: NDArray[np.str_], ancestors: Mapping[str, Sequence[str]]) -> BoxRows:
    """Repeat each box for every ancestor of its class; those of a picture stay side by side.

    Args:
        rows: B boxes.
        names: str [K], what their labels mean; ancestors that are not among them are left out.
        ancestors: For a machine name those of the classes that it is a kind of.
    """
    place = {name: row for row, name in enumerate(names.tolist())}
    added = [
        [label, *(place[above] for above in ancestors.get(name, ()) if above in place)] for name, label in place.items()
    ]
    counts = np.array([len(labels) for labels in added])
    first = np.cumsum(counts) - counts
    times = counts[rows.labels]
    source = np.repeat(np.arange(len(times)), times)
    turn = np.arange(len(source)) - np.repeat(np.cumsum(times) - times, times)
    labels = np.array([label for labels in added for label in labels], dtype=np.int32)
    return replace(
        rows,
        ids=rows.ids[source],
        labels=labels[first[rows.labels[source]] + turn],
        boxes=rows.boxes[source],
        flags=rows.flags[source],
    )
