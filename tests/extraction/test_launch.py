"""DDP with two real processes: same figures as one, folders of its own for each job of a sweep, and resuming.

Each process takes its time to import torch, so one launch shows all of it.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from landmarks.models import open_checkpoint

ROOT = Path(__file__).resolve().parents[2]


def test_a_sweep_of_two_ranks(tiny_run: list[str], trained_run: Any, tmp_path: Path) -> None:
    short = [*tiny_run, "trainer.max_epochs=null", "trainer.max_steps=2"]
    command = [
        sys.executable,
        str(ROOT / "train.py"),
        "-m",
        "trainer=ddp",
        "loss.margin=0.1,0.2",
        *(override for override in short if override != "trainer.devices=1"),
        "trainer.devices=2",
        "trainer.sync_batchnorm=false",
        "callbacks.last.minutes=0",
        f"hydra.sweep.dir={tmp_path / 'sweep'}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr

    jobs = sorted(path for path in (tmp_path / "sweep").iterdir() if path.is_dir())
    assert len(jobs) == 2
    assert len((tmp_path / "sweep" / "sweep.csv").read_text().splitlines()) == 3
    assert not (tmp_path / "runs").exists()
    expected = trained_run.metrics["untrained"]
    for job in jobs:
        found = json.loads((job / "metrics.json").read_text())["untrained"]
        for split in ("public", "private"):
            assert found[split] == pytest.approx(expected[split], abs=2e-3)
        assert sorted(p.name for p in (job / "descriptors").iterdir()) == ["gallery", "index", "queries"]
        place = open_checkpoint(job / "checkpoints" / "last.ckpt")["LandmarkDataModule"]["train_loader"]
        assert (place["epoch"], place["batches"], place["identity"]["the number of devices"]) == (0, 2, 2)
