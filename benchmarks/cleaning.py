"""Cleaning at scale: seconds and memory of its parts on made-up descriptors with GLDv2's long tail of landmark sizes.

Sizes are drawn log-normal so that 38 % of the landmarks have at most 5 images and 57 % at most 10, as those of the
GLDv2 train set (Weyand et al., CVPR 2020, section 3), which makes 22 images on average against its 20. Images lie
on disk in random order, as train.csv lists them. A tenth of them carries the label of another landmark.

    python benchmarks/cleaning.py [IMAGES]
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine, write_csv

from landmarks.cleaning import AgreementRule, LandmarkImages, Verdict, match, other_class_bars, same_class_neighbours
from landmarks.data import ImageTable
from landmarks.retrieval import Cache, Cost, DescriptorSet, ExactIndex, ExtractionProtocol, Resources

RESULTS = Path(__file__).parent / "results" / "cleaning.csv"
IMAGES, DIM, GLDV2_TRAIN = 150_000, 512, 4_132_914
SAMPLE = 65_536
WRONG = 0.1
AT_ONCE = 65_536


def made_up(folder: Path, count: int, seed: int = 0) -> tuple[ImageTable, DescriptorSet, np.ndarray[Any, Any]]:
    """A table, its descriptors on disk, and which labels are wrong."""
    rng = np.random.default_rng(seed)
    sizes = np.maximum(1, rng.lognormal(2.05, 1.44, count // 10).astype(int))
    sizes = sizes[: np.searchsorted(np.cumsum(sizes), count) + 1]
    truth = rng.permutation(np.repeat(np.arange(len(sizes)), sizes)[:count])
    labels = truth.copy()
    wrong = rng.random(count) < WRONG
    labels[wrong] = rng.permutation(labels[wrong])
    wrong = labels != truth
    centres = rng.standard_normal((len(sizes), DIM), dtype=np.float32)
    matrix = np.lib.format.open_memmap(folder / "descriptors.npy", "w+", np.float32, (count, DIM))
    for start in range(0, count, AT_ONCE):
        block = centres[truth[start : start + AT_ONCE]]
        block = block + rng.standard_normal(block.shape, dtype=np.float32)
        matrix[start : start + len(block)] = block / np.linalg.norm(block, axis=1, keepdims=True)
    matrix.flush()
    ids = rng.permutation(np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    names = np.array([str(number) for number in range(len(sizes))])
    table = ImageTable(ids, labels.astype(np.int32), names)
    protocol = ExtractionProtocol("made up", "none", 224, "none", data="made up", split="train")
    on_disk = np.load(folder / "descriptors.npy", mmap_mode="r")
    return table, DescriptorSet(ids, on_disk, protocol), wrong


class Part(Cost):
    """Also the processor's seconds: those of the wall are of a machine that others used, too."""

    def __enter__(self) -> "Part":
        super().__enter__()
        self._cpu = time.process_time()
        return self

    def __exit__(self, *error: Any) -> None:
        self.cpu_seconds = time.process_time() - self._cpu
        super().__exit__(*error)


def row(part: str, count: int, landmarks: int, largest: int, cost: Part, **more: object) -> dict[str, object]:
    return {
        "part": part,
        "images": count,
        "landmarks": landmarks,
        "largest_landmark": largest,
        "dim": DIM,
        "seconds": round(cost.seconds, 2),
        "cpu_seconds": round(cost.cpu_seconds, 2),
        "images_per_cpu_second": round(count / cost.cpu_seconds),
        "gldv2_train_cpu_minutes": round(GLDV2_TRAIN / count * cost.cpu_seconds / 60, 1),
        "memory_rise_mib": None if cost.rise_mb is None else round(cost.rise_mb),
        **more,
    }


def measure(count: int) -> list[dict[str, object]]:
    rule = AgreementRule()
    with tempfile.TemporaryDirectory() as folder:
        table, embedded, wrong = made_up(Path(folder), count)
        resources = Resources(ExactIndex(), ExactIndex(), Cache(Path(folder) / "cache"))
        warm = np.asarray(embedded.descriptors[:64])
        same_class_neighbours(_small(warm), 2, resources)  # kernels compiled
        with Part() as reading:
            images = match(table, embedded)
        counts = images.counts
        size = count, int((counts > 0).sum()), int(counts.max())
        with Part() as inside:
            neighbours = same_class_neighbours(images, rule.same_class, resources)
        with Part() as outside:
            bars = other_class_bars(images, rule.other_class, SAMPLE, rule.same_class, resources)
        with Part() as deciding:
            verdicts = rule.small_landmarks(images, rule.verdicts(images, neighbours, bars))
        kept = verdicts == Verdict.KEPT
        right = ~wrong[table.find(images.ids)]
        return [
            row("match and check", *size, reading),
            row("same class", *size, inside, products=int((counts.astype(np.int64) ** 2).sum())),
            row(f"other class, sample of {SAMPLE}", *size, outside, products=count * SAMPLE),
            row(
                "rule",
                *size,
                deciding,
                precision=round(float((kept & right).sum() / kept.sum()), 4),
                recall=round(float((kept & right).sum() / right.sum()), 4),
            ),
        ]


def _small(matrix: np.ndarray[Any, Any]) -> LandmarkImages:
    ids = np.arange(1, len(matrix) + 1, dtype=np.uint64)
    table = ImageTable(ids, (np.arange(len(matrix)) // 4).astype(np.int32), np.arange(len(matrix) // 4).astype(str))
    return match(table, DescriptorSet(ids, matrix, ExtractionProtocol("made up", "none", 224, "none")))


if __name__ == "__main__":
    rows = measure(int(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
    for line in rows:
        print(line)
    write_csv(RESULTS, [{**line, **machine(numpy=np.__version__)} for line in rows])
