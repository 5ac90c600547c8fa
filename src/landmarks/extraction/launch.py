"""Starts one process a device for DDP from within a Hydra job.

Lightning's own launcher repeats the command line in every process: in a sweep each child would run the whole
sweep again, and outside one it would make output folders of its own. Here the children read the resolved
configuration from the run folder instead and compose nothing. Started by torchrun or Slurm, nothing is launched.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch.distributed
from lightning_fabric.plugins.environments.lightning import LightningEnvironment, find_free_network_port
from pytorch_lightning.strategies import DDPStrategy, Strategy

_VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "NODE_RANK", "LOCAL_RANK")


@contextmanager
def ranks_launched(strategy: Strategy, run_dir: Path) -> Iterator[None]:
    """Run the block as rank 0 with the other ranks of this node beside it; without DDP, just run it.

    Each child runs `python -m landmarks.cli.rank RUN_DIR` and reads `config.yaml` there.
    """
    if not _we_launch(strategy):
        yield
        return
    assert isinstance(strategy, DDPStrategy)
    before = {name: os.environ.get(name) for name in _VARIABLES}
    os.environ.update(
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(find_free_network_port()),
        WORLD_SIZE=str(strategy.num_processes),
        NODE_RANK="0",
        LOCAL_RANK="0",
    )
    command = [sys.executable, "-m", "landmarks.cli.rank", str(run_dir)]
    children = [
        subprocess.Popen(command, env=os.environ | {"LOCAL_RANK": str(rank)})
        for rank in range(1, strategy.num_processes)
    ]
    done = threading.Event()
    threading.Thread(target=_watch, args=(children, done), daemon=True).start()
    try:
        yield
        for child in children:
            child.wait(timeout=60)
    finally:
        done.set()
        for child in children:
            if child.poll() is None:
                child.kill()
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _we_launch(strategy: Strategy) -> bool:
    if not isinstance(strategy, DDPStrategy) or strategy.num_processes < 2:
        return False
    environment = strategy.cluster_environment
    return isinstance(environment, LightningEnvironment) and not environment.creates_processes_externally


def _watch(children: list["subprocess.Popen[bytes]"], done: threading.Event) -> None:
    """End this process when a child fails: rank 0 would wait for it in a collective call for ever."""
    while not done.wait(1.0):
        failed = [rank for rank, child in enumerate(children, start=1) if child.poll() not in (None, 0)]
        if failed and not done.is_set():
            time.sleep(1.0)  # let the child's own message out first
            sys.stderr.write(f"Rank {failed[0]} failed (its message stands above); the run ends.\n")
            sys.stderr.flush()
            for child in children:
                child.kill()
            os.kill(os.getpid(), signal.SIGKILL)
