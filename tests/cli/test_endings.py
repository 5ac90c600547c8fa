import io

import pytest
import typer
from rich.console import Console

from landmarks.cli.endings import named_endings
from landmarks.errors import LandmarksError


@pytest.mark.parametrize(
    ("raised", "status", "words"),
    [(LandmarksError("data/x.csv, line 3: [bold] is no id"), 2, "[bold] is no id"), (KeyboardInterrupt(), 130, "kept")],
)
def test_each_ending_has_its_status_and_words(raised: BaseException, status: int, words: str) -> None:
    console = Console(file=io.StringIO(), width=20)
    with pytest.raises(typer.Exit) as ended, named_endings(console, "All is kept."):
        raise raised
    assert ended.value.exit_code == status
    assert isinstance(console.file, io.StringIO) and words in console.file.getvalue()


def test_defects_keep_their_traceback() -> None:
    with pytest.raises(RuntimeError), named_endings(Console()):
        raise RuntimeError
