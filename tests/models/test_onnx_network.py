"""ONNX gives what torch gives, at sizes and batches that the export never saw."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from landmarks.errors import LandmarksError
from landmarks.models import OnnxNetwork, onnx_model, onnx_network


@pytest.mark.parametrize("shape", [(1, 32, 32), (5, 64, 96), (2, 96, 352)])
def test_any_batch_and_size(small_net: Any, small_onnx: bytes, shape: tuple[int, int, int]) -> None:
    images = torch.randn(shape[0], 3, *shape[1:])
    with torch.inference_mode():
        expected = small_net(images)
        found = OnnxNetwork(small_onnx)(images.contiguous(memory_format=torch.channels_last))
    assert found.dtype == torch.float32 and torch.allclose(found, expected, atol=1e-6)


def test_an_image_is_embedded_alike_in_any_batch(small_onnx: bytes) -> None:
    """A resumed extraction has other batches than an undisturbed one."""
    images, network = torch.randn(7, 3, 64, 96), OnnxNetwork(small_onnx)
    apart = torch.cat([network(images[start : start + 3]) for start in (0, 3, 6)])
    assert torch.allclose(apart, network(images), atol=1e-6)


def test_a_file_explains_itself_and_hides_this_machine(small_onnx: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(small_onnx)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].name == "images" and session.get_inputs()[0].shape[1] == 3
    assert session.get_outputs()[0].name == "descriptors" and session.get_outputs()[0].shape[1] == 8
    assert session.get_modelmeta().custom_metadata_map == {"task": "retrieval"}
    assert str(Path(onnx_network.__file__).parent).encode() not in small_onnx and b"stack_trace" not in small_onnx
    images = torch.randn(2, 3, 64, 64)
    (plain,) = session.run(["descriptors"], {"images": images.numpy()})
    assert np.allclose(plain, OnnxNetwork(path)(images).numpy(), atol=1e-6)


def test_weights_beyond_protobuf_are_refused_before_any_work(small_net: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_network, "LIMIT", 1000)
    monkeypatch.setattr(onnx_network, "exported_program", lambda net: pytest.fail("worked already"))
    with pytest.raises(LandmarksError, match=r"one ONNX file holds 2 GiB: choose --format torch"):
        onnx_model(small_net, "descriptors")


def test_a_corrupt_file_is_named_in_one_line(small_onnx: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(small_onnx[: len(small_onnx) // 2])
    with pytest.raises(LandmarksError, match="corrupt, or not an ONNX file: ") as caught:
        OnnxNetwork(tmp_path / "net.onnx")
    assert "\n" not in str(caught.value)
