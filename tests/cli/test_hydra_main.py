"""Mistakes on the command line: one screen, the wrong word, what was probably meant, status 2, nothing done."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, script: str = "train.py", cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / script), *arguments], capture_output=True, text=True, cwd=cwd, timeout=120
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model=res19"], ["no model=res19", "did you mean 'res18'", "inceptionv4"]),
        (["loss.margn=0.3"], ["loss.margn", "did you mean 'margin'"]),
        (["dta=gldv2"], ["dta", "did you mean 'data'"]),
        (["experiments=res152_npair"], ["did you mean 'res152_npairs'"]),
        (["optimizer.lr=fast"], ["optimizer.lr", "'fast'"]),
        (["data=gldv2"], ["data.root: no value given", "data.root=VALUE"]),
        (["data=gldv2", "data.root=nowhere"], ["data.root=nowhere", "train_clean.csv"]),
        (["data=folder", "data.root=nowhere"], ["nowhere"]),
        (["data=gldv2", "data.root=x", "data.source.train_split=trian"], ["train_split", "'train_clean'"]),
        (["resume=last"], ["resume=last", "hydra.run.dir"]),
        (["data=folder", "data.root=x", "data.batch_size=0"], ["data.batch_size is 0"]),
    ],
)
def test_a_slip_is_one_screen_that_names_it(arguments: list[str], words: list[str], tmp_path: Path) -> None:
    done = run(*arguments, "trainer.accelerator=cpu", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) <= 24
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_evaluate_names_a_missing_checkpoint(tmp_path: Path) -> None:
    done = run("checkpoint=nowhere.ckpt", script="evaluate.py", cwd=tmp_path)
    assert done.returncode == 2
    assert "checkpoint nowhere.ckpt: there is no such file" in done.stderr


def test_evaluate_wants_a_checkpoint(tmp_path: Path) -> None:
    done = run(script="evaluate.py", cwd=tmp_path)
    assert done.returncode == 2
    assert "checkpoint=PATH" in done.stderr
