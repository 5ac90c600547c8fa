"""Which class is a kind of which: the hierarchy of Open Images, and what it adds to labels.

`bbox_labels_600_hierarchy.json` is a tree of nodes {"LabelName", "Subcategory": […], "Part": […]}. Only Subcategory
says that one class is a kind of another. Part says that it belongs to a thing: taken for a kind, it would make every
laptop, guitar and remote control of the file a Building. So parts are passed over, with all below them, and so is the
root, which names no class; the official expansion does the same (Kuznetsova et al., "The Open Images Dataset V4", IJCV
2020, and the evaluation page of the 2018 challenge). In the official file nothing is lost by it: each part is a
subcategory elsewhere.

A box of a class is also one of all its ancestors. That a picture shows a class verifies its ancestors, and that it
does not rules out its descendants.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from landmarks.errors import LandmarksError

LARGEST = 16 << 20  # bytes; the official file has 86,291
DEEPEST = 100  # the official tree has five levels


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Kinds of classes, by machine name.

    Attributes:
        ancestors: For every class all those that it is a kind of, closer ones first; a class may have several parents.
    """

    ancestors: Mapping[str, tuple[str, ...]]

    @cached_property
    def descendants(self) -> Mapping[str, tuple[str, ...]]:
        """For every class all its kinds, in the order of `ancestors`."""
        below: dict[str, list[str]] = {name: [] for name in self.ancestors}
        for name, above in self.ancestors.items():
            for ancestor in above:
                below[ancestor].append(name)
        return {name: tuple(kinds) for name, kinds in below.items()}


def read_hierarchy(path: str | Path) -> Hierarchy:
    """Read a hierarchy such as `bbox_labels_600_hierarchy.json`.

    Raises:
        LandmarksError: The file cannot be read, is no such tree, or makes a class a kind of itself.
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
    return Hierarchy({name: _above(path, name, parents) for name in parents})


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
