import errno
import multiprocessing
import pickle
import random
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from landmarks.data import open_root
from landmarks.data.stores import RemoteFiles, fetch_copy, unreachable
from landmarks.storage import RetryPolicy

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def server(tmp_path: Path, http_server: Callable[[Path], Any]) -> Any:
    folder = tmp_path / "there/train"
    folder.mkdir(parents=True)
    for name, content in (("a.tar", CONTENT), ("b.tar", b""), (".hidden", b"")):
        (folder / name).write_bytes(content)
    return http_server(tmp_path / "there")


def impatient(url: str, timeout: float = 5.0) -> RemoteFiles:
    return RemoteFiles(open_root(url), RetryPolicy(attempts=3, first_wait=0.01), timeout)  # type: ignore[arg-type]


@pytest.fixture
def files(server: Any) -> RemoteFiles:
    return impatient(server.url)


def test_ranges_stamps_and_lists(files: RemoteFiles, server: Any) -> None:
    assert files.read("train/a.tar", 300, 20) == CONTENT[300:320]
    assert files.read("train/a.tar") == CONTENT
    assert files.read("train/a.tar", len(CONTENT) - 5, 100) == CONTENT[-5:]
    assert files.read("train/a.tar", len(CONTENT) + 5, 100) == b""
    assert files.read("train/a.tar", 5, 0) == b""
    assert files.names("train") == [".hidden", "a.tar", "b.tar"]
    assert files.names("") == ["train"]
    assert files.names("nowhere") == []
    before = files.stamp("train/a.tar")
    assert before.size == len(CONTENT) and before == files.stamp("train/a.tar")
    (server.folder / "train/a.tar").write_bytes(CONTENT[::-1])
    assert files.stamp("train/a.tar") != before


def test_other_kinds_of_addresses_answer_the_same() -> None:
    root = UPath("memory://bucket/gldv2")
    (root / "train/a.tar").parent.mkdir(parents=True)
    (root / "train/a.tar").write_bytes(CONTENT)
    files = RemoteFiles(root)
    assert files.names("train") == ["a.tar"] and files.names("nowhere") == []
    assert files.read("train/a.tar", 300, 20) == CONTENT[300:320]
    assert files.stamp("train/a.tar").size == len(CONTENT)
    for missing in ("train/nope", "train"):
        with pytest.raises(FileNotFoundError):
            files.stamp(missing)


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429}, {"status": 503}, {"truncate": 3}])
def test_faults_that_pass_are_tried_again(files: RemoteFiles, server: Any, fault: dict[str, int]) -> None:
    server.fail("train/a.tar", times=2, method="*", **fault)
    assert files.read("train/a.tar", 10, 20) == CONTENT[10:30]
    server.heal()
    server.fail("train/a.tar", times=2, method="*", **fault)
    assert files.stamp("train/a.tar").size == len(CONTENT)


@pytest.mark.parametrize("method", ["stamp", "read"])
def test_permanent_faults_report_the_last_error(files: RemoteFiles, server: Any, method: str) -> None:
    server.fail("train/a.tar", method="*", status=500)
    with pytest.raises(OSError, match=r"3 attempts, the last: .*500") as error:
        getattr(files, method)("train/a.tar")
    assert not isinstance(error.value, FileNotFoundError)
    assert len(server.seen("train/a.tar")) == 3


def test_a_failed_address_gets_single_attempts_until_it_answers(files: RemoteFiles, server: Any) -> None:
    server.fail("train/a.tar", status=500)
    for attempts in (3, 1, 1):
        before = len(server.requests)
        with pytest.raises(OSError, match="500"):
            files.read("train/a.tar", 0, 10)
        assert len(server.requests) - before == attempts
    files.stamp("train/b.tar")
    with pytest.raises(OSError, match="3 attempts"):
        files.read("train/a.tar", 0, 10)


@pytest.mark.parametrize(("status", "kind"), [(404, FileNotFoundError), (403, PermissionError), (401, PermissionError)])
def test_a_clear_answer_is_not_asked_for_again(
    files: RemoteFiles, server: Any, status: int, kind: type[OSError]
) -> None:
    server.fail("train/a.tar", method="*", status=status)
    with pytest.raises(kind, match=f"the server answers {status}|no such file"):
        files.read("train/a.tar", 0, 10)
    assert len(server.requests) == 1
    with pytest.raises(kind, match=f"the server answers {status}"):
        files.stamp("train/a.tar")


def test_a_server_that_ignores_ranges_is_found_out(files: RemoteFiles, server: Any) -> None:
    server.fail("train/a.tar", ignore_range=True)
    with pytest.raises(OSError, match="ignores byte ranges") as error:
        files.read("train/a.tar", 0, 10)
    assert error.value.errno == errno.EOPNOTSUPP and len(server.requests) == 1


def test_a_stalling_server_is_left_after_the_time_limit(server: Any) -> None:
    server.fail("train/a.tar", stall=5, times=1)
    assert impatient(server.url, timeout=0.2).read("train/a.tar", 0, 100) == CONTENT[:100]


def test_a_dead_server_is_an_error_soon() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        files = impatient(f"http://127.0.0.1:{unused.getsockname()[1]}")
        for ask in (files.stamp, files.read, files.names):
            with pytest.raises(OSError, match="Cannot connect"):
                ask("train/a.tar")
    error = unreachable(files.address("train"), OSError(errno.EIO, "no answer"))
    assert "http://127.0.0.1" in str(error) and "no answer; check that the address is right" in str(error)


def test_a_server_without_lists_lists_nothing(files: RemoteFiles, server: Any) -> None:
    server.fail("train/", status=403)
    assert files.names("train") == []


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_and_threads_read_at_the_same_time(files: RemoteFiles, method: str) -> None:
    read = partial(pickle.loads(pickle.dumps(files)).read, "train/a.tar", length=100)
    offsets, expected = range(0, 5000, 100), [CONTENT[start : start + 100] for start in range(0, 5000, 100)]
    assert [read(start) for start in offsets] == expected  # opens a connection that children inherit
    with multiprocessing.get_context(method).Pool(2) as pool, ThreadPoolExecutor(4) as threads:
        theirs = pool.map_async(read, offsets, chunksize=5)
        assert list(threads.map(read, offsets)) == expected
        assert theirs.get(30) == expected
    assert [read(start) for start in offsets] == expected


def test_global_random_state_is_not_changed(files: RemoteFiles, server: Any) -> None:
    state = random.getstate()
    server.fail("train/a.tar", times=1, status=500)
    files.read("train/a.tar")
    assert random.getstate() == state


NAME = "metadata/train.csv"


@pytest.fixture
def fetch(server: Any, tmp_path: Path) -> partial[str]:
    (server.folder / "metadata").mkdir()
    (server.folder / NAME).write_text("id,url,landmark_id\n")
    return partial(fetched, impatient(server.url), tmp_path / "here.csv")


def fetched(files: RemoteFiles, copy: Path) -> str:
    fetch_copy(files, NAME, copy)
    return copy.read_text()


def test_a_file_is_fetched_once_until_it_changes(fetch: partial[str], server: Any) -> None:
    for _ in range(3):
        assert fetch() == "id,url,landmark_id\n"
    assert len(server.seen(NAME)) == 1
    (server.folder / NAME).write_text("id,url,landmark_id\nchanged\n")
    for _ in range(3):
        assert fetch() == "id,url,landmark_id\nchanged\n"
    assert len(server.seen(NAME)) == 2


def test_a_large_file_comes_in_pieces_that_are_tried_again(
    fetch: partial[str],
    server: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("landmarks.data.stores.remote_files.CHUNK", 1000)
    content = bytes(range(100)) * 25
    (server.folder / NAME).write_bytes(content)
    server.fail(NAME, truncate=500, times=1)
    fetch()
    assert (tmp_path / "here.csv").read_bytes() == content
    assert [request.range for request in server.seen(NAME)] == [
        "bytes=0-999",
        "bytes=0-999",
        "bytes=1000-1999",
        "bytes=2000-2499",
    ]
    assert capsys.readouterr().out == ""  # programs read the output


def test_a_fetch_that_fails_leaves_the_old_copy_and_comes_again(
    fetch: partial[str], server: Any, tmp_path: Path
) -> None:
    fetch()
    (server.folder / NAME).write_text("new, but it cannot be read yet\n")
    server.fail(NAME, status=500)
    with pytest.raises(OSError, match="500"):
        fetch()
    assert (tmp_path / "here.csv").read_text() == "id,url,landmark_id\n"
    server.heal()
    assert fetch().startswith("new")
    assert not list(tmp_path.glob(".*"))


def test_two_versions_are_not_mixed(
    fetch: partial[str], server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = RemoteFiles.read

    def read_then_change(files: RemoteFiles, *arguments: Any) -> bytes:
        data = read(files, *arguments)
        (server.folder / NAME).write_text("ID,URL,LANDMARK_ID\n")
        return data

    monkeypatch.setattr(RemoteFiles, "read", read_then_change)
    with pytest.raises(OSError, match="changed while it was copied"):
        fetch()
    assert not (tmp_path / "here.csv").exists()


def test_processes_share_one_fetch(fetch: partial[str], server: Any) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert {job.get() for job in [pool.apply_async(fetch) for _ in range(8)]} == {"id,url,landmark_id\n"}
    assert len(server.seen(NAME)) == 1
