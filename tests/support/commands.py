"""Commands as a person gives them, in this process."""

import json
from typing import Any

from typer.testing import CliRunner, Result

from landmarks.cli.main import app


def run(*words: object, code: int = 0, columns: int = 200) -> Result:
    """Run `landmarks WORDS` in a terminal of so many columns; it must end with that code."""
    done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": str(columns)})
    assert done.exit_code == code, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done


def as_json(*words: object, code: int = 0) -> Any:
    """What a command prints with `--json`."""
    return json.loads(run(*words, "--json", code=code).stdout)
