"""The command `landmarks` as a whole."""

import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

import landmarks
from landmarks.cli.main import app


def test_the_command_has_version_and_help_options() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"landmarks {landmarks.__version__}\n"
    for arguments in (["-h"], ["data", "-h"], ["score", "retrieval", "-h"]):
        assert CliRunner().invoke(app, arguments).exit_code == 0
    assert set(landmarks.__all__) == set(dir(landmarks))
    assert (Path(landmarks.__file__).parent / "py.typed").is_file()


def test_what_lies_in_the_working_directory_is_not_imported(tmp_path: Path) -> None:
    for name in ("yaml", "lazy_loader", "timm"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("open('imported', 'w')")
    command = [sys.executable, "-m", "landmarks", "train", "loss.margn=1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert not (tmp_path / "imported").exists()
