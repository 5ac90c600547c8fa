"""Refuses a new file that could not be written, before anything large is read or imported."""

import os
from pathlib import Path

from landmarks.errors import LandmarksError

SUFFIX = ".safetensors"
"""As `models.model_file.SUFFIX`, which would bring torch along."""


def check_target(target: Path, source: Path, overwrite: bool) -> None:
    """Refuse a model file that could not be written; `source` is the folder of the saved model."""
    if target.suffix != SUFFIX:
        raise LandmarksError(f"{target}: a model file ends in {SUFFIX}")
    if target.is_dir():
        raise LandmarksError(f"{target}: is a folder; give the name of the new file")
    if target.exists() and not overwrite:
        raise LandmarksError(f"{target}: exists already; give another name, or --overwrite")
    if source.resolve() in target.resolve().parents:
        raise LandmarksError(f"{target}: lies in {source}, where it would pass for a variable; write it elsewhere")
    folder = next(folder for folder in target.absolute().parents if folder.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise LandmarksError(f"{target}: cannot be written; {folder} is no folder that you may write to")
