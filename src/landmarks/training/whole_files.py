"""Checkpoints that are whole or not there. Apart from what only opens them: Lightning takes seconds to import."""

from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO

from landmarks.storage import atomic_file


class WholeFiles(TorchCheckpointIO):
    """Makes Lightning write a checkpoint whole or not at all: a run killed meanwhile leaves the one before.

    Its own way collects the file in memory, then in the system's folder of temporary files, and copies it from there.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a file beside `path` and give it that name once it is on the disk."""
        with atomic_file(Path(path)) as file:
            torch.save(checkpoint, file)
