import os
from pathlib import Path

import pytest

from landmarks.errors import LandmarksError
from landmarks.interop.paddle import check_target, target
from landmarks.models import model_file


def test_the_ending_is_that_of_model_files() -> None:
    assert target.SUFFIX == model_file.SUFFIX


def test_what_could_not_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "saved"
    source.mkdir()
    (tmp_path / "there.safetensors").write_text("kept")
    (tmp_path / "folder.safetensors").mkdir()

    def refused(path: Path, problem: str, overwrite: bool = False) -> None:
        with pytest.raises(LandmarksError, match=problem):
            check_target(path, source, overwrite)

    refused(tmp_path / "model.pt", r"model\.pt: a model file ends in \.safetensors")
    refused(tmp_path / "there.safetensors", "exists already; give another name, or --overwrite")
    refused(tmp_path / "folder.safetensors", "is a folder", overwrite=True)
    refused(source / "sub" / "m.safetensors", "would pass for a variable")
    refused(tmp_path / "there.safetensors" / "m.safetensors", "is no folder that you may write to")
    check_target(tmp_path / "there.safetensors", source, True)
    check_target(tmp_path / "new" / "folder" / "m.safetensors", source, False)
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(os, "access", lambda *_: False)
    refused(tmp_path / "new" / "m.safetensors", f"{tmp_path} is no folder that you may write to")
