"""Tiny models in files, and image files, sound and broken, for the commands on single images."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image

from images import scene
from landmarks.data.images import Preprocessing
from landmarks.losses import Softmax
from landmarks.models import RECORD_VERSION, ModelRecord, build_loss, build_network, write_model

NETWORK = {"network": "timm_net", "name": "test_resnet", "dim": 8, "pooling": "gem"}
DETECTOR = {
    "network": "faster_rcnn", "backbone": "test_resnet", "channels": 8, "hidden": 8, "proposals": 20,
    "strides": [4, 8], "anchor_sizes": [16, 32, 64], "score_threshold": 0.0,
}  # fmt: skip


NAMES = ("1501", "0", "index:7", "Tour Eiffel")


def tiny_net() -> Any:
    torch.manual_seed(2)
    return build_network(NETWORK)


def checkpoint_file(path: Path, loss: str = "ArcMargin", classes: int = len(NAMES), **said: Any) -> Path:
    """As a training run writes it, of `NAMES`; the configuration may say more of the network."""
    model = {"_target_": "landmarks.models.timm_net", **{k: v for k, v in NETWORK.items() if k != "network"}, **said}
    source = {"_target_": "landmarks.data.GLDv2", "train_split": "train_clean", "exclude": "/secret/a.csv"}
    node = {"_target_": f"landmarks.losses.{loss}", "_partial_": True}
    torch.manual_seed(8)
    parts = {"model": tiny_net(), "loss": build_loss({"loss": loss}, classes, 8)}
    state = {f"{part}.{name}": value for part, made in parts.items() for name, value in made.state_dict().items()}
    record = {
        "record_version": RECORD_VERSION,
        "landmark_names": list(NAMES),
        "preprocessing": {"mode": "square", "short_side": 96},
        "config": {"name": "tower run/1", "model": model, "loss": node, "data": {"source": source}},
    }
    torch.save({"state_dict": state, "landmarks": record}, path)
    return path


def retrieval_file(path: Path, side: int = 96) -> Path:
    write_model(path, ModelRecord("net", "retrieval", NETWORK, Preprocessing("aspect", side)), tiny_net().state_dict())
    return path


def classifier_file(path: Path, labels: tuple[str, ...] = (), titles: tuple[str, ...] = (), classes: int = 3) -> Path:
    torch.manual_seed(4)
    head, plain = Softmax(classes, 8), {"loss": "Softmax"}
    prepared = Preprocessing("crop", 64)
    record = ModelRecord("namer", "classification", NETWORK, prepared, plain, classes, labels, titles)
    write_model(path, record, tiny_net().state_dict(), head.state_dict())
    return path


def detector_file(path: Path) -> Path:
    torch.manual_seed(6)
    net = build_network(DETECTOR, num_classes=2)
    prepared = Preprocessing("detection", 64, 96)
    record = ModelRecord("finder", "detection", DETECTOR, prepared, None, 2, ("/m/a", "/m/b"), ("Tower", "Boat"))
    write_model(path, record, net.state_dict())
    return path


def onnx_file(path: Path, task: str, output: str | None = None, classes: int = 3) -> Path:
    """The mean of each normalised channel, as a network."""
    output = output or {"retrieval": "descriptors", "classification": "logits"}[task]
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["means"]),
        helper.make_node("Flatten", ["means"], [output]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["b", 3, "h", "w"])
    given = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["b", 3])
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(helper.make_graph(nodes, "g", [images], [given]), opset_imports=opset, ir_version=9)
    head = {"loss": "Softmax"} if task == "classification" else None
    names = ("7", "8", "9") if task == "classification" else ()
    count = len(names)
    record = ModelRecord("onnx", task, NETWORK, Preprocessing("aspect", 64), head, count, names)  # type: ignore[arg-type]
    helper.set_model_props(model, record.to_metadata())
    onnx.save(model, path)
    return path


def photograph(path: Path, seed: int = 0, height: int = 120, width: int = 160) -> Path:
    Image.fromarray(scene(seed, height, width)).save(path)
    return path


def turned(path: Path, image: NDArray[np.uint8]) -> Path:
    """Stored lying on its side, with the EXIF orientation that sets it upright; lossless."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(image))).save(path, exif=exif)
    return path


def broken_images(folder: Path) -> dict[str, Path]:
    """One of each kind of what is no usable image; by what is said of it."""
    sound = photograph(folder / "sound.jpg").read_bytes()
    paths = {
        "there is no such file": folder / "missing.jpg",
        "is a folder; name the images": folder / "folder",
        "corrupt JPEG": folder / "truncated.jpg",
        "the file is empty": folder / "empty.jpg",
        "not an image of a known format": folder / "text.jpg",
        "1 x 1 pixels are too few": folder / "dot.png",
        "200 x 7 pixels are too few": folder / "line.png",
    }
    (folder / "folder").mkdir()
    (folder / "truncated.jpg").write_bytes(sound[: len(sound) // 2])
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("no image, but some words")
    photograph(folder / "dot.png", height=1, width=1)
    photograph(folder / "line.png", height=7, width=200)
    return paths


@pytest.fixture(scope="session")
def retrieval(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Written once for all tests of a process, as the next two; do not write into them."""
    return retrieval_file(tmp_path_factory.mktemp("models") / "net.safetensors")


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three landmarks, of which one is of other data than Google's."""
    path = tmp_path_factory.mktemp("models") / "namer.safetensors"
    return classifier_file(path, ("1501", "42", "Tour Eiffel"), ("Old bridge", "", "The tower"))


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return detector_file(tmp_path_factory.mktemp("models") / "finder.safetensors")
