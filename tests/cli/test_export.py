"""`landmarks export` as a person uses it."""

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

import landmarks
from commands import as_json, run
from image_models import photograph, retrieval_file
from landmarks.cli.evaluate import evaluate
from landmarks.cli.extract import extract
from landmarks.data import Preprocessing
from landmarks.models import OnnxNetwork, load_model, load_weights, timm_net


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return retrieval_file(tmp_path / "a.safetensors")


def test_the_file_lies_beside_the_model(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    done = run("export", model, "--format", "onnx")
    first, second = done.stdout.splitlines()  # and nothing of what the exporters say
    assert first.startswith(str(model.with_suffix(".onnx"))) and first.endswith("MiB")
    assert second.startswith("net: retrieval; differs from the network by at most")
    assert capfd.readouterr() == ("", "")
    images = torch.randn(3, 3, 64, 96)
    with torch.inference_mode():
        expected = load_model(model)(images)
    assert torch.allclose(OnnxNetwork(model.with_suffix(".onnx"))(images), expected, atol=1e-6)

    run("export", model, "--format", "onnx", code=2)
    done = run("export", model, "--out", model.with_name("b.safetensors"), "--name", "castles")
    assert done.stdout.splitlines()[1] == "castles: retrieval; gives bit for bit the same as the network"
    assert landmarks.read_record(model.with_name("b.safetensors")).name == "castles"


def test_mistakes_are_named_before_any_work(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("landmarks.interop.export.write_file", lambda *_: pytest.fail("worked already"))
    there = tmp_path / "there.onnx"
    there.write_text("mine")
    (tmp_path / "notes.txt").write_text("")
    for arguments, words in (
        ((tmp_path / "gone.ckpt",), "gone.ckpt: there is no such file"),
        ((tmp_path / "notes.txt",), "expected a checkpoint (.ckpt) or a model file (.safetensors)"),
        ((model,), "is the model itself"),
        ((model, "--format", "onnx", "--out", tmp_path / "x.pt2"), "a file of this format ends in .onnx"),
        ((model, "--format", "onnx", "--out", there), "there.onnx: exists already"),
        ((model, "--out", tmp_path / "b.safetensors", "--task", "classification"), "has no classifier"),
        ((model, "--format", "torch", "--categories", tmp_path / "c.csv"), "c.csv: there is no such file"),
    ):
        done = run("export", *arguments, code=2)
        assert done.stdout == "" and words in done.stderr, (arguments, done.stderr)
    assert there.read_text() == "mine"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Of a training for a classifier, by another program."""
    torch.manual_seed(1)
    state = timm.create_model("test_resnet", num_classes=7).state_dict()
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "w.pth")
    return tmp_path / "w.pth"


def test_a_model_of_pretrained_weights_alone_is_used_as_any_other(
    weights: Path, tmp_path: Path, tiny_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["landmarks"])
    done = run("export", "--model", "timm", "name=test_resnet", "--weights", weights)
    assert done.stdout.splitlines()[0].startswith("test_resnet.safetensors")
    done = run("export", "--model", "timm", "model.name=test_resnet", "--weights", weights, "--format", "onnx")
    record = landmarks.read_record("test_resnet.safetensors")
    assert record.preprocessing == Preprocessing("aspect", 160)  # for which timm's weights of that name were made
    assert (record.task, record.origin["trained_on"]) == ("retrieval", "w.pth")
    load_weights(net := timm_net("test_resnet", dim=None).eval(), weights)
    images = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        assert torch.equal(load_model("test_resnet.safetensors")(images), net(images))

    data = [f"data.root={tiny_world}", "data.num_workers=0", "trainer.accelerator=cpu", "callbacks.progress=null"]
    evaluate(["checkpoint=test_resnet.safetensors", *data, "data.image_size=64", "hydra.run.dir=figures"])
    assert json.loads(Path("figures/metrics.json").read_text())["trained_on"] == "w.pth"
    extract(
        ["checkpoint=test_resnet.safetensors", *data, "splits=[queries]", "data.image_size=64", "hydra.run.dir=sets"]
    )
    assert Path("sets/queries").is_dir()
    paths = [photograph(tmp_path / f"{number}.png", number) for number in range(2)]
    cosines = [as_json("similarity", f"test_resnet.{kind}", *paths) for kind in ("safetensors", "onnx")]
    first, second = (found["results"][0]["cosine"] for found in cosines)
    assert first == pytest.approx(second, abs=1e-4)


def test_timms_own_weights_bring_what_they_were_made_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def fetched(name: str, **options: Any) -> Any:
        torch.manual_seed(4)
        return timm.create_model(name, num_classes=0, **options)

    monkeypatch.setattr("landmarks.models.timm_backbone.create_pretrained", fetched)
    run("export", "--model", "timm", "name=test_vit", "--pretrained", "--out", "v.safetensors", "--name", "views")
    record = landmarks.read_record("v.safetensors")
    assert record.name == "views" and record.origin["trained_on"] == "test_vit.r160_in1k"
    assert record.preprocessing.short_side == 160 and record.preprocessing.patch == 16
    run("export", "--model", "timm", "name=test_vit", "--pretrained", "--image-size", "96", "--out", "s.safetensors")
    assert landmarks.read_record("s.safetensors").preprocessing.short_side == 96


def test_mistakes_about_pretrained_weights_are_named(weights: Path, tmp_path: Path) -> None:
    net = ("--model", "timm", "name=test_resnet")
    for arguments, words in (
        ((), "name one MODEL"),
        (("a.ckpt", "--pretrained"), "are for --model"),
        (net, "by --pretrained or --weights FILE"),
        ((*net, "--pretrained", "--weights", weights), "by --pretrained or --weights FILE"),
        ((*net, "--weights", tmp_path / "gone.pth"), "gone.pth: there is no such file"),
        ((*net, "dim=8", "--weights", weights), "2 left random: fc.weight, fc.bias"),
        (("--model", "tim", "--weights", weights), "did you mean 'timm'"),
        (("--model", "timm", "--weights", weights), "model.name=…"),
        ((*net, "depth=3", "--weights", weights), "depth"),
        (("--model", "res18", "--weights", weights), "does not fit the network"),
        (("--model", "faster_rcnn_small", "--weights", weights), "embeds no images"),
        ((*net, "--weights", weights, "--task", "classification"), "cannot classify landmarks"),
    ):
        done = run("export", *arguments, code=2)
        assert done.stdout == "" and words in done.stderr, (arguments, done.stderr)
