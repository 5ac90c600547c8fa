"""Checkpoints that are whole or not there. Apart from what only opens them: Lightning takes seconds to import."""

import shutil
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO
from torch import nn

from landmarks.errors import LandmarksError
from landmarks.storage import atomic_file


def require_room(run_dir: Path, module: nn.Module) -> None:
    """Refuse to begin where the disk has no room for the best and the last checkpoint and one that is being written.

    A checkpoint holds all weights, and for each that is trained what an optimizer of two moments keeps.
    """
    weights = sum(value.nbytes for value in module.state_dict().values() if isinstance(value, torch.Tensor))
    size = weights + 2 * sum(value.nbytes for value in module.parameters() if value.requires_grad)
    there = sum(path.stat().st_size for path in run_dir.glob("checkpoints/*.ckpt"))
    existing = next(folder for folder in (run_dir, *run_dir.resolve().parents) if folder.is_dir())
    needed, free = 3 * size - there, shutil.disk_usage(existing).free
    if free < needed:
        raise LandmarksError(
            f"{run_dir}: {free / 2**20:,.0f} MiB are free, and the checkpoints of this run need some "
            f"{needed / 2**20:,.0f} MiB: make room, or name another folder with hydra.run.dir=PATH"
        )


class WholeFiles(TorchCheckpointIO):
    """Makes Lightning write a checkpoint whole or not at all: a run killed meanwhile leaves the one before.

    Its own way collects the file in memory, then in the system's folder of temporary files, and copies it from there.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a file beside `path` and give it that name once it is on the disk."""
        with atomic_file(Path(path)) as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # torch stumbles over its own end of file after the disk was full
                raise error.__context__ if isinstance(error.__context__, OSError) else error from None
