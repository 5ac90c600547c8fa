"""Every command of the README runs: as it stands there, but on a tiny world and for one step."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import landmarks
from commands import run
from http_server import HttpServer
from landmarks.cli.evaluate import evaluate
from landmarks.cli.train import train
from landmarks.data.gldv2 import GLDv2
from landmarks.retrieval.descriptors import DescriptorSet
from paddle_files import write_separate
from released_oracles import random_values, shrink_backbones

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [line.split("   #")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()]
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
MODELS = re.compile(r"[ABC]\.jpg|model\.safetensors|RELEASED|leaderboard --run")
EVIDENCE = re.compile("CLASSIFIED/|DETECTED/|ALL/|tidied|PREDICTIONS")
TINY_DETECTOR = ["data.batch_size=4", "model.channels=8", "model.hidden=16"]


def test_the_readme_has_commands_and_only_known_ones() -> None:
    assert len(COMMANDS) >= 12
    for command in COMMANDS:
        known = ("make ", "python train.py ", "python evaluate.py ", "landmarks ")
        assert command.startswith(known), command


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for command in COMMANDS:
        if command.startswith("make "):
            assert re.search(rf"^{command.split()[1]}:", makefile, flags=re.MULTILINE), command


def test_links_and_pictures_exist() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        heading = rf"^#+ {target[1:].replace('-', '.')}$"
        inside = target.startswith("#") and re.search(heading, README, flags=re.MULTILINE | re.IGNORECASE)
        assert target.startswith("http") or inside or (ROOT / target).is_file(), target


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
def evidence(
    tiny_world: Path, finished_run: Path, detector_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What a classifier and a detector say of the tiny world's queries, a tidied list, and boxes to score."""
    folder = tmp_path_factory.mktemp("evidence")
    common = ["data=gldv2", f"data.root={tiny_world}", "splits=[queries]", *SMALL, "callbacks.progress=null"]
    for run_dir, out, extra in ((finished_run, "CLASSIFIED", ["predictions=10"]), (detector_run, "DETECTED", [])):
        where = [f"checkpoint={run_dir / 'checkpoints' / 'best.ckpt'}", f"hydra.run.dir={folder / out}"]
        run("extract", *where, *common, *extra)
    shutil.copytree(finished_run / "descriptors" / "gallery", folder / "ALL" / "train")
    shutil.copy(tiny_world / "metadata" / "train_clean.csv", folder / "tidied.csv")
    shutil.copy(folder / "DETECTED" / "queries_detections" / "detections.csv", folder / "PREDICTIONS")
    return folder


@pytest.fixture(scope="session")
def models(tiny_world: Path, finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures, a model file of the finished run, and made-up weights as the released ones were published."""
    folder = tmp_path_factory.mktemp("models")
    images = GLDv2(tiny_world, train_split="train").train()
    for row, name in enumerate("ABC"):
        (folder / f"{name}.jpg").write_bytes(images.read(row))
    run("export", finished_run / "checkpoints" / "best.ckpt", "--out", folder / "model.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        shrink_backbones(patch)
        released = write_separate(folder / "RELEASED" / ROW, random_values(ROW))
        run("import-paddle", ROW, released, folder / f"{ROW}.safetensors")
    return folder


def test_python_of_the_readme(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(models)
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names = {"landmarks": landmarks}
    exec(code, names)
    assert not names["model"].training


@pytest.mark.parametrize("command", [c for c in COMMANDS if not c.startswith("make ")], ids=str)
def test_command(
    command: str,
    tiny_world: Path,
    photos: Path,
    finished_run: Path,
    given: Path,
    rectangles: Path,
    http_server: Callable[[Path], HttpServer],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["landmarks"])
    shrink_backbones(monkeypatch)  # that the released ones train is tested in tests/conf and tests/models
    if command.startswith("landmarks data download"):  # out of the tiny world, which has fewer tars
        command = command.replace("GLDV2", "fetched").replace("--tars 0-3", "--tars 0-1")
        command += f" --base-url {http_server(tiny_world).url}"
    if "held_out.landmarks=500" in command:
        few = "held_out.landmarks=2 data.held_out.distractors=20 data.held_out.non_landmark=5"
        command = command.replace("held_out.landmarks=500", few)
    if "recognition=second_place_2019" in command:  # that detector knows three classes of the rule
        rule = "recognition.stages.filter.rule"
        command += f" {rule}.missing_classes=ignore +{rule}.speaks_against.trees=[Tree]"
    for placeholder, path in (
        ("GLDV2", tiny_world),
        ("PHOTOS", photos),
        ("OPENIMAGES", rectangles),
        ("runs/RUN", finished_run),
    ):
        command = command.replace(placeholder, str(path))
    if "runs/DETECTOR" in command:
        command = command.replace("runs/DETECTOR", str(request.getfixturevalue("detector_run")))
    command = command.replace("--dim 256", "--dim 8")
    evidence = request.getfixturevalue("evidence") if EVIDENCE.search(command) else None
    models = request.getfixturevalue("models") if MODELS.search(command) else None
    if "leaderboard --run" in command:
        command += f" -- {' '.join(SMALL)} callbacks.progress=null"
    for path in (*given.iterdir(), *(one for folder in (evidence, models) if folder for one in folder.iterdir())):
        writes = command.startswith("landmarks extract") or f"--out {path.name}" in command
        writes |= "import-paddle" in command and command.endswith(path.name)
        if not writes:
            (tmp_path / path.name).symlink_to(path)
    program, *words = shlex.split(command)
    if program == "landmarks":
        if words[0] == "extract":
            words += [*SMALL, "callbacks.progress=null"]
        run(*words)
        return
    script, *words = words
    keys = {word.split("=")[0] for word in words}
    extra = [o for o in SMALL if o.split("=")[0] not in keys]
    if not keys & {"data", "experiments"}:
        extra += [f"data.root={tiny_world}"]
    if script == "train.py" and not keys & {"model", "experiments"}:
        extra += ["model=timm", "model.name=test_resnet"]
    if "detector" in command and script == "train.py":
        extra += TINY_DETECTOR if "demo" in command else ["model.pretrained=false"]
    if script == "evaluate.py":
        evaluate([*words, *extra, "callbacks.progress=null"])
    else:
        extra += SHORT if "data.batch_size" in keys else [*SHORT, "data.batch_size=4"]
        train([*words, *extra])
    assert list(tmp_path.rglob("metrics.json"))  # links are not followed
    for sweep in tmp_path.rglob("sweep.csv"):
        assert len(sweep.read_text().splitlines()) == 1 + len(list(sweep.parent.glob("*/metrics.json")))
    assert ("-m" in words) == bool(list(tmp_path.rglob("sweep.csv")))
    shutil.rmtree(tmp_path / "runs", ignore_errors=True)
