"""Load weights from a file into a descriptor network, either all of them or none."""

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
"""Prefix of the names of class weights in a model file."""
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
"""Keys under which programs store weights in a checkpoint; a network precedes the moving average of its weights."""
AVERAGE = re.compile(r"(?:^|[._])ema(?:[._]|$)")
WRAPPERS = ("_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module")
"""Parts that wrappers of torch insert into names, at any position."""
STEPS = "num_batches_tracked"
"""Name of batch norm's step counter, which old files lack; it is not used with a fixed momentum."""
VIEWS = 2
"""How many tensors of a file may share the same bytes; with tied weights there are two."""


def load_weights(net: DescriptorNet, path: Path) -> None:
    """Fill every parameter of a network from a file; after an error the network is unchanged.

    The file is safetensors or a torch checkpoint, which is read without unpickling objects, see `read_weights`. Its
    names tell which of the following it is; prefixes of wrappers, such as `module.`, `_orig_mod.` or `model.`, are
    removed, and tensors with other prefixes are ignored:

    - a whole descriptor network (`backbone.…`, `fc.…`), such as a model file or checkpoint of this package, whose
      classifier is ignored. A local branch is read if both have one; otherwise that of the network keeps its initial
      values;
    - only a backbone, with timm's names or ours. Its classifier is ignored, and the descriptor layer keeps its initial
      values.

    Raises:
        LandmarksError: The file cannot be read, or its weights do not fit the network.
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
    """Remove the prefix before the `own` names of a network, and ignore tensors with other prefixes.

    A network precedes the moving average of its weights. Raises LandmarksError, which names the file `path`, if several
    prefixes fit equally well, as for a student and its teacher.
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
            f"{path} holds the network {len(equal)} times, as {', '.join(f'{one}…' for one in equal)}; save only one "
            "of them: torch.save({name: w for name, w in weights.items() if name.startswith(PREFIX)}, FILE)"
        )
    beginning = min(equal, key=len, default="")
    return {name.removeprefix(beginning): w for name, w in plain.items() if name.startswith(beginning)}


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a weight file by name, for any network.

    A torch checkpoint holds them at its top level, or under a key such as `state_dict` or `model`; values that are not
    tensors are ignored. Raises LandmarksError if the file cannot be read, or reading it could run code.
    """
    if not path.is_file():
        if re.match(r"\w{2,}:/", str(path)):  # Path turns two slashes into one
            address = str(path).replace(":/", "://", 1)
            raise LandmarksError(f"{address}: weights are read from a file on this machine; download it first")
        raise LandmarksError(f"{path}: there is no such file to read weights from")
    try:
        _refuse_program(path)
        if _is_safetensors(path):
            check_tensors(path)
            return load_file(path)
        check_archive(path)
        # A Namespace holds training options as plain values. Warnings of torch are replaced by the messages below.
        with torch.serialization.safe_globals([Namespace]), warnings.catch_warnings(action="ignore"):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except LandmarksError:
        raise
    except Exception as error:  # torch raises many types for invalid files
        if refused := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise LandmarksError(
                f"{path} is not a weight file: beside tensors it holds a {refused[1]}, and reading that could run "
                "code. If you trust its author, save only the weights with the program that wrote it: "
                "torch.save(network.state_dict(), FILE)"
            ) from None
        raise LandmarksError(
            f"{path} is not a weight file: a .safetensors, or a torch checkpoint that holds tensors only "
            f"({_beginning(path) if 'weights_only' in str(error) else first_line(error)})"
        ) from error
    for key in ENTRIES * 2:  # keys can be nested
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    tensors = content.items() if isinstance(content, Mapping) else ()
    found = {str(name): value for name, value in tensors if isinstance(value, Tensor)}
    # a step counter that was converted to half precision is invalid, and networks do not need it
    found = {name: w for name, w in found.items() if not (name.endswith(STEPS) and w.is_floating_point())}
    if found:
        return found
    raise LandmarksError(
        f"{path} holds no state_dict: a mapping of names to tensors, at its top or under one of {', '.join(ENTRIES)}"
    )


def _refuse_program(path: Path) -> None:
    """Raise LandmarksError for a TorchScript file: like a checkpoint it is a zip archive, but it contains code."""
    names: list[str] = []
    with suppress(Exception), zipfile.ZipFile(path) as archive:  # other invalid files raise errors when they are read
        names = archive.namelist()
    if any("/code/" in name for name in names):
        raise LandmarksError(
            f"{path} is a TorchScript program, not a weight file; save only its weights: "
            "torch.save(torch.jit.load(PROGRAM).state_dict(), FILE)"
        )


def _beginning(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(16)
    return f"it begins with {start!r}" if start else "it is empty"


def _is_safetensors(path: Path) -> bool:
    """Return whether a file is safetensors by its name or its first bytes, a size and the start of a JSON header."""
    with path.open("rb") as file:
        return path.suffix == ".safetensors" or file.read(9)[8:] == b"{"


def refuse_odd(tensors: Mapping[str, Tensor]) -> None:
    """Raise LandmarksError if values are not plain tensors, are larger than their file, or are not finite."""
    odd = [str(name) for name, one in tensors.items() if not isinstance(one, Tensor) or not _is_plain(one)]
    if odd:
        raise LandmarksError(f"its weights cannot be used: {counted('not a plain tensor', odd)}")
    rooms = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors.values()}
    if sum(one.numel() * one.element_size() for one in tensors.values()) > VIEWS * sum(rooms.values()):
        largest = max(tensors, key=lambda name: tensors[name].numel())
        shape = list(tensors[largest].shape)
        raise LandmarksError(f"its weights are larger than the file: {largest} {shape}")
    if nans := [name for name, one in tensors.items() if not _is_finite(one)]:
        raise LandmarksError(
            f"its weights are corrupt, or their training has diverged: {counted('with NaN or infinite values', nans)}"
        )


def _is_plain(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized


def _is_finite(tensor: Tensor) -> bool:
    if not tensor.numel() or not tensor.is_floating_point():
        return True
    # both extremes are NaN if any value is; no copy of the tensor is made
    extremes = torch.stack(torch.aminmax(tensor.detach() if tensor.element_size() > 1 else tensor.detach().float()))
    return bool(extremes.isfinite().all())


def _without_local(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: w for name, w in weights.items() if not name.startswith(LOCAL)}


def _without_classifier(network: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights without those of an ImageNet classifier that the headless network does not have."""
    config = getattr(network, "pretrained_cfg", None) or {}
    classifiers = config.get("classifier") or "fc"
    own = network.state_dict().keys()
    heads = tuple(f"{c}." for c in ((classifiers,) if isinstance(classifiers, str) else classifiers))
    return {name: w for name, w in weights.items() if name in own or not name.startswith(heads)}


def differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """Return one line for each kind of difference in names, shapes and types; none if the tensors fit."""
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
    """Return the kind of a tensor's type: any real type can fill real weights, but integers cannot."""
    return "real" if tensor.is_floating_point() else "complex" if tensor.is_complex() else "whole"
