"""Models in Python accept every kind of image and file and give the same descriptors as the commands."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader, Dataset

import landmarks
from image_models import (
    checkpoint_file,
    classifier_file,
    detector_file,
    onnx_file,
    photograph,
    retrieval_file,
    turned,
)
from images import scene
from landmarks.extraction import DescriptorModule, Extraction


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of each kind and three images; do not write into it."""
    folder = tmp_path_factory.mktemp("models")
    retrieval_file(folder / "net.safetensors")
    for number, size in enumerate([(120, 160), (300, 200), (90, 90)]):
        photograph(folder / f"{number}.png", number, *size)
    return folder


@pytest.fixture(scope="module")
def model(here: Path) -> landmarks.Model:
    return landmarks.load_model(here / "net.safetensors", device="cpu")


def test_files_images_and_arrays_give_the_same(here: Path, model: landmarks.Model, tmp_path: Path) -> None:
    paths = [here / f"{number}.png" for number in range(3)]
    found = model.embed(paths)
    assert found.shape == (3, 8) == (3, model.dim) and found.dtype == np.float32
    opened = [Image.open(path) for path in paths]
    np.testing.assert_array_equal(model.embed(opened), found)
    np.testing.assert_array_equal(model.embed([str(paths[0]), opened[1], np.asarray(opened[2])]), found)
    np.testing.assert_allclose(model.embed(iter(paths), progress=True), found)
    np.testing.assert_allclose(model.embed(paths[1]), found[1:2], rtol=1e-5)
    on_its_side = turned(tmp_path / "turned.png", np.asarray(opened[0]))
    np.testing.assert_allclose(model.embed(Image.open(on_its_side)), found[:1], rtol=1e-5)
    grey = np.asarray(opened[0].convert("L"))
    np.testing.assert_array_equal(model.embed(grey), model.embed(np.repeat(grey[..., None], 3, axis=2)))
    assert np.linalg.norm(model.embed(paths, normalize=True), axis=1) == pytest.approx([1, 1, 1])
    assert model.embed([]).shape == (0, 8)


def test_views_are_summed_as_in_an_extraction(here: Path, model: landmarks.Model) -> None:
    image = np.asarray(Image.open(here / "0.png"))
    views = [torch.from_numpy(model.record.preprocessing.scaled(scale)(image)) for scale in (1.0, 1.5)]
    module = DescriptorModule(model.network, channels_last=False)
    with torch.inference_mode():
        (expected,) = module.embed([view.permute(2, 0, 1)[None] for view in views], Extraction((1.0, 1.5), flip=True))
    found = model.embed(image, scales=(1.0, 1.5), flip=True)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-6)
    assert not np.allclose(found, model.embed(image, scales=(1.0, 1.5)), rtol=1e-3)


class Photos(Dataset[torch.Tensor]):
    def __init__(self, paths: list[Path], transform: landmarks.Transform) -> None:
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> torch.Tensor:
        return self.transform(self.paths[row])


def test_the_transform_works_in_a_custom_loop(here: Path, model: landmarks.Model) -> None:
    paths = [here / f"{number}.png" for number in range(3)]
    image = model.transform(paths[0])
    assert image.shape == (3, 96, 128) and image.dtype == torch.float32
    with torch.inference_mode():
        np.testing.assert_allclose(model(image[None]).numpy(), model.embed(paths[0]), rtol=1e-5)
    square = pickle.loads(pickle.dumps(model.transform.resized(64, "square")))
    (batch,) = DataLoader(Photos(paths, square), batch_size=3)
    loss = landmarks.losses.ArcMargin(3, model.dim)
    optimizer = torch.optim.SGD([*model.parameters(), *loss.parameters()], 0.01)
    value = loss(model(batch), torch.arange(3))
    value.backward()
    optimizer.step()
    assert value.isfinite() and not model.training


def test_every_kind_of_file(here: Path, tmp_path: Path) -> None:
    image = here / "0.png"
    trained = landmarks.load_model(checkpoint_file(tmp_path / "best.ckpt"), device="cpu")
    assert trained.embed(image).shape == (1, 8) and [c.category for c, _ in trained.classify(image, 9)[0]]
    classes = landmarks.load_model(classifier_file(tmp_path / "c.safetensors", ("1501", "42", "Dom")), device="cpu")
    ((best, score), *_) = classes.classify([image], top=2)[0]
    assert 0 < score < 1 and best.landmark_id in (1501, 42, None)
    assert landmarks.classify(classes, image, 2)[0][0] == (best, score)
    onnx = landmarks.load_model(onnx_file(tmp_path / "d.onnx", "retrieval"))
    assert onnx.embed(image).shape == (1, 3) == (1, onnx.dim)
    named = landmarks.load_model(onnx_file(tmp_path / "l.onnx", "classification"))
    assert len(named.classify(image)[0]) == 3
    with pytest.raises(landmarks.LandmarksError, match="no descriptors"):
        named.embed(image)
    with pytest.raises(landmarks.LandmarksError, match=r"landmarks\.detect"):
        landmarks.load_model(detector_file(tmp_path / "f.safetensors"))
    ((title, score, box), *_) = landmarks.detect(tmp_path / "f.safetensors", scene(9, 60, 90), 0.0, device="cpu")[0]
    assert title in ("Tower", "Boat") and 0 <= score <= 1 and len(box) == 4


def test_a_network_of_timm_with_its_weights(here: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    save_file(timm.create_model("test_resnet", num_classes=0).state_dict(), tmp_path / "weights.safetensors")
    model = landmarks.load_model("test_resnet", pretrained=tmp_path / "weights.safetensors", device="cpu")
    image = model.record.preprocessing(np.asarray(Image.open(here / "0.png"))) / np.float32(255)
    made = timm.create_model("test_resnet", num_classes=0).eval()
    made.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    wanted = (image - np.float32(made.default_cfg["mean"])) / np.float32(made.default_cfg["std"])
    features = made.forward_features(torch.from_numpy(wanted).permute(2, 0, 1)[None].contiguous())
    np.testing.assert_allclose(
        model.embed(here / "0.png"), features.mean(dim=(2, 3)).detach().numpy(), rtol=1e-4, atol=1e-6
    )
    assert model.record.preprocessing.short_side == 160 and model.name == "test_resnet"
    small = landmarks.load_model("test_resnet", pretrained=tmp_path / "weights.safetensors", image_size=64)
    assert small.transform(here / "2.png").shape == (3, 64, 64)
    with pytest.raises(landmarks.LandmarksError, match="add pretrained=True"):
        landmarks.load_model("test_resnet")
    with pytest.raises(landmarks.LandmarksError, match="no pretrained weights"):
        landmarks.load_model("resnet200", pretrained=True)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((4, 4), np.float32), "image 1: an array of float32"),
        (np.zeros((4, 4, 4), np.uint8), "image 1: an array of uint8"),
        ("gone.jpg", "gone.jpg: there is no such file"),
    ],
)
def test_bad_images_are_named(here: Path, model: landmarks.Model, image: object, said: str) -> None:
    with pytest.raises(landmarks.LandmarksError, match=said):
        model.embed([here / "0.png", image])  # type: ignore[list-item]


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(landmarks.LandmarksError, match=r"gone\.safetensors: there is no such file"):
        landmarks.load_model(tmp_path / "gone.safetensors")
    with pytest.raises(landmarks.LandmarksError, match="for timm networks"):
        landmarks.load_model("resnet_of_nobody", pretrained=True)


def test_pretrained_weights_alone_become_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)
    save_file(timm.create_model("test_resnet", num_classes=0).state_dict(), "weights.safetensors")
    timm_net = {"pretrained": "weights.safetensors", "model__name": "test_resnet"}
    path = landmarks.export("timm", image_size=64, name="alone", **timm_net)  # type: ignore[arg-type]
    made = landmarks.load_model(path, device="cpu")
    assert path == Path("alone.safetensors") and made.record.preprocessing.short_side == 64
    image = scene(1, 80, 100)
    opened = landmarks.load_model("test_resnet", pretrained="weights.safetensors", image_size=64, device="cpu")
    np.testing.assert_array_equal(made.embed(image), opened.embed(image))
    with pytest.raises(landmarks.LandmarksError, match="exists already"):
        landmarks.export("timm", name="alone", **timm_net)  # type: ignore[arg-type]
    with pytest.raises(landmarks.LandmarksError, match="did you mean 'timm'"):
        landmarks.export("tim", **timm_net)  # type: ignore[arg-type]
    with pytest.raises(landmarks.LandmarksError, match="model__name: only allowed together with pretrained"):
        landmarks.export(path, "other.safetensors", model__name="test_resnet")
