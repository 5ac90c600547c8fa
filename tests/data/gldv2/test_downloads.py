"""Whole downloads from a real local server, in real processes where they are killed."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from hashlib import md5
from pathlib import Path
from types import SimpleNamespace

import pytest

from http_server import HttpServer
from landmarks.data.gldv2 import NEEDED, Outcome, PartialFile, download, metadata_files, partial_name, tar_files
from landmarks.data.gldv2 import downloads as module
from landmarks.errors import LandmarksError
from landmarks.storage import RetryPolicy
from shown import Shown

QUICK = RetryPolicy(attempts=3, first_wait=0.001, longest_wait=0.002)
TARS = [file.path for file in tar_files("train", range(3))]


@pytest.fixture
def release(tmp_path: Path, http_server: Callable[[Path], HttpServer]) -> SimpleNamespace:
    """A server of three tars of the train split and of all that is needed of the metadata; an empty root."""
    folder = tmp_path / "release"
    for number, path in enumerate(TARS):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(random.Random(number).randbytes(40_000 + number))
        sums = folder / f"md5sum/train/md5.images_00{number}.txt"
        sums.parent.mkdir(parents=True, exist_ok=True)
        sums.write_text(f"{md5((folder / path).read_bytes()).hexdigest()}  images_00{number}.tar\n")
    for path, columns in NEEDED.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(f"{columns}\n" + "0123456789abcdef,1,Public\n" * 100)
    return SimpleNamespace(folder=folder, server=http_server(folder), root=tmp_path / "root")


def fetch(release: SimpleNamespace, paths: str = "train", **options: object) -> dict[str, Outcome]:
    files = metadata_files() if paths == "metadata" else tar_files("train", range(3))
    outcomes = download(release.root, files, Shown(), release.server.url + "/", retry=QUICK, **options)
    assert [outcome.path for outcome in outcomes] == [file.path for file in files]
    return {outcome.path: outcome for outcome in outcomes}


def states(outcomes: dict[str, Outcome]) -> list[str]:
    return [outcome.state for outcome in outcomes.values()]


def assert_same_files(release: SimpleNamespace, paths: list[str]) -> None:
    for path in paths:
        assert (release.root / path).read_bytes() == (release.folder / path).read_bytes()
    assert not list(release.root.rglob("*.partial"))


def test_miniature_of_the_release(shared_data: Path, tmp_path: Path, http_server: Callable[[Path], HttpServer]) -> None:
    mini, told = shared_data / "gldv2_mini", Shown()
    files = metadata_files() + tar_files("train", range(4))
    outcomes = download(tmp_path, files, told, http_server(mini).url, retry=QUICK)
    assert [outcome.path for outcome in outcomes if outcome.state == "skipped"] == [
        "metadata/train_attribution.csv",
        "metadata/train_label_to_hierarchical.csv",
        "metadata/index_label_to_hierarchical.csv",
    ]
    done = [outcome for outcome in outcomes if outcome.state == "done"]
    size = sum(outcome.size for outcome in done)
    assert len(done) == 13 and told.said[0].startswith("13 files to complete, ")
    assert told.shown["files"][0] == (0, size, "0 of 13 files")
    assert told.shown["files"][-1] == (size, size, "13 of 13 files")
    for outcome in done:
        assert (tmp_path / outcome.path).read_bytes() == (mini / outcome.path).read_bytes()
        assert told.shown[outcome.path][-1] == (outcome.size, outcome.size, None)
    assert (tmp_path / "md5sum/train/md5.images_003.txt").is_file()


def test_existing_files_are_not_downloaded_again(release: SimpleNamespace) -> None:
    assert states(fetch(release)) == ["done"] * 3
    gets = [request.path for request in release.server.requests if request.method == "GET"]
    for number, path in enumerate(TARS):
        assert [path for path in gets if f"_00{number}." in path] == [f"md5sum/train/md5.images_00{number}.txt", path]
    release.server.requests.clear()
    assert states(fetch(release)) == ["skipped"] * 3
    assert {request.method for request in release.server.requests} == {"HEAD"}
    assert_same_files(release, TARS)


def test_one_bad_file_does_not_stop_the_others(release: SimpleNamespace) -> None:
    release.server.fail(TARS[0], content=bytes(40_000), method="*")
    release.server.fail(TARS[1], status=404, method="*")
    outcomes = fetch(release, workers=1)
    assert states(outcomes) == ["failed", "failed", "done"]
    assert "md5 sum" in outcomes[TARS[0]].reason and outcomes[TARS[0]].size == 0
    assert "404" in outcomes[TARS[1]].reason
    assert_same_files(release, TARS[2:])


def test_needed_tables_must_be_served_and_others_need_not(release: SimpleNamespace) -> None:
    (release.folder / "metadata/test.csv").unlink()
    release.server.fail("metadata/train_clean.csv", content=b"<html>Sign in</html>", method="*")
    outcomes = fetch(release, "metadata")
    assert states(outcomes) == ["done", "failed", "done", "done", "failed", "done", "done"] + ["skipped"] * 5
    assert "no md5 is published" in outcomes["metadata/train.csv"].reason
    assert "begins with '<html>" in outcomes["metadata/train_clean.csv"].reason
    assert not (release.root / "metadata/train_clean.csv").exists()


@pytest.mark.parametrize("start", ["right", "wrong"])
def test_unfinished_download_of_another_program_is_completed_and_verified(release: SimpleNamespace, start: str) -> None:
    right = (release.folder / TARS[0]).read_bytes()[:777]
    (release.root / "train").mkdir(parents=True)
    (release.root / TARS[0]).write_bytes(right if start == "right" else bytes(777))
    assert states(fetch(release)) == ["done"] * 3
    ranges = [request.range for request in release.server.seen(TARS[0])]
    assert ranges == (["bytes=777-"] if start == "right" else ["bytes=777-", None])
    assert_same_files(release, TARS)


def test_shorter_table_of_unknown_origin_is_fetched_anew(release: SimpleNamespace) -> None:
    (release.root / "metadata").mkdir(parents=True)
    (release.root / "metadata/train.csv").write_text("id,url,landmark_id\nffffffffffffffff,,7\n")
    fetch(release, "metadata")
    assert_same_files(release, list(NEEDED))


def test_longer_file_is_left_alone(release: SimpleNamespace) -> None:
    (release.root / "train").mkdir(parents=True)
    (release.root / TARS[0]).write_bytes(bytes(50_000))
    outcomes = fetch(release)
    assert states(outcomes) == ["failed", "done", "done"] and "50,000 bytes" in outcomes[TARS[0]].reason
    assert (release.root / TARS[0]).stat().st_size == 50_000


def test_check_finds_and_mends_a_flipped_bit(release: SimpleNamespace) -> None:
    fetch(release)
    data = bytearray((release.root / TARS[1]).read_bytes())
    data[20_000] ^= 1
    (release.root / TARS[1]).write_bytes(data)
    assert states(fetch(release)) == ["skipped"] * 3
    assert states(fetch(release, check=True)) == ["skipped", "done", "skipped"]
    assert_same_files(release, TARS)


def test_good_file_keeps_its_name_when_the_server_has_trouble(release: SimpleNamespace) -> None:
    fetch(release)
    for path in TARS:
        release.server.fail(path, status=500, method="*")
    assert states(fetch(release)) == ["skipped"] * 3
    assert_same_files(release, TARS)


@pytest.mark.parametrize("there", ["<html>", f"{'0' * 32}  images_001.tar\n"])
def test_what_is_no_md5_file_is_fetched_again(release: SimpleNamespace, there: str) -> None:
    path = release.root / "md5sum/train/md5.images_000.txt"
    path.parent.mkdir(parents=True)
    path.write_text(there)
    assert states(fetch(release)) == ["done"] * 3


def test_tar_without_a_published_sum_fails(release: SimpleNamespace) -> None:
    (release.folder / "md5sum/train/md5.images_000.txt").write_text("<html>")
    (release.folder / "md5sum/train/md5.images_001.txt").unlink()
    outcomes = fetch(release)
    assert states(outcomes) == ["failed", "failed", "done"]
    assert all(f"md5.images_00{number}.txt" in outcomes[TARS[number]].reason for number in (0, 1))


def test_md5_is_read_whatever_follows_it(release: SimpleNamespace) -> None:
    sums = release.folder / "md5sum/train/md5.images_000.txt"
    sums.write_bytes(sums.read_bytes() + b"\xff\xfe\n")
    release.server.fail(TARS[0], content=bytes(40_000))
    assert "md5 sum" in fetch(release)[TARS[0]].reason and not (release.root / TARS[0]).exists()


def test_too_small_disk_is_known_before_the_first_byte(
    release: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (release.root / "train").mkdir(parents=True)
    partial_name(release.root / TARS[0]).write_bytes((release.folder / TARS[0]).read_bytes()[:30_000])
    needed = 120_003 - 30_000
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=needed - 1))
    with pytest.raises(LandmarksError, match=r"90,003 bytes are missing and 90,002 are free"):
        fetch(release)
    assert {request.method for request in release.server.requests} == {"HEAD"}
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=needed))
    assert states(fetch(release)) == ["done"] * 3


def test_disk_that_fills_up_stops_the_rest(release: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    release.root.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(release.root)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a file system")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 40))
    try:
        outcomes = fetch(release, workers=1)
        assert states(outcomes) == ["done", "failed", "failed"]
        kept = partial_name(release.root / TARS[1]).read_bytes()
        assert f"the disk is full after {len(kept):,} bytes, which are kept" in outcomes[TARS[1]].reason
        assert 0 < len(kept) < 25_536 and (release.folder / TARS[1]).read_bytes().startswith(kept)
        assert "not tried, because the disk is full" in outcomes[TARS[2]].reason
    finally:
        subprocess.run(["umount", str(release.root)], check=True)


def test_an_unreachable_server_ends_at_once(tmp_path: Path) -> None:
    with pytest.raises(LandmarksError, match=r"http://127\.0\.0\.1:9/train/images_000\.tar: no answer"):
        download(tmp_path / "root", tar_files("train", range(500)), Shown(), "http://127.0.0.1:9", retry=QUICK)
    assert not (tmp_path / "root").exists()


def test_file_that_another_process_downloads_is_left_to_it(release: SimpleNamespace) -> None:
    with PartialFile(release.root / TARS[0]) as theirs:
        theirs.append(b"theirs")
        outcomes = fetch(release)
        assert states(outcomes) == ["failed", "done", "done"] and "another process" in outcomes[TARS[0]].reason
        assert partial_name(release.root / TARS[0]).read_bytes() == b"theirs"
    assert states(fetch(release)) == ["done", "skipped", "skipped"]
    assert_same_files(release, TARS)


def test_two_downloads_at_once_do_not_harm_each_other(release: SimpleNamespace) -> None:
    both: list[dict[str, Outcome]] = []
    threads = [threading.Thread(target=lambda: both.append(fetch(release))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(both) == 4
    fetch(release)  # what all left to each other
    assert_same_files(release, TARS)


PROGRAM = """
import sys
from pathlib import Path
from landmarks.data.gldv2.downloads import Outcome, download
from landmarks.data.gldv2.release import tar_files
from landmarks.progress import show_progress

with show_progress() as progress:
    download(Path(sys.argv[1]), tar_files("train", range(3)), progress, sys.argv[2], workers=2)
"""


def test_a_killed_download_resumes_in_the_middle_of_a_file(release: SimpleNamespace) -> None:
    for path in TARS[:2]:
        release.server.fail(path, stall=30_000, times=1)
    partials = [partial_name(release.root / path) for path in TARS[:2]]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(release.root), release.server.url], stderr=subprocess.DEVNULL
    ) as process:
        while not all(partial.exists() and partial.stat().st_size == 30_000 for partial in partials):
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
    assert not any((release.root / path).exists() for path in TARS)
    release.server.requests.clear()
    assert states(fetch(release)) == ["done"] * 3
    assert [release.server.seen(path)[0].range for path in TARS] == ["bytes=30000-", "bytes=30000-", None]
    assert_same_files(release, TARS)
