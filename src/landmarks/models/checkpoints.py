"""Checkpoints that explain themselves: what a run puts into them and how they are opened again.

Besides Lightning's own entries a checkpoint holds `landmarks`: plain values from which the network is built
again without the run's folder. Opening never runs code from the file (`weights_only=True`), nor calls what it names
unless that is ours or the user's. Model files (`landmarks.models.model_file`) are opened as well.
"""

import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from landmarks import __version__
from landmarks.config.locations import known_targets
from landmarks.data.images.preprocessing import Preprocessing
from landmarks.errors import LandmarksError
from landmarks.losses import ClassHead
from landmarks.models.architecture import build_loss, build_network, plain_loss, plain_network
from landmarks.models.model_file import SUFFIX, open_parts, read_record
from landmarks.storage import ChangedError, check_archive

if TYPE_CHECKING:  # Lightning and albumentations take seconds to import, and pictures are described without them
    from landmarks.data.module import LandmarkDataModule

RECORD_VERSION = 1
MAX_DIGITS = 18  # of an int64


@dataclass(frozen=True)
class TrainedModel:
    """A network with trained weights, and where it comes from.

    Attributes:
        model: in eval mode, pictures [B, 3, H, W] float, normalised -> descriptors [B, D].
        name: of the run that trained it, or of the model file.
        preprocessing: what happened to the images that it was evaluated with.
        loss: what it was trained with, for people.
        trained_on: which data, for people.
        landmark_names: the landmarks it was trained on, in the order of its head.
        head: what tells these landmarks apart; None where the loss has no weights for them, as npairs. Its weights stay
            in the file until they are used.
        network: as `landmarks.models.architecture.build_network` takes it; None for somebody's own network.
        head_network: as `landmarks.models.architecture.build_head` takes it; None without a head or for an own one.
    """

    model: nn.Module
    name: str
    preprocessing: Preprocessing
    loss: str
    trained_on: Any
    landmark_names: tuple[str, ...]
    head: ClassHead | None = None
    network: Mapping[str, Any] | None = None
    head_network: Mapping[str, Any] | None = None

    @property
    def landmark_ids(self) -> NDArray[np.int64]:
        """The landmark_id of each class in the GLDv2 train set, int64 [C]; -1 for landmarks that are none of it."""
        numbers = [int(n) if n.isdecimal() and len(n) <= MAX_DIGITS else -1 for n in self.landmark_names]
        return np.array(numbers, dtype=np.int64)


def checkpoint_record(config: DictConfig, data: "LandmarkDataModule") -> dict[str, Any]:
    """Return the plain values that go into every checkpoint of a run."""
    return {
        "record_version": RECORD_VERSION,
        "landmarks_version": __version__,
        "config": OmegaConf.to_container(config, resolve=True),
        "preprocessing": asdict(data.preprocessing),
        "landmark_names": data.train_set.table.landmark_names.tolist(),
    }


def open_checkpoint(path: str | Path, mapped: bool = False, check: bool = True) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Args:
        path: the file.
        mapped: leave the tensors in the file until their values are used: of 203,094 landmarks nobody may want them.
        check: compare all of it with the CRC-32s that torch writes and does not look at.

    Raises:
        LandmarksError: the file is missing, damaged, or holds anything but tensors and plain values.
    """
    path = Path(path)
    if not path.is_file():
        raise LandmarksError(f"checkpoint {path}: there is no such file")
    try:
        if check:
            check_archive(path)
        found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except ChangedError as error:
        raise LandmarksError(f"checkpoint {error}") from None
    except (RuntimeError, OSError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise LandmarksError(f"checkpoint {path}: damaged, or not a checkpoint of ours ({reason})") from None
    if not isinstance(found, dict) or "state_dict" not in found:
        raise LandmarksError(f"checkpoint {path}: holds no state_dict; is it a checkpoint of this program?")
    return found


def recorded_task(path: str | Path) -> str:
    """What a checkpoint or model file was made for: "landmarks" or "detection". Raises LandmarksError."""
    if Path(path).suffix == SUFFIX:
        return "detection" if read_record(path).task == "detection" else "landmarks"
    record = open_checkpoint(path, mapped=True, check=False).get("landmarks")
    task = record.get("task", "landmarks") if isinstance(record, dict) else "landmarks"
    return str(task)


def load_trained(path: str | Path) -> TrainedModel:
    """Build the network that a checkpoint of ours or a model file describes and give it its weights.

    Nothing that the file names is called, unless it is one of our networks and losses or a file in the `conf/model` or
    `conf/loss` of this program or the working directory names it, too.

    Raises:
        LandmarksError: see `open_checkpoint`; also when there is no record, or that of another version, or when the
            weights do not fit it.
    """
    if Path(path).suffix == SUFFIX:
        return _of_model_file(Path(path))
    found = open_checkpoint(path, mapped=True)
    record = _record(path, found)
    config = OmegaConf.create(record["config"])
    assert isinstance(config, DictConfig)
    names = tuple(record["landmark_names"])
    network, loss = plain_network(config.model), plain_loss(config.loss)
    model = build_network(network) if network is not None else _own_network(path, config.model)
    try:
        model.load_state_dict(_part("model.", found))
        head = _head(path, config, loss, len(names), model.dim, _part("loss.", found))
    except RuntimeError as error:
        raise LandmarksError(f"checkpoint {path}: its weights do not fit its own configuration: {error}") from None
    return TrainedModel(
        model.eval(),
        config.name,
        recorded_preprocessing(path, record),
        config.loss._target_.rsplit(".", 1)[-1].lower(),
        config.data.source,
        names,
        head,
        network,
        None if head is None else loss,
    )


def recorded_preprocessing(path: str | Path, record: Mapping[str, Any]) -> Preprocessing:
    """What happened to the images of a checkpoint's run; of old checkpoints, what their configuration says of it.

    Raises:
        LandmarksError: it does not say.
    """
    values = record.get("preprocessing")
    if values is None:
        data = record["config"].get("data") or {}
        resize = data.get("resize") or {}
        values = {"mode": resize.get("mode"), "short_side": resize.get("short_side") or data.get("image_size")}
        if record.get("task") == "detection":
            values = {"mode": "detection", "short_side": data.get("image_size"), "long_side": data.get("max_size")}
    try:
        return Preprocessing.from_values(values)
    except LandmarksError as error:
        raise LandmarksError(f"checkpoint {path}: does not say how its images were sized ({error})") from None


def _of_model_file(path: Path) -> TrainedModel:
    record = read_record(path)
    if record.task == "detection":
        raise LandmarksError(
            f"{path}: a detector describes no pictures; see `landmarks extract` and `landmarks detect`"
        )
    model, head = open_parts(path)
    labels = record.labels or tuple(f"class {number}" for number in range(record.classes))
    loss = record.origin.get("loss", "softmax" if record.head else "unknown")
    trained_on = record.origin.get("trained_on", record.origin)
    return TrainedModel(
        model,
        record.name,
        record.preprocessing,
        loss,
        trained_on,
        labels,
        head,
        record.architecture,
        record.head,
    )


def _own_network(path: str | Path, node: DictConfig) -> nn.Module:
    in_training_only = {"checkpointing": False} if "checkpointing" in node else {}
    _refuse_stranger(path, "model", node)
    model: nn.Module = instantiate(node, pretrained=False, **in_training_only)
    return model


def _refuse_stranger(path: str | Path, group: str, node: DictConfig) -> None:
    if (target := str(node.get("_target_"))) not in known_targets(group):
        raise LandmarksError(
            f"checkpoint {path}: asks to call {target}, which is none of our networks and losses. If it is yours, run "
            f"this where a file conf/{group}/*.yaml names it; if you do not know it, do not trust the file"
        )


def _part(prefix: str, found: dict[str, Any]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in found["state_dict"].items() if k.startswith(prefix)}


def _head(
    path: str | Path,
    config: DictConfig,
    loss: Mapping[str, Any] | None,
    num_landmarks: int,
    dim: Any,
    state: dict[str, Tensor],
) -> ClassHead | None:
    """The head of the recorded loss with its weights, uncopied; RuntimeError where these do not fit."""
    if not state:
        return None
    with torch.device("meta"):  # takes no memory and draws no weights
        if loss is not None:
            made = build_loss(loss, num_landmarks, dim)
        else:
            _refuse_stranger(path, "loss", config.loss)
            made = instantiate(config.loss)(num_landmarks=num_landmarks, dim=dim)
    made.load_state_dict(state, assign=True)
    return made.eval() if isinstance(made, ClassHead) else None


def _record(path: str | Path, found: dict[str, Any]) -> dict[str, Any]:
    record = found.get("landmarks")
    if not isinstance(record, dict) or record.get("record_version") != RECORD_VERSION:
        raise LandmarksError(f"checkpoint {path}: was not written by this version of landmarks ({__version__})")
    return record


def load_weights(module: nn.Module, path: str | Path) -> None:
    """Give a module of the same run the weights of a checkpoint."""
    module.load_state_dict(open_checkpoint(path)["state_dict"])


def find_resume(resume: str | None, run_dir: Path) -> str | None:
    """Turn the setting `resume` into a path: `last` means the newest checkpoint of this run folder.

    Raises:
        LandmarksError: there is no such checkpoint, or it is damaged.
    """
    if resume is None:
        return None
    path = run_dir / "checkpoints" / "last.ckpt" if resume == "last" else Path(resume)
    if not path.is_file():
        hint = "; name the interrupted run with hydra.run.dir=RUN" if resume == "last" else ""
        raise LandmarksError(f"resume={resume}: there is no checkpoint {path}{hint}")
    open_checkpoint(path)  # Lightning would not say which file is damaged
    return str(path)


def weights_hash(model: nn.Module) -> str:
    """Return 16 hex digits that change when any weight or buffer of the network changes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
