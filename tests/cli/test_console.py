import pytest
import typer

from landmarks.cli.console import named_endings
from landmarks.errors import LandmarksError


@pytest.mark.parametrize(
    ("raised", "status", "words"),
    [(LandmarksError("data/x.csv, line 3: [bold] is no id"), 2, "[bold] is no id"), (KeyboardInterrupt(), 130, "kept")],
)
def test_each_ending_has_its_status_and_words(
    raised: BaseException, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, named_endings("All is kept."):
        raise raised
    assert ended.value.exit_code == status and words in capsys.readouterr().err


def test_defects_keep_their_traceback() -> None:
    with pytest.raises(RuntimeError), named_endings():
        raise RuntimeError
