"""Weights from a file into a detector: of a whole detector, ours or torchvision's, or of its backbone alone."""

from pathlib import Path

from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN

from landmarks.errors import LandmarksError
from landmarks.models import SHOWN, read_weights

CLASSES = "roi_heads.box_predictor."  # what depends on the number of classes
COUNTER = "num_batches_tracked"  # batch norm with a fixed momentum never reads it


def load_detector_weights(model: FasterRCNN, path: Path) -> None:
    """Fill a detector from a `.safetensors` file or a torch checkpoint, which is read without unpickling objects.

    Names decide what the file holds:

    - a detector, `backbone.body.…`, as torchvision and we save it, or a checkpoint of ours, where the same names
      follow `model.`; its layer of classes is left out where it knows another number of them;
    - a backbone, in timm's or torchvision's names; what it has besides, such as its classifier, is left out.

    Args:
        model: To fill. After an error it is of no use.
        path: The file.

    Raises:
        LandmarksError: The file is missing or unreadable, or does not fill what it should.
    """
    weights = read_weights(path)
    if any(name.startswith("model.backbone.") for name in weights):
        weights = {name.removeprefix("model."): w for name, w in weights.items() if name.startswith("model.")}
    if any(name.startswith("backbone.body.") for name in weights):
        _load(model, _of_same_classes(model, weights), path)
        return
    body = model.backbone.body
    own = body.state_dict().keys()
    _load(body, {name: w for name, w in weights.items() if name in own}, path)


def _of_same_classes(model: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    own = {name: w for name, w in model.state_dict().items() if name.startswith(CLASSES)}
    if all(name in weights and weights[name].shape == w.shape for name, w in own.items()):
        return weights
    return {**weights, **own}


def _load(network: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    try:
        found = network.load_state_dict(weights, strict=False)
    except RuntimeError as error:  # names every tensor of another shape
        raise LandmarksError(f"model.pretrained={path} does not fit the detector: {error}") from None
    missing = [name for name in found.missing_keys if not name.endswith(COUNTER)]
    for kind, names in (("missing", missing), ("unknown", found.unexpected_keys)):
        if names:
            shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
            raise LandmarksError(f"model.pretrained={path} does not fit the detector: {len(names)} {kind}: {shown}")
