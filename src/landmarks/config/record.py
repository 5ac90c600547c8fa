"""Writes and reads the record of a run in its folder: configuration, versions, machine, git commit and seed."""

import json
import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from landmarks.config.settings import Task
from landmarks.errors import LandmarksError
from landmarks.storage import atomic_file, hide

RECORD = "run.json"  # file name of a run's record in its folder
_PACKAGES = (
    "landmarks",
    "torch",
    "torchvision",
    "pytorch-lightning",
    "timm",
    "hydra-core",
    "albumentations",
    "opencv-python-headless",
    "onnxruntime",
    "faiss-cpu",
    "faiss-gpu",
    "torchmetrics",
    "numpy",
)


def write_record(config: DictConfig, run_dir: Path, task: Task = "landmarks") -> None:
    """Write `config.yaml` (resolved) and `run.json`, before any work, so that failed runs have a record too.

    `config.job` and `task` give the kind of the run, see `read_kind`.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    with atomic_file(run_dir / "config.yaml") as file:
        file.write(OmegaConf.to_yaml(recorded(config)).encode())
    write_json(
        run_dir / RECORD,
        {
            "job": config.job,
            "task": task,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": _command(config),
            "directory": str(Path.cwd()),
            "seed": config.get("seed"),
            "git": git_state(),
            "versions": versions(),
            "machine": machine(),
        },
    )


def recorded(config: DictConfig) -> dict[str, Any]:
    """Return a configuration for records: plain resolved values, without users and passwords of addresses."""
    values: dict[str, Any] = hide(OmegaConf.to_container(config, resolve=True))
    return values


def read_kind(run_dir: Path) -> tuple[str, str]:
    """Read job and task of a run from the record in its folder."""
    try:
        record = json.loads((run_dir / RECORD).read_text())
        return record["job"], record["task"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise LandmarksError(f"{run_dir / RECORD}: is not the record of a run; name another folder") from None


def _command(config: DictConfig) -> str | None:
    """Return the command that repeats the run in the same directory; None if Python code composed the configuration.

    The folder of a training run is left out, because it cannot hold a second run. `-P` keeps Python from importing
    files in the directory, which may be untrusted.
    """
    if not HydraConfig.initialized():
        return None
    hydra = HydraConfig.get()
    of_hydra = [] if hydra.mode is RunMode.MULTIRUN else hydra.overrides.hydra
    taken = "hydra.run.dir=" if config.job == "train" and config.get("resume") is None else "hydra.mode="
    asked = [one for one in of_hydra if not one.startswith(("hydra.mode=", taken))]
    return shlex.join(hide([sys.executable, "-P", "-m", "landmarks", config.job, *asked, *hydra.overrides.task]))


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change a metric."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Return the hardware of the run: processor, cores, and GPUs if there are any."""
    import torch  # here, because it takes seconds and reading a record does not need it

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"processor": _processor(), "cores": os.cpu_count(), "gpus": gpus, "system": platform.system()}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def git_state() -> dict[str, Any] | None:
    """Return the commit of the code and whether files differ from it; None outside a git checkout."""
    here = Path(__file__).resolve().parent
    try:
        commit = _git(here, "rev-parse", "HEAD")
        changed = bool(_git(here, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "changed": changed}


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically."""
    with atomic_file(path) as file:
        file.write((json.dumps(value, indent=2) + "\n").encode())
