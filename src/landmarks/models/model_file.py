"""One safetensors file that is a whole model: weights, architecture, preprocessing and labels.

Reading it never runs code from it: the architecture names one of our networks, or one that the user trusts by name
(`models.architecture`), and all tensors are compared with what that makes before memory is taken (`models.fitting`).
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

SUFFIX = ".safetensors"


class Classifier(nn.Module):
    """Tells landmarks apart: a descriptor network and the class weights of its loss as one network."""

    def __init__(self, net: nn.Module, head: ClassHead) -> None:
        super().__init__()
        self.net = net
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """Normalised float [B, 3, H, W] (see `models.normalize`) to logits float32 [B, C]."""
        scores: Tensor = self.head.class_scores(self.net(images))
        return scores


def load_model(path: str | Path, trust: Iterable[str] = ()) -> nn.Module:
    """Open a model file.

    Args:
        path: Of a file that `landmarks export` or `landmarks import-paddle` wrote.
        trust: Networks and losses of your own that it may name, by their whole paths, such as "mynets.Net".

    Returns:
        The network in eval mode, on the CPU. It takes normalised images, float32 [B, 3, H, W] with sides that are
        multiples of 32 (see `landmarks.models.normalize`), and gives descriptors [B, D] as they leave the network, or
        logits [B, C] if its task is classification. A detector takes a list of uint8 [3, H, W] instead and gives a
        dictionary of `boxes`, `labels` and `scores` for each. `read_record` says which it is.
    """
    net, head = open_parts(path, trust)
    return net if head is None else Classifier(net, head).eval()


def read_record(path: str | Path) -> ModelRecord:
    """Read what a model file says of itself: name, task, architecture, preprocessing, classes. Weights are not read.

    Args:
        path: Of a model file, `.safetensors`.

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
    """The network and its head apart, both in eval mode; see `load_model`."""
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
    """Write a model file, whole or not at all.

    Args:
        path: Ends in `.safetensors`.
        record: What the file says of itself.
        net: The network's `state_dict`.
        head: The head's, for a classifier.
        trust: As of `load_model`.
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
        raise LandmarksError(f"{path}: a model file ends in {SUFFIX}; make one of a checkpoint with `landmarks export`")
    return path
