"""Convert a published model, as PaddlePaddle saved it, to a model file.

Published variables become parameters of our network: every variable is used once, and every parameter is filled once.
The original converter leaves a parameter random if its file is missing. Here one message lists the variables that are
missing, unexpected, of another shape or type, not finite, or negative variances.
"""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landmarks.data import Preprocessing
from landmarks.errors import LandmarksError, counted
from landmarks.interop.paddle.labels import NO_NAMES, ClassNames
from landmarks.interop.paddle.variables import SHOWN, Variables
from landmarks.losses import Softmax
from landmarks.models import (
    BACKBONES,
    HEAD,
    PUBLISHED_MODELS,
    ModelRecord,
    PublishedModel,
    Variable,
    as_parameter,
    published_names,
    published_net,
    write_model,
)

SOURCE = "published 2019 weights"
TRAINED_ON = {
    "res152_arcmargin_index": "the index set of Google Landmarks",
    "res152_softmax_v1": "Google Landmarks, about 4 million train images",
    "res152_softmax_v2": "Google Landmarks, about 3 million cleaned train images",
}
UNKNOWN = "Google Landmarks; which images is not published"


def import_published(
    name: str,
    variables: Variables,
    target: Path,
    names: ClassNames = NO_NAMES,
    watch: Callable[[int], None] = lambda done: None,
) -> ModelRecord:
    """Read a published model and write it as a model file, atomically.

    Args:
        name: A key of `PUBLISHED_MODELS`.
        variables: The variables of the saved model, see `open_variables`.
        target: The new file, `.safetensors`; an existing file is replaced.
        names: Names of the classes of a classifier.
        watch: Called with the number of bytes read so far, after each variable.

    Returns:
        The record of the model in the new file.

    Raises:
        LandmarksError: The variables or the names do not fit the model, or the file cannot be written.
    """
    classes = count_classes(PUBLISHED_MODELS[name], variables)
    net, head = fill(name, variables, watch)
    if names.labels and len(names.labels) != classes:
        raise LandmarksError(
            f"{len(names.labels):,} labels are given, and {name} in {variables.folder} has {classes:,} classes"
        )
    record = _record(name, classes, names)
    write_model(target, record, net, head)
    return record


def _record(name: str, classes: int, names: ClassNames) -> ModelRecord:
    model = PUBLISHED_MODELS[name]
    return ModelRecord(
        name,
        "classification" if classes else "retrieval",
        {
            "network": "published_net",
            "backbone": model.backbone,
            "pooling": "average",
            "dim": model.dim,
            "batch_norm": False,
            "dropout": 0.0,
        },
        Preprocessing("crop" if classes else "aspect", model.short_side),
        {"loss": "Softmax"} if classes else None,
        classes,
        names.labels,
        names.titles,
        {"source": SOURCE, "loss": _loss(name), "trained_on": TRAINED_ON.get(name, UNKNOWN)},
    )


def _loss(name: str) -> str:
    return next(loss for loss in ("arcmargin", "npairs", "softmax") if loss in name)


def count_classes(model: PublishedModel, variables: Variables) -> int:
    """Return the number of classes of a saved classifier, from the shape of its last layer; 0 for retrieval models.

    A layer that is missing or has no valid shape counts as one class; `fill` reports what is wrong with it.
    """
    if model.classifier is None:
        return 0
    for end in (".w_0", ".b_0"):
        stored = variables.stored.get(model.classifier + end)
        if stored is not None and stored.described.shape:
            return stored.described.shape[-1]
    return 1


def fill(
    name: str, variables: Variables, watch: Callable[[int], None] = lambda done: None
) -> tuple[dict[str, Tensor], dict[str, Tensor] | None]:
    """Read all variables into the parameters of a published model, float32.

    Args:
        name: A key of `PUBLISHED_MODELS`.
        variables: The variables of the saved model.
        watch: Called with the number of bytes read so far, after each variable.

    Returns:
        The `state_dict` of the descriptor network, and that of the softmax layer; None for the retrieval models.

    Raises:
        LandmarksError: The variables do not fit the model.
    """
    model = PUBLISHED_MODELS[name]
    classes = count_classes(model, variables)
    with torch.device("meta"):  # only names and shapes are needed
        net = published_net(model.backbone, dim=model.dim)
        expected = net.state_dict()
        if classes:
            expected |= {f"{HEAD}{key}": value for key, value in Softmax(classes, net.dim).state_dict().items()}
    names = published_names(model, net.backbone)
    problems: defaultdict[str, list[str]] = defaultdict(list)
    filled: dict[str, Tensor] = {}
    done = 0
    for key, parameter in expected.items():
        if key.endswith("num_batches_tracked"):  # PaddlePaddle does not count batches
            filled[key] = torch.zeros(parameter.shape, dtype=parameter.dtype)
            continue
        variable = names[key]
        if variable.name not in variables.stored:
            problems["missing"].append(variable.name)
            continue
        value = _parameter(variables, variable, tuple(parameter.shape), problems)
        done += variables.stored[variable.name].described.nbytes
        watch(done)
        if value is not None:
            filled[key] = torch.from_numpy(value)
    used = {variable.name for variable in names.values()}
    problems["extra"] += [one for one in variables.stored if one not in used]
    if any(problems.values()):
        raise LandmarksError(_message(name, variables, problems))
    head = {key.removeprefix(HEAD): value for key, value in filled.items() if key.startswith(HEAD)}
    return {key: value for key, value in filled.items() if not key.startswith(HEAD)}, head or None


def _parameter(
    variables: Variables, variable: Variable, shape: tuple[int, ...], problems: dict[str, list[str]]
) -> NDArray[np.float32] | None:
    """Return the values as our parameter; if they are wrong, add the problem to `problems` and return None."""
    described = variables.stored[variable.name].described
    if described.dtype.kind != "f":
        problems["of another type"].append(f"{variable.name} (holds {described.dtype.name}, weights are float)")
        return None
    stored = variables.read(variable.name)
    try:
        laid_out = as_parameter(stored, variable, shape)
    except LandmarksError as error:
        problems["of another shape"].append(str(error))
        return None
    with np.errstate(over="ignore"):  # a float64 that is too large becomes infinite, which is reported below
        value = np.ascontiguousarray(laid_out, np.float32)
    if not np.isfinite(value).all():
        problems["with infinite values or NaN"].append(variable.name)
        return None
    if variable.role == "variance" and value.min() < 0:
        problems["with negative variances"].append(variable.name)
        return None
    return value


def _message(name: str, variables: Variables, problems: dict[str, list[str]]) -> str:
    lines = [f"{variables.folder}: its variables are not those of {name}"]
    lines += [f"  {counted(kind, names, SHOWN)}" for kind, names in problems.items() if names]
    strange = problems["missing"] or problems["extra"]
    if strange and (others := _models_of(set(variables.stored), name)):
        lines.append(f"These are the variables of {' or '.join(others)}: import them by that name")
    elif problems["extra"]:
        lines.append(
            "What training kept beside the weights may be left out by its names: --leave-out '*_velocity_0' "
            "--leave-out 'learning_rate*' --leave-out '@*'"
        )
    return "\n".join(lines)


def _models_of(found: set[str], asked: str) -> list[str]:
    """Return the other published models that have exactly these variables."""
    with torch.device("meta"):
        backbones = {name: build() for name, build in BACKBONES.items()}
    return [
        name
        for name, model in PUBLISHED_MODELS.items()
        if name != asked
        and {variable.name for variable in published_names(model, backbones[model.backbone]).values()} == found
    ]
