"""Tiny models, written once for all tests of a process; do not write into them."""

from pathlib import Path

import pytest

from picture_models import classifier_file, detector_file, retrieval_file


@pytest.fixture(scope="session")
def retrieval(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return retrieval_file(tmp_path_factory.mktemp("models") / "net.safetensors")


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three landmarks, of which one is of other data than Google's."""
    path = tmp_path_factory.mktemp("models") / "namer.safetensors"
    return classifier_file(path, ("1501", "42", "Tour Eiffel"), ("Old bridge", "", "The tower"))


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return detector_file(tmp_path_factory.mktemp("models") / "finder.safetensors")
