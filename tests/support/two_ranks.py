"""Two processes that gather over gloo. They are forked: importing torch anew would cost each of them ten seconds."""

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def run_two_ranks(work: Callable[[int], Any], folder: Path) -> list[Any]:
    """Call `work` with 0 and with 1 in two processes; return what both gave, by way of JSON."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_run_rank, args=(work, rank, folder)) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        if worker.is_alive():
            worker.kill()
    assert [worker.exitcode for worker in workers] == [0, 0]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def _run_rank(work: Callable[[int], Any], rank: int, folder: Path) -> None:
    torch.set_num_threads(1)  # a forked child cannot use its parent's OpenMP threads
    rendezvous = f"file://{folder / 'rendezvous'}"
    torch.distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    (folder / f"{rank}.json").write_text(json.dumps(work(rank)))
    torch.distributed.destroy_process_group()
