"""Weights from a file into a descriptor network, all of them or none."""

import re
import warnings
import zipfile
from argparse import Namespace
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from landmarks.errors import LandmarksError, counted, first_line
from landmarks.models.descriptor import DescriptorNet
from landmarks.models.timm_backbone import TimmBackbone
from landmarks.storage import check_archive, check_tensors

HEAD = "classifier."
"""What the names of class weights begin with in a model file."""
BACKBONE = "backbone."
LOCAL = "local."
ENTRIES = (
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "network",
    "net",
    "teacher",
    "state_dict_ema",
    "model_ema",
    "ema",
)
"""Where programs keep weights in a checkpoint; those of the network itself go before their average."""
AVERAGE = re.compile(r"(?:^|[._])ema(?:[._]|$)")
WRAPPERS = ("_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module")
"""What torch puts into names, in any place."""
STEPS = "num_batches_tracked"
"""A count of steps that old files lack, and that batch norm with a fixed momentum never reads."""
VIEWS = 2
"""How often the tensors of a file may show the same bytes; tied weights do it twice."""


def load_weights(net: DescriptorNet, path: Path) -> None:
    """Fill a network from a file: every parameter, or an error and the network as it was.

    The file is safetensors or a torch checkpoint, which is read without unpickling objects, see `read_weights`. It
    holds one of these, told apart by the names in it, and whatever wrapper's names stand before them, such as
    `module.`, `_orig_mod.` or `model.`; what has another beginning is another part of the file and left out:

    - a whole descriptor network (`backbone.…`, `fc.…`), such as a model file or a checkpoint of ours, of which a
      classifier is left out. A local branch is taken if both have one; otherwise the network's keeps the values it
      starts with;
    - a backbone only, in the names of timm or of our backbone. Its classifier is left out, and the descriptor
      layer keeps the values it starts with.
    """
    found = read_weights(path)
    target: nn.Module = net
    weights = named_as(net.state_dict(), found, path)
    weights = {name: w for name, w in weights.items() if not name.startswith(HEAD)}
    layers = [name for name in net.state_dict() if not name.startswith((BACKBONE, LOCAL))]
    if not any(name.startswith(BACKBONE) for name in weights) or (layers and not any(one in weights for one in layers)):
        target = net.backbone.network if isinstance(net.backbone, TimmBackbone) else net.backbone
        weights = _without_classifier(target, named_as(target.state_dict(), found, path))
    expected = target.state_dict()
    if not all(any(name.startswith(LOCAL) for name in one) for one in (expected, weights)):
        expected, weights = _without_local(expected), _without_local(weights)
    if problems := differences(expected, weights):
        raise LandmarksError(f"{path} does not fit the network: {'; '.join(problems)}")
    try:
        refuse_odd(weights)
    except LandmarksError as error:
        raise LandmarksError(f"{path}: {error}") from None
    target.load_state_dict(weights, strict=False)  # strictly compared above


def named_as(own: Collection[str], weights: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Take off what stands before the names that a network has, and leave out what has another beginning.

    The network itself goes before its average. Raises LandmarksError, which names the file `path`, where several
    beginnings are equally good, as of a student and its teacher.
    """
    plain = {".".join(part for part in name.split(".") if part not in WRAPPERS): w for name, w in weights.items()}
    beginnings = Counter(
        name[:start]
        for name in plain
        for start in (0, *(place + 1 for place, letter in enumerate(name) if letter == "."))
        if name[start:] in own
    )
    most = max(beginnings.values(), default=0)
    equal = [one for one, count in beginnings.items() if count == most]
    equal = [one for one in equal if not AVERAGE.search(one)] or equal
    if len(equal) > 1 and most * 2 > len(own):
        raise LandmarksError(
            f"{path} holds the network {len(equal)} times, as {', '.join(f'{one}…' for one in equal)}; save alone what "
            "you want: torch.save({name: w for name, w in weights.items() if name.startswith(BEGINNING)}, FILE)"
        )
    beginning = min(equal, key=len, default="")
    return {name.removeprefix(beginning): w for name, w in plain.items() if name.startswith(beginning)}


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a weight file by name, whatever network they are of.

    A torch checkpoint holds them at its top, or in an entry such as `state_dict` or `model`; what is no tensor beside
    them is left out. Raises LandmarksError.
    """
    if not path.is_file():
        if re.match(r"\w{2,}:/", str(path)):  # a Path keeps one slash of two
            address = str(path).replace(":/", "://", 1)
            raise LandmarksError(f"{address}: weights are read from a file on this machine; download it first")
        raise LandmarksError(f"{path}: no such file; weights were to be read from it")
    try:
        _refuse_program(path)
        if _is_safetensors(path):
            check_tensors(path)
            return load_file(path)
        check_archive(path)
        # Namespace: options of a training, plain values. What torch thinks of odd files is said below in our words.
        with torch.serialization.safe_globals([Namespace]), warnings.catch_warnings(action="ignore"):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except LandmarksError:
        raise
    except Exception as error:  # of a dozen types
        if refused := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise LandmarksError(
                f"{path} is not a weight file: beside tensors it holds a {refused[1]}, and reading that could run "
                "code. Where you trust its author, save the weights alone with the program that wrote it: "
                "torch.save(network.state_dict(), FILE)"
            ) from None
        raise LandmarksError(
            f"{path} is not a weight file: a .safetensors, or a torch checkpoint that holds tensors only "
            f"({_beginning(path) if 'weights_only' in str(error) else first_line(error)})"
        ) from error
    for key in ENTRIES * 2:  # one within another, too
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    tensors = content.items() if isinstance(content, Mapping) else ()
    found = {str(name): value for name, value in tensors if isinstance(value, Tensor)}
    # halved with the weights a count of steps is none any more; networks do without
    found = {name: w for name, w in found.items() if not (name.endswith(STEPS) and w.is_floating_point())}
    if found:
        return found
    raise LandmarksError(
        f"{path} holds no state_dict: a mapping of names to tensors, at its top or under one of {', '.join(ENTRIES)}"
    )


def _refuse_program(path: Path) -> None:
    """Raise LandmarksError for TorchScript, a zip archive as a checkpoint is, with code in it."""
    names: list[str] = []
    with suppress(Exception), zipfile.ZipFile(path) as archive:  # what is wrong with others is said by what reads them
        names = archive.namelist()
    if any("/code/" in name for name in names):
        raise LandmarksError(
            f"{path} is a program of TorchScript, no weight file; save its weights alone: "
            "torch.save(torch.jit.load(PROGRAM).state_dict(), FILE)"
        )


def _beginning(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(16)
    return f"it begins with {start!r}" if start else "it is empty"


def _is_safetensors(path: Path) -> bool:
    """By its first bytes, the size of a header in JSON: a file may be called anything."""
    with path.open("rb") as file:
        return path.suffix == ".safetensors" or file.read(9)[8:] == b"{"


def refuse_odd(tensors: Mapping[str, Tensor]) -> None:
    """Raise LandmarksError for what is no plain tensor, takes more room than the file, or is not finite."""
    odd = [str(name) for name, one in tensors.items() if not isinstance(one, Tensor) or not _is_plain(one)]
    if odd:
        raise LandmarksError(f"its weights cannot be used: {counted('no plain tensor', odd)}")
    rooms = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors.values()}
    if sum(one.numel() * one.element_size() for one in tensors.values()) > VIEWS * sum(rooms.values()):
        largest = max(tensors, key=lambda name: tensors[name].numel())
        shape = list(tensors[largest].shape)
        raise LandmarksError(f"its weights claim more room than the file has: {largest} {shape}")
    if nans := [name for name, one in tensors.items() if not _is_finite(one)]:
        raise LandmarksError(
            f"its weights are corrupt, or their training has diverged: {counted('with NaN or infinite values', nans)}"
        )


def _is_plain(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized


def _is_finite(tensor: Tensor) -> bool:
    if not tensor.numel() or not tensor.is_floating_point():
        return True
    # NaN goes through both; nothing as large as the tensor is made
    extremes = torch.stack(torch.aminmax(tensor.detach() if tensor.element_size() > 1 else tensor.detach().float()))
    return bool(extremes.isfinite().all())


def _without_local(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: w for name, w in weights.items() if not name.startswith(LOCAL)}


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
        "missing": [n for n in expected if n not in found and not n.endswith(STEPS)],
        "unknown": [name for name in found if name not in expected],
        "of another shape": misshapen,
        "of another type": mistyped,
    }
    return [counted(kind, names) for kind, names in kinds.items() if names]


def _kind(tensor: Tensor) -> str:
    """Weights may be kept in half precision, but not as integers."""
    return "real" if tensor.is_floating_point() else "complex" if tensor.is_complex() else "whole"
