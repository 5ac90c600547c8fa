"""Processes that gather over gloo. They are forked: importing torch anew would cost each of them ten seconds."""

import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def run_ranks(work: Callable[[int], Any], folder: Path, ranks: int = 2) -> list[Any]:
    """Call `work` with 0, 1, … in a process each; return what they gave, by way of JSON."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_run_rank, args=(work, rank, ranks, folder)) for rank in range(ranks)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        if worker.is_alive():
            worker.kill()
    assert [worker.exitcode for worker in workers] == [0] * ranks
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(ranks)]


def _run_rank(work: Callable[[int], Any], rank: int, ranks: int, folder: Path) -> None:
    os.environ["LOCAL_RANK"] = str(rank)  # Lightning then launches nothing
    torch.set_num_threads(1)  # a forked child cannot use its parent's OpenMP threads
    rendezvous = f"file://{folder / 'rendezvous'}"
    torch.distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=ranks)
    (folder / f"{rank}.json").write_text(json.dumps(work(rank)))
    torch.distributed.destroy_process_group()
