"""Export networks to ONNX and run them with ONNX Runtime, the fastest exact engine on CPUs that was measured.

ONNX Runtime fuses operations and lays out weights for the CPU's vector units; results agree with torch's up to the
order of sums. `benchmarks/inference.py` measures both.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from landmarks.data import MULTIPLE
from landmarks.errors import LandmarksError, first_line
from landmarks.losses import ClassHead, at_least_float32
from landmarks.models.program import exported_program, in_silence
from landmarks.models.record import ModelRecord

INPUT = "images"  # name of the input of exported networks
OUTPUTS = {"retrieval": "descriptors", "classification": "logits"}  # name of their output, by task
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"  # ONNX Runtime's names
LIMIT = 2**31 - 2**24
"""Largest size of the weights of one file in bytes: protobuf is limited to 2 GiB, and the graph needs some of it."""


def library(name: str) -> Any:
    """Import a library of the extra `export`; raises LandmarksError if it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise LandmarksError(
            f"ONNX needs {error.name or name}, which is not installed: pip install 'landmarks[export]'"
        ) from None


def onnx_model(net: nn.Module, output: str, metadata: Mapping[str, str] | None = None, multiple: int = MULTIPLE) -> Any:
    """Convert a network to an ONNX model, for any batch, and height and width that are multiples of one number.

    Args:
        net: See `models.program.exported_program`.
        output: Name of the output, such as "descriptors".
        metadata: Metadata to store in the model.
        multiple: See `models.program.program_multiple`.

    Returns:
        The model, an `onnx_ir.Model`; see `to_bytes`.

    Raises:
        LandmarksError: The weights are too large for one file, the network cannot be exported, or a library is missing.
    """
    passes = library("onnx_ir.passes.common")
    library("onnxscript")  # torch.onnx needs it
    weights = sum(tensor.nbytes for tensor in net.state_dict().values())
    if weights > LIMIT:
        raise LandmarksError(
            f"its weights take {weights / 2**30:.2f} GiB, and one ONNX file holds 2 GiB: choose --format torch, or "
            "leave the classifier out with --task retrieval"
        )
    program = exported_program(net, multiple)
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
            raise LandmarksError(f"torch.onnx cannot export this network: {first_line(error)}") from error
    assert made is not None
    model = passes.ClearMetadataAndDocStringPass()(made.model).model  # it holds paths of this machine
    model.metadata_props.update(metadata or {})
    return model


def to_bytes(model: Any) -> bytes:
    """Return an ONNX model as the bytes of a file."""
    content: bytes = library("onnx_ir").serde.serialize_model(model).SerializeToString()
    return content


class OnnxNetwork(nn.Module):
    """ONNX model that is called like the network that it was exported from, with as many threads as torch uses.

    Args:
        model: A file, or the bytes of one.
        device: "cpu", "cuda", or "auto", which uses CUDA if it is available.
        spinning: Let threads spin while they wait for work. This is faster if nothing else runs, but takes time from
            processes that read images on the same cores.

    Raises:
        LandmarksError: The model is corrupt or not ONNX, CUDA is not available, or ONNX Runtime is not installed.
    """

    def __init__(self, model: Path | bytes, device: str = "cpu", spinning: bool = False) -> None:
        super().__init__()
        onnxruntime = library("onnxruntime")
        there = onnxruntime.get_available_providers()
        if device == "cuda" and CUDA not in there:
            raise LandmarksError("the installed ONNX Runtime has no CUDA; choose the device cpu or onnxruntime-gpu")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4  # messages on corrupt files are also raised as errors
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
        source = model if isinstance(model, bytes) else str(model)
        self._name = "" if isinstance(model, bytes) else f"{model}: "
        providers = [CPU] if device == "cpu" or CUDA not in there else [CUDA, CPU]
        try:
            # With a single provider there is no fallback; a second attempt would only print a message.
            again = int(len(providers) > 1)
            self._session = onnxruntime.InferenceSession(source, options, providers=providers, enable_fallback=again)
        except Exception as error:  # the errors of ONNX Runtime have no common base class
            raise LandmarksError(f"corrupt, or not an ONNX file: {first_line(error)}") from error

    def forward(self, images: Tensor) -> Tensor:
        """Compute outputs float32 [B, D] of normalised images, float32 [B, 3, H, W], in any memory format."""
        try:
            (found,) = self._session.run(None, {INPUT: images.contiguous().cpu().numpy()})
        except Exception as error:
            problem = f"ONNX Runtime fails on {list(images.shape)} ({first_line(error)})"
            raise LandmarksError(f"{self._name}{problem}") from None
        return torch.from_numpy(found)

    def record(self) -> ModelRecord:
        """Return the record of the model; raises LandmarksError if `landmarks export` did not write the file."""
        try:
            metadata = self._session.get_modelmeta().custom_metadata_map
            inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
            names, classes = ([one.name for one in inputs], [one.name for one in outputs]), outputs[0].shape[-1:]
        except (UnicodeDecodeError, IndexError) as error:  # names that are not UTF-8, or no output
            raise LandmarksError(f"corrupt, or not an ONNX file: {first_line(error)}") from None
        record = ModelRecord.from_metadata(metadata)
        if names != ([INPUT], [OUTPUTS.get(record.task)]):
            raise LandmarksError(
                f"its inputs are {names[0]} and its outputs {names[1]}; write it again with `landmarks export`"
            )
        if record.task == "classification" and classes != [record.classes]:
            raise LandmarksError(
                f"its record has {record.classes:,} classes, but its output {classes}; write it again with "
                "`landmarks export`"
            )
        return record


class LogitsAsScores(ClassHead):
    """Class head for a network whose outputs are logits already; it returns them unchanged."""

    def __init__(self, num_landmarks: int) -> None:
        super().__init__(num_landmarks, 1)
        self.dim = num_landmarks  # the "descriptors" are logits

    def class_scores(self, descriptors: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Return the logits of classes [start, stop): float [B, C] to [B, stop - start]."""
        return at_least_float32(descriptors[:, start:stop])
