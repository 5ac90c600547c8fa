from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.ops.misc import FrozenBatchNorm2d

from landmarks.detection import faster_rcnn
from landmarks.errors import LandmarksError

SMALL = {"backbone": "test_resnet", "channels": 16, "hidden": 32, "anchor_sizes": (12, 24, 48, 96, 192)}
IMAGES = [(64, 96), (96, 64)]


def images(sizes: list[tuple[int, int]], seed: int = 0) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=random) for size in sizes]


def targets(*boxes: list[list[float]]) -> list[dict[str, Tensor]]:
    corners = [torch.tensor(of_one, dtype=torch.float32).reshape(-1, 4) for of_one in boxes]
    return [{"boxes": of_one, "labels": torch.arange(len(of_one)) % 3 + 1} for of_one in corners]


@pytest.fixture(scope="module")
def small() -> FasterRCNN:
    torch.manual_seed(0)
    return faster_rcnn(3, **SMALL)


@pytest.fixture(scope="module")
def pair() -> tuple[FasterRCNN, FasterRCNN]:
    """torchvision's own detector over a ResNet18, and ours with its weights."""
    torch.manual_seed(0)
    body = resnet_fpn_backbone(backbone_name="resnet18", weights=None, norm_layer=torch.nn.BatchNorm2d)
    theirs = FasterRCNN(
        body, min_size=64, max_size=999, box_head=TwoMLPHead(256 * 49, 64),
        box_predictor=torch.nn.Module(), box_score_thresh=0.1,
    )  # fmt: skip
    ours = faster_rcnn(3, "resnet18", hidden=64)
    theirs.roi_heads.box_predictor = type(ours.roi_heads.box_predictor).__base__(64, 4)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours


def test_it_finds_what_torchvisions_detector_of_the_same_weights_finds(pair: tuple[FasterRCNN, FasterRCNN]) -> None:
    theirs, ours = (model.eval() for model in pair)
    given = images(IMAGES)
    with torch.no_grad():
        expected = theirs([image / 255 for image in given])
        found = ours(given)
    for one, other in zip(expected, found, strict=True):
        assert len(one["boxes"]) > 0
        torch.testing.assert_close(other["boxes"], one["boxes"], atol=0.02, rtol=0)
        torch.testing.assert_close(other["scores"], one["scores"], atol=1e-4, rtol=0)
        assert torch.equal(other["labels"], one["labels"])


def test_its_losses_and_gradients_are_torchvisions(
    pair: tuple[FasterRCNN, FasterRCNN], monkeypatch: pytest.MonkeyPatch
) -> None:
    given, true = images(IMAGES), targets([[10, 10, 60, 60], [50, 20, 90, 50]], [[5, 5, 60, 90]])
    losses, gradients = [], []
    theirs, ours = pair
    # Images that differ in the last bits would do: which anchors and regions enter the losses hangs on them.
    monkeypatch.setattr(theirs, "transform", ours.transform)
    for model in (theirs.train(), ours.train()):
        torch.manual_seed(1)
        model.zero_grad()
        found = model(given, true)
        sum(found.values()).backward()
        losses.append({name: float(loss.detach()) for name, loss in found.items()})
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    for name in ("rpn.head.bbox_pred.weight", "backbone.body.layer4.1.conv2.weight", "roi_heads.box_head.fc6.weight"):
        size = gradients[0][name].abs().max()
        torch.testing.assert_close(gradients[1][name] / size, gradients[0][name] / size, atol=1e-3, rtol=0)


def test_the_published_rules_of_inference_are_the_defaults() -> None:
    heads = faster_rcnn(2, "test_resnet", channels=8, hidden=8).roi_heads
    assert torch.tensor(0.1) > heads.score_thresh > 0.0999999
    assert (heads.nms_thresh, heads.detections_per_img) == (0.5, 100)


def test_boxes_keep_their_precision_under_bfloat16(small: FasterRCNN) -> None:
    small.eval()
    anchors: list[Tensor] = []
    hook = small.rpn.anchor_generator.register_forward_hook(lambda _, __, made: anchors.extend(made))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = small(images([(200, 512)]))[0]
    hook.remove()
    assert found["boxes"].dtype == found["scores"].dtype == anchors[0].dtype == torch.float32
    far = found["boxes"][found["boxes"][:, 0] > 300, 0]
    assert len(far)
    assert (far % 1 != 0).any()  # bfloat16 knows every second number there


@pytest.mark.parametrize(
    "boxes",
    [
        pytest.param([[], []], id="nothing in the whole batch"),
        pytest.param([[[2.0, 2.0, 30.0, 40.0]], []], id="nothing in one image"),
    ],
)
def test_images_without_boxes_are_learned_from(small: FasterRCNN, boxes: list[list[list[float]]]) -> None:
    small.train().zero_grad()
    losses = small(images([(48, 64), (64, 48)]), targets(*boxes))
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in small.parameters() if p.requires_grad)


@pytest.mark.parametrize("size", [(1, 333), (500, 3)])
def test_images_of_extreme_shape_are_taken(small: FasterRCNN, size: tuple[int, int]) -> None:
    with torch.no_grad():
        found = small.eval()(images([size, (48, 64)]))
    height, width = size
    assert (found[0]["boxes"] <= torch.tensor([width, height, width, height])).all()
    losses = small.train()(images([size, (48, 64)]), targets([[0.0, 0.0, width, height]], []))
    assert all(loss.isfinite() for loss in losses.values())


def test_what_lies_in_an_image_beside_it_changes_nothing_but_padding(small: FasterRCNN) -> None:
    small.eval()
    one, other = images([(64, 96), (64, 96)])
    with torch.no_grad():
        torch.testing.assert_close(small([one, other])[0]["scores"], small([one])[0]["scores"], atol=1e-4, rtol=0)


def test_from_scratch_everything_is_trained_and_with_weights_the_first_stage_is_not(tmp_path: Path) -> None:
    fresh = faster_rcnn(3, **SMALL)
    assert all(parameter.requires_grad for parameter in fresh.parameters())
    assert not any(isinstance(layer, FrozenBatchNorm2d) for layer in fresh.modules())
    torch.save(fresh.state_dict(), tmp_path / "w.pth")
    tuned = faster_rcnn(3, pretrained=tmp_path / "w.pth", **SMALL)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in tuned.modules())
    frozen = {name for name, parameter in tuned.backbone.body.named_parameters() if not parameter.requires_grad}
    assert frozen
    assert {name.split(".")[0] for name in frozen} == {"conv1", "layer1"}
    with torch.no_grad():
        given = images([(64, 64)])
        expected, found = (model.eval()(given)[0]["boxes"] for model in (fresh, tuned))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: faster_rcnn(0, **SMALL), "0 classes"),
        (lambda: faster_rcnn(3, "resnet18", anchor_sizes=(32, 64)), "2 anchor_sizes"),
        (lambda: faster_rcnn(3, "resnet_of_mine"), "timm has no such network"),
        (lambda: faster_rcnn(3, "resnet18", strides=(4, 8, 16, 64)), r"no feature maps of stride \[64\]"),
        (lambda: faster_rcnn(3, "mixer_b16_224"), "no feature maps"),
    ],
)
def test_invalid_settings_are_named(build: Callable[[], FasterRCNN], message: str) -> None:
    with pytest.raises(LandmarksError, match=message):
        build()
