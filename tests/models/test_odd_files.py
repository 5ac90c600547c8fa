"""Malicious and invalid files are refused with a message that names file and field, before memory is allocated."""

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from image_models import checkpoint_file, classifier_file, detector_file, onnx_file
from landmarks.errors import LandmarksError
from landmarks.models import open_model

Content = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound file of each kind."""
    made = tmp_path_factory.mktemp("odd")
    checkpoint_file(made / "a.ckpt", "Softmax")
    classifier_file(made / "b.safetensors", ("1", "2", "3"))
    detector_file(made / "c.safetensors")
    onnx_file(made / "d.onnx", "classification")
    return made


def endless() -> list[Any]:
    """A few hundred bytes that are 2^60 texts."""
    made: list[Any] = ["x"]
    for _ in range(40):
        made = [made, made]
    return made


ODD: dict[str, tuple[Callable[[Content, Content, Content], object], str]] = {
    "dim": (lambda f, r, c: c["model"].update(dim=10**9), r"fc\.weight \[8, 96\] instead of \[1000000000, 96\]"),
    "layers": (
        lambda f, r, c: c.update(
            model={"_target_": "landmarks.detection.faster_rcnn", "backbone": "resnet10t",
                   "backbone_options": {"layers": [10**9, 1, 1, 1]}},
        ) or r.update(task="detection", class_names=["a"], class_titles=["A"],
                      preprocessing={"mode": "detection", "short_side": 64, "long_side": 96}),
        "more layers than the file has weights for",
    ),
    **{f"no {key}": (lambda f, r, c, key=key: c.pop(key), rf"config\.{key}: Field required")  # type: ignore[misc]
       for key in ("name", "data", "model", "loss")},
    "no names": (lambda f, r, c: r.pop("landmark_names"), "landmark_names: Field required"),
    "config is a list": (lambda f, r, c: r.update(config=[1]), "config: "),
    "config is a text": (lambda f, r, c: r.update(config="x: ${"), "config: "),
    "loss is a list": (lambda f, r, c: c.update(loss=[1]), r"config\.loss: .*dict"),
    "a big image": (lambda f, r, c: c["data"].update(image_size="big"), r"config\.data\.image_size: .*integer"),
    "a big side": (lambda f, r, c: r["preprocessing"].update(short_side="big"), r"preprocessing\.short_side: .*int"),
    "a huge side": (lambda f, r, c: r["preprocessing"].update(short_side=10**9), "more than 16384 pixels a side"),
    "a side below 0": (lambda f, r, c: r["preprocessing"].update(long_side=-4), "long_side -4; expected a positive"),
    "a number of 400 digits": (lambda f, r, c: c["model"].update(dim=10**400), "a number that is too large"),
    "a version that is true": (lambda f, r, c: r.update(record_version=True), "not written by this version"),
    "a resize": (lambda f, r, c: c["data"].update(resize={"mode": "nonsense"}), r"data\.resize\.mode: .*'crop'"),
    "endless": (lambda f, r, c: c["model"].update(name=endless()), "too many values or levels"),
    "a tensor": (lambda f, r, c: c["model"].update(name=torch.ones(1)), "it holds a Tensor"),
    "state is a list": (lambda f, r, c: f.update(state_dict=[1, 2]), "holds no state_dict"),
    "the record is a list": (lambda f, r, c: f.update(landmarks=[1]), "not written by this version"),
    "weights are a text": (lambda f, r, c: f["state_dict"].update({"model.fc.bias": "x"}), "plain tensor: fc.bias"),
    "NaN": (lambda f, r, c: f["state_dict"]["model.fc.bias"].fill_(torch.nan), r"NaN or infinite values: fc\.bias"),
    "infinite in the head": (lambda f, r, c: f["state_dict"]["loss.bias"].fill_(torch.inf), r": classifier\.bias"),
    "whole numbers": (
        lambda f, r, c: f["state_dict"].update({"model.fc.bias": torch.ones(8, dtype=torch.int64)}),
        r"of another type: fc\.bias int64 instead of float32",
    ),
    "complex": (
        lambda f, r, c: f["state_dict"].update({"model.fc.bias": torch.ones(8, dtype=torch.complex64)}), "complex64"
    ),
    "sparse": (lambda f, r, c: f["state_dict"].update({"model.fc.bias": torch.ones(8).to_sparse()}), "a plain tensor"),
    "a view": (
        lambda f, r, c: c["model"].update(dim=10**9)
        or f["state_dict"].update({"model.fc.weight": torch.ones(1).expand(10**9, 96)}),
        r"larger than the file: fc\.weight \[1000000000, 96\]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", ODD)
def test_a_checkpoint_is_refused_by_file_and_field(what: str, folder: Path, tmp_path: Path) -> None:
    found = torch.load(folder / "a.ckpt", weights_only=True)
    change, said = ODD[what]
    change(found, found["landmarks"], found["landmarks"]["config"])
    torch.save(found, tmp_path / "odd.ckpt")
    with pytest.raises(LandmarksError, match=said) as caught:
        open_model(tmp_path / "odd.ckpt")
    assert str(tmp_path / "odd.ckpt") in str(caught.value)


def test_half_precision_is_taken(folder: Path, tmp_path: Path) -> None:
    found = torch.load(folder / "a.ckpt", weights_only=True)
    found["state_dict"] = {k: v.half() if v.is_floating_point() else v for k, v in found["state_dict"].items()}
    torch.save(found, tmp_path / "half.ckpt")
    assert {p.dtype for p in open_model(tmp_path / "half.ckpt").whole.parameters()} == {torch.float32}


def test_a_model_file_with_nan_is_refused(folder: Path, tmp_path: Path) -> None:
    tensors = load_file(folder / "b.safetensors")
    tensors["fc.bias"][0] = torch.nan
    with safe_open(folder / "b.safetensors", framework="pt") as file:
        save_file(tensors, tmp_path / "nan.safetensors", {"landmarks": file.metadata()["landmarks"]})
    with pytest.raises(LandmarksError, match=r"nan\.safetensors: .*NaN or infinite values: fc\.bias"):
        open_model(tmp_path / "nan.safetensors")


def test_an_onnx_file_with_another_number_of_classes_is_refused(tmp_path: Path) -> None:
    model = onnx.load(onnx_file(tmp_path / "a.onnx", "classification"))
    (entry,) = (one for one in model.metadata_props if one.key == "landmarks")
    entry.value = json.dumps(json.loads(entry.value) | {"classes": 987654321, "labels": []})
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(LandmarksError, match=r"a\.onnx: its record has 987,654,321 classes, but its output \[3\]"):
        open_model(tmp_path / "a.onnx", onnx=True)


VALUES = [None, True, -1, 0, 10**9, 2**70, float("nan"), "", "big", "${oc.env:HOME}", "???", "os.mkdir", [], [[[]]], {},
          {"_target_": "os.mkdir"}, "x" * 9999, [10**9] * 4, "landmarks.models.timm_net"]  # fmt: skip
KEYS = ["_target_", "_args_", "_partial_", "extra", "dim", "pooling", "fill", "pretrained", "backbone_options"]


def changed(record: Any, chance: random.Random) -> Any:
    """Some values of a record are others, or gone, or more."""
    record = copy.deepcopy(record)
    nodes: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
            nodes.append((value, key))
            walk(value[key])

    walk(record)
    for holder, key in chance.sample(nodes, chance.choice([1, 1, 2])):
        holder[chance.choice(KEYS) if isinstance(holder, dict) and chance.random() < 0.2 else key] = chance.choice(
            VALUES
        )
        if chance.random() < 0.2:
            del holder[key]
    return record


@pytest.mark.parametrize("kind", ["a.ckpt", "b.safetensors", "c.safetensors", "d.onnx"])
def test_whatever_is_changed_is_an_error_of_ours_or_harmless(kind: str, folder: Path, tmp_path: Path) -> None:
    chance, path, opened = random.Random(5), tmp_path / kind, 0
    good = (folder / kind).read_bytes()
    for number in range(60):
        bad = bytearray(good)
        if number % 3 == 0:
            del bad[chance.randrange(1, len(good)) :]
        elif number % 3 == 1:
            for _ in range(chance.choice([1, 8])):
                bad[chance.randrange(min(len(bad), 4000))] ^= 1 << chance.randrange(8)
        path.write_bytes(bad)
        if number % 3 == 2 and kind.endswith(".ckpt"):
            found = torch.load(folder / kind, weights_only=True)
            torch.save({**found, "landmarks": changed(found["landmarks"], chance)}, path)
        elif number % 3 == 2 and kind.endswith(".safetensors"):
            with safe_open(folder / kind, framework="pt") as file:
                record = json.loads(file.metadata()["landmarks"])
            save_file(load_file(folder / kind), path, {"landmarks": json.dumps(changed(record, chance))})
        try:
            open_model(path, onnx=True)
            opened += 1
        except LandmarksError as error:
            assert str(path) in str(error)
    assert opened < 40
