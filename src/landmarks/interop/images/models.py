"""Opens a model for single pictures, whatever file it is in: ours, a checkpoint, or one for ONNX Runtime.

A model of the wrong kind is refused before its weights are read; of a `.onnx` file ONNX Runtime reads all at once.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from landmarks.data.images.preprocessing import Preprocessing
from landmarks.errors import LandmarksError
from landmarks.interop.images.onnx_file import SUFFIX as ONNX
from landmarks.interop.images.onnx_file import OnnxFile
from landmarks.models.checkpoints import TrainedModel, load_trained, recorded_task
from landmarks.models.model_file import SUFFIX, read_record
from landmarks.models.normalize import normalize
from landmarks.recognition.classify import likeliest

Device = Literal["auto", "cpu", "cuda"]
Picture = NDArray[np.uint8]
Likeliest = tuple[NDArray[np.int32], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Describer:
    """Describes one picture at a time.

    Attributes:
        name: of the model.
        resize: how pictures are sized before.
        network: uint8 [H, W, 3] RGB, sized -> descriptor float32 [D], as it leaves the network.
    """

    name: str
    resize: Preprocessing
    network: Callable[[Picture], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class PictureClassifier:
    """Tells landmarks apart.

    Attributes:
        name: of the model.
        resize: how pictures are sized before.
        classes: how many landmarks C it knows.
        labels: of each, its landmark_id if it is one of Google Landmarks v2; empty where nobody said.
        titles: of each, for people; empty where nobody said.
        likeliest: pictures uint8 [H, W, 3] RGB, sized, and k -> classes int32 and probabilities float32 of a softmax
            over all C, both [N, min(k, C)], the likeliest first.
    """

    name: str
    resize: Preprocessing
    classes: int
    labels: tuple[str, ...]
    titles: tuple[str, ...]
    likeliest: Callable[[Iterable[Picture], int], Likeliest]


def open_describer(path: str | Path, device: Device = "auto") -> Describer:
    """Open a model that describes pictures; of a classifier, the network before its last layer.

    Args:
        path: a model file, a checkpoint of ours, or a `.onnx` file of `landmarks export`.
        device: where it computes; "auto" takes a GPU if there is one.

    Raises:
        LandmarksError: the file is missing, damaged or of another kind, or the device is not there.
    """
    path = Path(path)
    if path.suffix == ONNX:
        found = OnnxFile(path, device)
        if found.record.task != "retrieval":
            raise LandmarksError(
                f"{path}: gives scores of classes and no descriptors; name the {SUFFIX} file that it was exported from"
            )
        return Describer(found.record.name, found.record.preprocessing, found)
    place = place_of(device)
    _refuse_detector(path)
    trained = load_trained(path)
    return Describer(trained.name, trained.preprocessing, _network(trained, place))


def open_classifier(path: str | Path, device: Device = "auto") -> PictureClassifier:
    """Open a model that tells landmarks apart; see `open_describer`."""
    path = Path(path)
    if path.suffix == ONNX:
        found = OnnxFile(path, device)
        record = found.record
        if record.task != "classification":
            raise _no_classifier(path)
        return PictureClassifier(
            record.name, record.preprocessing, record.classes, record.labels, record.titles, found.likeliest
        )
    place = place_of(device)
    _refuse_detector(path)
    described = read_record(path) if path.suffix == SUFFIX else None
    if described is not None and described.task != "classification":
        raise _no_classifier(path)
    trained = load_trained(path)
    if (head := trained.head) is None:
        raise _no_classifier(path)
    network = _network(trained, place)
    head.to(place)

    def of_pictures(pictures: Iterable[Picture], k: int) -> Likeliest:
        # The weights of 203,094 landmarks pass by once for all pictures, a few thousand at a time.
        descriptors = np.array([network(picture) for picture in pictures], np.float32).reshape(-1, head.dim)
        return likeliest(descriptors, head, k, str(path))

    return PictureClassifier(
        trained.name,
        trained.preprocessing,
        head.num_landmarks,
        described.labels if described else trained.landmark_names,
        described.titles if described else (),
        of_pictures,
    )


def _refuse_detector(path: Path) -> None:
    if recorded_task(path) == "detection":
        raise LandmarksError(
            f"{path}: is a detector, which neither describes pictures nor tells landmarks apart; see `landmarks detect`"
        )


def _no_classifier(path: Path) -> LandmarksError:
    return LandmarksError(
        f"{path}: describes pictures and names no landmarks. Models that do: the released res152_softmax_v1 and "
        "res152_softmax_v2, and checkpoints of runs whose loss has class weights, such as loss=softmax"
    )


def place_of(device: Device) -> torch.device:
    """The device that a person asked for. Raises LandmarksError where it is not there."""
    if device == "cuda" and not torch.cuda.is_available():
        raise LandmarksError("--device cuda: torch sees no GPU here; use --device cpu")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


def _network(trained: TrainedModel, place: torch.device) -> Callable[[Picture], NDArray[np.float32]]:
    model = trained.model.to(place).eval()

    def describe(picture: Picture) -> NDArray[np.float32]:
        pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].contiguous()
        with torch.inference_mode():
            found: NDArray[np.float32] = model(normalize(pixels.to(place)))[0].float().cpu().numpy()
        return found

    return describe
