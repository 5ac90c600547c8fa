"""The command `landmarks`: its subcommands, and sweeps through it."""

from pathlib import Path

import pytest

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
