"""DDP with two real processes: same figures as one, one run folder, and a failing rank ends the run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*overrides: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "train.py"), *overrides]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300)


def test_two_ranks_find_what_one_finds(tiny_run: list[str], tmp_path: Path) -> None:
    short = [*tiny_run, "trainer.max_epochs=null", "trainer.max_steps=1"]
    ddp = ["trainer=ddp", *(o for o in short if o != "trainer.devices=1"), "trainer.devices=2"]
    figures = {}
    for name, overrides in (("one", short), ("two", ddp)):
        done = run(*overrides, f"hydra.run.dir={tmp_path / name}", "trainer.sync_batchnorm=false", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        figures[name] = json.loads((tmp_path / name / "metrics.json").read_text())["untrained"]
    for split in ("public", "private"):
        assert figures["two"][split] == pytest.approx(figures["one"][split], abs=2e-3)
    assert not (tmp_path / "runs").exists()
    assert sorted(p.name for p in (tmp_path / "two" / "descriptors").iterdir()) == ["gallery", "index", "queries"]


def test_a_sweep_of_ddp_jobs_keeps_its_folders(tiny_run: list[str], tmp_path: Path) -> None:
    overrides = [o for o in tiny_run if o != "trainer.devices=1"]
    done = run(
        "-m",
        "trainer=ddp",
        "loss.margin=0.1,0.2",
        *overrides,
        "trainer.devices=2",
        "trainer.max_steps=1",
        "evaluate_untrained=false",
        "trainer.sync_batchnorm=false",
        f"hydra.sweep.dir={tmp_path / 'sweep'}",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    jobs = [path for path in (tmp_path / "sweep").iterdir() if path.is_dir()]
    assert len(jobs) == 2
    assert all((job / "metrics.json").is_file() for job in jobs)
    assert len((tmp_path / "sweep" / "sweep.csv").read_text().splitlines()) == 3
    assert not (tmp_path / "runs").exists()
