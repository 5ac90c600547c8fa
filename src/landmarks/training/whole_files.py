"""Writes checkpoints atomically. Opening them is in `landmarks.models`, which does not import Lightning."""

import shutil
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO
from torch import nn

from landmarks.errors import LandmarksError
from landmarks.storage import atomic_file


def require_room(run_dir: Path, *modules: nn.Module, averaged: bool = False) -> None:
    """Raise LandmarksError if the disk has no room for the best, the last and one partly written checkpoint.

    The size of a checkpoint is that of all weights, twice if they are `averaged`, and two moments of the optimizer for
    each trained weight.
    """
    tensors = [value for module in modules for value in module.state_dict().values()]
    trained = [value for module in modules for value in module.parameters() if value.requires_grad]
    weights = sum(value.nbytes for value in tensors if isinstance(value, torch.Tensor))
    size = weights * (1 + averaged) + 2 * sum(value.nbytes for value in trained)
    there = sum(path.stat().st_size for path in run_dir.glob("checkpoints/*.ckpt"))
    existing = next(folder for folder in (run_dir, *run_dir.resolve().parents) if folder.is_dir())
    needed, free = 3 * size - there, shutil.disk_usage(existing).free
    if free < needed:
        raise LandmarksError(
            f"{run_dir}: {free / 2**20:,.0f} MiB are free, but the checkpoints of this run need about "
            f"{needed / 2**20:,.0f} MiB: make room, or name another folder with hydra.run.dir=PATH"
        )


class WholeFiles(TorchCheckpointIO):
    """Makes Lightning write checkpoints atomically: a run that is killed while writing keeps the previous one.

    Lightning itself collects the file in memory and then in the system's temporary folder, and copies it from there.

    Args:
        mapped: Map a checkpoint that is resumed into memory, because a rank needs its part of the class weights only.
    """

    def __init__(self, mapped: bool = False) -> None:
        super().__init__()
        self.mapped = mapped

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a file beside `path`, and rename it when it is on the disk."""
        with atomic_file(Path(path)) as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # on a full disk torch fails again when it closes the file
                raise error.__context__ if isinstance(error.__context__, OSError) else error from None

    def load_checkpoint(self, path: str | Path, *args: Any, **options: Any) -> dict[str, Any]:
        """Read a file, or only map it if a part of it will do."""
        found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=self.mapped)
        return found
