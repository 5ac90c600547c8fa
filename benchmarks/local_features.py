"""Local features on photographs: what each costs, and how well its inliers tell right pairs from wrong ones.

    python evaluate.py checkpoint=A.ckpt data=gldv2 data.root=GLDV2_MINI hydra.run.dir=RUN
    python benchmarks/local_features.py RUN --queries 60

Pairs join some train images with their 10 nearest images of the same landmark and with their 10 nearest of others, by
the descriptors of RUN. Many right pairs show another side of the landmark, so no features find all. A row's recall is
the share of right pairs that are accepted where the stated precision is reached. Geometry is measured beside OpenCV's
MAGSAC and poselib with the same matches. Writes benchmarks/results/local_features.csv.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a pair is the work of one core

import cv2
import numpy as np
import poselib
import torch
from hydra.utils import instantiate
from machine import machine, write_csv
from numpy.typing import NDArray
from omegaconf import OmegaConf

from landmarks.config import compose_config
from landmarks.data import GLDv2, ImageSet
from landmarks.local_features import Geometry, LocalFeatures, Matches
from landmarks.retrieval import DescriptorSet, LocalFeatureStore, Resources, named_searcher

RESULTS = Path(__file__).parent / "results" / "local_features.csv"
FEATURES = ("rootsift", "xfeat", "aliked", "disk")
NEAREST = 10
# A reprojection error in pixels of an image whose longer side has 1024, for the estimators that are compared.
ERROR = 8.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of an evaluation, whose train images are paired")
    parser.add_argument("--queries", type=int, default=60, help="train images to pair with others")
    parser.add_argument("--features", nargs="+", default=list(FEATURES), help="choices of local_features")
    parser.add_argument("--matchers", nargs="+", default=[], help="choices of matcher beside that of the features")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    images, right, pairs = tuning_pairs(arguments.run, arguments.queries)
    rows = []
    for features in arguments.features:
        for matcher in ["", *arguments.matchers]:
            for row in measured(features, matcher, images, right, pairs):
                rows.append({**row, "pairs": len(pairs), **machine()})
                print(json.dumps(rows[-1]), flush=True)
    write_csv(RESULTS, rows)


def tuning_pairs(run: Path, count: int) -> tuple[ImageSet, NDArray[np.bool_], NDArray[np.int64]]:
    """Images, whether each pair shows the same landmark, and the pairs [P, 2] of images."""
    data = OmegaConf.load(run / "config.yaml").data
    found = DescriptorSet.open(run / "descriptors" / "gallery")
    every = GLDv2(data.root, gallery_split=data.source.gallery_split).gallery()
    images = every.take(every.table.find(found.ids))
    landmarks = images.table.landmarks
    rng = np.random.default_rng(0)
    # As many of each landmark as far as it has them, so that a large one does not decide everything.
    order = rng.permutation(len(landmarks))
    place = np.empty(len(order), np.int64)
    for landmark in np.unique(landmarks):
        own = order[landmarks[order] == landmark]
        place[own] = np.arange(len(own))
    chosen = np.argsort(place, kind="stable")[:count]
    descriptors = np.array(found.descriptors, np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    similarity = descriptors[chosen] @ descriptors.T
    similarity[np.arange(count), chosen] = -2
    same = landmarks[chosen, None] == landmarks
    near = [np.argsort(-np.where(kind, similarity, -2), axis=1)[:, :NEAREST] for kind in (same, ~same)]
    right = np.repeat([[True, False]], count, axis=0).repeat(NEAREST, axis=1)
    pairs = np.stack([np.repeat(chosen, 2 * NEAREST), np.concatenate(near, axis=1).ravel()], axis=1)
    return images, right.ravel(), pairs


def measured(
    features: str, matcher: str, images: ImageSet, right: NDArray[np.bool_], pairs: NDArray[np.int64]
) -> list[dict[str, object]]:
    overrides = [f"local_features={features}", *([f"matcher@local_features.matcher={matcher}"] if matcher else [])]
    config = compose_config("evaluate", ["name=x", "run_dir=x", "descriptors.queries=x", *overrides])
    store: LocalFeatureStore = instantiate(config.local_features)
    rows, places = np.unique(pairs, return_inverse=True)
    places = places.reshape(-1, 2)
    searcher = named_searcher("exact", 1)
    with tempfile.TemporaryDirectory() as folder:
        fresh = LocalFeatureStore(store.extractor, folder)
        started = time.perf_counter()
        table = fresh.collect(images, rows, Resources(searcher, searcher, workers=1))
        seconds = time.perf_counter() - started
        found = [(table.of(first), table.of(second)) for first, second in places.tolist()]
        store.matcher(*found[0])  # opens a network
        started = time.perf_counter()
        matched = [store.matcher(*pair) for pair in found]
        matching = (time.perf_counter() - started) / len(pairs)
        geometry = [judged(kind, found, matched) for kind in geometries(store.geometry)]
        others = [
            {"geometry": name, **timed(estimate, found, matched)}
            for name, estimate in (
                ("poselib homography", poselib_inliers),
                ("OpenCV MAGSAC homography", opencv_inliers),
            )
        ]
    common = {
        "features": features,
        "matcher": matcher or OmegaConf.to_container(config.local_features.matcher).get("match", "lightglue"),
        "images_per_second": round(len(rows) / seconds, 2),
        "bytes_per_image": round(float(table.counts.mean()) * (16 + table.kind.width * table.kind.dtype.itemsize)),
        "match_ms": round(1000 * matching, 2),
        "matches": round(float(np.mean([len(one) for one in matched])), 1),
    }
    return [{**common, **scored(row, right)} for row in (*geometry, *others)]


def geometries(shipped: Geometry) -> list[tuple[str, Geometry]]:
    """The shipped geometry, and every model without a limit on inliers."""
    kinds = [("shipped", shipped)]
    for model, threshold in (("affine", 8.0), ("affine", 16.0), ("affine", 24.0), ("homography", 8.0)):
        kinds.append((f"{model} {threshold:g}", Geometry(model, threshold, min_inliers=0, chance=0)))
    return [*kinds, ("fundamental 4", Geometry("fundamental", 4, min_inliers=0, chance=0))]


def judged(
    kind: tuple[str, Geometry], found: list[tuple[LocalFeatures, LocalFeatures]], matched: list[Matches]
) -> dict[str, object]:
    name, geometry = kind

    def inliers(first: LocalFeatures, second: LocalFeatures, pairs: Matches) -> int:
        return geometry(first.points[pairs.first], second.points[pairs.second], (first.size, second.size)).count

    return {"geometry": name, **timed(inliers, found, matched)}


def timed(estimate, found, matched) -> dict[str, object]:
    started = time.perf_counter()
    counts = [estimate(*pair, pairs) for pair, pairs in zip(found, matched, strict=True)]
    milliseconds = 1000 * (time.perf_counter() - started) / len(found)
    return {"geometry_ms": round(milliseconds, 2), "counts": np.array(counts), "of": np.array([*map(len, matched)])}


def scored(row: dict[str, object], right: NDArray[np.bool_]) -> dict[str, object]:
    counts, of = row.pop("counts"), row.pop("of")
    accepted = counts > 0
    figures = {
        "accepted_right": round(float(accepted[right].mean()), 4),
        "accepted_wrong": round(float(accepted[~right].mean()), 4),
    }
    for what, score in (("count", counts), ("beyond_chance", np.maximum(counts - 0.06 * of, 0))):
        for precision in (0.95, 0.99):
            figures[f"recall_{what}_at_{precision}"] = round(recall(score, right, precision), 4)
    return {**row, **figures}


def recall(score: NDArray[np.float64], right: NDArray[np.bool_], precision: float) -> float:
    """The largest share of right pairs above a score where the precision is reached."""
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(right[order])
    ends = np.append(np.diff(score[order]) != 0, True) & (score[order] > 0)
    good = ends & (hits >= precision * np.arange(1, len(order) + 1))
    return float(hits[good].max(initial=0) / right.sum())


def scaled(features: LocalFeatures, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    return features.points[rows].astype(np.float64) * (1024 / max(features.size))


def poselib_inliers(first: LocalFeatures, second: LocalFeatures, pairs: Matches) -> int:
    if len(pairs) < 4:
        return 0
    points = scaled(first, pairs.first), scaled(second, pairs.second)
    _, about = poselib.estimate_homography(*points, {"max_reproj_error": ERROR, "max_iterations": 2000}, {})
    return int(about["num_inliers"])


def opencv_inliers(first: LocalFeatures, second: LocalFeatures, pairs: Matches) -> int:
    if len(pairs) < 4:
        return 0
    points = scaled(first, pairs.first), scaled(second, pairs.second)
    _, mask = cv2.findHomography(*points, cv2.USAC_MAGSAC, ERROR, maxIters=2000, confidence=0.999)
    return int(mask.sum()) if mask is not None else 0


if __name__ == "__main__":
    main()
