"""The rendered detection set: a small Open Images that needs no download."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from landmarks.data.demo.boxes.drawing import draw_pictures
from landmarks.data.demo.boxes.plan import draw_plan
from landmarks.data.demo.boxes.writer import PictureFolders
from landmarks.data.demo.drawn_folder import drawing_progress, drawn_once
from landmarks.data.roots import local_folder
from landmarks.detection.openimages.source import OpenImages

WHAT = "rendered detection set"
STAMP = "demo_boxes.json"
VERSION = 1  # raise it with every change that alters a picture or a table


def write_demo_boxes(
    root: str | Path,
    *,
    seed: int = 0,
    pictures: int = 960,
    workers: int | None = None,
    on_picture: Callable[[], None] | None = None,
) -> None:
    """Draw a detection set into `root` in the layout of Open Images; does nothing if it is there already.

    Args:
        root: folder of the set; made here.
        seed: fixes every byte, whatever the number of workers.
        pictures: how many over both splits; one in six is for validation.
        workers: processes; None takes one per core, 0 draws in this process.
        on_picture: called after each picture, for a progress bar.

    Raises:
        LandmarksError: `root` holds something else, or the number is too small.
    """
    root = Path(root).absolute()
    plan = draw_plan(seed, pictures)
    stamp = {"version": VERSION, "seed": seed, "pictures": pictures}
    with drawn_once(root, WHAT, STAMP, stamp) as folder:
        if folder is None:
            return
        folders = PictureFolders(folder, seed)
        for picture, drawn in draw_pictures(plan, seed, workers):
            folders.add(picture, drawn)
            if on_picture is not None:
                on_picture()
        folders.write_tables()


class DemoBoxes(OpenImages):
    """The rendered detection set as a source: `prepare()` draws it where it is missing.

    Args:
        root: Folder of the set.
        seed: Of the set.
        pictures: How many over both splits.
        workers: Processes that draw; None takes one per core.
        expand: As for OpenImages.
        group_of: As for OpenImages.
        skip: As for OpenImages.
        background: As for OpenImages.
    """

    name = "demo_boxes"

    def __init__(
        self,
        root: str | Path,
        seed: int = 0,
        pictures: int = 960,
        workers: int | None = None,
        expand: bool = False,
        group_of: Literal["use", "ignore"] = "use",
        skip: Sequence[str] = (),
        background: bool = True,
    ) -> None:
        self.folder = local_folder(root)
        super().__init__(
            self.folder, expand=expand, group_of=group_of, skip=skip, background=background, bad_boxes="error"
        )
        self.seed = seed
        self.pictures = pictures
        self.workers = workers

    def prepare(self, evaluation: bool = True) -> None:
        """Draw the set if it is not there yet, with a progress bar, and check that it is complete."""
        with drawing_progress(WHAT, self.pictures) as advance:
            write_demo_boxes(
                self.folder, seed=self.seed, pictures=self.pictures, workers=self.workers, on_picture=advance
            )
        super().prepare(evaluation)
