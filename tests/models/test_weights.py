"""Every kind of file a network can be filled from, and every way in which one may not fit."""

import pickle
import zipfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from landmarks.errors import LandmarksError
from landmarks.models import DescriptorNet, load_weights, read_weights, timm_net


def small_net(seed: int, **options: object) -> DescriptorNet:
    torch.manual_seed(seed)
    return timm_net("resnet10t", dim=8, **options)


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_a_whole_network_from_safetensors(tmp_path: Path) -> None:
    source, net = small_net(1, pooling="gem", batch_norm=True), small_net(2, pooling="gem", batch_norm=True)
    save_file(source.state_dict(), tmp_path / "net.safetensors")
    load_weights(net, tmp_path / "net.safetensors")
    assert equal(net.state_dict(), source.state_dict())


def test_a_lightning_checkpoint(tmp_path: Path) -> None:
    source, net = small_net(1), small_net(2)
    state = {f"model.{name}": value for name, value in source.state_dict().items()}
    state |= {"loss.weight": torch.zeros(5, 8)}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "last.ckpt")
    load_weights(net, tmp_path / "last.ckpt")
    assert equal(net.state_dict(), source.state_dict())


@pytest.mark.parametrize("classifier", [0, 10])
def test_a_backbone_of_timm_with_or_without_its_classifier(tmp_path: Path, classifier: int) -> None:
    source, net = timm.create_model("resnet10t", num_classes=classifier), small_net(2)
    layer = net.fc.weight.clone()
    torch.save(source.state_dict(), tmp_path / "timm.pth")
    load_weights(net, tmp_path / "timm.pth")
    expected = {k: v for k, v in source.state_dict().items() if not k.startswith("fc.")}
    assert equal(net.backbone.network.state_dict(), expected)
    assert torch.equal(net.fc.weight, layer)


State = dict[str, torch.Tensor]


def under(prefix: str, state: State) -> State:
    return {prefix + name: value for name, value in state.items()}


WRITTEN: dict[str, Callable[[State], object]] = {
    "DataParallel": lambda state: under("module.", state),
    "torch.compile": lambda state: under("_orig_mod.", state),
    "compiled in parallel": lambda state: {"state_dict": under("module._orig_mod.", state), "epoch": 3},
    "compiled inside": lambda state: {name.replace("conv1.", "conv1._orig_mod."): w for name, w in state.items()},
    "Lightning": lambda state: {"state_dict": under("model.", state) | {"loss.weight": torch.zeros(3)}},
    "backbone of another": lambda state: {"state_dict": under("backbone.", state) | {"head.fc.bias": torch.zeros(3)}},
    "self-supervised": lambda state: {
        "student": {}, "teacher": under("module.encoder.", state) | {"module.head.last.weight": torch.zeros(3)}
    },
    "with its average": lambda state: {"model": state, "model_ema": {name: w * 0 for name, w in state.items()}},
    "nested": lambda state: {"model": {"state_dict": state, "args": Namespace(lr=0.1)}, "epoch": 3},
    "with options": lambda state: {"model_state_dict": state, "args": Namespace(lr=0.1, name="r")},
    "beside options": lambda state: {**state, "args": Namespace(lr=0.1), "epoch": 3},
}  # fmt: skip


@pytest.mark.parametrize("program", WRITTEN)
def test_weights_as_other_programs_write_them(program: str, tmp_path: Path) -> None:
    source, net = timm.create_model("resnet10t", num_classes=10), small_net(2)
    torch.save(WRITTEN[program](source.state_dict()), tmp_path / "w.pth")
    load_weights(net, tmp_path / "w.pth")
    expected = {k: v for k, v in source.state_dict().items() if not k.startswith("fc.")}
    assert equal(net.backbone.network.state_dict(), expected)


@pytest.mark.parametrize("prefix", ["", "model.", "module._orig_mod.", "ema.module."])
def test_whole_networks_behind_any_prefix(prefix: str, tmp_path: Path) -> None:
    source, net = small_net(1, pooling="gem"), small_net(2, pooling="gem")
    torch.save({"state_dict": under(prefix, source.state_dict())}, tmp_path / "w.ckpt")
    load_weights(net, tmp_path / "w.ckpt")
    assert equal(net.state_dict(), source.state_dict())


def test_weights_under_another_name_are_read_by_their_content(tmp_path: Path) -> None:
    source, net = small_net(1), small_net(2)
    save_file(source.state_dict(), tmp_path / "net.pth")
    load_weights(net, tmp_path / "net.pth")
    assert equal(net.state_dict(), source.state_dict())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named_and_not_taken(value: float, tmp_path: Path) -> None:
    net = small_net(2)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    state = small_net(1).state_dict()
    state["backbone.network.layer1.0.conv1.weight"][0] = value
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(
        LandmarksError, match=r"w\.safetensors: .*1 with NaN or .*: backbone\.network\.layer1\.0\.conv1"
    ):
        load_weights(net, tmp_path / "w.safetensors")
    assert equal(net.state_dict(), before)
    torch.save({k: v.to(torch.int32) for k, v in before.items()}, tmp_path / "whole.pth")
    with pytest.raises(LandmarksError, match=r"of another type: .* int32 instead of float32"):
        load_weights(net, tmp_path / "whole.pth")


def test_pickled_objects_are_named(tmp_path: Path) -> None:
    torch.save({"state_dict": small_net(1).state_dict(), "log": Path("x")}, tmp_path / "w.pth")
    with pytest.raises(
        LandmarksError, match=r"holds a pathlib\.\w+, and reading that could run code.*save only the weights"
    ) as said:
        load_weights(small_net(2), tmp_path / "w.pth")
    assert "weights_only" not in str(said.value) and "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("page.pth", b"<!DOCTYPE html>\n<html>", r"it begins with b'<!DOCTYPE html>"),
        ("array.pkl", pickle.dumps({"a": np.zeros(3)}, protocol=5), "it begins with b"),
        ("empty.pth", b"", "not a weight file.*"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_other_files_get_a_clear_message(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LandmarksError, match=said) as caught:
        read_weights(tmp_path / name)
    assert "weights_only" not in str(caught.value) and "PyTorch" not in str(caught.value)


def test_torchscript_and_addresses_are_refused_by_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "program.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("program/code/__torch__.py", "0" * 9999)
    with pytest.raises(LandmarksError, match=r"program\.pt is a TorchScript program.*torch\.jit\.load"):
        read_weights(tmp_path / "program.pt")
    with pytest.raises(LandmarksError, match=r"^https://\*\*\*@example\.org/w\.pth: .*download it first"):
        read_weights(Path("https://***@example.org/w.pth"))
    with pytest.raises(LandmarksError, match=r"^gone\.pth: there is no such file"):
        read_weights(Path("gone.pth"))


@pytest.mark.parametrize("beginnings", [("student.", "teacher."), ("student.backbone.", "teacher.backbone.")])
def test_two_networks_in_a_file_are_refused(beginnings: tuple[str, str], tmp_path: Path) -> None:
    state = timm.create_model("resnet10t").state_dict()
    torch.save(under(beginnings[0], state) | under(beginnings[1], state), tmp_path / "two.pth")
    with pytest.raises(
        LandmarksError, match=rf"two\.pth holds the network 2 times, as {beginnings[0]}…, {beginnings[1]}…"
    ):
        load_weights(small_net(2), tmp_path / "two.pth")


def test_the_network_goes_before_its_average(tmp_path: Path) -> None:
    source, net = small_net(1), small_net(2)
    average = {name: w * 0 for name, w in source.state_dict().items()}
    torch.save(under("ema.", average) | under("model.", source.state_dict()), tmp_path / "w.pth")
    load_weights(net, tmp_path / "w.pth")
    assert equal(net.state_dict(), source.state_dict())


def test_weights_halved_one_by_one(tmp_path: Path) -> None:
    source, net = small_net(1), small_net(2)
    torch.save({name: w.half() for name, w in source.state_dict().items()}, tmp_path / "half.pth")
    load_weights(net, tmp_path / "half.pth")
    torch.testing.assert_close(net.state_dict(), source.state_dict(), rtol=1e-2, atol=1e-3)


def test_old_files_without_counts_of_steps(tmp_path: Path) -> None:
    source, net = small_net(1), small_net(2)
    state = {k: v for k, v in source.state_dict().items() if "num_batches_tracked" not in k}
    save_file(state, tmp_path / "old.safetensors")
    load_weights(net, tmp_path / "old.safetensors")
    assert all(torch.equal(net.state_dict()[k], v) for k, v in state.items())


def test_what_does_not_fit_is_listed_and_nothing_is_loaded(tmp_path: Path) -> None:
    net = small_net(2)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    state = {k: v + 1 for k, v in small_net(1).state_dict().items()}
    for i in range(5):
        state[f"backbone.extra{i}"] = torch.zeros(1)
    del state["fc.bias"]
    state["fc.weight"] = torch.zeros(16, 512)
    save_file(state, tmp_path / "bad.safetensors")
    with pytest.raises(LandmarksError) as caught:
        load_weights(net, tmp_path / "bad.safetensors")
    message = str(caught.value)
    assert "1 missing: fc.bias" in message
    assert "5 unknown: backbone.extra0, backbone.extra1, backbone.extra2 and 2 more" in message
    assert "1 of another shape: fc.weight [16, 512] instead of [8, 512]" in message
    assert equal(net.state_dict(), before)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    net = small_net(1)
    with pytest.raises(LandmarksError, match="no such file"):
        load_weights(net, tmp_path / "none.safetensors")
    for name in ("bytes.pt", "bytes.safetensors", "empty.pt", "empty.safetensors"):
        (tmp_path / name).write_bytes(b"" if name.startswith("empty") else b"not weights at all" * 9)
        with pytest.raises(LandmarksError, match=f"{name} is not a weight file"):
            load_weights(net, tmp_path / name)
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(LandmarksError, match="no state_dict"):
        load_weights(net, tmp_path / "list.pt")


class Touch:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (self.path, "w"))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    torch.save({"state_dict": Touch(str(victim))}, tmp_path / "evil.pt")
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Touch(str(victim))))
    for name in ("evil.pt", "evil.pkl"):
        with pytest.raises(LandmarksError, match="not a weight file"):
            load_weights(small_net(1), tmp_path / name)
    assert not victim.exists()
