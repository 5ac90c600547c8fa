"""Export a network with `torch.export` to a graph that runs without this package, for any batch and size.

The graph is the base of both files that `landmarks export` writes for other programs, and of embedding images with
ONNX Runtime (`models.onnx_network`).
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import timm.layers.padding
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule

from landmarks.data import MULTIPLE, Preprocessing, common_multiple
from landmarks.errors import LandmarksError, first_line

EXAMPLE = (5, 6)
"""Height and width of the example input, in multiples; `torch.export` would take a 1 for a constant."""
LEAST = 2
"""Smallest height and width, in multiples; torch treats maps with one position as a special case."""


def program_multiple(prepared: Preprocessing) -> int:
    """Return the number of pixels of which the sides of images must be multiples in an exported program.

    Args:
        prepared: Preprocessing of the model.

    Raises:
        LandmarksError: The sides of preprocessed images are not multiples of it.
    """
    multiple = common_multiple(prepared.patch)
    side = prepared.shape(1, 1)[0]
    if side % multiple:
        raise LandmarksError(
            f"exported programs take sides that are multiples of {multiple} pixels, and this model's are {side}: "
            f"choose data.image_size={max(side // multiple, 1) * multiple} or data.resize.mode=aspect"
        )
    return multiple


def exported_program(net: nn.Module, multiple: int = MULTIPLE) -> ExportedProgram:
    """Trace a network with `torch.export`.

    Args:
        net: Network in eval mode, on the CPU, from normalised images float32 [B, 3, H, W] to float32 [B, D].
        multiple: See `program_multiple`.

    Returns:
        The program, for any B, and for H and W of at least two multiples; InceptionV4 needs four.

    Raises:
        LandmarksError: The network cannot be exported.
    """
    batch, height, width = Dim("batch", min=1), Dim("_height", min=LEAST), Dim("_width", min=LEAST)
    shapes = {0: batch, 2: multiple * height, 3: multiple * width}
    example = torch.zeros(2, 3, EXAMPLE[0] * multiple, EXAMPLE[1] * multiple)

    def refuse_others(module: nn.Module, images: tuple[Tensor]) -> None:
        if images[0].shape[2] % multiple or images[0].shape[3] % multiple:
            raise ValueError(f"sides must be multiples of {multiple}")

    guard = net.register_forward_pre_hook(refuse_others)  # the program contains this check, too
    with in_silence(), _constant_padding(), torch.inference_mode(False), torch.no_grad():
        try:
            program = torch.export.export(net, (example,), dynamic_shapes=(shapes,))
        except Exception as error:  # of any type: it runs the network's own code
            raise LandmarksError(f"torch.export cannot export this network: {first_line(error)}") from error
        finally:
            guard.remove()
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, GraphModule) else ():
            node.meta.pop("stack_trace", None)  # it holds paths of this machine
    return program


@contextmanager
def in_silence() -> Iterator[None]:
    """Suppress warnings and log messages of the exporters in this context; errors are still raised."""
    loggers = [logging.getLogger(name) for name in ("torch", "torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _constant_padding() -> Iterator[None]:
    """Make networks with TensorFlow padding exportable, which timm computes from the size of each map.

    Sides are multiples of 32, so no stride of these networks leaves a remainder, and the padding is the same for all
    sizes. `torch.export` does not see that: its expressions double with every stride and take more than ten minutes.
    """
    original = timm.layers.padding.get_same_padding
    timm.layers.padding.get_same_padding = _same_padding
    try:
        yield
    finally:
        timm.layers.padding.get_same_padding = original


def _same_padding(x: int, kernel_size: int, stride: int, dilation: int) -> int:
    return max((kernel_size - 1) * dilation + 1 - stride, 0)
