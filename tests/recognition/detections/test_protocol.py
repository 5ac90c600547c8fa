import dataclasses
from pathlib import Path

import pytest

from found import PROTOCOL
from landmarks.errors import LandmarksError
from landmarks.recognition.detections import MAX_BYTES, DetectionProtocol


def test_it_survives_a_round_trip_and_names_what_differs(tmp_path: Path) -> None:
    protocol = dataclasses.replace(PROTOCOL, versions={"torch": "2.11"}, score_threshold=0.25)
    protocol.write(tmp_path / "p.json")
    assert DetectionProtocol.read(tmp_path / "p.json") == protocol
    assert PROTOCOL.differences(PROTOCOL) == []
    assert PROTOCOL.differences(protocol) == ["score_threshold: 0.1 != 0.25", "versions: {} != {'torch': '2.11'}"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Invalid JSON"),
        ("[" * 100_000, "Invalid JSON"),
        ("[]", "object"),
        ('{"model": "m"}', "weights: Field required"),
        ('{"model": 3, "weights": "w", "input_size": "800"}', "model: Input should be a valid string.*input_size"),
        ('{"surprise": 1}', "surprise"),
        (" " * (MAX_BYTES + 1), "larger than"),
    ],
)
def test_damage_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "protocol.json"
    path.write_text(text)
    with pytest.raises(LandmarksError, match=message) as caught:
        DetectionProtocol.read(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match=r"p\.json: cannot be read"):
        DetectionProtocol.read(tmp_path / "p.json")
