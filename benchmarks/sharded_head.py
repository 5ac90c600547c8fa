"""Seconds, memory and traffic of a rank in one step of a sharded arcmargin head, on gloo processes of this machine.

    python benchmarks/sharded_head.py

Memory is the peak above the state before the step (weights and the batch of the rank are there): gradients are part of
it. `sent_mb` is counted from the sizes that the rank hands to torch.distributed: to the gathering and its backward pass
(R - 1) / R of the batch of all, to an all-reduce 2 (R - 1) / R of its values. The data-parallel head is counted by the
all-reduce of its gradient. Rows go to `benchmarks/results/sharded_head.csv`.
"""

import contextlib
import os
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed as dist
from machine import machine, write_csv
from torch.multiprocessing import spawn

from landmarks.losses import ArcMargin, Shard, gather_batch

RESULTS = Path(__file__).resolve().parent / "results"
DIM, BATCH, CLASSES, STEPS = 512, 256, 203_094, 2
CASES = [("data-parallel", 2, 1.0), ("sharded", 1, 1.0), ("sharded", 2, 1.0), ("sharded", 2, 0.1), ("sharded", 4, 1.0)]


def peak_mb(name: str) -> float:
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith(name))
    return int(line.split()[1]) / 1024


def work(rank: int, ranks: int, kind: str, rate: float, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=ranks)
    shard = Shard(CLASSES, rank, ranks, rate)
    sharded = kind == "sharded"
    with shard.building() if sharded else contextlib.nullcontext():
        head = ArcMargin(CLASSES, DIM)
    torch.manual_seed(rank)
    x = torch.randn(BATCH // ranks, DIM, requires_grad=True)
    landmarks = torch.randint(CLASSES, (len(x),))
    seconds = []
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = peak_mb("VmRSS")
    for _ in range(STEPS):
        dist.barrier()
        head.zero_grad()
        since = time.perf_counter()
        if sharded:
            gathered, labels = gather_batch(x, landmarks, partial=True)
            with shard.computing(labels):
                head(gathered, labels).backward()
        else:
            head(x, landmarks).backward()
            dist.all_reduce(head.weight.grad)
        seconds.append(time.perf_counter() - since)
    if rank == 0:
        away = (ranks - 1) / ranks
        small = 2 * 3 * 4 * BATCH + 8 * BATCH  # three all-reduces of a value an image, and the landmarks
        sent = away * (2 * 4 * BATCH * DIM + small) if sharded else away * 2 * 4 * CLASSES * DIM
        figures = f"{min(seconds)},{peak_mb('VmHWM') - before},{sent / 2**20}"
        Path(folder, "figures").write_text(figures)
    dist.destroy_process_group()


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    rows = []
    for kind, ranks, rate in CASES:
        with tempfile.TemporaryDirectory() as folder:
            spawn(work, (ranks, kind, rate, folder), ranks)
            seconds, peak, sent = map(float, Path(folder, "figures").read_text().split(","))
        row = {"head": kind, "ranks": ranks, "rate": rate, "classes": CLASSES, "dim": DIM, "batch": BATCH}
        row |= {"weights_mb": round(4 * DIM * CLASSES / (ranks if kind == "sharded" else 1) / 2**20)}
        row |= {"seconds": round(seconds, 2), "peak_mb": round(peak), "sent_mb": round(sent, 2)}
        print(row)
        rows.append(row | machine(torch=torch.__version__))
    write_csv(RESULTS / "sharded_head.csv", rows)


if __name__ == "__main__":
    main()
