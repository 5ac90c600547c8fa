"""Opens a detector for `landmarks export`."""

from pathlib import Path

from landmarks.detection.checkpoints import load_detector
from landmarks.errors import LandmarksError
from landmarks.interop.export.source import Exportable, described, origin_of
from landmarks.models.model_file import SUFFIX, read_record
from landmarks.models.record import ModelRecord


def open_detector_source(
    path: Path, task: str | None = None, name: str | None = None, categories: Path | None = None
) -> Exportable:
    """Open a detector for export; takes what `landmarks.interop.export.source.open_source` takes.

    Raises:
        LandmarksError: the file cannot be opened, or `task` or `categories`, which are for landmarks, are there.
    """
    if task is not None:
        raise LandmarksError(f"{path} is a detector: leave --task out")
    trained = load_detector(path)
    record = (
        read_record(path)
        if path.suffix == SUFFIX
        else ModelRecord(
            name=trained.name,
            task="detection",
            architecture=dict(trained.network),
            preprocessing=trained.preprocessing,
            classes=len(trained.classes),
            labels=tuple(trained.classes.names.tolist()),
            titles=tuple(trained.classes.titles.tolist()),
            origin=origin_of(trained.trained_on, trained.model),
        )
    )
    return described(Exportable(trained.model, record, trained.model.state_dict()), path, name, categories)
