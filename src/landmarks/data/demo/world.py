"""The demo world: a small Google Landmarks v2 that needs no download."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from landmarks.data.demo.catalogue import kind_of, name_landmark
from landmarks.data.demo.drawn_folder import drawing_progress, drawn_once
from landmarks.data.demo.plan import draw_plan
from landmarks.data.demo.studio import draw_pictures
from landmarks.data.demo.writer import PictureTars, write_tables
from landmarks.data.gldv2.source import GallerySplit, GLDv2, TrainSplit
from landmarks.data.roots import local_folder

WHAT = "demo world"
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
    with drawn_once(root, WHAT, STAMP, stamp) as folder:
        if folder is None:
            return
        with PictureTars(folder) as tars:
            for picture, jpeg in draw_pictures(plan, seed, workers):
                tars.add(picture, jpeg)
                if on_picture is not None:
                    on_picture()
        names = {number: name_landmark(seed, number, kind_of(seed, number)) for number in range(landmarks)}
        write_tables(folder, plan, names)


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
    release = None  # its ground truth is drawn

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

    def prepare(self, training: bool = True, evaluation: bool = True) -> None:
        """Draw the world if it is not there yet, with a progress bar, and check that it is complete. See Source."""
        with drawing_progress(WHAT, self.pictures) as advance:
            write_demo_world(
                self.folder,
                seed=self.seed,
                landmarks=self.landmarks,
                pictures=self.pictures,
                workers=self.workers,
                on_picture=advance,
            )
        super().prepare(training, evaluation)
