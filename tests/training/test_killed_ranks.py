"""A rank of a sharded run is killed: one message, and the run goes on exactly, on another number of devices too.

Each process takes its time to import torch, so one test shows all of it.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

from landmarks.errors import LandmarksError
from landmarks.models import open_checkpoint, open_model
from landmarks.training import BatchSeed, train

Compose = Callable[..., DictConfig]


def test_a_killed_rank_ends_the_run_with_one_message_and_it_goes_on(
    compose_config: Compose, tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    children: list[subprocess.Popen[bytes]] = []

    class Noted(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            children.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    settings = [
        *(one for one in tiny_run if one not in ("trainer.devices=1", "data.batch_size=8")),
        "model.name=test_convnext",  # without batch norm, which has statistics of one rank only
        "optimizer=sgd",
        "optimizer.lr=0.001",
        "trainer.max_epochs=-1",
        "trainer.max_steps=6",
        "trainer.check_val_every_n_epoch=null",
        "trainer.val_check_interval=3",
        "evaluate_untrained=false",
        "sharding.enabled=true",
    ]
    both = ["trainer=ddp", "trainer.devices=2", "data.batch_size=4"]

    def run(folder: Path, *overrides: str) -> dict[str, Any]:
        train(compose_config("train", *overrides, *settings, run_dir=folder), folder)
        return open_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"]  # type: ignore[no-any-return]

    whole = run(tmp_path / "whole", *both)
    children.clear()

    with monkeypatch.context() as fault:
        seed = BatchSeed.on_train_batch_start

        def kill(self: BatchSeed, trainer: Any, module: Any, batch: Any, number: int) -> None:
            seed(self, trainer, module, batch, number)
            if number == 4:
                children[-1].send_signal(signal.SIGKILL)

        fault.setattr(BatchSeed, "on_train_batch_start", kill)
        killed = tmp_path / "killed"
        with pytest.raises(LandmarksError) as said:
            run(killed, *both)
    assert str(said.value) == (
        "Rank 1 was killed by SIGKILL, perhaps because memory ran out, and the run ends. "
        f"resume=last hydra.run.dir={killed} goes on from its last checkpoint, if it has written one."
    )
    assert open_checkpoint(killed / "checkpoints" / "last.ckpt")["global_step"] == 3
    assert not torch.distributed.is_initialized() and "LOCAL_RANK" not in os.environ
    shutil.copytree(killed, tmp_path / "alone")

    again = run(killed, *both, "resume=last")
    assert all(torch.equal(again[name], value) for name, value in whole.items())
    alone = run(tmp_path / "alone", "trainer.devices=1", "data.batch_size=8", "resume=last")
    for name, value in whole.items():
        torch.testing.assert_close(alone[name], value, rtol=1e-3, atol=1e-4)

    head = open_model(killed / "checkpoints" / "last.ckpt").head
    assert head is not None and torch.equal(head.weight, whole["loss.weight"])  # type: ignore[arg-type]


def test_a_rank_says_that_the_first_one_is_gone() -> None:
    """The parent of the process, a shell, ends while it waits."""
    code = (
        "import os, time; from landmarks.cli.rank import leave_with; leave_with(os.getppid(), 'gone'); "
        "print('ready', flush=True); time.sleep(30)"
    )
    shell = f'{sys.executable} -c "{code}" & read line'
    pipe = subprocess.PIPE
    started = subprocess.Popen(["sh", "-c", shell], stdin=pipe, stdout=pipe, stderr=pipe)
    assert started.stdout is not None and started.stdout.readline() == b"ready\n"
    _, said = started.communicate(b"\n", timeout=20)
    assert said == b"gone\n"
