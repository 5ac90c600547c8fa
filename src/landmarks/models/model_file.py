"""One safetensors file that is a whole model: weights, architecture, preprocessing and labels.

Reading it never runs code from it: the architecture names one of our networks or of the user's own
(`models.architecture`), and names and shapes of all tensors are compared with what that builder makes before memory is
taken for them.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from landmarks.errors import LandmarksError
from landmarks.losses import ClassHead
from landmarks.models.architecture import build_parts
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


def load_model(path: str | Path) -> nn.Module:
    """Open a model file.

    Args:
        path: Of a file that `landmarks export` or `landmarks import-paddle` wrote.

    Returns:
        The network in eval mode, on the CPU. It takes normalised pictures, float32 [B, 3, H, W] with sides that are
        multiples of 32 (see `landmarks.models.normalize`), and gives descriptors [B, D] as they leave the network, or
        logits [B, C] if its task is classification. A detector takes a list of uint8 [3, H, W] instead and gives a
        dictionary of `boxes`, `labels` and `scores` for each. `read_record` says which it is.
    """
    net, head = open_parts(path)
    return net if head is None else Classifier(net, head).eval()


def read_record(path: str | Path) -> ModelRecord:
    """What a model file says of itself; its weights are not read. Raises LandmarksError as `load_model` does."""
    path = _existing(path)
    try:
        with safe_open(path, framework="pt") as file:
            return ModelRecord.from_metadata(file.metadata())
    except (SafetensorError, OSError) as error:
        raise LandmarksError(f"{path}: damaged, or no safetensors file ({error})") from None
    except LandmarksError as error:
        raise LandmarksError(f"{path}: {error}") from None


def open_parts(path: str | Path) -> tuple[nn.Module, ClassHead | None]:
    """The network and its head apart, both in eval mode; see `load_model`."""
    record, path = read_record(path), Path(path)
    try:
        check_tensors(path)
        with safe_open(path, framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            with torch.device("meta"):
                parts = build_parts(record)
            expected = _tensors(*parts)
            if problems := differences(expected, {name: torch.empty(s, device="meta") for name, s in shapes.items()}):
                raise LandmarksError(f"its weights do not fit its architecture: {'; '.join(problems)}")
            if record.architecture["network"] != "released_net":
                parts = build_parts(record)  # others may hold constants that no file does
            tensors = {name: file.get_tensor(name).to(expected[name].dtype) for name in shapes}
    except (SafetensorError, OSError) as error:
        raise LandmarksError(f"{path}: damaged, or no safetensors file ({error})") from None
    except ChangedError:
        raise
    except LandmarksError as error:
        raise LandmarksError(f"{path}: {error}") from None
    net, head = parts
    for name in expected.keys() - tensors.keys():  # counters of batches, which old files lack
        tensors[name] = torch.zeros(expected[name].shape, dtype=expected[name].dtype)
    # Copied one by one, for the file's values lie where some processors' vector units sum in another order.
    copied = {name: tensors.pop(name).clone() for name in list(tensors)}
    net.load_state_dict({n: t for n, t in copied.items() if not n.startswith(HEAD)}, assign=True)
    if head is not None:
        head.load_state_dict({n.removeprefix(HEAD): t for n, t in copied.items() if n.startswith(HEAD)}, assign=True)
    return net, head


def write_model(
    path: str | Path, record: ModelRecord, net: Mapping[str, Tensor], head: Mapping[str, Tensor] | None = None
) -> None:
    """Write a model file, whole or not at all.

    Args:
        path: Ends in `.safetensors`.
        record: What the file says of itself.
        net: The network's `state_dict`.
        head: The head's, for a classifier.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise LandmarksError(f"{path}: a model file ends in {SUFFIX}")
    tensors = {**net, **{f"{HEAD}{name}": value for name, value in (head or {}).items()}}
    with torch.device("meta"):
        expected = _tensors(*build_parts(record))
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


def _tensors(net: nn.Module, head: ClassHead | None) -> dict[str, Tensor]:
    named = dict(net.state_dict())
    if head is not None:
        named |= {f"{HEAD}{name}": value for name, value in head.state_dict().items()}
    return named
