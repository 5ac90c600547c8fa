from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision.models.detection import FasterRCNN

from landmarks.detection import faster_rcnn, load_detector_weights
from landmarks.errors import LandmarksError


def small(num_classes: int = 3, seed: int = 0) -> FasterRCNN:
    torch.manual_seed(seed)
    return faster_rcnn(num_classes, "test_resnet", channels=16, hidden=32)


@pytest.mark.parametrize("prefix", ["", "model."])
def test_a_whole_detector_is_filled(tmp_path: Path, prefix: str) -> None:
    given = small(seed=1)
    state = {prefix + name: value for name, value in given.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "w.ckpt")
    model = small()
    load_detector_weights(model, tmp_path / "w.ckpt")
    assert all(torch.equal(value, given.state_dict()[name]) for name, value in model.state_dict().items())


def test_classes_of_another_number_stay_as_they_start(tmp_path: Path) -> None:
    given, model = small(90, seed=1), small()
    before = model.roi_heads.box_predictor.cls_score.weight.clone()
    torch.save(given.state_dict(), tmp_path / "coco.pth")
    load_detector_weights(model, tmp_path / "coco.pth")
    assert torch.equal(model.roi_heads.box_predictor.cls_score.weight, before)
    assert torch.equal(model.roi_heads.box_head.fc7.weight, given.roi_heads.box_head.fc7.weight)


def test_a_backbone_alone_is_filled_and_its_classifier_left_out(tmp_path: Path) -> None:
    torch.manual_seed(1)
    given = timm.create_model("test_resnet")
    save_file(given.state_dict(), tmp_path / "backbone.safetensors")
    model = small()
    load_detector_weights(model, tmp_path / "backbone.safetensors")
    assert torch.equal(model.backbone.body.layer4[0].conv1.weight, given.layer4[0].conv1.weight)


def test_the_names_of_torchvisions_older_detectors_are_known(tmp_path: Path) -> None:
    given = small(seed=1)
    old = {
        name.replace("rpn.head.conv.0.0.", "rpn.head.conv.").replace("blocks.0.0.", "blocks.0."): value
        for name, value in given.state_dict().items()
    }
    assert old.keys() != given.state_dict().keys()
    torch.save(old, tmp_path / "old.pth")
    model = small()
    load_detector_weights(model, tmp_path / "old.pth")
    assert torch.equal(model.rpn.head.conv[0][0].weight, given.rpn.head.conv[0][0].weight)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("backbone.fpn.inner_blocks.0.0.weight"), "1 missing: backbone.fpn"),
        (lambda state: state.update({"roi_heads.mask": torch.ones(1)}), "1 unknown: roi_heads.mask"),
        (lambda state: state.update({"roi_heads.box_head.fc6.bias": torch.ones(7)}), "size mismatch for roi_heads"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, change: object, message: str) -> None:
    state = dict(small().state_dict())
    change(state)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(LandmarksError, match=message):
        load_detector_weights(small(), tmp_path / "w.pth")


def test_a_backbone_of_another_network_is_refused(tmp_path: Path) -> None:
    save_file(timm.create_model("test_efficientnet").state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(LandmarksError, match=r"(?s)other\.safetensors does not fit the detector: .*size mismatch"):
        load_detector_weights(small(), tmp_path / "other.safetensors")
