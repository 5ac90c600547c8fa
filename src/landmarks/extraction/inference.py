"""Compute the descriptors of an extraction with ONNX Runtime instead of torch: `inference=onnx`.

In float32 on a CPU it is the fastest engine (`benchmarks/inference.py`), after an export that takes 5 to 20 seconds.
Results agree up to the order of sums, so the sets of all engines have the same protocol.
"""

import logging
import time
from collections.abc import Callable

import pytorch_lightning as pl
from torch import Tensor, nn

from landmarks.errors import LandmarksError
from landmarks.extraction.callback import data_of, module_of
from landmarks.extraction.views import Extraction
from landmarks.models import TOLERANCE, largest_difference, program_multiple

log = logging.getLogger(__name__)


class OnnxInference(pl.Callback):
    """Callback that makes the module compute its descriptors with ONNX Runtime.

    Args:
        extraction: Which views of an image are embedded; regions are not supported.
    """

    def __init__(self, extraction: Extraction) -> None:
        self.extraction = extraction
        self._multiple = 0  # set in `setup`

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Check that ONNX Runtime can be used here; raises LandmarksError if not."""
        obstacle = None
        if trainer.strategy.root_device.type != "cpu":
            obstacle = "it computes on the CPU, and this run on a GPU: set trainer.accelerator=cpu"
        elif trainer.precision != "32-true":
            obstacle = f"it computes in float32, and this run in {trainer.precision}: set trainer.precision=32-true"
        elif self.extraction.regions:
            obstacle = "it gives no descriptors of regions: set extraction.regions=0"
        if obstacle is not None:
            raise LandmarksError(f"inference=onnx: {obstacle}; or choose inference=eager")
        try:
            for scale in self.extraction.scales:
                self._multiple = program_multiple(data_of(trainer).preprocessing.scaled(scale))
        except LandmarksError as error:
            raise LandmarksError(f"inference=onnx: {error}; or choose inference=eager") from None

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Export the network; raises LandmarksError if it cannot be exported."""
        module = module_of(pl_module)
        module.engine = onnx_engine(module.model, self._multiple)


def onnx_engine(net: nn.Module, multiple: int) -> Callable[[Tensor], Tensor]:
    """Export a network, and check on synthetic images that ONNX Runtime gives the same descriptors."""
    from landmarks.models import OnnxNetwork, onnx_model, to_bytes  # needs an optional dependency

    log.info("Exporting the network for ONNX Runtime")
    started = time.perf_counter()
    engine = OnnxNetwork(to_bytes(onnx_model(net, "descriptors", multiple=multiple)))
    difference = largest_difference(net, engine, multiple)
    if difference > TOLERANCE:
        raise LandmarksError(
            f"inference=onnx: ONNX Runtime's descriptors differ by {difference:.1e} of the spread of torch's; choose "
            "inference=eager"
        )
    seconds = time.perf_counter() - started
    log.info("ONNX Runtime embeds: exported in %.1f s, differs by %.1e of the spread", seconds, difference)
    return engine.forward  # not the module itself, which Lightning would register as a part of the network
