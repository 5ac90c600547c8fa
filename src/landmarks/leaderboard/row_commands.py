"""The commands that measure a row: from released weights, or from training."""

import shlex
from collections.abc import Mapping

from landmarks.leaderboard.rows import Row
from landmarks.models import RELEASED_MODELS

FROM_WEIGHTS = "from released weights"
FROM_TRAINING = "from training"
ROOT, IMAGES, WEIGHTS, LABELS = "GLDV2", "OPENIMAGES", "RELEASED", "LABELS"  # to be replaced by the reader


def commands(row: Row, rows: Mapping[str, Row]) -> dict[str, list[str]]:
    """Commands by kind, in the order in which they are given; none for figures of others.

    Released weights are expected in folders `RELEASED/<row>`. A training run is evaluated on the whole test set
    afterwards: while it trains it is scored on a sample.
    """
    if not row.models:
        return {}
    found: dict[str, list[str]] = {}
    if row.experiment is None or row.name in RELEASED_MODELS:
        released = [part for part in row.parts if part in RELEASED_MODELS]
        files = {part: f"{part}.safetensors" if part in released else _checkpoint(part) for part in row.parts}
        found[FROM_WEIGHTS] = [*map(_import, released), _run(row, files)]
    if row.experiment:
        found[FROM_TRAINING] = [_train(row, rows), _run(row, {row.name: _checkpoint(row.name)})]
    return found


def _import(part: str) -> str:
    labels = ["--labels", LABELS] if RELEASED_MODELS[part].classifier is not None else []  # no released file says them
    return shlex.join(["landmarks", "import-paddle", part, f"{WEIGHTS}/{part}", f"{part}.safetensors", *labels])


def _checkpoint(part: str) -> str:
    return f"runs/{part}/checkpoints/best.ckpt"


def _train(row: Row, rows: Mapping[str, Row]) -> str:
    first = [f"model.pretrained={_checkpoint(row.begins_with)}"] if row.begins_with in rows and row.begins_with else []
    words = [f"experiments={row.experiment}", f"data.root={root_word(row)}", *first, f"hydra.run.dir=runs/{row.name}"]
    return shlex.join(["python", "train.py", *words])


def _run(row: Row, weights: Mapping[str, str]) -> str:
    head = ["landmarks", "leaderboard", "--run", row.name, "--root", root_word(row)]
    if len(weights) == 1:
        return shlex.join([*head, "--weights", *weights.values()])
    lines = [shlex.join(head), *(shlex.join(["--weights", f"{part}={path}"]) for part, path in weights.items())]
    return " \\\n  ".join(lines)


def root_word(row: Row) -> str:
    """Stand for the root of the data set that the row is measured on."""
    return IMAGES if row.task == "detection" else ROOT
