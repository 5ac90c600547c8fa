"""Small networks, written down once for all tests of a process; do not write into their files."""

from typing import Any

import pytest
import torch
from torch.export import ExportedProgram

from image_models import classifier, detector, retrieval  # noqa: F401
from landmarks.models import exported_program, onnx_model, timm_net, to_bytes


@pytest.fixture(scope="session")
def small_net() -> Any:
    torch.manual_seed(3)
    return timm_net("test_resnet", pooling="gem", dim=8).eval()


@pytest.fixture(scope="session")
def small_program(small_net: Any) -> ExportedProgram:
    return exported_program(small_net)


@pytest.fixture(scope="session")
def small_onnx(small_net: Any) -> bytes:
    return to_bytes(onnx_model(small_net, "descriptors", {"task": "retrieval"}))
