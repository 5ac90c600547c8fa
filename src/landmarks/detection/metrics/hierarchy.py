"""Which class is a kind of which, and what that adds to truth and detections: an image of a castle shows a building.

Open Images scores on expanded annotations: a box counts for every class above its own as well, a class seen in an
image says that those above it are there, and a class that is absent says that those below it are. Detections are
expected to be expanded by their maker, so that `expand_detections` is a choice of its own.

`bbox_labels_600_hierarchy.json` is a tree of nodes {"LabelName", "Subcategory": […], "Part": […]}. Only Subcategory
says that one class is a kind of another. Part says that it belongs to a thing: taken for a kind, it would make every
laptop, guitar and remote control of the file a Building. So parts are passed over, with all below them, and so is the
root, which names no class; the official expansion does the same. In the official file nothing is lost by it: each part
is a subcategory elsewhere.
Source: https://storage.googleapis.com/openimages/web/challenge.html, "Evaluation metric"; Kuznetsova et al., "The Open
Images Dataset V4", IJCV 2020.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.detection.metrics.boxes import BoxTruth, ranges
from landmarks.errors import LandmarksError
from landmarks.recognition import Detections

Ancestors = Mapping[str, Collection[str]]  # machine name -> all names above it, the root of the tree left out
LARGEST = 16 << 20  # bytes; the official file has 86,291
DEEPEST = 100  # the official tree has five levels


def read_hierarchy(path: str | Path) -> Mapping[str, tuple[str, ...]]:
    """Read a hierarchy such as `bbox_labels_600_hierarchy.json`.

    Returns:
        For every class, by machine name, all those that it is a kind of, closer ones first.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST:
            raise LandmarksError(f"{path}: {path.stat().st_size} bytes are no hierarchy of classes")
        root = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LandmarksError(f"{path}: the hierarchy cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise LandmarksError(f"{path}: is no JSON ({str(error)[:80]}); fetch the file again") from error
    parents: dict[str, dict[str, None]] = {}
    for parent, child in _kinds(path, root):
        parents.setdefault(child, {}).update({parent: None} if parent else {})
    return {name: _above(path, name, parents) for name in parents}


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

    boxes, labels = repeated(truth.labels, above)
    present, absent = np.flatnonzero(truth.present), np.flatnonzero(~truth.present)
    up, present_labels = repeated(truth.verified_labels[present], above)
    down, absent_labels = repeated(truth.verified_labels[absent], below)
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
    """Repeat each detection of a detector that knows no hierarchy, with its score, for all classes above its own."""
    names: list[str] = detections.classes.tolist()
    classes, row_of_name = _extended(names, [ancestors])
    rows, labels = repeated(detections.labels, _rows_of(names, ancestors, row_of_name))
    return replace(detections.take(rows), labels=labels, classes=classes)


def _kinds(path: Path, root: Any) -> Iterator[tuple[str, str]]:
    """Each class with a class that it is a kind of, "" at the top."""
    _name(path, root)
    todo = [("", child, 1) for child in _children(path, root)]
    while todo:
        parent, node, depth = todo.pop(0)
        if depth > DEEPEST:
            raise LandmarksError(f"{path}: the hierarchy has more than {DEEPEST} levels; fetch the file again")
        name = _name(path, node)
        yield parent, name
        todo += [(name, child, depth + 1) for child in _children(path, node)]


def _name(path: Path, node: Any) -> str:
    name = node.get("LabelName") if isinstance(node, dict) else None
    if not isinstance(name, str) or not name:
        raise LandmarksError(
            f'{path}: {str(node)[:80]!r} is no class; write {{"LabelName": "/m/…", "Subcategory": […]}}'
        )
    return name


def _children(path: Path, node: dict[str, Any]) -> list[Any]:
    children = node.get("Subcategory", [])
    if not isinstance(children, list):
        raise LandmarksError(f"{path}: the Subcategory of {node['LabelName']} is no list; fetch the file again")
    return children


def _above(path: Path, name: str, parents: Mapping[str, Mapping[str, None]]) -> tuple[str, ...]:
    """All ancestors, level by level."""
    found: dict[str, None] = {}
    level = list(parents[name])
    while level:
        if name in level:
            raise LandmarksError(f"{path}: {name} is a kind of itself; correct the hierarchy")
        found.update(dict.fromkeys(level))
        level = [parent for child in level for parent in parents[child] if parent not in found or parent == name]
    return tuple(found)


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


def repeated(labels: NDArray[np.int32], targets: list[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Repeat labels [N] for the classes that each becomes: rows int64 [E] of `labels`, and the new labels int32 [E]."""
    counts = np.array([len(rows) for rows in targets], np.int64)
    flat = np.array([row for rows in targets for row in rows], np.int32)
    times = counts[labels]
    return np.repeat(np.arange(len(labels)), times), flat[ranges((np.cumsum(counts) - counts)[labels], times)]
