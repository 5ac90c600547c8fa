"""Makes and locks the folder of a run, and protects it from other runs and from mistakes."""

import os
import shutil
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from landmarks.config.overrides import quoted
from landmarks.config.record import RECORD, read_kind
from landmarks.errors import LandmarksError, shown
from landmarks.storage import FileLock, LockedError

LOCK = ".lock"
BEFORE_WORK = (".hydra", "run.log", LOCK)
LEAST_ROOM = 1 << 20  # bytes, for the files that Hydra writes before any work


@dataclass(frozen=True)
class ClaimedFolder:
    """A run folder that is locked until it is released. Only the first rank locks it, as all ranks share it."""

    path: Path
    lock: FileLock | None
    made: bool  # it did not exist before

    def release(self) -> None:
        """Release the lock."""
        if self.lock is not None:
            self.lock.release()

    def discard_unused(self) -> None:
        """Remove the folder of a run that did not start to work and holds only files of Hydra.

        In a folder that existed before, only empty files of Hydra are removed, which a full disk leaves.
        """
        if self.lock is None:
            return
        for path in self.path.glob(".hydra/*"):
            if path.stat().st_size == 0:
                path.unlink()
        if self.made and self.path.is_dir() and not _work_in(self.path):
            shutil.rmtree(self.path, ignore_errors=True)


def claim_folder(config: DictConfig, kind: Literal["run", "sweep"]) -> ClaimedFolder:
    """Make and lock the folder of a run or a sweep before Hydra makes it, and write its name into `config`.

    A folder named after the time gets a number if a run of the same second has made it already. A folder that holds
    a run, or other files, is refused, see `refuse_taken`.
    """
    folder = _named(config, kind)
    if "${" in str(folder):  # Hydra resolves the name once more
        raise LandmarksError(f"hydra.{kind}.dir={folder}: the name of a run folder cannot hold ${{")
    if not _first_rank():
        folder.mkdir(parents=True, exist_ok=True)
        return ClaimedFolder(folder.absolute(), None, made=False)
    if kind == "run":
        refuse_taken(folder, config)
    elif not (folder / LOCK).is_file():
        _refuse_foreign(folder, kind)
    place = f"hydra.{kind}.dir={folder}"
    _require_room(folder, place)
    raw = OmegaConf.to_container(config.hydra[kind], resolve=False)
    try:
        folder, made = _make(folder, alone=isinstance(raw, dict) and "${now:" in str(raw["dir"]))
        lock = FileLock(folder / LOCK)
        (folder / LOCK).write_text(f"held by process {os.getpid()} while it runs\n")
    except LockedError:
        raise LandmarksError(f"{place}: another run uses this folder; give each run a folder of its own") from None
    except OSError as error:
        raise LandmarksError(f"{place}: cannot be made or written ({error.strerror}); name another folder") from None
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra[kind].dir = str(folder)
    return ClaimedFolder(folder.absolute(), lock, made)


def _require_room(folder: Path, place: str) -> None:
    """Raise LandmarksError if the disk is full, before Hydra leaves empty files there."""
    existing = next(one for one in (folder, *folder.absolute().parents) if one.is_dir())
    usage = shutil.disk_usage(existing)
    if usage.free < LEAST_ROOM and usage.total:  # the total is 0 for special file systems
        raise LandmarksError(f"{place}: the disk is full; make room, or name another folder")


def _named(config: DictConfig, kind: str) -> Path:
    """Return the folder that Hydra would make; its name may interpolate values that Hydra has only within a job."""
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    try:
        return Path(config.hydra[kind].dir)
    finally:
        HydraConfig.instance().cfg = before


def _make(folder: Path, alone: bool) -> tuple[Path, bool]:
    """Make a folder, or if `alone` the first new one of FOLDER, FOLDER_2, …; return it, and whether it is new."""
    for number in count(1):
        candidate = folder if number == 1 else folder.with_name(f"{folder.name}_{number}")
        try:
            candidate.mkdir(parents=True)
        except FileExistsError:
            if alone:
                continue
            candidate.mkdir(exist_ok=True)  # raises an error if it is not a folder
            return candidate, False
        return candidate, True
    raise AssertionError


def name_jobs_by_differences(config: DictConfig) -> None:
    """Make Hydra name the folders of a sweep's jobs after the values that differ; it composes each job anew."""
    overrides = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    fixed = [override.key_or_group for override in overrides if not override.is_sweep_override()]
    exclude = [*config.hydra.job.config.override_dirname.exclude_keys, *fixed]
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.overrides.hydra += [
            f"hydra.sweep.dir={quoted(config.hydra.sweep.dir)}",
            f"hydra.job.config.override_dirname.exclude_keys=[{','.join(map(quoted, exclude))}]",
        ]


def refuse_taken(folder: Path, config: DictConfig) -> None:
    """Raise LandmarksError if a folder holds a run, unless `config` resumes or explicitly overwrites it.

    Raise it also for a folder that holds other files, such as the photographs themselves.
    """
    if not (folder / RECORD).is_file():
        _refuse_foreign(folder, "run")
        return
    job, _ = read_kind(folder)
    if job != config.job:
        raise LandmarksError(f"{folder} holds the output of `landmarks {job}`: give this run a folder of its own")
    resume = config.get("resume")
    if job != "train" or config.get("overwrite") or resume == "last" or goes_on(folder, resume):
        return
    if (folder / "metrics.json").is_file() or any((folder / "checkpoints").glob("*.ckpt")):
        raise LandmarksError(
            f"{folder} holds a run: resume=last resumes it, overwrite=true replaces it; or name another folder"
        )


def start_if_new(config: DictConfig) -> None:
    """Make `resume=last` start the jobs of an interrupted sweep that have no checkpoint yet."""
    if config.get("resume") == "last" and not Path(config.callbacks.last.path).is_file():
        config.resume = None


def goes_on(folder: Path, resume: str | Path | None) -> bool:
    """Return whether the checkpoint to resume belongs to the run in this folder."""
    return resume is not None and Path(resume).resolve().is_relative_to(folder.resolve())


def _refuse_foreign(folder: Path, kind: str) -> None:
    found = _work_in(folder) if folder.is_dir() else []
    # an evaluation's folder may contain that of the extraction whose descriptor sets it reads
    if others := [name for name in found if not (folder / name / RECORD).is_file()]:
        raise LandmarksError(
            f"hydra.{kind}.dir={folder}: this folder holds other files, such as {shown(others[0])}; name one that is "
            f"new or empty, or one that holds a {kind}"
        )


def _work_in(folder: Path) -> list[str]:
    """Return the names of all files and folders except those that are written before any work."""
    return sorted(path.name for path in folder.iterdir() if path.name not in BEFORE_WORK)


def _first_rank() -> bool:
    """Return whether this is the first process that torchrun or Slurm started, or the only one."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"))
