"""Make the record of a checkpoint, and open checkpoints without the folder of their run.

Besides Lightning's entries a checkpoint holds its record under `landmarks`: plain values from which the network can be
built again. Opening never runs code from the file (`weights_only=True`), and calls only names of this package or names
that the user trusts.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import nn

from landmarks import __version__
from landmarks.config import recorded
from landmarks.data import Preprocessing
from landmarks.errors import LandmarksError, first_line
from landmarks.losses import ClassHead
from landmarks.models.architecture import has_class_weights, plain_network, plain_parts, trusting
from landmarks.models.fitting import fitted_parts
from landmarks.models.record import CheckpointRecord, ModelRecord
from landmarks.models.weights import HEAD
from landmarks.storage import ChangedError, check_archive

RECORD_VERSION = 1  # version of the record in a checkpoint
MODEL, LOSS = "model.", "loss."  # prefixes of the names of their tensors
TRAINED_HERE = "trained with landmarks"  # the source in records of weights that this package trained


def checkpoint_record(config: DictConfig, preprocessing: Preprocessing, **values: Any) -> dict[str, Any]:
    """Return the record that is stored in every checkpoint of a run, as plain values.

    Args:
        config: Configuration of the run.
        preprocessing: The preprocessing of images.
        **values: `landmark_names`, a list; or for a detector `task`, `class_names` and `class_titles`.
    """
    return {
        "record_version": RECORD_VERSION,
        "landmarks_version": __version__,
        "config": recorded(config),
        "preprocessing": asdict(preprocessing),
        **values,
    }


def open_checkpoint(path: str | Path, mapped: bool = False, check: bool = True) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Args:
        path: The file.
        mapped: Memory-map the tensors, because class weights of 203,094 landmarks may not be needed.
        check: Check the whole file with its CRC-32s, which torch writes but does not check.

    Raises:
        LandmarksError: There is no such file, it is corrupt, or it is not a checkpoint.
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
    except Exception as error:  # torch raises many types for invalid files, without the file's name
        raise LandmarksError(f"checkpoint {path}: corrupt, or not a checkpoint of ours ({first_line(error)})") from None
    if not isinstance(found, dict) or not isinstance(found.get("state_dict"), Mapping):
        raise LandmarksError(f"checkpoint {path}: holds no state_dict; is it a checkpoint of this program?")
    return found


def model_record(path: str | Path, found: Mapping[str, Any], trust: Iterable[str] = ()) -> tuple[ModelRecord, Any]:
    """Return a model record for an opened checkpoint, and the `data.source` node that it was trained on."""
    values = found.get("landmarks")
    version = values.get("record_version") if isinstance(values, dict) else None
    if version is True or version != RECORD_VERSION:  # in Python, True == 1
        raise LandmarksError(f"checkpoint {path}: was not written by this version of landmarks ({__version__})")
    try:
        with trusting(trust):
            return _described(found["landmarks"], found["state_dict"])
    except LandmarksError as error:
        raise LandmarksError(f"checkpoint {path}: {error}") from None


def _described(values: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[ModelRecord, Any]:
    """Return the model record, and the `data.source` node."""
    said = CheckpointRecord.from_values(values)
    config = said.config
    origin = {"source": TRAINED_HERE, "trained_on": data_in_words(config.data.source)}
    described: dict[str, Any] = {"name": config.name, "task": "retrieval", "preprocessing": asdict(said.preprocessing)}
    if said.task == "detection":
        names = said.class_names
        described |= {"task": "detection", "classes": len(names), "labels": names, "titles": said.class_titles}
        network = plain_network(config.model)
    else:
        assert config.loss is not None and said.landmark_names is not None
        network, loss = plain_parts(config.model, config.loss)
        names = said.landmark_names
        origin["loss"] = str(loss["loss"]).rsplit(".", 1)[-1].lower()
        if has_class_weights(loss) and any(str(key).startswith(LOSS) for key in state):
            described |= {"task": "classification", "head": loss, "classes": len(names), "labels": names}
    described |= {"architecture": network, "origin": origin}
    return ModelRecord.from_values(described), config.data.source


def open_weights(
    path: str | Path, found: Mapping[str, Any], record: ModelRecord, trust: Iterable[str] = ()
) -> tuple[nn.Module, ClassHead | None]:
    """Build the network and the head of a checkpoint, and fill them with its weights.

    The head's weights stay memory-mapped until they are used.
    """
    prefixes = {MODEL: ""} if record.head is None else {MODEL: "", LOSS: HEAD}
    tensors = {
        new + str(name).removeprefix(old): value
        for old, new in prefixes.items()
        for name, value in found["state_dict"].items()
        if str(name).startswith(old)
    }
    try:
        with trusting(trust):
            return fitted_parts(record, tensors)
    except LandmarksError as error:
        raise LandmarksError(f"checkpoint {path}: {error}") from None


def data_in_words(source: object) -> str:
    """Describe a `data.source` node, such as "GLDv2, train_split=train_clean", without paths and lists of files.

    A data set that only has the layout of another one has a `name` in its node, which replaces that of the class.
    """
    if not isinstance(source, Mapping):
        return source if isinstance(source, str) else repr(source)
    name = str(source.get("name") or str(source.get("_target_", "unknown")).rsplit(".", 1)[-1])
    splits = [f"{key}={value}" for key, value in source.items() if str(key).endswith("split") and value is not None]
    return ", ".join([name, *splits])


def find_resume(resume: str | None, last: Path) -> str | None:
    """Return the path for the setting `resume`, where "last" means `last`, the newest checkpoint of this run."""
    if resume is None:
        return None
    path = last if resume == "last" else Path(resume)
    if not path.is_file():
        hint = "; name the interrupted run with hydra.run.dir=RUN" if resume == "last" else ""
        raise LandmarksError(f"resume={resume}: there is no checkpoint {path}{hint}")
    open_checkpoint(path, mapped=True)  # Lightning's error would not name the corrupt file
    return str(path)


def weights_hash(model: nn.Module) -> str:
    """Return 16 hex digits that change when any weight or buffer of the network changes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
