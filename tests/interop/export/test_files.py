"""All three formats give the network's results, and a file that differs is never kept."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor

import landmarks
from landmarks.errors import LandmarksError
from landmarks.interop import model_formats as files
from landmarks.interop import open_source, plain_metadata, write_file
from landmarks.models import ModelRecord, OnnxNetwork, OpenedModel, load_model

Checkpoints = Callable[[str], Path]
SUFFIXES = {"safetensors": ".safetensors", "onnx": ".onnx", "torch": ".pt2"}
SEEN = ("onnx", "ArcMargin", "classification"), ("torch", "Softmax", None)


@pytest.fixture(scope="session")
def written(checkpoints: Checkpoints, tmp_path_factory: pytest.TempPathFactory) -> dict[Any, tuple[OpenedModel, Path]]:
    """Files of several models, by format, loss and task."""
    folder, made = tmp_path_factory.mktemp("written"), {}
    for kind, loss, task in SEEN:
        model, path = open_source(checkpoints(loss), task), folder / f"{loss}{SUFFIXES[kind]}"  # type: ignore[arg-type]
        assert write_file(model, path, kind) < 1e-4
        made[kind, loss, task] = model, path
    return made


def opened(kind: str, path: Path) -> Callable[[Tensor], Tensor]:
    return OnnxNetwork(path) if kind == "onnx" else torch.export.load(path).module()


def test_a_file_classifies_and_says_what_it_is(written: dict[Any, Any]) -> None:
    images = torch.randn(4, 3, 96, 64)
    for (kind, *_), (model, path) in written.items():
        with torch.inference_mode():
            expected, found = model.whole(images), opened(kind, path)(images)
        assert found.shape == (4, 4) and torch.allclose(found, expected, rtol=1e-4, atol=1e-5)
        if kind == "onnx":
            metadata = OnnxNetwork(path)._session.get_modelmeta().custom_metadata_map
        else:
            metadata = dict.fromkeys(plain_metadata(model.record), "")
            torch.export.load(path, extra_files=metadata)
        assert ModelRecord.from_metadata(metadata) == model.record
        assert (metadata["task"], metadata["short_side"], metadata["resize"]) == ("classification", "96", "square")
        assert json.loads(metadata["mean"]) == [0.485, 0.456, 0.406]
        assert b"/src/landmarks" not in path.read_bytes() and b"/secret" not in path.read_bytes()


@pytest.mark.parametrize(("loss", "task"), [("ArcMargin", None), ("Softmax", None)])
def test_a_model_file_is_the_network_bit_for_bit(
    checkpoints: Checkpoints, loss: str, task: Any, tmp_path: Path
) -> None:
    model, path = open_source(checkpoints(loss), task), tmp_path / "a.safetensors"
    assert write_file(model, path, "safetensors") == 0
    images = torch.randn(3, 3, 96, 64)
    with torch.inference_mode():
        assert torch.equal(copy.deepcopy(load_model(path))(images), model.whole(images))
    assert landmarks.read_record(path) == model.record and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", SUFFIXES)
def test_a_file_that_differs_is_never_there(
    written: dict[Any, Any], checkpoints: Checkpoints, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damage between what is written and what is compared: one weight of the network moves by a hundredth."""
    model, path = open_source(checkpoints("ArcMargin"), "classification"), tmp_path / f"a{SUFFIXES[kind]}"
    path.write_text("what was there before")
    monkeypatch.setattr(files, "onnx_model", lambda *_: onnx.load(written[SEEN[0]][1]))  # it takes long to make again
    monkeypatch.setattr(files, "to_bytes", lambda made: made.SerializeToString())

    def corrupt(net: Any) -> Any:
        with torch.no_grad():
            net.net.fc.weight[3] += 0.01
        return net

    for name in ("largest_difference", "_gives_the_same"):
        compare = getattr(files, name)
        monkeypatch.setattr(files, name, lambda net, other, *more, c=compare: c(corrupt(net), other, *more))
    with pytest.raises(LandmarksError, match="the results of the file differ from those of the network"):
        write_file(model, path, kind)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "what was there before"


def test_a_file_that_cannot_be_written_is_named(
    checkpoints: Checkpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(LandmarksError, match=r"a\.safetensors: cannot be written: .*No space left"):
        write_file(open_source(checkpoints("NPairs")), tmp_path / "a.safetensors", "safetensors")
    assert not list(tmp_path.iterdir())
