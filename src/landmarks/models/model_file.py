"""Model files: a safetensors file with weights, architecture, preprocessing and labels.

Reading one never runs code from it: the architecture names a network of this package, or one that the user trusts by
name (`models.architecture`), and all tensors are compared with it before memory is allocated (`models.fitting`).
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from landmarks.errors import LandmarksError
from landmarks.losses import ClassHead
from landmarks.models.architecture import trusting
from landmarks.models.fitting import fitted_parts, laid_out, tensors_of
from landmarks.models.record import ModelRecord
from landmarks.models.weights import HEAD, differences
from landmarks.storage import ChangedError, check_tensors, save_sealed

SUFFIX = ".safetensors"  # of the names of model files
ALIGNMENT = 64  # bytes, alignment of memory that torch allocates


class Classifier(nn.Module):
    """Classifier of landmarks: a descriptor network and the class weights of its loss as one network."""

    def __init__(self, net: nn.Module, head: ClassHead) -> None:
        super().__init__()
        self.net = net
        self.head = head
        # Where a mapped file lets weights begin, products round otherwise on some processors than after training.
        for weights in head.parameters():
            if weights.data_ptr() % ALIGNMENT:
                weights.data = weights.data.clone()

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits float32 [B, C] of normalised images, float [B, 3, H, W] (see `models.normalize`)."""
        scores: Tensor = self.head.class_scores(self.net(images))
        return scores


def load_model(path: str | Path, trust: Iterable[str] = ()) -> nn.Module:
    """Open a model file.

    Args:
        path: A file that `landmarks export` or `landmarks import-paddle` wrote.
        trust: Networks and losses of your own that it may name, by their full import paths, such as "mynets.Net".

    Returns:
        The network in eval mode, on the CPU. It takes normalised images, float32 [B, 3, H, W] with sides that are
        multiples of 32 (see `landmarks.models.normalize`), and returns descriptors [B, D], not L2-normalised, or logits
        [B, C] if its task is classification. A detector takes a list of uint8 [3, H, W] instead and returns a
        dictionary of `boxes`, `labels` and `scores` for each. `read_record` tells the task.

    Raises:
        LandmarksError: There is no such file, it is corrupt, or it names a class that is neither part of this package
            nor trusted.
    """
    net, head = open_parts(path, trust)
    return net if head is None else Classifier(net, head).eval()


def read_record(path: str | Path) -> ModelRecord:
    """Read the record of a model file (name, task, architecture, preprocessing, classes) without its weights.

    Args:
        path: A model file, `.safetensors`.

    Raises:
        LandmarksError: There is no such file, or it is corrupt.
    """
    path = _existing(path)
    try:
        with safe_open(path, framework="pt") as file:
            return ModelRecord.from_metadata(file.metadata())
    except (SafetensorError, OSError) as error:
        raise LandmarksError(f"{path}: corrupt, or no safetensors file ({error})") from None
    except LandmarksError as error:
        raise LandmarksError(f"{path}: {error}") from None


def open_parts(path: str | Path, trust: Iterable[str] = ()) -> tuple[nn.Module, ClassHead | None]:
    """Open a model file and return its network and its head (None without one), both in eval mode; see `load_model`."""
    record, path = read_record(path), Path(path)
    try:
        check_tensors(path)
        with safe_open(path, framework="pt") as file, trusting(trust):
            return fitted_parts(record, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise LandmarksError(f"{path}: corrupt, or no safetensors file ({error})") from None
    except ChangedError:
        raise
    except LandmarksError as error:
        raise LandmarksError(f"{path}: {error}") from None


def write_model(
    path: str | Path,
    record: ModelRecord,
    net: Mapping[str, Tensor],
    head: Mapping[str, Tensor] | None = None,
    trust: Iterable[str] = (),
) -> None:
    """Write a model file atomically.

    Args:
        path: The file, with the suffix `.safetensors`.
        record: The record of the model.
        net: The network's `state_dict`.
        head: The head's `state_dict`, for a classifier.
        trust: See `load_model`.

    Raises:
        LandmarksError: The suffix is wrong, the weights do not fit the architecture, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise LandmarksError(f"{path}: a model file ends in {SUFFIX}")
    tensors = {**net, **{f"{HEAD}{name}": value for name, value in (head or {}).items()}}
    with trusting(trust):
        expected = tensors_of(*laid_out(record, len(tensors)))
    if problems := differences(expected, tensors):
        raise LandmarksError(f"{path}: the weights do not fit the architecture: {'; '.join(problems)}")
    values = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    try:
        save_sealed(path, save_file, values, record.to_metadata())
    except (OSError, SafetensorError) as error:
        raise LandmarksError(f"{path}: cannot be written: {error}") from None


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise LandmarksError(f"{path}: there is no such file")
    if path.suffix != SUFFIX:
        raise LandmarksError(
            f"{path}: a model file ends in {SUFFIX}; make one from a checkpoint with `landmarks export`"
        )
    return path
