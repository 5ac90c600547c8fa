"""Commands import only what they need. One process tests all of them, so that imports are paid once."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
A, B, C = (f"{value:016x}" for value in (0xA, 0xB, 0xC))
FILES = {
    "retrieval_solution.csv": f"id,images,Usage\n{A},{B},Public\n",
    "retrieval_submission.csv": f"id,images\n{A},{B}\n",
    "recognition_solution.csv": f"id,landmarks,Usage\n{A},7,Public\n",
    "recognition_submission.csv": f"id,landmarks\n{A},7 0.5\n",
    "boxes.csv": f"ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\n{A},/m/castle,0,0.5,0,1,0\n",
    "labels.csv": f"ImageID,LabelName,Confidence\n{A},/m/castle,1\n",
    "predictions.csv": f"ImageID,LabelName,Score,XMin,XMax,YMin,YMax\n{A},/m/castle,0.9,0,0.5,0,1\n",
    "model.safetensors": "",
}
COMMANDS = {
    "--help": 0,
    "score --help": 0,
    "descriptors --help": 0,
    "data --help": 0,
    "similarity --help": 0,
    "leaderboard --help": 0,
    "score retrieval retrieval_solution.csv retrieval_submission.csv": 0,
    "score recognition recognition_solution.csv recognition_submission.csv": 0,
    "score detection boxes.csv labels.csv predictions.csv": 0,
    "detect model.safetensors gone.jpg": 2,
}
SLIPS = [
    ["train.py", "loss.margn=0.3"],
    ["train.py", "data=folder", "data.root=nowhere"],
    ["train.py", "resume=last"],
    ["train.py", "model.pretrained=nowhere.pth"],
    ["evaluate.py", "checkpoint=nowhere.ckpt"],
    ["evaluate.py", "descriptors.queries=nowhere", "descriptors.index=index.npy"],
]
SEARCH = [
    "descriptors.queries='my queries.npy'", "descriptors.index=index.npy", "pipeline=qe", "cache.keep=false",
    "hydra.run.dir='an evaluation'",
]  # fmt: skip
PROGRAM = f"""
import runpy, sys
from typer.testing import CliRunner
from landmarks.cli.main import app

def require_absent(after, *modules):
    loaded = [module for module in modules if module in sys.modules]
    assert not loaded, f"{{after}} loads {{loaded}}"

for command, code in {COMMANDS!r}.items():
    done = CliRunner().invoke(app, command.split())
    assert done.exit_code == code, (command, done.output, done.exception)
    require_absent(command, "torch", "matplotlib", "pytorch_lightning")
for command in {SLIPS!r}:
    script, *sys.argv[1:] = command
    try:
        runpy.run_path({str(ROOT)!r} + "/" + script, run_name="__main__")
    except SystemExit as ended:
        assert ended.code == 2, command
    require_absent(command, "torch", "matplotlib", "pytorch_lightning")
sys.argv = ["evaluate.py", *{SEARCH!r}]
runpy.run_path({str(ROOT / "evaluate.py")!r}, run_name="__main__")
require_absent("a search", "pytorch_lightning", "lightning_fabric", "torchvision", "timm", "matplotlib")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the process works."""
    folder = tmp_path_factory.mktemp("start")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    for name, count in (("my queries", 3), ("index", 5)):
        np.save(folder / f"{name}.npy", np.random.default_rng(count).standard_normal((count, 4)))
    return folder


@pytest.fixture(scope="module")
def done(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=folder)


def test_commands_import_only_what_they_need(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr


def test_what_takes_seconds_is_said_once_a_mistake_is_ruled_out(done: subprocess.CompletedProcess[str]) -> None:
    assert done.stdout.count("Loading torch and other libraries") == 1


def test_a_slip_has_no_traceback(done: subprocess.CompletedProcess[str]) -> None:
    assert "loss.margn: no such key; did you mean 'margin'" in done.stderr
    assert "Traceback" not in done.stderr


def test_descriptors_are_evaluated_without_a_network_into_a_folder_with_spaces(
    done: subprocess.CompletedProcess[str], folder: Path
) -> None:
    assert "search" in done.stdout and "There is no ground truth" in done.stdout
    assert np.load(folder / "an evaluation" / "ranking.npz")["indices"].shape == (3, 100)
    assert json.loads((folder / "an evaluation" / "metrics.json").read_text())["sizes"]["index"] == 5
