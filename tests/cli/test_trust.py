"""A user's own network, from training to every command; and the same files in an untrusted folder."""

import sys
from pathlib import Path

import pytest

import landmarks
from commands import run
from image_models import photograph
from landmarks.cli.evaluate import evaluate
from landmarks.cli.extract import extract
from landmarks.cli.train import train

NET = """
from pathlib import Path

import torch

Path("imported").touch()

class Net(torch.nn.Module):
    def __init__(self, dim=4):
        super().__init__()
        self.dim = dim
        self.linear = torch.nn.Linear(3, dim)

    def forward(self, images):
        return self.linear(images.mean((2, 3)))
"""


@pytest.fixture
def own(tmp_path: Path, tiny_world: Path, tiny_run: list[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a network and its YAML, as anybody may send it."""
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mine.yaml").write_text("_target_: mynets.Net\ndim: 6\n")
    (tmp_path / "mynets.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["train.py"])
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one])
    monkeypatch.delitem(sys.modules, "mynets", raising=False)
    return tmp_path


def test_ones_own_network_is_trained_resumed_and_opened_by_name(
    own: Path, tiny_run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = [one for one in tiny_run if not one.startswith("model")]
    train([*overrides, "model=mine", "loss=npairs", "hydra.run.dir=run"])
    train([*overrides, "model=mine", "loss=npairs", "hydra.run.dir=run", "resume=last", "trainer.max_epochs=2"])
    best = "run/checkpoints/best.ckpt"
    (own / "imported").unlink()
    sys.modules.pop("mynets")
    sys.path.remove(str(own))

    data = [one for one in overrides if one.startswith(("data.root", "data.num", "trainer.acc", "callbacks"))]
    capsys.readouterr()
    for command in (evaluate, extract):
        with pytest.raises(SystemExit) as ended:
            command([f"checkpoint={best}", *data, "hydra.run.dir=out"])
        said = capsys.readouterr().err
        assert ended.value.code == 2 and "best.ckpt: asks to call mynets.Net" in said and "trust=[mynets.Net]" in said
    images = [photograph(own / f"{number}.png", number) for number in range(2)]
    for words in (("similarity", best, *images), ("export", best), ("detect", best, *images)):
        assert "add --trust mynets.Net" in run(*words, code=2).stderr
    assert not (own / "imported").exists() and str(own) not in sys.path, "a stranger's file would have been run"

    extract([f"checkpoint={best}", *data, "hydra.run.dir=sets", "splits=[queries]", "trust=[mynets.Net]"])
    assert (own / "sets" / "queries").is_dir()
    run("export", best, "--out", "own.safetensors", "--trust", "mynets.Net")
    assert "--trust mynets.Net" in run("similarity", "own.safetensors", *images, code=2).stderr
    run("similarity", "own.safetensors", *images, "--trust", "mynets.Net")
    assert "is not a detector" in run("detect", best, *images, "--trust", "mynets.Net", code=2).stderr


def test_an_untrusted_folder_is_not_imported_from(own: Path, tiny_run: list[str]) -> None:
    images = [photograph(own / f"{number}.png", number) for number in range(2)]
    (own / "nothing.onnx").write_bytes(b"")
    run("similarity", "nothing.onnx", *images, code=2)
    run("leaderboard")
    with pytest.raises(SystemExit):
        train([*tiny_run, "monitor=nonsense"])
    assert str(own) not in sys.path and not (own / "imported").exists()


def test_python_opens_it_by_name_as_the_commands_do(own: Path, tiny_run: list[str]) -> None:
    words = [one for one in tiny_run if not one.startswith("model")]
    run = landmarks.train(*words, model="mine", loss="npairs", run_dir="run")
    (own / "imported").unlink()
    sys.modules.pop("mynets")
    sys.path.remove(str(own))
    image = photograph(own / "a.png", 1)
    for opens in (
        lambda **more: run.model("cpu", **more).embed(image),
        lambda **more: landmarks.similarity(run.checkpoint, image, [image], device="cpu", **more),
        lambda **more: landmarks.export(run.checkpoint, own / "own.safetensors", **more),
    ):
        with pytest.raises(landmarks.LandmarksError, match=r"trust=\['mynets\.Net'\]"):
            opens()
        assert not (own / "imported").exists() and str(own) not in sys.path, "a stranger's file would have been run"
    assert run.model("cpu", trust="mynets.Net").embed(image).shape == (1, 6)
    assert landmarks.similarity(run.checkpoint, image, [image], trust=["mynets.Net"]) == pytest.approx([1])
    assert landmarks.export(run.checkpoint, own / "own.safetensors", trust=["mynets.Net"]).is_file()
