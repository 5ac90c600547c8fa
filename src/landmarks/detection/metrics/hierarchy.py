"""Truth and detections on classes that lie above or below each other: a picture of a castle also shows a building.

Open Images scores on expanded annotations: a box counts for every class above its own as well, a class seen in a
picture says that those above it are there, and a class that is absent says that those below it are. Detections are
expected to be expanded by their maker, so that `expand_detections` is a choice of its own.
Source: https://storage.googleapis.com/openimages/web/challenge.html, "Evaluation metric".
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from landmarks.detection.metrics.boxes import BoxTruth
from landmarks.recognition.detections.boxes import Detections

Ancestors = Mapping[str, Collection[str]]  # machine name -> all names above it, the root of the tree left out


def expand_truth(truth: BoxTruth, ancestors: Ancestors) -> BoxTruth:
    """Repeat boxes and positive labels for all classes above theirs, negative labels for all below.

    Args:
        truth: as annotated. Rows that an annotator already gave to a class above are kept beside the repeated ones, as
            in the official expansion.
        ancestors: for each class the names of all classes above it, not only the next one; a class may be missing.

    Returns:
        The expanded truth. Its classes are the given ones, and after them those that were added, sorted; `of_classes`
        leaves those that are to be scored.
    """
    names: list[str] = truth.classes.tolist()
    descendants: dict[str, list[str]] = {}
    for name, names_above in ancestors.items():
        for other in set(names_above):
            descendants.setdefault(other, []).append(name)
    classes, row_of_name = _extended(names, [ancestors, descendants])
    above, below = _rows_of(names, ancestors, row_of_name), _rows_of(names, descendants, row_of_name)

    boxes, labels = _repeated(truth.labels, above)
    present, absent = np.flatnonzero(truth.present), np.flatnonzero(~truth.present)
    up, present_labels = _repeated(truth.verified_labels[present], above)
    down, absent_labels = _repeated(truth.verified_labels[absent], below)
    verified = np.concatenate([present[up], absent[down]])
    return BoxTruth(
        image_ids=truth.image_ids[boxes],
        labels=labels,
        boxes=truth.boxes[boxes],
        group_of=truth.group_of[boxes],
        verified_image_ids=truth.verified_image_ids[verified],
        verified_labels=np.concatenate([present_labels, absent_labels]),
        present=truth.present[verified],
        classes=classes,
    )


def expand_detections(detections: Detections, ancestors: Ancestors) -> Detections:
    """Repeat each detection, with its score, for all classes above its own.

    Args:
        detections: of a detector that knows no hierarchy.
        ancestors: as in `expand_truth`.
    """
    names: list[str] = detections.classes.tolist()
    classes, row_of_name = _extended(names, [ancestors])
    rows, labels = _repeated(detections.labels, _rows_of(names, ancestors, row_of_name))
    return replace(
        detections,
        image_ids=detections.image_ids[rows],
        labels=labels,
        scores=detections.scores[rows],
        boxes=detections.boxes[rows],
        classes=classes,
    )


def _extended(names: Sequence[str], related: Sequence[Ancestors]) -> tuple[NDArray[np.str_], dict[str, int]]:
    """The names and, sorted, those that are related to them; and the row of each."""
    found = {other for relation in related for name in names for other in relation.get(name, ())}
    extended = [*names, *sorted(found - set(names))]
    return np.array(extended, np.str_), {name: row for row, name in enumerate(extended)}


def _rows_of(names: Sequence[str], related: Ancestors, row_of_name: Mapping[str, int]) -> list[list[int]]:
    """For each name its own row and those of the names related to it."""
    return [
        [row, *sorted(row_of_name[other] for other in set(related.get(name, ())) - {name})]
        for row, name in enumerate(names)
    ]


def _repeated(labels: NDArray[np.int32], targets: list[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """For labels [N] and what each class becomes: rows int64 [E] of `labels`, and the new labels int32 [E]."""
    counts = np.array([len(rows) for rows in targets], np.int64)
    flat = np.array([row for rows in targets for row in rows], np.int32)
    times = counts[labels]
    rows = np.repeat(np.arange(len(labels)), times)
    inside = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
    return rows, flat[(np.cumsum(counts) - counts)[labels[rows]] + inside]
