"""Folders that are drawn on first use, whole or not at all, however many processes ask at once.

A folder is drawn beside its final place and renamed when it is whole. A stamp in it says what was drawn.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from landmarks.errors import LandmarksError


@contextmanager
def drawn_once(root: Path, what: str, stamp_name: str, stamp: Mapping[str, int]) -> Iterator[Path | None]:
    """A folder to draw into, which becomes `root` at the end; None if it is all there already.

    Args:
        root: absolute path of the final place; made here.
        what: name of such a folder for people, such as "demo world".
        stamp_name: name of the file in it that says what was drawn.
        stamp: what is to be drawn: version, seed, sizes.

    Raises:
        LandmarksError: `root` holds something else.
    """
    if is_finished(root, what, stamp_name, stamp):
        yield None
        return
    root.parent.mkdir(parents=True, exist_ok=True)
    with _workplace(root) as folder:
        if is_finished(root, what, stamp_name, stamp):  # another process was faster
            yield None
            return
        yield folder
        (folder / stamp_name).write_text(json.dumps(dict(stamp), indent=2) + "\n")
        folder.rename(root)


def is_finished(root: Path, what: str, stamp_name: str, stamp: Mapping[str, int]) -> bool:
    """Whether exactly this is at `root`. Raises LandmarksError if something else is."""
    path = root / stamp_name
    if path.is_file():
        try:
            found = json.loads(path.read_text())
        except ValueError as error:
            raise LandmarksError(f"{path} is damaged: remove the folder {root} and start again") from error
        if found == stamp:
            return True
        raise LandmarksError(
            f"{root} holds the {what} {found}, not {dict(stamp)}: give another folder as data.root, "
            f"ask for the {what} that is there, or remove the folder"
        )
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise LandmarksError(f"{root} exists and is not a {what}: give an empty or a new folder as data.root")
    return False


@contextmanager
def _workplace(root: Path) -> Iterator[Path]:
    """An empty folder beside `root` that only this process uses, removed at the end unless renamed.

    Whoever comes second waits. A lock ends with its process, so what a killed one left is simply cleared away.
    """
    folder = root.parent / f".{root.name}.partial"
    while True:
        try:
            folder.mkdir(exist_ok=True)
            lock = os.open(folder, os.O_RDONLY)
        except (FileExistsError, FileNotFoundError):  # the one before has just finished
            if folder.is_file():
                raise
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists() and folder.stat().st_ino == os.fstat(lock).st_ino:
            break
        os.close(lock)  # we locked a folder that has been renamed to its final place since
    try:
        for left in folder.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield folder
    finally:
        if folder.exists() and folder.stat().st_ino == os.fstat(lock).st_ino:
            shutil.rmtree(folder)
        os.close(lock)


@contextmanager
def drawing_progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A progress bar that shows once the first picture is drawn; call what it gives after each picture."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task(f"drawing the {what}", total=total, visible=False)
        yield lambda: progress.update(task, advance=1, visible=True)
