"""What the things of the demo world are called in Open Images.

Class names, their machine names and the parents of the classes are those of Open Images V4 (Kuznetsova et al., "The
Open Images Dataset V4", IJCV 2020); of its 600 classes these are the ones that the demo world can show.
"""

from typing import Any

ROOT = "/m/0bl9f"  # "Entity", above all classes

# Title: machine name, and the class above it. Land vehicle and Watercraft, between Vehicle and its two, are left out.
CLASSES: dict[str, tuple[str, str | None]] = {
    "Building": ("/m/0cgh4", None),
    "Castle": ("/m/0d5gx", "Building"),
    "House": ("/m/03jm5", "Building"),
    "Lighthouse": ("/m/04h7h", "Building"),
    "Skyscraper": ("/m/079cl", "Building"),
    "Tower": ("/m/01fdzj", "Building"),
    "Plant": ("/m/05s2s", None),
    "Tree": ("/m/07j7r", "Plant"),
    "Palm tree": ("/m/0cdl1", "Tree"),
    "Vehicle": ("/m/07yv9", None),
    "Boat": ("/m/019jd", "Vehicle"),
    "Car": ("/m/0k4j", "Vehicle"),
    "Furniture": ("/m/0c_jw", None),
    "Table": ("/m/04bcr3", "Furniture"),
    "Tableware": ("/m/04brg2", None),
    "Bottle": ("/m/04dr76w", "Tableware"),
    "Coffee cup": ("/m/02p5f1q", "Tableware"),
    "Plate": ("/m/050gv4", "Tableware"),
    "Flag": ("/m/03120", None),
    "Fruit": ("/m/02xwb", None),
    "Person": ("/m/01g317", None),
    "Poster": ("/m/01n5jq", None),
    "Street light": ("/m/033rq4", None),
    "Umbrella": ("/m/0hnnb", None),
}
TITLES = tuple(CLASSES)

# The class of everything in the stock, and of landmarks; a landmark that is not here is a Building. So are bridges:
# Open Images has no class for them.
_CLASS_OF = {
    "broadleaf": "Tree", "conifer": "Tree", "poplar": "Tree", "bare": "Tree", "palm": "Palm tree", "bush": "Plant",
    "person": "Person", "car": "Car", "boat": "Boat", "lamp": "Street light", "parasol": "Umbrella", "flag": "Flag",
    "furniture": "Furniture", "table": "Table", "plate": "Plate", "bottle": "Bottle", "cup": "Coffee cup",
    "fruit": "Fruit", "poster": "Poster", "house": "House", "hall": "Building",
    "castle": "Castle", "town gate": "Castle", "lighthouse": "Lighthouse", "skyscraper": "Skyscraper",
    "campanile": "Tower", "clock tower": "Tower", "lattice tower": "Tower", "television tower": "Tower",
    "obelisk": "Tower", "victory column": "Tower",
}  # fmt: skip

# Landmarks that some would say show this class too: whether it is there is not verified for them.
_TOWERED = (
    "cathedral", "basilica", "mosque", "onion church", "town hall", "castle", "town gate", "tower bridge", "pagoda",
    "suspension bridge", "cable-stayed bridge", "skyscraper", "lighthouse", "windmill",
)  # fmt: skip
_DOUBTFUL = {
    **dict.fromkeys(_TOWERED, ("Tower",)),
    "campanile": ("Skyscraper",),
    "television tower": ("Skyscraper",),
    "bush": ("Tree",),
}
# The same of what stands far away.
_FAR_AWAY = {"city": ("Building", "House", "Skyscraper", "Tower"), "woods": ("Plant", "Tree")}


def class_of(kind: str) -> str:
    """The title of the class of a thing, such as "Tower" for a "lattice tower"."""
    return _CLASS_OF.get(kind, "Building")


def doubtful(kind: str, horizon: str) -> set[str]:
    """Classes that a thing of this kind, or the horizon behind it, may be said to show too."""
    return {*_DOUBTFUL.get(kind, ()), *_FAR_AWAY.get(horizon, ())}


def ancestors(title: str) -> list[str]:
    """The classes above a class, the nearest first."""
    above: list[str] = []
    parent = CLASSES[title][1]
    while parent is not None:
        above.append(parent)
        parent = CLASSES[parent][1]
    return above


def hierarchy() -> dict[str, Any]:
    """The classes as a tree, in the form of `bbox_labels_600_hierarchy.json`."""

    def below(parent: str | None) -> list[dict[str, Any]]:
        branches = []
        for title, (name, above) in CLASSES.items():
            if above == parent:
                under = below(title)
                branches.append({"LabelName": name, "Subcategory": under} if under else {"LabelName": name})
        return branches

    return {"LabelName": ROOT, "Subcategory": below(None)}
