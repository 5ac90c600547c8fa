"""Start one process per device for DDP from within a Hydra job.

Lightning's launcher repeats the command line in every process: in a sweep each child would run the whole sweep again,
and otherwise it would make an output folder of its own. Here the children read the resolved configuration from the run
folder. If torchrun or Slurm started the processes, nothing is launched.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch.distributed
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from omegaconf import DictConfig
from pytorch_lightning.strategies import DDPStrategy, Strategy

from landmarks.errors import LandmarksError

LOST = 75  # status of a rank that ends because it lost another one
GRACE = 5.0  # seconds that rank 0 has to notice by itself that another rank is gone
_INTERFACES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


def require_precision(settings: DictConfig, trainer: pl.Trainer) -> None:
    """Refuse half precision where there is no GPU; Lightning would compute in bfloat16 instead.

    Raises:
        LandmarksError: `trainer`, made of `settings`, has another precision than they ask for.
    """
    if str(settings.precision) in ("16", "16-mixed") and trainer.precision == "bf16-mixed":
        raise LandmarksError(
            f"trainer.precision={settings.precision}: processors have no such mode; type "
            "trainer.precision=bf16-mixed or 32-true"
        )


@contextmanager
def ranks_launched(strategy: Strategy, run_dir: Path, to_go_on: str) -> Iterator[None]:
    """Run the block as rank 0 while child processes run the other ranks of this node; without DDP, just run it.

    Each child runs `python -P -m landmarks.cli.rank RUN_DIR PARENT TO_GO_ON`, reads `config.yaml` in the first and ends
    with its parent.
    The ranks communicate over this machine's loopback interface, which other machines cannot reach.

    Args:
        strategy: Strategy of the trainer.
        run_dir: Folder of the run.
        to_go_on: Sentence that tells how a run is taken up whose ranks were killed.

    Raises:
        LandmarksError: Another rank was killed or failed.
    """
    if not _we_launch(strategy):
        try:
            yield
        except RuntimeError as error:
            if not lost_peer(error):
                raise
            raise LandmarksError(f"Another rank has ended, and so does this one. {to_go_on}") from error
        return
    assert isinstance(strategy, DDPStrategy)
    store = _local_store()
    variables = {
        **{name: _loopback() for name in _INTERFACES if name not in os.environ},
        "MASTER_ADDR": store.host,
        "MASTER_PORT": str(store.port),
        # use the store made above, because torch's own would listen on all interfaces
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
        "WORLD_SIZE": str(strategy.num_processes),
        "NODE_RANK": "0",
        "LOCAL_RANK": "0",
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    # -P: the working directory may be untrusted, with files named after libraries
    command = [sys.executable, "-P", "-m", "landmarks.cli.rank", str(run_dir), str(os.getpid()), to_go_on]
    children = [
        subprocess.Popen(command, env=os.environ | {"LOCAL_RANK": str(rank)})
        for rank in range(1, strategy.num_processes)
    ]
    done = threading.Event()
    threading.Thread(target=_watch, args=(children, done, to_go_on), daemon=True).start()
    try:
        yield
        for child in children:
            child.wait(timeout=60)
    except RuntimeError as error:
        done.set()
        deadline = time.monotonic() + (2.0 if lost_peer(error) else 0.0)
        while (said := _failure(children)) is None and time.monotonic() < deadline:
            time.sleep(0.1)
        if said is None:
            raise
        raise LandmarksError(f"{said} {to_go_on}") from error
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


def lost_peer(error: BaseException) -> bool:
    """Return whether torch says that another rank is gone."""
    return isinstance(error, torch.distributed.DistError) or "gloo/transport" in str(error)


def _watch(children: list["subprocess.Popen[bytes]"], done: threading.Event, to_go_on: str) -> None:
    """End this process when a child fails, because rank 0 may wait for it in a collective call forever."""
    while not done.wait(1.0):
        if _failure(children) and not done.wait(GRACE):  # a child prints its own message first
            sys.stderr.write(f"{_failure(children)} {to_go_on}\n")
            sys.stderr.flush()
            for child in children:
                child.kill()
            os.kill(os.getpid(), signal.SIGKILL)


def _failure(children: list["subprocess.Popen[bytes]"]) -> str | None:
    """Tell which rank failed, first those that did not fail because of another; None if all are well."""
    failed = [(rank, status) for rank, child in enumerate(children, start=1) if (status := child.poll())]
    if not failed:
        return None
    rank, status = min(failed, key=lambda one: one[1] == LOST)
    if status > 0:
        return f"Rank {rank} failed (see its message above), and the run ends."
    memory = ", perhaps because memory ran out" if status == -signal.SIGKILL else ""
    return f"Rank {rank} was killed by {signal.Signals(-status).name}{memory}, and the run ends."


def _local_store() -> Any:
    """Return the store through which the ranks of this machine find each other, listening on 127.0.0.1 only."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    host, port = listener.getsockname()
    store: Any = getattr(torch.distributed, "TCPStore")  # noqa: B009 - unknown to type checkers
    return store(host, port, is_master=True, wait_for_workers=False, master_listen_fd=listener.detach())


def _loopback() -> str:
    """Return the name of the loopback interface: `lo`, or `lo0` on a Mac."""
    return next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
