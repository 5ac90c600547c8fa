"""Records survive writing and reading, and refuse invalid values."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data.images import Preprocessing
from landmarks.errors import LandmarksError
from landmarks.models import KEY, ModelRecord

NETWORK = {"network": "timm_net", "name": "test_resnet", "dim": 8}
RETRIEVAL = ModelRecord("net", "retrieval", NETWORK, Preprocessing("aspect", 64))


def changed(**values: Any) -> dict[str, str]:
    written = json.loads(RETRIEVAL.to_metadata()[KEY]) | values
    return {KEY: json.dumps(written)}


@given(
    name=st.text(min_size=1),
    labels=st.lists(st.text(), min_size=1, max_size=5),
    mode=st.sampled_from(["aspect", "square", "crop"]),
    side=st.integers(1, 10_000),
    origin=st.dictionaries(st.text(), st.text(), max_size=3),
)
def test_a_record_survives_the_file(name: str, labels: list[str], mode: Any, side: int, origin: dict[str, str]) -> None:
    record = ModelRecord(
        name,
        "classification",
        NETWORK,
        Preprocessing(mode, side),
        {"loss": "Softmax"},
        len(labels),
        tuple(labels),
        tuple(f"{label}!" for label in labels),
        origin,
    )
    assert ModelRecord.from_metadata(record.to_metadata()) == record


def test_other_files_are_told_apart() -> None:
    for metadata in (None, {}, {"format": "pt"}):
        with pytest.raises(LandmarksError, match="another program wrote it"):
            ModelRecord.from_metadata(metadata)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "{}", '{"format": 1}', "[" * 100_000])
def test_a_corrupt_description_is_an_error(text: str) -> None:
    with pytest.raises(LandmarksError, match="corrupt"):
        ModelRecord.from_metadata({KEY: text})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": 2}, "format 2; this version .* reads 1"),
        ({"task": "cooking"}, "task: Input should be 'retrieval'"),
        ({"colour": 1}, "colour: Unexpected keyword"),
        ({"preprocessing": {"mode": "aspect", "short_side": "wide"}}, "preprocessing.short_side: .*integer"),
        ({"architecture": [1]}, "architecture: .*dict"),
        ({"classes": 3}, "3 classes for retrieval"),
        ({"task": "classification", "head": {"loss": "Softmax"}}, "0 classes for classification"),
        ({"task": "classification", "classes": 3}, "a classification model must have a head"),
        ({"task": "classification", "classes": 3, "head": {}, "labels": ["a"]}, "1 labels for 3 classes"),
        ({"task": "detection", "classes": 1}, "a detector without labels"),
        ({"task": "detection", "classes": 1, "labels": ["a"]}, "for detection with images prepared for aspect"),
        ({"preprocessing": {"mode": "aspect", "short_side": 9, "mean": [0, 0, 0]}}, "mean and std of the images"),
        ({"head": {"loss": "Softmax"}}, "other models must not have one"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(LandmarksError, match=message):
        ModelRecord.from_metadata(changed(**values))


def test_a_missing_value_is_named() -> None:
    written = json.loads(RETRIEVAL.to_metadata()[KEY])
    del written["architecture"]
    with pytest.raises(LandmarksError, match="architecture: Field required"):
        ModelRecord.from_metadata({KEY: json.dumps(written)})
