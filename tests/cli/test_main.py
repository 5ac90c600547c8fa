"""The command `landmarks` as a whole."""

from pathlib import Path

from typer.testing import CliRunner

import landmarks
from landmarks.cli.main import app


def test_the_command_knows_its_version_and_what_help_is_called() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"landmarks {landmarks.__version__}\n"
    for arguments in (["-h"], ["data", "-h"], ["score", "retrieval", "-h"]):
        assert CliRunner().invoke(app, arguments).exit_code == 0
    assert set(landmarks.__all__) == set(dir(landmarks))
    assert (Path(landmarks.__file__).parent / "py.typed").is_file()
