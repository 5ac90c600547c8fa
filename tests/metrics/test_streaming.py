"""Metric classes equal the functions on arrays: in batches, and over two real processes with gloo.

The processes are forked, because importing torchmetrics anew would cost each of them ten seconds.
"""

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch
from torchmetrics import Metric

from landmarks.metrics import (
    average_precision,
    first_correct_position,
    global_average_precision,
    precision_at,
)
from landmarks.metrics.streaming import (
    FirstCorrectPosition,
    GlobalAveragePrecision,
    RetrievalMAPAtK,
    RetrievalPrecisionAtK,
)

QUERIES, RANKS = 37, 12


def metrics() -> dict[str, Metric]:
    return {
        "map@100": RetrievalMAPAtK(100),
        "map@10": RetrievalMAPAtK(k=10),
        "precision@5": RetrievalPrecisionAtK(5),
        "mean_position": FirstCorrectPosition("mean"),
        "median_position": FirstCorrectPosition("median", k=10),
        "gap": GlobalAveragePrecision(),
        "gap_ignoring_non_landmark": GlobalAveragePrecision(ignore_non_landmark=True),
    }


def queries() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    has_landmark = rng.random(QUERIES) < 0.6
    return {
        "relevant": rng.random((QUERIES, RANKS)) < 0.1,
        "num_positives": rng.integers(12, 200, QUERIES),
        "image_ids": rng.integers(0, 2**64, QUERIES, dtype=np.uint64),
        "landmarks": rng.integers(-1, 6, QUERIES),
        "scores": rng.integers(0, 8, QUERIES) / 8,  # ties
        "correct": has_landmark & (rng.random(QUERIES) < 0.5),
        "has_landmark": has_landmark,
    }


def expected(rows: dict[str, np.ndarray]) -> dict[str, float]:
    used = rows["landmarks"] >= 0

    def gap(used: np.ndarray) -> float:
        names = ("scores", "correct", "image_ids", "landmarks")
        scores, correct, ids, landmarks = (rows[name][used] for name in names)
        return global_average_precision(scores, correct, int(rows["has_landmark"].sum()), ids, landmarks)

    relevant = rows["relevant"]
    return {
        "map@100": average_precision(relevant, rows["num_positives"], 100).mean(),
        "map@10": average_precision(relevant, rows["num_positives"], 10).mean(),
        "precision@5": precision_at(relevant, 5).mean(),
        "mean_position": first_correct_position(relevant).mean(),
        "median_position": float(np.median(first_correct_position(relevant, 10))),
        "gap": gap(used),
        "gap_ignoring_non_landmark": gap(used & rows["has_landmark"]),
    }


def update(all_metrics: dict[str, Metric], rows: dict[str, np.ndarray], batch: int = 5) -> None:
    rows = rows | {"image_ids": rows["image_ids"].view(np.int64)}
    for first in range(0, len(rows["scores"]), batch):
        tensors = {name: torch.from_numpy(array[first : first + batch]) for name, array in rows.items()}
        relevant = tensors.pop("relevant")
        num_positives = tensors.pop("num_positives")
        for metric in all_metrics.values():
            if isinstance(metric, GlobalAveragePrecision):
                metric.update(**tensors)
            elif isinstance(metric, RetrievalMAPAtK):
                metric.update(relevant, num_positives)
            else:
                metric.update(relevant)


def take(rows: dict[str, np.ndarray], part: slice) -> dict[str, np.ndarray]:
    return {name: np.ascontiguousarray(array[part]) for name, array in rows.items()}


@pytest.mark.parametrize("number", [1, 2, 6, 7, QUERIES])
def test_batches_equal_the_functions(number: int) -> None:
    rows = take(queries(), slice(number))
    all_metrics = metrics()
    update(all_metrics, rows)
    values = {name: metric.compute() for name, metric in all_metrics.items()}
    assert {value.dtype for value in values.values()} == {torch.float64}
    found = {name: value.item() for name, value in values.items()}
    assert found == pytest.approx(expected(rows), abs=1e-12, nan_ok=True)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_reset_forgets_and_nothing_seen_is_nan() -> None:
    all_metrics = metrics()
    update(all_metrics, queries())
    for name, metric in all_metrics.items():
        metric.reset()
        assert torch.isnan(metric.compute()), name


def test_forward_gives_the_batch_and_keeps_the_sum() -> None:
    metric = RetrievalMAPAtK(k=1)
    right, wrong = torch.tensor([[True]]), torch.tensor([[False]])
    assert metric(right, torch.tensor([1])) == 1
    assert metric(wrong, torch.tensor([1])) == 0
    assert metric.compute() == 0.5


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="k is 0"):
        RetrievalMAPAtK(0)
    with pytest.raises(ValueError, match="statistic is 'mode'"):
        FirstCorrectPosition("mode")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="k is 0"):
        FirstCorrectPosition(k=0)


def test_two_processes_equal_one(tmp_path: Path) -> None:
    """Equal, unequal and no queries on a rank: both ranks show the figures of all."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=run_rank, args=(rank, tmp_path)) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        if worker.is_alive():
            worker.kill()
    for rank in range(2):
        results = json.loads((tmp_path / f"{rank}.json").read_text())
        assert len(results) == 3
        for found in results:
            assert found == pytest.approx(expected(queries()), abs=1e-12)
    assert [worker.exitcode for worker in workers] == [0, 0]


def parts_of(rank: int) -> list[slice]:
    """What a rank sees in turn: every second query, an uneven run, all on rank 1 and none on rank 0."""
    return [slice(rank, None, 2), [slice(30), slice(30, None)][rank], [slice(0), slice(None)][rank]]


def run_rank(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)  # a forked child cannot use its parent's OpenMP threads
    rendezvous = f"file://{folder / 'rendezvous'}"
    torch.distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    results = []
    for part in parts_of(rank):
        all_metrics = metrics()
        rows = take(queries(), part)
        update(all_metrics, rows)
        results.append({name: metric.compute().item() for name, metric in all_metrics.items()})
        # A rank goes on with its own rows after it has shown the figures of all.
        assert sum(map(len, all_metrics["gap"].scores)) == (rows["landmarks"] >= 0).sum()
        assert all_metrics["map@10"].count == len(rows["scores"])
    (folder / f"{rank}.json").write_text(json.dumps(results))
    torch.distributed.destroy_process_group()
