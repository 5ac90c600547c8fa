"""Scores official files with csv, dictionaries, sets and a loop over queries: the yardstick of scoring.py.

python benchmarks/scoring_plain.py retrieval SOLUTION SUBMISSION
"""

import csv
import json
import math
import statistics
import sys


def plain_retrieval(solution: str, submission: str) -> dict[str, dict[str, float]]:
    truth: dict[str, dict[str, list[str]]] = {"Public": {}, "Private": {}, "Ignored": {}}
    with open(solution, newline="") as file:  # noqa: PTH123 - as people write it
        for row in csv.DictReader(file):
            truth[row["Usage"]][row["id"]] = row["images"].split()
    with open(submission, newline="") as file:  # noqa: PTH123
        predicted = {row["id"]: row["images"].split() for row in csv.DictReader(file)}
    figures = {}
    for usage in ("Public", "Private"):
        values: dict[str, list[float]] = {"map@100": [], "map@10": [], "position": []}
        values |= {f"precision@{k}": [] for k in (1, 5, 10, 50, 100)}
        for query, images in truth[usage].items():
            wanted, seen = set(images), set()
            relevant = []
            for image in predicted.get(query, [])[:100]:
                relevant.append(image in wanted and image not in seen)
                seen.add(image)
            for k in (10, 100):
                found, total = 0, 0.0
                for rank, new in enumerate(relevant[:k], start=1):
                    if new:
                        found += 1
                        total += found / rank
                values[f"map@{k}"].append(total / min(len(images), k))
            for k in (1, 5, 10, 50, 100):
                values[f"precision@{k}"].append(sum(relevant[:k]) / k)
            values["position"].append(relevant.index(True) + 1 if True in relevant else 101)
        positions = values.pop("position")
        means = {name: math.fsum(each) / len(each) for name, each in values.items()}
        means |= {
            "mean_position": statistics.fmean(positions),
            "median_position": statistics.median(positions),
        }
        figures[usage.lower()] = means
    return figures


def plain_recognition(solution: str, submission: str) -> dict[str, dict[str, float]]:
    truth: dict[str, dict[str, list[str]]] = {"Public": {}, "Private": {}, "Ignored": {}}
    with open(solution, newline="") as file:  # noqa: PTH123
        for row in csv.DictReader(file):
            truth[row["Usage"]][row["id"]] = row["landmarks"].split()
    with open(submission, newline="") as file:  # noqa: PTH123
        answers = [(row["id"], *row["landmarks"].split()) for row in csv.DictReader(file)]
    figures = {}
    for usage in ("Public", "Private"):
        split = truth[usage]
        images = sum(1 for landmarks in split.values() if landmarks)
        ranked = sorted((-float(score), image, int(name)) for image, name, score in answers if image in split)
        figures[usage.lower()] = {
            "gap": plain_gap(ranked, split, images),
            "gap_ignoring_non_landmark": plain_gap([p for p in ranked if split[p[1]]], split, images),
            "top1": sum(str(name) in split[image] for _, image, name in ranked) / images,
        }
    return figures


def plain_gap(ranked: list[tuple[float, str, int]], split: dict[str, list[str]], images: int) -> float:
    found, total = 0, 0.0
    for rank, (_, image, name) in enumerate(ranked, start=1):
        if str(name) in split[image]:
            found += 1
            total += found / rank
    return total / images


if __name__ == "__main__":
    task, *files = sys.argv[1:]
    print(json.dumps((plain_retrieval if task == "retrieval" else plain_recognition)(*files)))
