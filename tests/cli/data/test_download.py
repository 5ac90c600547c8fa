"""`landmarks data download` as a person and as a program use it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import md5
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import Result
from typer.testing import CliRunner

from http_server import HttpServer
from landmarks.cli.data import app
from landmarks.data.gldv2 import NEEDED

CONTENT = bytes(range(256)) * 200
PROGRAM = "import typer; from landmarks.cli.data import download; typer.run(download)"


@pytest.fixture
def release(tmp_path: Path, http_server: Callable[[Path], HttpServer]) -> SimpleNamespace:
    """A server of two tars of the test split and the needed metadata."""
    folder = tmp_path / "release"
    files = {path: f"{columns}\n".encode() for path, columns in NEEDED.items()}
    for number in (0, 1):
        files[f"test/images_00{number}.tar"] = CONTENT
        files[f"md5sum/test/md5.images_00{number}.txt"] = (
            f"{md5(CONTENT).hexdigest()}  images_00{number}.tar\n".encode()
        )
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return SimpleNamespace(folder=folder, server=http_server(folder), root=tmp_path / "root")


def run(release: SimpleNamespace, *arguments: str, split: str = "test,metadata", tars: str = "0,1") -> Result:
    command = ["--root", str(release.root), "--base-url", release.server.url, "--split", split, "--tars", tars]
    return CliRunner().invoke(app, ["download", *command, *arguments])


def test_table_for_people(release: SimpleNamespace) -> None:
    result = run(release)
    assert result.exit_code == 0
    for part in ("folder", "done", "skipped", "failed", "test", "ground_truth", "102.4 kB"):
        assert part in result.stdout
    assert "skipped: metadata/train_attribution.csv" in result.stdout  # absent, and nothing needs it
    assert "9 files to complete" in result.stderr
    assert (release.root / "test/images_001.tar").read_bytes() == CONTENT


def test_json_for_programs(release: SimpleNamespace) -> None:
    release.server.fail("test/images_001.tar", status=404, method="*")
    result = run(release, "--json")
    assert result.exit_code == 1  # and the others are there
    summary = json.loads(result.stdout)
    assert (summary["done"], summary["skipped"], summary["failed"]) == (8, 5, 1)
    (failed,) = (file for file in summary["files"] if file["state"] == "failed")
    assert failed["path"] == "test/images_001.tar" and "404" in failed["reason"]
    assert "images_001.tar: the server does not have this file or denies access (status 404" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "val"}, "'val' is not one of train, index, test, metadata"),
        ({"split": "test", "tars": "0-20"}, "test has the tars 0-19 only, not 20"),
        ({"split": "metadata"}, "the metadata has no tars"),
    ],
)
def test_wrong_choices_end_before_any_request(release: SimpleNamespace, options: dict[str, str], message: str) -> None:
    result = run(release, **options)
    assert result.exit_code == 2 and message in result.stderr and result.stdout == ""
    assert release.server.requests == [] and not release.root.exists()


def test_wrong_places_are_named(release: SimpleNamespace) -> None:
    for arguments, message in (
        (("--root", "s3://bucket/gldv2"), "choose a folder on this machine"),
        (("--base-url", "nonsense"), "nonsense/test/images_000.tar: not a valid address"),
        (("--root", str(release.folder / "test/images_000.tar")), "cannot write here"),
    ):
        result = run(release, *arguments, split="test")
        assert result.exit_code == 2 and message in result.stderr and "Traceback" not in result.output


def test_ctrl_c_stops_soon_and_says_how_to_go_on(release: SimpleNamespace) -> None:
    for number in (0, 1):
        release.server.fail(f"test/images_00{number}.tar", stall=1000, times=1)
    command = ["--root", str(release.root), "--base-url", release.server.url, "--split", "test", "--tars", "0,1"]
    partial = release.root / "test/images_001.tar.partial"
    with subprocess.Popen([sys.executable, "-c", PROGRAM, *command], stderr=subprocess.PIPE, text=True) as process:
        while not (partial.exists() and partial.stat().st_size == 1000):
            assert process.poll() is None
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=20)  # less than the stall lasts
    assert process.returncode == 130
    assert "run the same command again to resume" in errors and "Traceback" not in errors
    assert run(release, split="test").exit_code == 0
    assert [request.range for request in release.server.seen("test/images_001.tar")] == [None, "bytes=1000-"]
