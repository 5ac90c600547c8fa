"""A tiny set of coloured rectangles in the layout of Open Images, for detectors that learn in seconds."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = (("/m/01fdzj", "Tower"), ("/m/0cgh4", "Building"), ("/m/07j7r", "Tree"))
FLAGS = ("IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside")
COLOURS = ((200, 60, 50), (60, 60, 200), (40, 160, 60))


def write_rectangles(root: Path, train: int = 16, validation: int = 6, seed: int = 0) -> None:
    """Towers are tall and red, Buildings wide and blue, Trees square and green; the first image shows nothing."""
    random = np.random.default_rng(seed)
    root.mkdir(parents=True)
    (root / "class-descriptions-boxable.csv").write_text("".join(f"{name},{title}\n" for name, title in CLASSES))
    tree = [{"LabelName": "/m/0cgh4", "Subcategory": [{"LabelName": "/m/01fdzj"}]}, {"LabelName": "/m/07j7r"}]
    (root / "bbox_labels_600_hierarchy.json").write_text(json.dumps({"LabelName": "/m/0bl9f", "Subcategory": tree}))
    number = 0
    for split, count in (("train", train), ("validation", validation)):
        (root / split).mkdir()
        boxes = ["ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax," + ",".join(FLAGS)]
        labels = ["ImageID,Source,LabelName,Confidence"]
        for place in range(count):
            number += 1
            name = f"{number:016x}"
            image = random.integers(150, 200, (48, 64, 3)).astype(np.uint8)
            shown = set()
            for _ in range(0 if place == 0 else random.integers(1, 3)):
                label = int(random.integers(3))
                height, width = ((28, 12), (16, 30), (18, 18))[label]
                top, left = int(random.integers(48 - height)), int(random.integers(64 - width))
                image[top : top + height, left : left + width] = COLOURS[label]
                corners = left / 64, (left + width) / 64, top / 48, (top + height) / 48
                boxes.append(f"{name},xclick,{CLASSES[label][0]},1,{','.join(f'{c:.6f}' for c in corners)},0,0,0,0,0")
                shown.add(label)
            labels += [f"{name},verification,{CLASSES[label][0]},{int(label in shown)}" for label in range(3)]
            Image.fromarray(image).save(root / split / f"{name}.jpg", quality=95)
        (root / f"{split}-annotations-bbox.csv").write_text("\n".join(boxes) + "\n")
        (root / f"{split}-annotations-human-imagelabels-boxable.csv").write_text("\n".join(labels) + "\n")
