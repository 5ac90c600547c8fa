"""Scores Open Images boxes with csv, dictionaries and a loop over detections: the yardstick of detection_metric.py.

python benchmarks/detection_metric_plain.py BOXES IMAGE_LABELS PREDICTIONS
"""

import csv
import json
import sys
from collections import defaultdict

CORNERS = ("XMin", "YMin", "XMax", "YMax")


def rows(path: str) -> list[dict[str, str]]:
    with open(path, newline="") as file:  # noqa: PTH123 - as people write it
        return list(csv.DictReader(file))


def shared(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0.0


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def nearest(shares):
    best = max(range(len(shares)), key=shares.__getitem__, default=-1)
    return best if best >= 0 and shares[best] >= 0.5 else -1


def plain(truth, labels, predictions, weight, verified_only):
    singles, crowds, found = defaultdict(list), defaultdict(list), defaultdict(list)
    total = dict.fromkeys({row["LabelName"] for row in [*truth, *labels]}, 0.0)
    for row in truth:
        key = row["ImageID"], row["LabelName"]
        (crowds if row["IsGroupOf"] == "1" else singles)[key].append([float(row[name]) for name in CORNERS])
        total[key[1]] += weight if row["IsGroupOf"] == "1" else 1
    known = {(row["ImageID"], row["LabelName"]) for row in [*truth, *labels]}
    images = {image for image, _ in known}
    for row in predictions:
        key = row["ImageID"], row["LabelName"]
        if key in known or (not verified_only and key[0] in images and key[1] in total):
            found[key].append((float(row["Score"]), [float(row[name]) for name in CORNERS]))
    judged = defaultdict(list)
    for key, detections in found.items():
        taken, best = set(), {}
        for score, box in sorted(detections, key=lambda one: -one[0]):
            on = nearest([(part := shared(box, one)) / (area(box) + area(one) - part or 1) for one in singles[key]])
            if on >= 0 and on not in taken:
                taken.add(on)
                judged[key[1]].append((score, key[0], 1.0))
                continue
            group = nearest([shared(box, one) / (area(box) or 1) for one in crowds[key]])
            if group < 0:
                judged[key[1]].append((score, key[0], 0.0))
            else:
                best.setdefault(group, score)
        if weight:
            judged[key[1]] += [(score, key[0], weight) for score in best.values()]
    values = {}
    for name, boxes in sorted(total.items()):
        right = wrong = 0.0
        points = []
        for _, _, hit in sorted(judged[name], key=lambda one: (-one[0], one[1], one[2])):
            right, wrong = right + hit, wrong + (hit == 0)
            points.append((hit, right / (right + wrong)))
        envelope = value = 0.0
        for hit, precision in reversed(points):
            envelope = max(envelope, precision)
            value += hit * envelope
        values[name] = value / boxes if boxes else None
    given = [value for value in values.values() if value is not None]
    return {"map@0.5": sum(given) / len(given), "ap@0.5": values}


if __name__ == "__main__":
    files = [rows(path) for path in sys.argv[1:]]
    print(json.dumps({"challenge_2018": plain(*files, 1.0, True), "open_images_v2": plain(*files, 0.0, False)}))
