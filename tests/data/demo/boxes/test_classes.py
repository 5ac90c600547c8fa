import csv
import json
from pathlib import Path
from typing import Any

from landmarks.data.demo.boxes.classes import CLASSES, ROOT, ancestors, class_of, doubtful, hierarchy
from landmarks.data.demo.catalogue import kind_of


def parents(tree: dict[str, Any], above: frozenset[str] = frozenset()) -> dict[str, set[str]]:
    """All that stands above each class of a hierarchy; a class may have several places."""
    found = {tree["LabelName"]: set(above)}
    for branch in tree.get("Subcategory", []):
        for name, more in parents(branch, above | {tree["LabelName"]}).items():
            found.setdefault(name, set()).update(more)
    return found


def test_names_and_ancestors_are_those_of_open_images(shared_data: Path) -> None:
    folder = shared_data / "openimages"
    with (folder / "class-descriptions-boxable.csv").open(newline="") as file:
        titles = dict(csv.reader(file))
    assert {name: titles[name] for name, _ in CLASSES.values()} == {name: title for title, (name, _) in CLASSES.items()}
    official = parents(json.loads((folder / "bbox_labels_600_hierarchy.json").read_text()))
    ours = parents(hierarchy())
    assert set(ours) == {ROOT} | {name for name, _ in CLASSES.values()}
    assert all(above == official[name] & set(ours) for name, above in ours.items())


def test_hierarchy_agrees_with_ancestors() -> None:
    above = parents(hierarchy())
    for title, (name, _) in CLASSES.items():
        assert above[name] == {ROOT} | {CLASSES[other][0] for other in ancestors(title)}
    assert ancestors("Palm tree") == ["Tree", "Plant"]


def test_every_landmark_is_some_building() -> None:
    for number in range(27):
        title = class_of(kind_of(0, number))
        assert "Building" in (title, *ancestors(title))
    assert class_of("lattice tower") == "Tower" and class_of("stone bridge") == "Building"


def test_doubtful_classes_are_classes() -> None:
    assert doubtful("castle", "hills") == {"Tower"} and doubtful("person", "none") == set()
    for kind in ("castle", "campanile", "bush"):
        for horizon in ("city", "woods"):
            assert doubtful(kind, horizon) < set(CLASSES)
