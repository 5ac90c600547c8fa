"""Networks as ONNX, and ONNX Runtime as what computes them: the fastest exact way on processors that was measured.

ONNX Runtime fuses operations and lays weights out for the processor's vector units; results agree with torch's up to
the order of sums. Figures of both: `benchmarks/inference.py`.
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

INPUT = "images"
OUTPUTS = {"retrieval": "descriptors", "classification": "logits"}
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
LIMIT = 2**31 - 2**24
"""Bytes of the weights of one file: protobuf ends at 2 GiB, and the graph needs some of it."""


def library(name: str) -> Any:
    """Import a library of the extra `export`. Raises LandmarksError where it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise LandmarksError(
            f"ONNX needs {error.name or name}, which is not installed: pip install 'landmarks[export]'"
        ) from None


def onnx_model(net: nn.Module, output: str, metadata: Mapping[str, str] | None = None, multiple: int = MULTIPLE) -> Any:
    """Write a network down as ONNX, for any batch, height and width that are multiples of one number.

    Args:
        net: see `models.program.exported_program`.
        output: name of what it gives, such as "descriptors".
        metadata: kept in the model for who opens it.
        multiple: see `models.program.program_multiple`.
    """
    passes = library("onnx_ir.passes.common")
    library("onnxscript")  # by which torch.onnx writes
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
            raise LandmarksError(f"torch.onnx cannot write this network down: {first_line(error)}") from error
    assert made is not None
    model = passes.ClearMetadataAndDocStringPass()(made.model).model  # paths and lines of this machine
    model.metadata_props.update(metadata or {})
    return model


def to_bytes(model: Any) -> bytes:
    """The content of a file."""
    content: bytes = library("onnx_ir").serde.serialize_model(model).SerializeToString()
    return content


class OnnxNetwork(nn.Module):
    """An ONNX model that is called as the network it was made of, on as many threads as torch uses.

    Args:
        model: A file, or the bytes of one.
        device: "cpu", "cuda", or "auto" for the second where it is there.
        spinning: Let threads wait for work by trying again and again. Faster where nothing else runs; processes that
            read images on the same cores lose what it burns.
    """

    def __init__(self, model: Path | bytes, device: str = "cpu", spinning: bool = False) -> None:
        super().__init__()
        onnxruntime = library("onnxruntime")
        there = onnxruntime.get_available_providers()
        if device == "cuda" and CUDA not in there:
            raise LandmarksError("the installed ONNX Runtime has no CUDA; use --device cpu or onnxruntime-gpu")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4  # what it has to say of corrupt files is raised, too
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
        source = model if isinstance(model, bytes) else str(model)
        self._name = "" if isinstance(model, bytes) else f"{model}: "
        providers = [CPU] if device == "cpu" or CUDA not in there else [CUDA, CPU]
        try:
            # without a second attempt, of which it would print, where there is nothing else to try
            again = int(len(providers) > 1)
            self._session = onnxruntime.InferenceSession(source, options, providers=providers, enable_fallback=again)
        except Exception as error:  # its types of errors have no common base
            raise LandmarksError(f"corrupt, or no ONNX file: {first_line(error)}") from error

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images float32 [B, 3, H, W], in any memory format, to float32 [B, D]."""
        try:
            (found,) = self._session.run(None, {INPUT: images.contiguous().cpu().numpy()})
        except Exception as error:
            problem = f"ONNX Runtime fails on {list(images.shape)} ({first_line(error)})"
            raise LandmarksError(f"{self._name}{problem}") from None
        return torch.from_numpy(found)

    def record(self) -> ModelRecord:
        """Read what the file says of itself. Raises LandmarksError where `landmarks export` did not write it."""
        try:
            metadata = self._session.get_modelmeta().custom_metadata_map
            inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
            names, classes = ([one.name for one in inputs], [one.name for one in outputs]), outputs[0].shape[-1:]
        except (UnicodeDecodeError, IndexError) as error:  # names that are no text, or nothing that comes out
            raise LandmarksError(f"corrupt, or no ONNX file: {first_line(error)}") from None
        record = ModelRecord.from_metadata(metadata)
        if names != ([INPUT], [OUTPUTS.get(record.task)]):
            raise LandmarksError(f"from {names[0]} it makes {names[1]}; write it anew with `landmarks export`")
        if record.task == "classification" and classes != [record.classes]:
            raise LandmarksError(f"it speaks of {record.classes:,} classes and makes {classes}; write it anew")
        return record


class LogitsAsScores(ClassHead):
    """The head of a network that gives logits already: their softmax is what is asked for."""

    def __init__(self, num_landmarks: int) -> None:
        super().__init__(num_landmarks, 1)

    @property
    def dim(self) -> int:
        """C, for its descriptors are logits."""
        return self.num_landmarks

    def class_scores(self, descriptors: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Logits of classes [start, stop): float [B, C] to [B, stop - start]."""
        return at_least_float32(descriptors[:, start:stop])
