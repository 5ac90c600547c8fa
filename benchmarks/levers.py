"""What each lever gives against the base recipe, on images of landmarks that were held out of training.

    python benchmarks/levers.py demo mini --gldv2 GLDV2_MINI [--seeds 3] [--variants ema mixup]

Sets: `demo`, the drawn world; `mini`, photographs in the layout of Google Landmarks v2; `mini_public`, the same with
the public half of its test queries, which show the landmarks that were trained; `tuned`, as `mini` from ImageNet
weights (--weights FILE --network timm's name), for the levers that are meant for them. The private half of a test set
is never looked at. A seed also chooses the landmarks that are held out, so that a variant is compared with the base
of the same seed: the summary has the mean of these differences, their standard deviation, and how many of them are
positive.

All runs of a set have the same number of epochs; `seconds` are those of training, so that the price of a lever is seen
beside its gain. A variant whose name ends in `x1.5` has half as many epochs more, to compare at equal time what makes
an epoch cheaper. The last weights are evaluated, none chosen. Run on a machine that does nothing else.

Every run is a process of its own and a row of benchmarks/results/levers.csv. Rows that are there are skipped, so that
the same command goes on after an interruption; a run that fails is reported and has no row. The summary goes to
benchmarks/results/levers_summary.csv.
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from machine import machine, write_csv

RESULTS = Path(__file__).parent / "results"
BASE = "base"
LONGER, BY = "x1.5", 1.5


@dataclass(frozen=True)
class Bed:
    """What is trained and what is looked at."""

    overrides: list[str]
    epochs: int
    splits: tuple[str, ...] = ("public", "private")  # of the queries; held-out landmarks are in both


HELD_OUT = ["data.held_out.distractors=0", "data.held_out.non_landmark=0"]
TWO_PLACES = ["data.held_out.landmarks=2", "data.held_out.queries=30", *HELD_OUT]
MINI = ["data=gldv2", "data.image_size=128", "data.batch_size=32", "data.num_workers=1", "data.eval_batch_size=32"]
BEDS = {
    "demo": Bed(
        ["data=demo", "data.num_workers=1", "data.held_out.landmarks=8", "data.held_out.queries=5", *HELD_OUT], 15
    ),
    "mini": Bed([*MINI, *TWO_PLACES], 10),
    "mini_public": Bed(MINI, 10, ("public",)),
    "tuned": Bed([*MINI, *TWO_PLACES, "optimizer.lr=2e-4"], 4),
}

HEAD = ["loss.scale=30", "model.batch_norm=true", "model.pooling=gem"]
FAST = ["optimizer.lr=2e-3", "scheduler=onecycle"]
FROM_SCRATCH = {
    BASE: [],
    # the loss, whose defaults are those of 81,313 landmarks
    "scale 30": ["loss.scale=30"],
    "margin 0.3": ["loss.margin=0.3"],
    "margin rises to 0.3": ["loss.margin=0.3", "levers=[margin]"],
    # the network
    "gem": ["model.pooling=gem"],
    "batch norm": ["model.batch_norm=true"],
    "drop_path 0.1": ["model.drop_path=0.1"],
    # what it sees
    "augmentation original": ["augmentation=original"],
    "augmentation strong": ["augmentation=strong"],
    "cutout": ["augmentation=cutout"],
    "mixup 0.2": ["levers=[mixup]"],
    "resolution": ["levers=[resolution]"],
    "resolution x1.5": ["levers=[resolution]"],
    "balanced": ["sampler=balanced"],
    "balanced, all alike": ["sampler=balanced", "sampler.size_power=0"],
    # how it learns
    "lr 2e-3": ["optimizer.lr=2e-3"],
    "warmup 0.2": ["scheduler.warmup=0.2"],
    "onecycle": ["scheduler=onecycle"],
    "accumulate 2": ["trainer.accumulate_grad_batches=2"],
    "half the batch": ["data.batch_size=16"],
    "no decay of norms": ["parameters.decay_norms=false"],
    "head x 3": ["parameters.head_rate=3"],
    "layer_decay 0.75": ["parameters.layer_decay=0.75"],
    "ema 0.99": ["levers=[ema]", "levers.ema.decay=0.99"],
    "ema 0.999": ["levers=[ema]", "levers.ema.decay=0.999"],
    # together
    "A: scale 30, batch norm, gem": HEAD,
    "B: A, lr 2e-3, onecycle": [*HEAD, *FAST],
    "C: B, ema": [*HEAD, *FAST, "levers=[ema]", "levers.ema.decay=0.99"],
    "D: C, resolution x1.5": [*HEAD, *FAST, "levers=[ema,resolution]", "levers.ema.decay=0.99"],
    "E: D, half the batch x1.5": [
        *HEAD, *FAST, "levers=[ema,resolution]", "levers.ema.decay=0.99", "data.batch_size=16"
    ],
}  # fmt: skip
TUNED = {
    BASE: [],
    "freeze": ["levers=[freeze]"],
    "frozen norms": ["levers=[frozen_norms]"],
    "freeze, frozen norms": ["levers=[freeze,frozen_norms]"],
    "head x 3": ["parameters.head_rate=3"],
    "layer_decay 0.75": ["parameters.layer_decay=0.75"],
    "layer_decay 0.75, head x 3": ["parameters.layer_decay=0.75", "parameters.head_rate=3"],
    "ema 0.99": ["levers=[ema]", "levers.ema.decay=0.99"],
    "onecycle": ["scheduler=onecycle"],
    "no decay of norms": ["parameters.decay_norms=false"],
    "gem": ["model.pooling=gem"],
    "together": [
        "levers=[freeze,ema]", "levers.ema.decay=0.99", "parameters.layer_decay=0.75", "parameters.head_rate=3",
        "scheduler=onecycle", "model.pooling=gem",
    ],
}  # fmt: skip


def train(overrides: list[str], epochs: int, seed: int, splits: tuple[str, ...]) -> dict[str, object]:
    """Train in a process of its own; give its figures."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "landmarks", "train", *overrides, f"seed={seed}", f"trainer.max_epochs={epochs}",
            f"trainer.check_val_every_n_epoch={epochs}", "trainer.enable_progress_bar=false",
            "evaluate_untrained=false", f"hydra.run.dir={folder}/run",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError((done.stdout + done.stderr)[-2000:])
        found = json.loads(Path(folder, "run", "metrics.json").read_text())
    return {
        "map100": round(statistics.fmean(found["trained"][split]["map@100"] for split in splits), 4),
        "epochs": found["training"]["epochs"],
        "steps": found["training"]["steps"],
        "seconds": round(found["training"]["seconds"], 1),
    }


def read_rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def summary(rows: list[dict[str, str]]) -> list[dict[str, object]]:
    """Give for each set and variant the differences to the base of the same seed."""
    by_run = {(row["set"], row["variant"], row["seed"]): row for row in rows}
    found = []
    for bed, variant in dict.fromkeys((row["set"], row["variant"]) for row in rows):
        own = {seed: row for (one, name, seed), row in by_run.items() if (one, name) == (bed, variant)}
        pairs = [(row, by_run[bed, BASE, seed]) for seed, row in own.items() if (bed, BASE, seed) in by_run]
        gains = [float(row["map100"]) - float(base["map100"]) for row, base in pairs]
        times = [float(row["seconds"]) / float(base["seconds"]) for row, base in pairs]
        found.append(
            {
                "set": bed,
                "variant": variant,
                "seeds": len(pairs),
                "map100": round(statistics.fmean(float(row["map100"]) for row in own.values()), 4),
                "gain": round(statistics.fmean(gains), 4) if gains else "",
                "sd_of_gain": round(statistics.stdev(gains), 4) if len(gains) > 1 else "",
                "better": sum(gain > 0 for gain in gains),
                "times_seconds": round(statistics.fmean(times), 2) if times else "",
            }
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", choices=BEDS)
    parser.add_argument("--gldv2", type=Path, help="the miniature, for all sets but demo")
    parser.add_argument("--weights", help="file of ImageNet weights, for the set tuned")
    parser.add_argument("--network", help="timm's name of their network")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variants", nargs="*", help="only those whose names begin so; base is always there")
    parser.add_argument("--epochs", type=int, help="instead of those of the set, to try the script")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of both files")
    arguments = parser.parse_args()
    path = arguments.results / "levers.csv"
    rows = read_rows(path)
    for seed in range(arguments.seeds):
        for name in arguments.sets:
            bed, variants = BEDS[name], TUNED if name == "tuned" else FROM_SCRATCH
            common = [*bed.overrides, f"data.held_out.seed={seed}"]
            if name != "demo":
                common.append(f"data.root={arguments.gldv2}")
            if name == "tuned":
                common += ["model=timm", f"model.name={arguments.network}", f"model.pretrained={arguments.weights}"]
            for variant, overrides in variants.items():
                wanted = arguments.variants is None or any(variant.startswith(one) for one in arguments.variants)
                known = any((row["set"], row["variant"], row["seed"]) == (name, variant, str(seed)) for row in rows)
                if known or not (wanted or variant == BASE):
                    continue
                epochs = arguments.epochs or bed.epochs
                epochs = round(epochs * BY) if variant.endswith(LONGER) else epochs
                try:
                    figures = train([*common, *overrides], epochs, seed, bed.splits)
                except RuntimeError as error:
                    print(f"{name}, {variant}, seed {seed} failed:\n{error}", file=sys.stderr, flush=True)
                    continue
                row = {"set": name, "variant": variant, "seed": str(seed), **figures, "overrides": " ".join(overrides)}
                print(*row.values(), flush=True)
                write_csv(path, [*read_rows(path), row | machine(torch=torch.__version__)])
                rows = read_rows(path)
                write_csv(arguments.results / "levers_summary.csv", [one | machine() for one in summary(rows)])
    for line in summary(rows):
        print(*line.values(), sep="\t")


if __name__ == "__main__":
    main()
