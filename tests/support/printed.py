"""What the tests of README and documentation share: their blocks, stand-ins for what they name, and running them."""

import re
import runpy
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from commands import run
from http_server import HttpServer
from landmarks.cli.evaluate import evaluate
from landmarks.cli.train import train
from landmarks.data.gldv2 import GLDv2
from landmarks.models import open_checkpoint, timm_net
from landmarks.retrieval.descriptors import DescriptorSet
from paddle_files import write_separate
from published_oracles import random_values, shrink_backbones

ROOT = Path(__file__).resolve().parent.parent.parent
SMALL = [
    "data.num_workers=0",
    "data.image_size=32",
    "data.eval_batch_size=4",
    "trainer.devices=1",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
]
SHORT = ["trainer.fast_dev_run=true", "evaluate_untrained=false", "callbacks.progress=null"]
ROW = "res152_arcmargin"
MODELS = re.compile(r"[ABC]\.jpg|model\.safetensors|PUBLISHED|leaderboard --run")
EVIDENCE = re.compile("CLASSIFIED/|DETECTED/|ALL/|cleaned|PREDICTIONS")
TINY_DETECTOR = ["data.batch_size=4", "model.channels=8", "model.hidden=16"]


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a Markdown text in one language, those with a caption left out."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def files_in(text: str) -> dict[str, str]:
    """The code blocks with a caption: path to content."""
    found = re.findall(r"^```\{code-block\} \w+\n:caption: (\S+)\n\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return dict(found)


def commands_in(text: str) -> list[str]:
    """The commands of all bash blocks, each in one line and without comments."""
    lines = [line for block in blocks(text, "bash") for line in block.replace("\\\n", " ").splitlines()]
    return [" ".join(line.split("   #")[0].split()) for line in lines if line.strip()]


@pytest.fixture(scope="session")
def photos(tiny_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs in a folder a landmark, as `data=folder` wants them."""
    root = tmp_path_factory.mktemp("photos")
    images = GLDv2(tiny_world, train_split="train").train()
    pairs = zip(images.table.ids.tolist(), images.table.landmarks.tolist(), strict=True)
    for row, (image_id, landmark) in enumerate(pairs):
        folder = root / f"landmark {landmark}"
        folder.mkdir(exist_ok=True)
        (folder / f"{image_id:016x}.jpg").write_bytes(images.read(row))
    return root


@pytest.fixture(scope="session")
def finished_run(trained_run: Any) -> Path:
    """A run folder with a checkpoint and submissions."""
    folder: Path = trained_run.folder
    return folder


@pytest.fixture(scope="session")
def given(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Descriptors of somebody's: arrays, labels, and two folders of sets."""
    folder = tmp_path_factory.mktemp("given")
    for name, short in (("queries", "Q"), ("index", "I")):
        found = DescriptorSet.open(finished_run / "descriptors" / name)
        np.save(folder / f"{short}.npy", found.descriptors)
        np.save(folder / f"{short}L.npy", np.arange(len(found)) % 5)
    for model in "AB":
        for name, source in (("queries", "queries"), ("index", "index"), ("train", "gallery")):
            shutil.copytree(finished_run / "descriptors" / source, folder / model / name)
    return folder


@pytest.fixture(scope="session")
def detector_run(rectangles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of a detector, made by the command line itself."""
    folder = tmp_path_factory.mktemp("detector")
    overrides = ["experiments=demo_detector", "data=openimages", f"data.root={rectangles}", *SMALL, *TINY_DETECTOR]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["train.py"])
        overrides += ["trainer.max_epochs=1", "trainer.check_val_every_n_epoch=1", "callbacks.progress=null"]
        train([*overrides, f"hydra.run.dir={folder}"])
    return folder


@pytest.fixture(scope="session")
def local_run(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of a network with a local branch: the finished run's, and a branch that learned nothing."""
    folder = tmp_path_factory.mktemp("local")
    found = open_checkpoint(finished_run / "checkpoints" / "best.ckpt")
    found["landmarks"]["config"]["model"]["local_dim"] = 4
    branch = timm_net("test_resnet", local_dim=4).local.state_dict()
    found["state_dict"] |= {f"model.local.{name}": value for name, value in branch.items()}
    (folder / "checkpoints").mkdir()
    torch.save(found, folder / "checkpoints" / "best.ckpt")
    return folder


@pytest.fixture(scope="session")
def reranked_run(finished_run: Path, tiny_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with the finished run's descriptors, re-ranked."""
    folder = tmp_path_factory.mktemp("reranked")
    sets = [f"descriptors.{name}={finished_run / 'descriptors' / name}" for name in ("queries", "index", "gallery")]
    where = ["descriptors.use_data=true", "data=demo", f"data.root={tiny_world}", f"hydra.run.dir={folder}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["evaluate.py"])
        evaluate([*sets, *where, "pipeline=qe", "callbacks.progress=null"])
    return folder


@pytest.fixture(scope="session")
def evidence(
    tiny_world: Path, finished_run: Path, detector_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What a classifier and a detector say of the tiny world's queries, a cleaned list, and boxes to score."""
    folder = tmp_path_factory.mktemp("evidence")
    common = ["data=gldv2", f"data.root={tiny_world}", "splits=[queries]", *SMALL, "callbacks.progress=null"]
    for run_dir, out, extra in ((finished_run, "CLASSIFIED", ["predictions=10"]), (detector_run, "DETECTED", [])):
        where = [f"checkpoint={run_dir / 'checkpoints' / 'best.ckpt'}", f"hydra.run.dir={folder / out}"]
        run("extract", *where, *common, *extra)
    shutil.copytree(finished_run / "descriptors" / "gallery", folder / "ALL" / "train")
    shutil.copy(tiny_world / "metadata" / "train_clean.csv", folder / "cleaned.csv")
    shutil.copy(folder / "DETECTED" / "queries_detections" / "detections.csv", folder / "PREDICTIONS")
    return folder


@pytest.fixture(scope="session")
def models(tiny_world: Path, finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images, a model file of the finished run, and made-up weights as the published ones were published."""
    folder = tmp_path_factory.mktemp("models")
    images = GLDv2(tiny_world, train_split="train").train()
    for row, name in enumerate("ABC"):
        (folder / f"{name}.jpg").write_bytes(images.read(row))
    run("export", finished_run / "checkpoints" / "best.ckpt", "--out", folder / "model.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        shrink_backbones(patch)
        published = write_separate(folder / "PUBLISHED" / ROW, random_values(ROW))
        run("import-paddle", ROW, published, folder / f"{ROW}.safetensors")
    return folder


@dataclass
class Stage:
    """A folder in which commands run as printed: what they name stands for something tiny."""

    folder: Path
    tiny_world: Path
    photos: Path
    finished_run: Path
    given: Path
    rectangles: Path
    http_server: Callable[[Path], HttpServer]
    request: pytest.FixtureRequest

    def placed(self, text: str) -> str:
        """A text with the placeholders of README and documentation replaced."""
        places = {
            "GLDV2": self.tiny_world,
            "PHOTOS": self.photos,
            "OPENIMAGES": self.rectangles,
            "runs/RUN": self.finished_run,
        }
        for placeholder, path in places.items():
            text = text.replace(placeholder, str(path))
        made = (("runs/DETECTOR", "detector_run"), ("runs/LOCAL", "local_run"), ("runs/OTHER", "reranked_run"))
        for placeholder, fixture in made:
            if placeholder in text:
                text = text.replace(placeholder, str(self.request.getfixturevalue(fixture)))
        return text

    def run(self, command: str) -> None:
        """Run one command, made small and short."""
        tmp_path = self.folder
        if command.startswith("landmarks data download"):  # out of the tiny world, which has fewer tars
            command = command.replace("GLDV2", "fetched").replace("--tars 0-3", "--tars 0-1")
            command += (
                f"{' --tars 0-1' if 'metadata,' in command else ''} --base-url {self.http_server(self.tiny_world).url}"
            )
        if "held_out.landmarks=500" in command:
            few = "held_out.landmarks=2 data.held_out.distractors=20 data.held_out.non_landmark=5"
            command = command.replace("held_out.landmarks=500", few)
        if "sweeps=arcmargin" in command:  # two of its six runs; the others differ in a number only
            command += " loss.scale=30 loss.margin=0.0,0.3"
        if "recognition=second_place_2019" in command:  # that detector knows three classes of the rule
            rule = "recognition.stages.filter.rule"
            command += f" {rule}.missing_classes=ignore +{rule}.speaks_against.trees=[Tree]"
        trained = f"--weights runs/{ROW}/checkpoints/best.ckpt"
        command = self.placed(command.replace(trained, f"--weights {ROW}.safetensors")).replace("--dim 256", "--dim 8")
        evidence = self.request.getfixturevalue("evidence") if EVIDENCE.search(command) else None
        models = self.request.getfixturevalue("models") if MODELS.search(command) else None
        if "leaderboard --run" in command:
            command += f" -- {' '.join(SMALL)} callbacks.progress=null"
        named = (one for folder in (evidence, models) if folder for one in folder.iterdir())
        for path in (*self.given.iterdir(), *named):
            writes = command.startswith("landmarks extract") or f"--out {path.name}" in command
            writes |= "import-paddle" in command and command.endswith(path.name)
            if not writes and not (tmp_path / path.name).exists():
                (tmp_path / path.name).symlink_to(path)
        program, *words = shlex.split(command)
        job = words[0] if program == "landmarks" else words[0].removesuffix(".py")
        if program == "landmarks" and job not in ("train", "evaluate"):
            run(*words, *([*SMALL, "callbacks.progress=null"] if job == "extract" else []))
            return
        if job not in ("train", "evaluate"):  # a script of the page
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("sys.argv", words)
                with pytest.raises(SystemExit) as ended:
                    runpy.run_path(words[0], run_name="__main__")
            assert not ended.value.code
            return
        self._run_job(job, words[1:])

    def _run_job(self, job: str, words: list[str]) -> None:
        keys = {word.split("=")[0] for word in words}
        extra = [o for o in SMALL if o.split("=")[0] not in keys]
        if not keys & {"data", "experiments"}:
            extra += [f"data.root={self.tiny_world}"]
        if job == "train" and not keys & {"model", "experiments"}:
            extra += ["model=timm", "model.name=test_resnet"]
        if any("detector" in word for word in words) and job == "train":
            demo = any("demo" in word for word in words)
            extra += TINY_DETECTOR if demo else ["model.pretrained=false"]
        if "model.frozen_global" in keys:  # of the finished run
            words = [word for word in words if not word.startswith("model.name")]
            extra += ["model.name=test_resnet", "model.dim=32"]
        if job == "evaluate":
            evaluate([*words, *extra, "callbacks.progress=null"])
        else:
            extra += SHORT if "data.batch_size" in keys else [*SHORT, "data.batch_size=4"]
            train([*words, *extra])
        assert list(self.folder.rglob("metrics.json"))  # links are not followed
        for sweep in self.folder.rglob("sweep.csv"):
            assert len(sweep.read_text().splitlines()) == 1 + len(list(sweep.parent.glob("*/metrics.json")))
        assert ("-m" in words) == bool(list(self.folder.rglob("sweep.csv")))
        shutil.rmtree(self.folder / "runs", ignore_errors=True)


@pytest.fixture
def stage(
    tiny_world: Path,
    photos: Path,
    finished_run: Path,
    given: Path,
    rectangles: Path,
    http_server: Callable[[Path], HttpServer],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Stage:
    """An empty folder outside the package, for the commands of a page."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["landmarks"])
    monkeypatch.setattr(sys, "path", [*sys.path])
    shrink_backbones(monkeypatch)  # that the published ones train is tested in tests/conf and tests/models
    return Stage(tmp_path, tiny_world, photos, finished_run, given, rectangles, http_server, request)
