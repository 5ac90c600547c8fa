"""A classifier's predictions, in memory and on disk, and other evidence for recognition besides descriptors.

Predictions are stored in a folder, which is renamed to its name when complete:

    ids.npy             uint64 [N]
    landmarks.npy       int32 [N, k], lines of landmark_names.txt from 0, most likely first
    probabilities.npy   float32 [N, k]
    landmark_names.txt  one per line, in the order of the classifier
    protocol.json       how the images were embedded, see `ExtractionProtocol`

Files are checked against their own headers before memory is allocated, and nothing is unpickled.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.ids import first_repeat, format_id
from landmarks.recognition.detections import FoundObjects
from landmarks.recognition.votes import NO_LANDMARK
from landmarks.retrieval import ExtractionProtocol, Need
from landmarks.storage import (
    CHECKSUMS_FILE,
    ChangedError,
    atomic_folder,
    check_folder,
    map_array,
    read_header,
    write_checksums,
)

IDS_FILE = "ids.npy"
LANDMARKS_FILE = "landmarks.npy"
PROBABILITIES_FILE = "probabilities.npy"
NAMES_FILE = "landmark_names.txt"
PROTOCOL_FILE = "protocol.json"
FILES = frozenset({IDS_FILE, LANDMARKS_FILE, PROBABILITIES_FILE, NAMES_FILE, PROTOCOL_FILE})
"""The folder also holds ``checksums.txt``."""
MAX_NAMES_BYTES = 1 << 26


@dataclass(frozen=True)
class Predictions:
    """The k most likely landmarks of every image.

    Attributes:
        ids: uint64 [N], the images.
        landmarks: int32 [N, k], rows of `landmark_names`, most likely first; -1 = empty.
        probabilities: float32 [N, k], from a softmax over all landmarks of the classifier; 0 where empty.
        landmark_names: str [C], the classifier's label space.
        name: origin of the predictions, for messages.
    """

    ids: NDArray[np.uint64]
    landmarks: NDArray[np.int32]
    probabilities: NDArray[np.float32]
    landmark_names: NDArray[np.str_]
    name: str = "predictions"

    def __post_init__(self) -> None:
        landmarks, probabilities = self.landmarks, self.probabilities
        if landmarks.ndim != 2 or landmarks.shape != probabilities.shape or len(landmarks) != len(self.ids):
            raise LandmarksError(
                f"{self.name}: ids {self.ids.shape}, landmarks {landmarks.shape} and probabilities "
                f"{probabilities.shape} must be [N], [N, k] and [N, k]"
            )
        if landmarks.size and not NO_LANDMARK <= landmarks.min() <= landmarks.max() < len(self.landmark_names):
            raise LandmarksError(f"{self.name}: a landmark is not a row of the {len(self.landmark_names)} names")
        if not ((probabilities >= 0) & (probabilities <= 1)).all():
            raise LandmarksError(f"{self.name}: a probability is outside [0, 1]")


@dataclass(frozen=True)
class Evidence:
    """Evidence about the queries besides descriptors.

    Attributes:
        predictions: predictions of a classifier, or None.
        detections: objects found by a detector, or None.
    """

    predictions: Predictions | None = None
    detections: FoundObjects | None = None

    @property
    def kinds(self) -> list[Need]:
        """The kinds of evidence that are present."""
        kinds: list[Need] = ["predictions", "detections"]
        return [kind for kind in kinds if getattr(self, kind) is not None]


NO_EVIDENCE = Evidence()  # neither predictions nor detections


def join_label_spaces(names: NDArray[np.str_], others: NDArray[np.str_]) -> tuple[NDArray[np.str_], NDArray[np.int32]]:
    """Append to a label space the names that only another one has.

    Args:
        names: str [C].
        others: str [D].

    Returns:
        The joint names, whose first C are `names`, and the row there of each of `others`, int32 [D].
    """
    if not len(names) or not len(others):
        return np.concatenate([names, others]), np.arange(len(names), len(names) + len(others), dtype=np.int32)
    order = np.argsort(names)
    place = np.minimum(np.searchsorted(names, others, sorter=order), len(names) - 1)
    known = names[order[place]] == others
    number = np.where(known, order[place], len(names) + np.cumsum(~known) - 1)
    return np.concatenate([names, others[~known]]), number.astype(np.int32)


def write_predictions(folder: str | Path, predictions: Predictions, protocol: ExtractionProtocol) -> None:
    """Write predictions atomically; existing predictions are replaced.

    Args:
        folder: folder of the predictions.
        predictions: the predictions.
        protocol: how the images were embedded.

    Raises:
        LandmarksError: the folder holds other files, a name has a line break, or the disk cannot be written.
    """
    folder = Path(folder)
    strange = np.flatnonzero(np.strings.find(predictions.landmark_names, "\n") >= 0)
    if len(strange):
        name = str(predictions.landmark_names[strange[0]])
        raise LandmarksError(f"{folder}: the landmark name {name!r} has a line break: rename it")
    refuse_other_folder(folder)
    try:
        with atomic_folder(folder) as partial:
            np.save(partial / IDS_FILE, predictions.ids)
            np.save(partial / LANDMARKS_FILE, predictions.landmarks)
            np.save(partial / PROBABILITIES_FILE, predictions.probabilities)
            names = "".join(f"{name}\n" for name in predictions.landmark_names.tolist())
            (partial / NAMES_FILE).write_bytes(names.encode())
            protocol.write(partial / PROTOCOL_FILE)
            write_checksums(partial)
    except OSError as error:
        raise LandmarksError(f"{folder}: the predictions cannot be written ({error.strerror})") from error


def refuse_other_folder(folder: Path) -> None:
    """Raise a LandmarksError if the path is a file, or a folder that holds anything but predictions."""
    if folder.exists() and not (
        folder.is_dir() and {path.name for path in folder.iterdir()} <= FILES | {CHECKSUMS_FILE}
    ):
        raise LandmarksError(f"{folder}: holds other files: move them, or choose another folder for predictions")


def read_predictions(folder: str | Path) -> Predictions:
    """Read a folder that `write_predictions` wrote.

    Raises:
        LandmarksError: the folder is missing or incomplete, or files are corrupt, truncated or inconsistent.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise LandmarksError(f"{folder}: there is no folder of predictions")
    absent = sorted(FILES - {path.name for path in folder.iterdir()})
    if absent:
        raise LandmarksError(
            f"{folder}: not a folder of predictions: it lacks {', '.join(absent)}; `landmarks extract … "
            "predictions=10` writes them to folders called <split>_predictions"
        )
    ExtractionProtocol.read(folder / PROTOCOL_FILE)
    names = _read_names(folder / NAMES_FILE)
    try:
        with (folder / LANDMARKS_FILE).open("rb") as file:
            shape = read_header(file).shape
        if len(shape) != 2 or min(shape) < 1:
            raise ValueError(f"{LANDMARKS_FILE}: expected an array [images, landmarks], found {shape}")
        ids: NDArray[np.uint64] = np.array(map_array(folder / IDS_FILE, np.dtype(np.uint64), shape[:1]))
        landmarks = np.array(map_array(folder / LANDMARKS_FILE, np.dtype(np.int32), shape))
        probabilities = np.array(map_array(folder / PROBABILITIES_FILE, np.dtype(np.float32), shape))
    except (OSError, ValueError) as error:
        raise LandmarksError(f"{folder}: corrupt or not predictions: {error}; predict again") from error
    again = first_repeat(ids)
    if again is not None:
        raise LandmarksError(f"{folder}: image {format_id(ids[again])} occurs twice; predict again")
    found = Predictions(ids, landmarks, probabilities, names, str(folder))
    try:
        check_folder(folder)
    except (ChangedError, OSError) as error:
        raise LandmarksError(f"{error}; predict again") from error
    return found


def _read_names(path: Path) -> NDArray[np.str_]:
    try:
        if path.stat().st_size > MAX_NAMES_BYTES:
            raise LandmarksError(f"{path}: not a list of landmark names: larger than {MAX_NAMES_BYTES} bytes")
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise LandmarksError(f"{path}: the landmark names cannot be read ({error}); predict again") from error
    lines = text.split("\n")
    if max(map(len, lines)) * len(lines) > MAX_NAMES_BYTES:  # a NumPy array stores each name at the longest's length
        raise LandmarksError(f"{path}: the landmark names are too long; predict again")
    names = np.array(lines[:-1], dtype=np.str_)
    if lines[-1] or not len(names) or len(np.unique(names)) < len(names):
        raise LandmarksError(f"{path}: the list of landmark names is truncated or has duplicates; predict again")
    return names
