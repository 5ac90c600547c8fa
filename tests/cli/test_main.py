"""The command `landmarks`: its subcommands, and sweeps through it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import landmarks
from landmarks.cli.main import app
from landmarks.cli.train import train


def test_a_sweep_reports_all_its_jobs(
    tiny_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["train.py"])
    train(["-m", "loss=arcmargin,softmax", *tiny_run, "trainer.max_steps=1", "evaluate_untrained=false"])
    assert "Sweep: public/map@100" in capsys.readouterr().out
    (sweep,) = (tmp_path / "runs").glob("*_sweep/sweep.csv")
    rows = sweep.read_text().splitlines()
    assert len(rows) == 3
    assert len(list(sweep.parent.glob("*/metrics.json"))) == 2


def test_the_command_knows_its_version_and_what_help_is_called() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"landmarks {landmarks.__version__}\n"
    for arguments in (["-h"], ["data", "-h"], ["score", "retrieval", "-h"]):
        assert CliRunner().invoke(app, arguments).exit_code == 0
    assert {"__version__", *landmarks.__all__} == set(dir(landmarks))
    assert (Path(landmarks.__file__).parent / "py.typed").is_file()
