"""Networks as ONNX, and ONNX Runtime as what computes them: the fastest exact way on processors that was measured.

ONNX Runtime fuses operations and lays weights out for the processor's vector units; results agree with torch's up to
the order of sums. Figures of both: `benchmarks/inference.py`.
"""

from collections.abc import Mapping
from pathlib import Path

import onnx_ir
import onnxruntime
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from torch import Tensor, nn

from landmarks.errors import LandmarksError
from landmarks.models.program import exported_program, first_line, in_silence

INPUT = "images"
LIMIT = 2**31 - 2**24
"""Bytes of the weights of one file: protobuf ends at 2 GiB, and the graph needs some of it."""


def onnx_model(net: nn.Module, output: str, metadata: Mapping[str, str] | None = None) -> onnx_ir.Model:
    """Write a network down as ONNX, for any batch, height and width that are multiples of 32.

    Args:
        net: see `models.program.exported_program`.
        output: name of what it gives, such as "descriptors".
        metadata: kept in the model for who opens it.

    Raises:
        LandmarksError: the weights are more than one ONNX file holds, or the network cannot be exported.
    """
    weights = sum(tensor.nbytes for tensor in net.state_dict().values())
    if weights > LIMIT:
        raise LandmarksError(
            f"its weights take {weights / 2**30:.2f} GiB, and one ONNX file holds 2 GiB: choose --format torch, or "
            "leave the classifier out with --task retrieval"
        )
    program = exported_program(net)
    names = ({0: "batch", 2: "height", 3: "width"},)
    with in_silence(), torch.inference_mode(False), torch.no_grad():
        try:
            made = torch.onnx.export(
                program,
                dynamo=True,
                input_names=[INPUT],
                output_names=[output],
                dynamic_shapes=names,
                verbose=False,
            )
        except Exception as error:  # of any type: operations without a counterpart, and defects of the exporter
            raise LandmarksError(f"torch.onnx cannot write this network down: {first_line(error)}") from error
    assert made is not None
    model: onnx_ir.Model = ClearMetadataAndDocStringPass()(made.model).model  # paths and lines of this machine
    model.metadata_props.update(metadata or {})
    return model


def to_bytes(model: onnx_ir.Model) -> bytes:
    """The content of a file."""
    content: bytes = onnx_ir.serde.serialize_model(model).SerializeToString()
    return content


class OnnxNetwork:
    """An ONNX model that is called as the network it was made of; on the CPU, on as many threads as torch uses.

    Args:
        model: a file, or the bytes of one.
        spinning: let threads wait for work by trying again and again. Faster where nothing else runs; processes that
            read pictures on the same cores lose what it burns.

    Raises:
        LandmarksError: ONNX Runtime cannot open it.
    """

    def __init__(self, model: Path | bytes, spinning: bool = False) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
        source = model if isinstance(model, bytes) else str(model)
        try:
            self._session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its types of errors have no common base
            raise LandmarksError(f"ONNX Runtime cannot open it: {first_line(error)}") from error

    def __call__(self, images: Tensor) -> Tensor:
        """Normalised pictures float32 [B, 3, H, W], in any memory format, to float32 [B, D]."""
        (found,) = self._session.run(None, {INPUT: images.contiguous().numpy()})
        return torch.from_numpy(found)
