"""The six published networks as saved models: written, imported by the command, loaded, and compared.

With the outputs that the original framework computed, at 224 x 224; and with a second implementation
(`published_reference`), which is compared with those outputs itself, at sizes that are not square.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import landmarks
from commands import run
from landmarks.data.images import Preprocessing
from landmarks.models import Classifier, load_model
from paddle_files import write_combined, write_separate
from published_oracles import NETWORKS, made_up_input, made_up_weights, read_oracle
from published_reference import reference


class Case(NamedTuple):
    name: str
    oracle: dict[str, Any]
    values: dict[str, torch.Tensor]
    model: torch.nn.Module
    record: landmarks.models.record.ModelRecord
    said: str


@pytest.fixture(scope="module", params=NETWORKS)
def case(request: pytest.FixtureRequest, oracles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """A network imported; its files, of 750 MB, are removed when the tests are through with it."""
    name = request.param
    oracle = read_oracle(oracles, name)
    values = made_up_weights(oracle)
    folder = tmp_path_factory.mktemp(name)
    try:
        write = write_separate if NETWORKS.index(name) % 2 else write_combined
        saved, target = write(folder / "saved", values), folder / "model.safetensors"
        done = run("import-paddle", name, saved, target)
        assert f"({'separate' if NETWORKS.index(name) % 2 else 'combined'} layout)" in done.stdout
        tensors = {key: torch.from_numpy(value) for key, value in values.items()}
        yield Case(name, oracle, tensors, load_model(target), landmarks.read_record(target), done.stdout)
    finally:
        shutil.rmtree(folder)


def output(case: Case, images: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        found = case.model(images)
        return (found.softmax(1) if case.record.classes else found).numpy()


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest error by the spread between two rows, which are much alike in a random deep network."""
    return float(np.abs(found - expected).max() / (expected[0] - expected[1]).std())


def test_it_equals_the_original(case: Case) -> None:
    assert relative_error(output(case, made_up_input()), np.asarray(case.oracle["expected"])) < 2e-3


def test_it_equals_a_second_implementation_at_other_sizes(case: Case) -> None:
    """96 x 160 and 160 x 96."""
    images = made_up_input()[:, :, :96, :160]
    for inputs in (images, images.transpose(2, 3)):
        expected = reference(case.name, case.values, inputs).numpy()
        assert relative_error(output(case, inputs), expected) < 2e-3


def test_the_second_implementation_equals_the_original(case: Case) -> None:
    expected = np.asarray(case.oracle["expected"])
    found = reference(case.name, case.values, made_up_input()[:1]).numpy()  # a row takes half the time of two
    assert np.abs(found - expected[:1]).max() / (expected[0] - expected[1]).std() < 2e-3


def test_what_it_says_of_itself(case: Case) -> None:
    record, classifier = case.record, "softmax" in case.name
    assert record.name == case.name and record.origin["source"] == "published 2019 weights"
    assert record.task == ("classification" if classifier else "retrieval")
    assert record.classes == (100 if classifier else 0) and record.labels == record.titles == ()
    short_side = 224 if classifier else 555 if case.name.startswith("inception") else 448
    assert record.preprocessing == Preprocessing("crop" if classifier else "aspect", short_side)
    assert isinstance(case.model, Classifier) == classifier and not case.model.training
    assert record.origin["loss"] == case.name.split("_")[-1 if not classifier else 1]
    assert ("landmarks classify" if classifier else "landmarks similarity") in case.said
    assert f"{len(case.values):,} variables" in case.said
