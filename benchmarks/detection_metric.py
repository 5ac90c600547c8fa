"""How long does scoring a million predicted boxes take, and how much memory; and reading boxes of the train set's size?

Makes boxes, image-level labels and predictions of the size of the Open Images validation split (41,620 images, 500
classes) in a temporary folder and scores them twice: by `landmarks score detection`, and by the plain program most
people would write, detection_metric_plain.py. Each run is a process of its own; start-up and reading are included. Both
must print the same figures to 1e-9. Then it reads 14.6 million boxes in the official layout of 13 columns. On a machine
with other work (load_1min in the results) compare processor seconds.

    python benchmarks/detection_metric.py                      # writes benchmarks/results/detection_metric.csv
    python benchmarks/detection_metric.py --predictions 20000  # a quick look, writes nothing
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from machine import machine, write_csv

IMAGES, CLASSES, BOXES, NEGATIVES, PREDICTIONS, TRAIN_BOXES = 41_620, 500, 330_000, 125_000, 1_000_000, 14_610_229
RESULTS = Path(__file__).parent / "results" / "detection_metric.csv"
PLAIN = Path(__file__).with_name("detection_metric_plain.py")
OURS = "from landmarks.cli.score import app; app()"
READ = """
import sys
from landmarks.detection.metrics.files import read_truth
print(len(read_truth(*sys.argv[1:]).labels))
"""


def write_case(folder: Path, predictions: int, train_boxes: int, seed: int = 0) -> None:
    """Write all files; some classes are frequent, a tenth of the boxes are groups, half of the predictions are near."""
    rng = np.random.default_rng(seed)
    ids = np.array([f"{number:016x}" for number in rng.integers(0, 2**64, IMAGES, dtype=np.uint64).tolist()])
    names = np.array([f"/m/{number:05x}" for number in range(CLASSES)])
    share = 1 / np.arange(1, CLASSES + 1)
    images = np.sort(rng.integers(0, IMAGES, BOXES))
    labels = rng.choice(CLASSES, BOXES, p=share / share.sum())
    size = rng.uniform(0.02, 0.5, (BOXES, 2))
    low = rng.random((BOXES, 2)) * (1 - size)
    boxes = np.concatenate([low, low + size], axis=1).round(6)
    group = (rng.random(BOXES) < 0.1).astype(np.int64)
    truth = pl.DataFrame({"ImageID": ids[images], "LabelName": names[labels], **corners(boxes), "IsGroupOf": group})
    truth.write_csv(folder / "boxes.csv")

    absent = {
        "ImageID": ids[rng.integers(0, IMAGES, NEGATIVES)],
        "LabelName": names[rng.integers(0, CLASSES, NEGATIVES)],
    }
    present = truth.select("ImageID", "LabelName").unique().with_columns(Confidence=1)
    pl.concat([present, pl.DataFrame(absent).with_columns(Confidence=0)]).write_csv(folder / "labels.csv")

    source = np.sort(rng.integers(0, BOXES, predictions))
    other = np.where(rng.random(predictions) < 0.5, source, rng.integers(0, BOXES, predictions))
    near = boxes[other] + rng.normal(0, 0.02, (predictions, 4))
    found = np.concatenate([np.minimum(near[:, :2], near[:, 2:]), np.maximum(near[:, :2], near[:, 2:])], axis=1)
    guesses = np.where(rng.random(predictions) < 0.6, labels[source], rng.integers(0, CLASSES, predictions))
    given = {"ImageID": ids[images[source]], "LabelName": names[guesses], "Score": rng.random(predictions).round(6)}
    pl.DataFrame({**given, **corners(found.clip(0, 1).round(6))}).write_csv(folder / "predictions.csv")

    flags = dict.fromkeys(("IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside"), pl.lit(0))
    wide = truth.select(
        "ImageID", Source=pl.lit("xclick"), LabelName="LabelName", Confidence=pl.lit(1),
        XMin="XMin", XMax="XMax", YMin="YMin", YMax="YMax", **flags,
    )  # fmt: skip
    with (folder / "train.csv").open("wb") as file:
        for first in range(0, train_boxes, BOXES):
            wide.head(train_boxes - first).write_csv(file, include_header=first == 0)


def corners(boxes: np.ndarray) -> dict[str, np.ndarray]:
    return {"XMin": boxes[:, 0], "XMax": boxes[:, 2], "YMin": boxes[:, 1], "YMax": boxes[:, 3]}


def run(command: list[str]) -> tuple[Any, float, float, float]:
    """Run a program that prints JSON: what it prints, seconds, processor seconds, peak resident memory in MiB."""
    with tempfile.TemporaryFile() as output:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{command} failed")
        output.seek(0)
        return json.load(output), seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def assert_equal(ours: dict[str, Any], plain: dict[str, Any]) -> None:
    for evaluator, figures in plain.items():
        for name, value in (figures["ap@0.5"] | {"map@0.5": figures["map@0.5"]}).items():
            found = ours[evaluator]["map@0.5"] if name == "map@0.5" else ours[evaluator]["ap@0.5"][name]
            assert found == value or abs(found - value) <= 1e-9, (evaluator, name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=int, default=PREDICTIONS)
    parser.add_argument("--repeats", type=int, default=3, help="the fastest run counts; the plain program runs once")
    arguments = parser.parse_args()
    whole = arguments.predictions == PREDICTIONS

    rows = []
    with tempfile.TemporaryDirectory() as name:
        # In a process of its own: a child starts with its parent's peak memory on record.
        sizes = (arguments.predictions, TRAIN_BOXES if whole else BOXES)
        writer = multiprocessing.get_context("spawn").Process(target=write_case, args=(Path(name), *sizes))
        writer.start()
        writer.join()
        if writer.exitcode:
            raise SystemExit("the files could not be written")
        boxes, labels, predictions, train = (
            f"{name}/{what}.csv" for what in ("boxes", "labels", "predictions", "train")
        )
        files = [boxes, labels, predictions]
        commands = {
            ("score", "landmarks score detection"): [sys.executable, "-c", OURS, "detection", "--json", *files],
            ("score", "plain Python loop"): [sys.executable, str(PLAIN), *files],
            ("read train boxes", "read_truth"): [sys.executable, "-c", READ, train, labels],
        }  # fmt: skip
        results = {}
        for (task, who), command in commands.items():
            runs = [run(command) for _ in range(1 if "plain" in who else arguments.repeats)]
            results[who] = runs[0][0]
            scored = task == "score"
            file_bytes = sum(Path(file).stat().st_size for file in command if file.endswith(".csv"))
            rows.append(
                {
                    "task": task,
                    "implementation": who,
                    "boxes": BOXES if scored else sizes[1],
                    "predictions": arguments.predictions if scored else "",
                    "file_mib": round(file_bytes / 2**20, 1),
                    "seconds": round(min(each[1] for each in runs), 2),
                    "cpu_seconds": round(min(each[2] for each in runs), 2),
                    "peak_rss_mib": round(min(each[3] for each in runs)),
                    "runs": len(runs),
                    **machine(numpy=np.__version__, polars=pl.__version__),
                }
            )  # fmt: skip
            print(json.dumps(rows[-1]))
        assert_equal(results["landmarks score detection"], results["plain Python loop"])
        assert results["read_truth"] == sizes[1]
    if whole:
        write_csv(RESULTS, rows)


if __name__ == "__main__":
    main()
