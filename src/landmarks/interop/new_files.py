"""Check that a new file can be written, before anything large is read."""

import os
from pathlib import Path

from landmarks.errors import LandmarksError


def check_new_file(path: Path, suffix: str, source: Path, overwrite: bool) -> None:
    """Check that a new file can be written.

    Args:
        path: The new file.
        suffix: The suffix that it must have.
        source: The file or folder that it is made from, which must not be overwritten.
        overwrite: Allow an existing file to be replaced.

    Raises:
        LandmarksError: The file cannot be written, or must not be.
    """
    if path.suffix != suffix:
        raise LandmarksError(f"{path}: a file of this format ends in {suffix}")
    if path.is_dir():
        raise LandmarksError(f"{path}: is a folder; give the name of the new file")
    if path.resolve() == source.resolve():
        raise LandmarksError(f"{path}: is the model itself; give another file")
    if path.exists() and not overwrite:
        raise LandmarksError(f"{path}: exists already; give another name, or --overwrite")
    if source.resolve() in path.resolve().parents:
        raise LandmarksError(f"{path}: lies in {source}, where it could be taken for a variable; write it elsewhere")
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise LandmarksError(f"{path}: cannot be written; you have no write access to {folder}, or it is not a folder")
