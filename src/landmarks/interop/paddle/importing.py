"""One of the released models, as PaddlePaddle saved it, to a model file of ours."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from landmarks.data import Preprocessing
from landmarks.errors import LandmarksError
from landmarks.interop.paddle.filling import count_classes, fill
from landmarks.interop.paddle.labels import NO_NAMES, ClassNames
from landmarks.interop.paddle.variables import Variables
from landmarks.models import RELEASED_MODELS, ModelRecord, write_model

SOURCE = "released 2019 weights"
TRAINED_ON = {
    "res152_arcmargin_index": "the index set of Google Landmarks",
    "res152_softmax_v1": "Google Landmarks, about 4 million train images",
    "res152_softmax_v2": "Google Landmarks, about 3 million tidied train images",
}
UNKNOWN = "Google Landmarks; which images is not published"


@dataclass(frozen=True)
class Imported:
    """What an import wrote.

    Attributes:
        record: Of the model file.
        parameters: How many numbers it holds, batch-norm statistics included.
    """

    record: ModelRecord
    parameters: int


def import_released(
    name: str,
    variables: Variables,
    target: Path,
    names: ClassNames = NO_NAMES,
    watch: Callable[[int], None] = lambda count: None,
) -> Imported:
    """Read a released model and write it as a model file, whole or not at all.

    Args:
        name: A key of `RELEASED_MODELS`.
        variables: Of the saved model, see `open_variables`.
        target: The new file, `.safetensors`; one that is there is written over, see `check_target`.
        names: What the classes of a classifier are.
        watch: Called with the number of bytes of each variable after it was read.

    Raises:
        LandmarksError: These are not the variables of this model, the names do not fit, or the file cannot be written.
    """
    classes = count_classes(RELEASED_MODELS[name], variables)
    filled = fill(name, variables, watch)
    if names.labels and len(names.labels) != classes:
        raise LandmarksError(
            f"{len(names.labels):,} labels are given, and {name} in {variables.folder} has {classes:,} classes"
        )
    record = _record(name, classes, names)
    write_model(target, record, filled.net, filled.head)
    used = (stored.described for stored in variables.stored.values())
    return Imported(record, sum(described.nbytes // described.dtype.itemsize for described in used))


def _record(name: str, classes: int, names: ClassNames) -> ModelRecord:
    model = RELEASED_MODELS[name]
    return ModelRecord(
        name,
        "classification" if classes else "retrieval",
        {
            "network": "released_net",
            "backbone": model.backbone,
            "pooling": "average",
            "dim": model.dim,
            "batch_norm": False,
            "dropout": 0.0,
        },
        Preprocessing("crop" if classes else "released", model.short_side),
        {"loss": "Softmax"} if classes else None,
        classes,
        names.labels,
        names.titles,
        {"source": SOURCE, "loss": _loss(name), "trained_on": TRAINED_ON.get(name, UNKNOWN)},
    )


def _loss(name: str) -> str:
    return next(loss for loss in ("arcmargin", "npairs", "softmax") if loss in name)
