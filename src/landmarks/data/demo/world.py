"""The demo world: a small Google Landmarks v2 that needs no download.

It is drawn into a folder beside its final place and renamed when it is whole, so a world is either there or not.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from landmarks.data.demo.catalogue import kind_of, name_landmark
from landmarks.data.demo.plan import draw_plan
from landmarks.data.demo.studio import draw_pictures
from landmarks.data.demo.writer import PictureTars, write_tables
from landmarks.data.gldv2.source import GallerySplit, GLDv2, TrainSplit
from landmarks.data.roots import local_folder
from landmarks.errors import LandmarksError

STAMP = "demo_world.json"
VERSION = 1  # raise it with every change that alters a picture or a table


def write_demo_world(
    root: str | Path,
    *,
    seed: int = 0,
    landmarks: int = 40,
    pictures: int = 1200,
    workers: int | None = None,
    on_picture: Callable[[], None] | None = None,
) -> None:
    """Draw a world into `root` in the layout of GLDv2; does nothing if it is there already.

    Args:
        root: folder of the world; made here.
        seed: fixes every byte, whatever the number of workers.
        landmarks: how many there are.
        pictures: how many over all splits.
        workers: processes; None takes one per core, 0 draws in this process.
        on_picture: called after each picture, for a progress bar.

    Raises:
        LandmarksError: `root` holds something else, or the numbers are too small.
    """
    root = Path(root).absolute()
    stamp = {"version": VERSION, "seed": seed, "landmarks": landmarks, "pictures": pictures}
    plan = draw_plan(seed, landmarks, pictures)
    if is_finished(root, stamp):
        return
    root.parent.mkdir(parents=True, exist_ok=True)
    with _workplace(root) as folder:
        if is_finished(root, stamp):  # another process was faster
            return
        with PictureTars(folder) as tars:
            for picture, jpeg in draw_pictures(plan, seed, workers):
                tars.add(picture, jpeg)
                if on_picture is not None:
                    on_picture()
        names = {number: name_landmark(seed, number, kind_of(seed, number)) for number in range(landmarks)}
        write_tables(folder, plan, names)
        (folder / STAMP).write_text(json.dumps(stamp, indent=2) + "\n")
        folder.rename(root)


def is_finished(root: Path, stamp: dict[str, int]) -> bool:
    """Whether this very world is at `root`. Raises LandmarksError if something else is."""
    path = root / STAMP
    if path.is_file():
        try:
            found = json.loads(path.read_text())
        except ValueError as error:
            raise LandmarksError(f"{path} is damaged: remove the folder {root} and start again") from error
        if found == stamp:
            return True
        raise LandmarksError(
            f"{root} holds the demo world {found}, not {stamp}: give another folder as data.root, "
            "ask for the world that is there, or remove the folder"
        )
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise LandmarksError(f"{root} exists and is not a demo world: give an empty or a new folder as data.root")
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


class DemoWorld(GLDv2):
    """The demo world as a source of pictures: `prepare()` draws it where it is missing.

    Args:
        root: Folder of the world.
        seed: Of the world.
        landmarks: How many landmarks it has.
        pictures: How many pictures over all splits.
        workers: Processes that draw; None takes one per core.
        train_split: As for GLDv2.
        gallery_split: As for GLDv2.
        min_images: As for GLDv2.
        missing: As for GLDv2.
        include: As for GLDv2.
        exclude: As for GLDv2.
    """

    name = "demo"

    def __init__(
        self,
        root: str | Path,
        seed: int = 0,
        landmarks: int = 40,
        pictures: int = 1200,
        workers: int | None = None,
        train_split: TrainSplit = "train_clean",
        gallery_split: GallerySplit = "train_clean",
        min_images: int = 1,
        missing: Literal["error", "skip"] = "error",
        include: str | Path | None = None,
        exclude: str | Path | None = None,
    ) -> None:
        self.folder = local_folder(root)
        super().__init__(self.folder, train_split, gallery_split, min_images, missing, include, exclude)
        self.seed = seed
        self.landmarks = landmarks
        self.pictures = pictures
        self.workers = workers

    def prepare(self, evaluation: bool = True) -> None:
        """Draw the world if it is not there yet, with a progress bar, and check that it is complete. See Source."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, transient=True) as progress:
            task = progress.add_task("drawing the demo world", total=self.pictures, visible=False)

            def advance() -> None:
                progress.update(task, advance=1, visible=True)

            write_demo_world(
                self.folder,
                seed=self.seed,
                landmarks=self.landmarks,
                pictures=self.pictures,
                workers=self.workers,
                on_picture=advance,
            )
        super().prepare(evaluation)
