"""A model in one file: what comes back, and what damage and malice lead to."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import landmarks
from image_models import DETECTOR, NETWORK, detector_file
from image_models import tiny_net as net
from landmarks.data.images import Preprocessing
from landmarks.errors import LandmarksError
from landmarks.losses import ArcMargin, Softmax
from landmarks.models import ModelRecord, build_network, load_model, write_model

PREPARED = Preprocessing("aspect", 64)
RECORD = ModelRecord("net", "retrieval", NETWORK, PREPARED)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_model(tmp_path / "net.safetensors", RECORD, net().state_dict())
    return tmp_path / "net.safetensors"


def test_descriptors_are_those_of_the_network(path: Path) -> None:
    images = torch.randn(2, 3, 64, 96)
    loaded = load_model(path)
    assert not loaded.training
    with torch.inference_mode():
        assert torch.equal(loaded(images), net()(images))
    assert landmarks.read_record(path) == RECORD


@pytest.mark.parametrize(
    ("head", "plain"),
    [
        (Softmax(3, 8), {"loss": "Softmax"}),
        (ArcMargin(3, 8, scale=5.0), {"loss": "ArcMargin", "scale": 5.0}),
    ],
)
def test_a_classifier_gives_logits(head: Any, plain: dict[str, Any], tmp_path: Path) -> None:
    record = ModelRecord("c", "classification", NETWORK, PREPARED, plain, 3, ("7", "8", "9"), ("a", "b", "c"))
    write_model(tmp_path / "c.safetensors", record, net().state_dict(), head.state_dict())
    images = torch.randn(2, 3, 32, 64)
    with torch.inference_mode():
        assert torch.equal(load_model(tmp_path / "c.safetensors")(images), head.class_scores(net()(images)))
    assert landmarks.read_record(tmp_path / "c.safetensors").titles == ("a", "b", "c")


def test_a_detector_finds_what_it_found(tmp_path: Path) -> None:
    loaded = load_model(detector_file(tmp_path / "d.safetensors"))
    detector = build_network(DETECTOR, num_classes=2)
    detector.load_state_dict(load_file(tmp_path / "d.safetensors"))
    image = [torch.randint(0, 255, (3, 64, 80), dtype=torch.uint8)]
    with torch.inference_mode():
        expected, found = detector(image)[0], loaded(image)[0]
    assert len(found["boxes"]) and all(torch.equal(found[key], expected[key]) for key in expected)


def test_missing_and_strange_files_are_named(path: Path, tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match="there is no such file"):
        load_model(tmp_path / "gone.safetensors")
    (tmp_path / "best.ckpt").write_bytes(b"")
    with pytest.raises(LandmarksError, match="make one from a checkpoint with `landmarks export`"):
        load_model(tmp_path / "best.ckpt")
    save_file(load_file(path), tmp_path / "weights.safetensors")
    with pytest.raises(LandmarksError, match=r"weights\.safetensors: .*another program wrote it"):
        load_model(tmp_path / "weights.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dim": 16}, r"fc\.weight \[8, 128\] instead of \[16, 128\]|of another shape"),
        ({"dim": 10**12}, "of another shape"),
        ({"name": "resnet18"}, "missing"),
        ({"name": "nonesuch"}, "timm has no such network"),
        ({"network": "builtins.exec"}, r"asks to call builtins\.exec, which is none of our"),
    ],
)
def test_an_architecture_of_other_weights_is_refused_before_memory_is_taken(
    change: dict[str, Any], message: str, path: Path
) -> None:
    record = ModelRecord("net", "retrieval", NETWORK | change, PREPARED)
    save_file(load_file(path), path, record.to_metadata())
    with pytest.raises(LandmarksError, match=message):
        load_model(path)


def test_weights_that_do_not_fit_are_not_written(tmp_path: Path) -> None:
    state = net().state_dict()
    with pytest.raises(LandmarksError, match="1 unknown: more"):
        write_model(tmp_path / "n.safetensors", RECORD, {**state, "more": torch.zeros(1)})
    with pytest.raises(LandmarksError, match=r"ends in \.safetensors"):
        write_model(tmp_path / "n.bin", RECORD, state)
    (tmp_path / "file").write_text("")
    with pytest.raises(LandmarksError, match="cannot be written"):
        write_model(tmp_path / "file" / "n.safetensors", RECORD, state)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_others_may_read_it_as_any_new_file(path: Path, tmp_path: Path) -> None:
    (tmp_path / "any").touch()
    assert path.stat().st_mode == (tmp_path / "any").stat().st_mode


def test_a_file_without_a_checksum_is_opened(path: Path) -> None:
    save_file(load_file(path), path, RECORD.to_metadata())
    assert landmarks.read_record(path) == RECORD
    load_model(path)


def test_damage_is_an_error_or_changes_nothing(path: Path) -> None:
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected = load_model(path)(images)
    good, chance, noticed = path.read_bytes(), random.Random(0), 0
    header = 8 + int.from_bytes(good[:8], "little")
    for number in range(120):
        bad = bytearray(good)
        if number % 4 == 0:
            del bad[chance.randrange(len(good)) :]
        elif number % 4 == 1:
            bad[chance.randrange(header)] = chance.randrange(256)
        else:  # a bit flips in the header or anywhere
            bad[chance.randrange(header if number % 4 == 2 else len(bad))] ^= 1 << chance.randrange(8)
        path.write_bytes(bad)
        try:
            with torch.inference_mode():
                assert torch.equal(load_model(path)(images), expected)
        except LandmarksError as error:
            assert str(path) in str(error)
            noticed += 1
    assert noticed > 115
