"""Fixtures shared by all tests: where real photographs and expected values lie."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = Path(os.environ.get("LANDMARKS_TEST_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs the shared test data; set LANDMARKS_TEST_DATA (looked in {SHARED_DATA})")
    return SHARED_DATA


@pytest.fixture(scope="session")
def oracles() -> Path:
    folder = SHARED_DATA.parent / "oracles"
    if not folder.is_dir():
        pytest.skip(f"needs the expected values beside the shared test data (looked in {folder})")
    return folder
