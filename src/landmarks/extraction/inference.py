"""What computes the descriptors of an extraction: torch, torch.compile, or ONNX Runtime.

In float32 on a processor ONNX Runtime is the fastest of them (`benchmarks/inference.py`), once the network is exported.
Results agree up to the order of sums, so the sets of all engines have one protocol.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
from torch import Tensor, nn

from landmarks.config.settings import Inference
from landmarks.errors import LandmarksError
from landmarks.extraction.callback import data_of, module_of
from landmarks.extraction.views import Extraction
from landmarks.models.agreement import TOLERANCE, largest_difference

log = logging.getLogger(__name__)

WORTHWHILE = 5_000
"""Views from which `auto` exports. Exporting takes 5 to 20 seconds on two cores, ONNX Runtime saves 4 to 10 ms a
picture of 224 pixels and more of larger ones, so that it has paid after 1,200 to 2,500 of them."""

PATIENCE = 180.0
"""Seconds after which `auto` gives an export up: of somebody's own network nobody knows how long it takes."""


class InferenceEngine(pl.Callback):
    """Gives the module what computes its descriptors, before the first batch of a validation.

    `auto` looks at how many pictures there are in all, not at how many are left: a resumed extraction then ends with
    the values of an undisturbed one.

    Args:
        inference: "onnx" is ONNX Runtime; "auto" takes it where it is worthwhile and possible; "eager" and "compile"
            leave the module as it is.
        extraction: which views of a picture are described.
    """

    def __init__(self, inference: Inference, extraction: Extraction) -> None:
        self.inference = inference
        self.extraction = extraction

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse what cannot be, before any work.

        Raises:
            LandmarksError: ONNX Runtime is asked for and cannot do what else is asked for.
        """
        if self.inference == "onnx" and (obstacle := self._obstacle(trainer)):
            raise LandmarksError(f"inference=onnx: {obstacle}; or choose inference=auto")

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Export the network where ONNX Runtime is to compute it.

        Raises:
            LandmarksError: ONNX Runtime is asked for, and the network cannot be exported.
        """
        module = module_of(pl_module)
        if self.inference == "onnx":
            module.engine = onnx_engine(module.model)
        elif self.inference == "auto" and self._worthwhile(trainer):
            try:
                with _at_most(PATIENCE):
                    module.engine = onnx_engine(module.model)
            except (LandmarksError, TimeoutError) as error:
                log.info("Describing without ONNX Runtime: %s", error)

    def _worthwhile(self, trainer: pl.Trainer) -> bool:
        pictures = sum(len(images) for images in data_of(trainer).evaluated.values())
        views = pictures * len(self.extraction.scales) * (1 + self.extraction.flip)
        return views >= WORTHWHILE and trainer.world_size == 1 and self._obstacle(trainer) is None

    def _obstacle(self, trainer: pl.Trainer) -> str | None:
        if trainer.strategy.root_device.type != "cpu":
            return "it computes on the processor, and this run on a GPU: set trainer.accelerator=cpu"
        if trainer.precision != "32-true":
            return f"it computes in float32, and this run in {trainer.precision}: set trainer.precision=32-true"
        if self.extraction.regions:
            return "it gives no descriptors of regions: set extraction.regions=0"
        return None


def onnx_engine(net: nn.Module) -> Callable[[Tensor], Tensor]:
    """Export a network and compare the two on pictures made up for that.

    Args:
        net: normalised pictures float32 [B, 3, H, W] to descriptors float32 [B, D], on the CPU, in eval mode.

    Raises:
        LandmarksError: it cannot be exported, or ONNX Runtime gives something else.
    """
    from landmarks.models.onnx_network import OnnxNetwork, onnx_model, to_bytes  # libraries of a second

    log.info("Exporting the network for ONNX Runtime")
    started = time.perf_counter()
    engine = OnnxNetwork(to_bytes(onnx_model(net, "descriptors")))
    difference = largest_difference(net, engine)
    if difference > TOLERANCE:
        raise LandmarksError(f"ONNX Runtime's descriptors differ by {difference:.1e} of the spread of torch's")
    seconds = time.perf_counter() - started
    log.info("ONNX Runtime describes: exported in %.1f s, differs by %.1e of the spread", seconds, difference)
    return engine


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in what takes longer. In the main thread of a Unix system; without a limit elsewhere."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: Any) -> None:
        raise TimeoutError(f"not done after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 5.0)  # again after 5 s, should a library have swallowed the first
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
