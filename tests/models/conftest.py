"""Small networks, written down once for all tests of a process; do not write into their files."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.export import ExportedProgram

from landmarks.models import exported_program, onnx_model, timm_net, to_bytes
from picture_models import classifier_file, detector_file, retrieval_file


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


@pytest.fixture(scope="session")
def retrieval(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return retrieval_file(tmp_path_factory.mktemp("models") / "net.safetensors")


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "namer.safetensors"
    return classifier_file(path, ("1501", "42", "Tour Eiffel"), ("Old bridge", "", "The tower"))


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return detector_file(tmp_path_factory.mktemp("models") / "finder.safetensors")
