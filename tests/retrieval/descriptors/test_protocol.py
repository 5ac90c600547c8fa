import json

import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval.descriptors import ExtractionProtocol


def protocol(**changes):
    values = {"model": "res152", "weights": "ab12", "input_size": 448, "resize": "released", "scales": (1, 0.7)}
    return ExtractionProtocol(**(values | changes))


def test_a_file_gives_the_same_protocol(tmp_path):
    original = protocol(
        data="gldv2", split="index", flip=True, regions=3, precision="bf16-mixed", versions={"torch": "2.11"}
    )
    original.write(tmp_path / "protocol.json")
    assert ExtractionProtocol.read(tmp_path / "protocol.json") == original


def test_only_what_changes_descriptors_is_compared():
    other = protocol(split="test", data="other", precision="bf16-mixed", versions={"torch": "3"})
    assert protocol().differences(other) == []
    assert protocol().differences(protocol(weights="cd34", input_size=224)) == [
        "weights: 'ab12' != 'cd34'",
        "input_size: 448 != 224",
    ]
    assert len(protocol().differences(other, ignore=frozenset())) == 4
    assert protocol().differences(protocol(flip=True)) == ["flip: False != True"]


def test_files_from_before_flip_regions_and_precision_are_read(tmp_path):
    path = tmp_path / "protocol.json"
    path.write_text(
        '{"model": "res152", "weights": "ab12", "input_size": 448, "resize": "released", "scales": [1, 0.7]}'
    )
    assert ExtractionProtocol.read(path) == protocol()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no readable protocol"),
        ("[" * 100_000, "no readable protocol"),
        ("[]", "expected a JSON object"),
        ('{"model": "a"}', "absent keys"),
        ('{"model": "a", "weights": "b", "input_size": 1, "resize": "c", "colour": 1}', r"unknown keys \['colour'\]"),
        ('{"model": "a", "weights": "b", "input_size": "1", "resize": "c"}', "wrong type"),
        ('{"model": "a", "weights": "b", "input_size": 1, "resize": "c", "scales": ["x"]}', "wrong type"),
        ('{"model": "a", "weights": "b", "input_size": 1, "resize": "c", "flip": 1}', "wrong type"),
        ('{"model": "a", "weights": "b", "input_size": 1, "resize": "c", "regions": true}', "wrong type"),
        (json.dumps({"model": "a" * 2_000_000}), "larger than"),
    ],
)
def test_foreign_files_are_refused(tmp_path, text, words):
    path = tmp_path / "protocol.json"
    path.write_text(text)
    with pytest.raises(LandmarksError, match=words):
        ExtractionProtocol.read(path)
