import os
from pathlib import Path

import pytest
import typer

from landmarks.cli.console import named_endings
from landmarks.errors import LandmarksError
from landmarks.interop import check_new_file


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


def test_a_file_that_could_not_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "saved"
    source.mkdir()
    (tmp_path / "there.pt2").write_text("kept")
    (tmp_path / "folder.pt2").mkdir()

    def refused(path: Path, problem: str, overwrite: bool = False, made_of: Path = source) -> None:
        with pytest.raises(LandmarksError, match=problem):
            check_new_file(path, ".pt2", made_of, overwrite)

    refused(tmp_path / "model.pt", r"model\.pt: a file of this format ends in \.pt2")
    refused(tmp_path / "there.pt2", "exists already; give another name, or --overwrite")
    refused(tmp_path / "there.pt2", "is the model itself", overwrite=True, made_of=tmp_path / "there.pt2")
    refused(tmp_path / "folder.pt2", "is a folder", overwrite=True)
    refused(source / "sub" / "m.pt2", "could be taken for a variable")
    refused(tmp_path / "there.pt2" / "m.pt2", "no write access to")
    check_new_file(tmp_path / "there.pt2", ".pt2", source, True)
    check_new_file(tmp_path / "new" / "folder" / "m.pt2", ".pt2", source, False)
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(os, "access", lambda *_: False)
    refused(tmp_path / "new" / "m.pt2", f"no write access to {tmp_path}")
