"""The class hierarchy, and the expansion of ground truth and detections along it: a castle is also a building.

Open Images evaluates on expanded annotations: a box also counts for every parent class, a class that is present in an
image implies that its parents are, and a class that is absent that its subclasses are. Detections are expected to be
expanded by those who submit them, so `expand_detections` is a separate function.

`bbox_labels_600_hierarchy.json` is a tree of nodes {"LabelName", "Subcategory": […], "Part": […]}. Only Subcategory
means that one class is a kind of another. Part means that it belongs to an object; read as a kind, it would make every
laptop, guitar and remote control of the file a Building. Parts are therefore ignored, with everything below them, and
so is the root, which is not a class; the official expansion does the same. No class of the official file is lost,
since each part is a subcategory elsewhere.
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

Ancestors = Mapping[str, Collection[str]]  # machine name -> names of all its ancestors, without the root of the tree
LARGEST = 16 << 20  # bytes; the official file has 86,291
DEEPEST = 100  # the official tree has five levels


def read_hierarchy(path: str | Path) -> Mapping[str, tuple[str, ...]]:
    """Read a hierarchy such as `bbox_labels_600_hierarchy.json`.

    Args:
        path: The JSON file.

    Returns:
        The ancestors of every class, by machine name, the closest first.

    Raises:
        LandmarksError: The file cannot be read or is not a valid hierarchy.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST:
            raise LandmarksError(f"{path}: with {path.stat().st_size} bytes it is not a hierarchy of classes")
        root = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LandmarksError(f"{path}: the hierarchy cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise LandmarksError(f"{path}: is not valid JSON ({str(error)[:80]}); download the file again") from error
    parents: dict[str, dict[str, None]] = {}
    for parent, child in _kinds(path, root):
        parents.setdefault(child, {}).update({parent: None} if parent else {})
    return {name: _above(path, name, parents) for name in parents}


def expand_truth(truth: BoxTruth, ancestors: Ancestors) -> BoxTruth:
    """Repeat boxes and positive labels for all ancestors of their classes, negative labels for all descendants.

    Args:
        truth: The annotations. Rows that annotators already gave an ancestor are kept beside the repeated ones, as in
            the official expansion.
        ancestors: Names of all ancestors of each class, not only of the parent; a class may be missing.

    Returns:
        The expanded ground truth. Its classes are those of `truth`, followed by the added ones, sorted; use
        `of_classes` to keep those to evaluate.
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
    """Repeat each detection, with its score, for all ancestors of its class."""
    names: list[str] = detections.classes.tolist()
    classes, row_of_name = _extended(names, [ancestors])
    rows, labels = repeated(detections.labels, _rows_of(names, ancestors, row_of_name))
    return replace(detections.take(rows), labels=labels, classes=classes)


def _kinds(path: Path, root: Any) -> Iterator[tuple[str, str]]:
    """Yield each class with its parent, "" at the top."""
    _name(path, root)
    todo = [("", child, 1) for child in _children(path, root)]
    while todo:
        parent, node, depth = todo.pop(0)
        if depth > DEEPEST:
            raise LandmarksError(f"{path}: the hierarchy has more than {DEEPEST} levels; download the file again")
        name = _name(path, node)
        yield parent, name
        todo += [(name, child, depth + 1) for child in _children(path, node)]


def _name(path: Path, node: Any) -> str:
    name = node.get("LabelName") if isinstance(node, dict) else None
    if not isinstance(name, str) or not name:
        raise LandmarksError(
            f'{path}: {str(node)[:80]!r} is not a class; write {{"LabelName": "/m/…", "Subcategory": […]}}'
        )
    return name


def _children(path: Path, node: dict[str, Any]) -> list[Any]:
    children = node.get("Subcategory", [])
    if not isinstance(children, list):
        raise LandmarksError(f"{path}: the Subcategory of {node['LabelName']} is not a list; download the file again")
    return children


def _above(path: Path, name: str, parents: Mapping[str, Mapping[str, None]]) -> tuple[str, ...]:
    """Return all ancestors of a class, level by level."""
    found: dict[str, None] = {}
    level = list(parents[name])
    while level:
        if name in level:
            raise LandmarksError(f"{path}: {name} is its own ancestor; correct the hierarchy")
        found.update(dict.fromkeys(level))
        level = [parent for child in level for parent in parents[child] if parent not in found or parent == name]
    return tuple(found)


def _extended(names: Sequence[str], related: Sequence[Ancestors]) -> tuple[NDArray[np.str_], dict[str, int]]:
    """Return the names followed by the related ones, sorted, and the row of each."""
    found = {other for relation in related for name in names for other in relation.get(name, ())}
    extended = [*names, *sorted(found - set(names))]
    return np.array(extended, np.str_), {name: row for row, name in enumerate(extended)}


def _rows_of(names: Sequence[str], related: Ancestors, row_of_name: Mapping[str, int]) -> list[list[int]]:
    """Return for each name its own row and those of the related names."""
    return [
        [row, *sorted(row_of_name[other] for other in set(related.get(name, ())) - {name})]
        for row, name in enumerate(names)
    ]


def repeated(labels: NDArray[np.int32], targets: list[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Repeat labels [N] for all classes in `targets`: return rows of `labels`, int64 [E], and new labels, int32 [E]."""
    counts = np.array([len(rows) for rows in targets], np.int64)
    flat = np.array([row for rows in targets for row in rows], np.int32)
    times = counts[labels]
    return np.repeat(np.arange(len(labels)), times), flat[ranges((np.cumsum(counts) - counts)[labels], times)]
