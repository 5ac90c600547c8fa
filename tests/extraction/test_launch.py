"""DDP with two real processes: same figures as one, folders of its own for each job of a sweep, and resuming.

Each process takes its time to import torch, so one launch shows all of it.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy

from landmarks.cli.train import train
from landmarks.extraction import ranks_launched
from landmarks.models import open_checkpoint


def test_a_sweep_of_two_ranks_trains_and_scores_like_one_process(
    tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without batch norm, which processors have of one rank only; batches of 3 leave uneven last ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["train.py"])
    layer_norm = ["model.name=test_convnext", "optimizer=sgd", "optimizer.lr=0.001", "data.eval_batch_size=3"]
    train([*tiny_run, *layer_norm, "data.batch_size=8", "hydra.run.dir=alone", "loss.margin=0.1"])
    shared = [override for override in tiny_run if override != "trainer.devices=1"]
    both = [
        "trainer=ddp",
        "trainer.devices=2",
        "loss.margin=0.1",
        "data.batch_size=4",
        "hydra.sweep.dir=both",
    ]
    train(["-m", *shared, *layer_norm, *both])

    (job,) = (path for path in Path("both").iterdir() if path.is_dir())
    assert len(Path("both", "sweep.csv").read_text().splitlines()) == 2
    assert not Path("runs").exists()
    one, two = (json.loads((folder / "metrics.json").read_text()) for folder in (Path("alone"), job))
    assert two["untrained"] == one["untrained"]
    for split, metrics in one["trained"].items():
        assert two["trained"][split] == pytest.approx(metrics, abs=1e-3)
    assert sorted(p.name for p in (job / "descriptors").iterdir()) == ["gallery", "index", "queries"]
    last = [open_checkpoint(folder / "checkpoints" / "last.ckpt") for folder in (Path("alone"), job)]
    assert last[1]["LandmarkDataModule"]["train_loader"]["identity"]["the number of devices"] == 2
    for name, value in last[0]["state_dict"].items():
        torch.testing.assert_close(last[1]["state_dict"][name], value, rtol=1e-3, atol=1e-4)


def test_a_rank_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    rank = "import sys, time; from landmarks.cli.rank import leave_with; leave_with(int(sys.argv[1])); time.sleep(60)"
    parent = (
        "import os, subprocess, sys, time\n"
        f"print(subprocess.Popen([sys.executable, '-c', {rank!r}, str(os.getpid())]).pid, flush=True)\n"
        "time.sleep(60)"
    )
    started = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    child = Path("/proc") / started.stdout.readline().strip()
    started.send_signal(signal.SIGKILL)
    started.wait()
    deadline = time.monotonic() + 20
    while child.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not child.exists() or "Z" in (child / "stat").read_text().split()[2]


def test_ranks_communicate_over_the_loopback_interface(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What listens in a launch listens on 127.0.0.1, the store and gloo's own sockets alike."""
    seen = {}

    class Child:
        def __init__(self, command: list[str], env: dict[str, str]) -> None:
            seen.update(env)
            assert "-P" in command, "without it the working directory comes first where the rank imports from"

        def wait(self, timeout: float) -> int:
            return 0

        def poll(self) -> int:
            return 0

    monkeypatch.setattr(subprocess, "Popen", Child)
    before = dict(os.environ)
    with ranks_launched(
        DDPStrategy(parallel_devices=[torch.device("cpu")] * 2, cluster_environment=LightningEnvironment()),
        tmp_path,
        "",
    ):
        ending = f":{int(seen['MASTER_PORT']):04X}"
        rows = [row.split() for file in ("tcp", "tcp6") for row in Path("/proc/net", file).read_text().splitlines()]
        assert {row[1] for row in rows if row[3] == "0A" and row[1].endswith(ending)} == {f"0100007F{ending}"}
        assert seen["GLOO_SOCKET_IFNAME"] == seen["NCCL_SOCKET_IFNAME"] == "lo"
    assert dict(os.environ) == before
