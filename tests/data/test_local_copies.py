import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from landmarks.data import LocalCopies, RemoteFiles, open_root
from landmarks.storage import RetryPolicy

NAME = "metadata/train.csv"


@pytest.fixture
def server(tmp_path: Path, http_server: Callable[[Path], Any]) -> Any:
    (tmp_path / "there/metadata").mkdir(parents=True)
    (tmp_path / "there" / NAME).write_text("id,url,landmark_id\n")
    return http_server(tmp_path / "there")


@pytest.fixture
def copies(server: Any, tmp_path: Path) -> LocalCopies:
    root = open_root(server.url)
    assert isinstance(root, UPath)
    return LocalCopies(RemoteFiles(root, retry=RetryPolicy(attempts=2, first_wait=0.01)), tmp_path / "here")


def fetch(copies: LocalCopies) -> str:
    return copies.fetch(NAME, NAME).read_text()


def test_a_file_is_fetched_once_until_it_changes(copies: LocalCopies, server: Any) -> None:
    for _ in range(3):
        assert fetch(copies) == "id,url,landmark_id\n"
    assert len(server.seen(NAME)) == 1
    (server.folder / NAME).write_text("id,url,landmark_id\nchanged\n")
    for _ in range(3):
        assert fetch(copies) == "id,url,landmark_id\nchanged\n"
    assert len(server.seen(NAME)) == 2


def test_a_large_file_comes_in_pieces_that_are_tried_again(
    copies: LocalCopies, server: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("landmarks.data.remote_files.CHUNK", 1000)
    content = os.urandom(2500)
    (server.folder / NAME).write_bytes(content)
    server.fail(NAME, truncate=500, times=1)
    assert copies.fetch(NAME, NAME).read_bytes() == content
    assert [request.range for request in server.seen(NAME)] == [
        "bytes=0-999",
        "bytes=0-999",
        "bytes=1000-1999",
        "bytes=2000-2499",
    ]
    assert capsys.readouterr().out == ""  # programs read the output


def test_a_fetch_that_fails_leaves_the_old_copy_and_comes_again(copies: LocalCopies, server: Any) -> None:
    fetch(copies)
    (server.folder / NAME).write_text("new, but it cannot be read yet\n")
    server.fail(NAME, status=500)
    with pytest.raises(OSError, match="500"):
        fetch(copies)
    assert (copies.folder / NAME).read_text() == "id,url,landmark_id\n"
    server.heal()
    assert fetch(copies).startswith("new")
    assert sorted(path.name for path in (copies.folder / "metadata").iterdir()) == ["train.csv", "train.csv.origin"]


def test_two_versions_are_not_mixed(copies: LocalCopies, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read = RemoteFiles.read

    def read_then_change(files: RemoteFiles, *arguments: Any) -> bytes:
        data = read(files, *arguments)
        (server.folder / NAME).write_text("ID,URL,LANDMARK_ID\n")
        return data

    monkeypatch.setattr(RemoteFiles, "read", read_then_change)
    with pytest.raises(OSError, match="changed while it was read"):
        fetch(copies)
    assert not (copies.folder / NAME).exists()


def test_processes_share_one_fetch(copies: LocalCopies, server: Any) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert set(pool.map(fetch, [copies] * 8, chunksize=1)) == {"id,url,landmark_id\n"}
    assert len(server.seen(NAME)) == 1
