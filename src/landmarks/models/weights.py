"""Weights from a file into a descriptor network, all of them or none."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from landmarks.errors import LandmarksError, counted, first_line
from landmarks.models.descriptor import DescriptorNet
from landmarks.models.timm_backbone import TimmBackbone
from landmarks.storage import check_archive, check_tensors

HEAD = "classifier."
"""What the names of class weights begin with in a model file."""


def load_weights(net: DescriptorNet, path: Path) -> None:
    """Fill a network from a file: every parameter, or an error and the network as it was.

    The file is safetensors (`.safetensors`) or a torch checkpoint, which is read without unpickling objects.
    It holds one of these, told apart by the names in it:

    - a whole descriptor network (`backbone.…`, `fc.…`), such as a model file, of which a classifier is left out;
    - a Lightning checkpoint of ours, where the same names follow `model.`;
    - a backbone only, in the names of timm or of our backbone. Its classifier is left out, and the descriptor
      layer keeps the values it starts with.
    """
    weights = read_weights(path)
    if any(name.startswith("model.backbone.") for name in weights):
        weights = {name.removeprefix("model."): w for name, w in weights.items() if name.startswith("model.")}
    target: nn.Module = net
    if any(name.startswith("backbone.") for name in weights):
        weights = {name: w for name, w in weights.items() if not name.startswith(HEAD)}
    else:
        target = net.backbone.network if isinstance(net.backbone, TimmBackbone) else net.backbone
        weights = _without_classifier(target, weights)
    problems = differences(target.state_dict(), weights)
    if problems:
        raise LandmarksError(f"{path} does not fit the network: {'; '.join(problems)}")
    target.load_state_dict(weights, strict=False)  # strictly compared above


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a weight file by name, whatever network they are of. Raises LandmarksError."""
    if not path.is_file():
        raise LandmarksError(f"model.pretrained={path}: no such file")
    try:
        if path.suffix == ".safetensors":
            check_tensors(path)
            return load_file(path)
        check_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise LandmarksError(
            f"{path} is not a weight file: a .safetensors, or a torch checkpoint that holds tensors only "
            f"({first_line(error)})"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise LandmarksError(f"{path} holds no state_dict: a mapping of names to tensors, or one under `state_dict`")
    return {str(name): value for name, value in content.items()}


def _without_classifier(network: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leaves out the layers of an ImageNet classifier that the headless network does not have."""
    config = getattr(network, "pretrained_cfg", None) or {}
    classifiers = config.get("classifier") or "fc"
    own = network.state_dict().keys()
    heads = tuple(f"{c}." for c in ((classifiers,) if isinstance(classifiers, str) else classifiers))
    return {name: w for name, w in weights.items() if name in own or not name.startswith(heads)}


def differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """What names and shapes have that they should not: at most a line of each kind, none where all fit."""
    misshapen = [
        f"{name} {list(found[name].shape)} instead of {list(expected[name].shape)}"
        for name in expected
        if name in found and found[name].shape != expected[name].shape
    ]
    mistyped = [
        f"{name} {found[name].dtype} instead of {one.dtype}".replace("torch.", "")
        for name, one in expected.items()
        if name in found and _kind(found[name]) != _kind(one)
    ]
    kinds = {
        # A count of steps that old files lack, and that batch norm with a fixed momentum never reads.
        "missing": [n for n in expected if n not in found and not n.endswith("num_batches_tracked")],
        "unknown": [name for name in found if name not in expected],
        "of another shape": misshapen,
        "of another type": mistyped,
    }
    return [counted(kind, names) for kind, names in kinds.items() if names]


def _kind(tensor: Tensor) -> str:
    """Weights may be kept in half precision, but not as integers."""
    return "real" if tensor.is_floating_point() else "complex" if tensor.is_complex() else "whole"
