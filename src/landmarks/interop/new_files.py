"""Files that are to be made of others: refused before anything large is read where they cannot be written."""

import os
from pathlib import Path

from landmarks.errors import LandmarksError


def check_new_file(path: Path, suffix: str, source: Path, overwrite: bool) -> None:
    """Refuse a file to be made of a file or folder that could not be written, before anything large is read."""
    if path.suffix != suffix:
        raise LandmarksError(f"{path}: a file of this format ends in {suffix}")
    if path.is_dir():
        raise LandmarksError(f"{path}: is a folder; give the name of the new file")
    if path.resolve() == source.resolve():
        raise LandmarksError(f"{path}: is the model itself; give another file")
    if path.exists() and not overwrite:
        raise LandmarksError(f"{path}: exists already; give another name, or --overwrite")
    if source.resolve() in path.resolve().parents:
        raise LandmarksError(f"{path}: lies in {source}, where it would pass for a variable; write it elsewhere")
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise LandmarksError(f"{path}: cannot be written; {folder} is no folder that you may write to")
