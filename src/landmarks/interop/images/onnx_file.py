"""A `.onnx` file of `landmarks export`, run by ONNX Runtime.

It describes itself as a model file does: its metadata hold a `ModelRecord` under the same key.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.models.normalize import normalize
from landmarks.models.program import first_line
from landmarks.models.record import ModelRecord

SUFFIX = ".onnx"
INPUT = "images"
OUTPUTS = {"retrieval": "descriptors", "classification": "logits"}
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class OnnxFile:
    """A network in a file, run by ONNX Runtime: one sized picture, uint8 [H, W, 3] RGB, to float32 [D].

    Args:
        path: of the file.
        device: "auto", "cpu" or "cuda".

    Attributes:
        record: what the file says of itself. D are the values of a descriptor or a logit for each class.

    Raises:
        LandmarksError: the file is missing, damaged or none of ours, or the device is not there.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        if not path.is_file():
            raise LandmarksError(f"{path}: there is no such file")
        there = onnxruntime.get_available_providers()
        if device == "cuda" and CUDA not in there:
            raise LandmarksError(f"{path}: the installed ONNX Runtime has no CUDA; use --device cpu or onnxruntime-gpu")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what it has to say of damaged files is raised, too
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=[CPU] if device == "cpu" or CUDA not in there else [CUDA, CPU]
            )
        except Exception as error:  # its own errors have no base class but this
            raise LandmarksError(f"{path}: damaged, or no ONNX file ({first_line(error)})") from None
        try:
            self.record = ModelRecord.from_metadata(self._session.get_modelmeta().custom_metadata_map)
        except LandmarksError as error:
            raise LandmarksError(f"{path}: {error}") from None
        names = [one.name for one in self._session.get_inputs()], [one.name for one in self._session.get_outputs()]
        if names != ([INPUT], [OUTPUTS.get(self.record.task)]):
            raise LandmarksError(f"{path}: from {names[0]} it makes {names[1]}; write it anew with `landmarks export`")
        self._path = path

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the network on one picture."""
        images = normalize(torch.from_numpy(image).permute(2, 0, 1)[None].contiguous()).numpy()
        try:
            found: NDArray[np.float32] = self._session.run(None, {INPUT: images})[0][0]
        except Exception as error:
            raise LandmarksError(f"{self._path}: fails on {images.shape} ({first_line(error)})") from None
        return found

    def likeliest(self, images: Iterable[NDArray[np.uint8]], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The best k classes of each picture by the softmax; as `landmarks.recognition.classify.likeliest`."""
        found = [_likeliest(self(image), k, self._path) for image in images]
        width = min(k, self.record.classes)
        classes, scores = ([one[side] for one in found] for side in (0, 1))
        return np.array(classes, np.int32).reshape(-1, width), np.array(scores, np.float32).reshape(-1, width)


def _likeliest(logits: NDArray[np.float32], k: int, path: Path) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    if not np.isfinite(logits).all():
        raise LandmarksError(f"{path}: the classifier gives scores that are not finite")
    best = np.argsort(-logits, kind="stable")[:k]  # equal scores: the lower class first
    exponents = np.exp(logits.astype(np.float64) - float(logits.max()))
    return best, exponents[best] / exponents.sum()
