import json
from pathlib import Path
from typing import Any

import pytest

from landmarks.detection.openimages.hierarchy import read_hierarchy
from landmarks.errors import LandmarksError
from landmarks.recognition.detections.classes import read_classes


def test_the_official_hierarchy(shared_data: Path) -> None:
    folder = shared_data / "openimages"
    tree = read_hierarchy(folder / "bbox_labels_600_hierarchy.json")
    classes = read_classes(folder / "class-descriptions-boxable.csv")
    title = dict(zip(classes.names.tolist(), classes.titles.tolist(), strict=True))
    assert set(tree.ancestors) == set(tree.descendants) == set(title)  # the root, which is no class, is left out

    def above(text: str) -> set[str]:
        return {title[name] for name in tree.ancestors[classes.names[classes.find(text)]]}

    assert above("Castle") == above("Tower") == above("Lighthouse") == {"Building"}
    assert above("Spoon") == {"Kitchen utensil", "Kitchenware", "Tableware", "Tool"}
    assert above("Tank") == {"Weapon", "Vehicle", "Land vehicle"}
    # parts are no kinds: in the file these lie below Building, Person and Land vehicle
    assert above("Laptop") == above("Human nose") == above("Auto part") == set()
    assert above("Guitar") == {"Musical instrument"}
    below = {title[name] for name in tree.descendants[classes.names[classes.find("Building")]]}
    assert {"House", "Skyscraper", "Tree house"} < below and len(below) == 8
    pairs = {(name, above) for name, names in tree.ancestors.items() for above in names}
    assert pairs == {(name, above) for above, names in tree.descendants.items() for name in names}
    for name, names in tree.ancestors.items():  # whatever lies above an ancestor lies above
        assert len(set(names)) == len(names) and name not in names
        assert all(set(tree.ancestors[other]) <= set(names) for other in names)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ([], "is no class"),
        ({"LabelName": "/m/root", "Subcategory": [{"LabelName": ""}]}, "is no class"),
        ({"LabelName": "/m/root", "Subcategory": [{"Subcategory": []}]}, "is no class"),
        ({"LabelName": "/m/root", "Subcategory": {"LabelName": "/m/a"}}, "Subcategory of /m/root is no list"),
    ],
)
def test_what_is_no_hierarchy(tmp_path: Path, tree: Any, message: str) -> None:
    path = tmp_path / "tree.json"
    path.write_text(json.dumps(tree))
    with pytest.raises(LandmarksError, match=message):
        read_hierarchy(path)


def test_a_class_cannot_be_a_kind_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "tree.json"
    inner = {"LabelName": "/m/a", "Subcategory": [{"LabelName": "/m/b", "Subcategory": [{"LabelName": "/m/a"}]}]}
    path.write_text(json.dumps({"LabelName": "/m/root", "Subcategory": [inner]}))
    with pytest.raises(LandmarksError, match="/m/a is a kind of itself"):
        read_hierarchy(path)


def test_files_that_are_no_json(tmp_path: Path) -> None:
    path = tmp_path / "tree.json"
    with pytest.raises(LandmarksError, match="cannot be read"):
        read_hierarchy(path)
    path.write_bytes(b'{"LabelName": "/m/root", "Sub')
    with pytest.raises(LandmarksError, match=r"is no JSON .*fetch the file again"):
        read_hierarchy(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LandmarksError, match="is no JSON"):
        read_hierarchy(path)
    path.write_text('{"LabelName":"/m/r","Subcategory":[' * 200 + '{"LabelName":"/m/x"}' + "]}" * 200)
    with pytest.raises(LandmarksError, match="more than 100 levels"):
        read_hierarchy(path)
    path.write_text('{"LabelName":"/m/r","Subcategory":[' * 100_000)
    with pytest.raises(LandmarksError, match="is no JSON"):
        read_hierarchy(path)
