"""`landmarks export` as a person uses it."""

from pathlib import Path

import pytest
import torch

import landmarks
from commands import run
from landmarks.models import OnnxNetwork
from picture_models import retrieval_file


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
        expected = landmarks.load_model(model)(images)
    assert torch.allclose(OnnxNetwork(model.with_suffix(".onnx"))(images), expected, atol=1e-6)

    run("export", model, "--format", "onnx", code=2)
    done = run("export", model, "--out", model.with_name("b.safetensors"), "--name", "castles")
    assert done.stdout.splitlines()[1] == "castles: retrieval; bit for bit what the network gives"
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
