"""`landmarks data index` as a person and as a program use it."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from http_server import HttpServer
from landmarks.cli.data import app
from landmarks.data.stores import read_offsets
from landmarks.storage import derived_folder


def write_tar(path: Path, names: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 700
            tar.addfile(info, io.BytesIO(bytes(700)))


def image(number: int) -> str:
    return f"0/0/0/{number:016x}.jpg"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """4 train tars, 1 index tar, an extracted test split."""
    root = tmp_path / "gldv2"
    for number in range(4):
        write_tar(root / f"train/images_{number:03d}.tar", [image(10 * number + i) for i in range(3)])
    write_tar(root / "index/images_000.tar", [image(i) for i in range(5)])
    (root / "test/0").mkdir(parents=True)
    return root


def run(root: Path | str, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["index", "--root", str(root), *arguments])


def rows(result: Result) -> dict[str, list[str]]:
    lines = [line.replace(" kB", "kB").split() for line in result.stdout.splitlines()]
    return {cells[0]: cells[1:-1] for cells in lines if len(cells) == 9 and cells[0] != "split"}


def test_table_for_people(root: Path) -> None:
    result = run(root)
    assert result.exit_code == 0, result.output
    assert rows(result) == {
        "train": ["4", "12", "41.0kB", "4", "0", "0", "0"],
        "index": ["1", "5", "10.2kB", "1", "0", "0", "0"],
    }
    assert str(derived_folder(root) / "offsets") in result.stdout
    assert rows(run(root, "--split", "train")) == {"train": ["4", "12", "41.0kB", "0", "0", "0", "0"]}


def test_json_for_programs(root: Path) -> None:
    run(root)
    (root / "train/images_003.tar").unlink()
    write_tar(root / "train/images_002.tar", [image(20)])
    write_tar(root / "train/images_004.tar", [image(50)])
    result = run(root, "--json", "--split", "index, train,index")
    assert result.exit_code == 0
    first, train = json.loads(result.stdout)["splits"]
    assert (first["split"], first["images"], first["new"]) == ("index", 5, [])
    assert (train["tars"], train["images"], train["bytes"]) == (4, 8, 4 * 10240)
    assert train["changed"] == ["images_002.tar"] and train["gone"] == ["images_003.tar"]
    assert train["new"] == ["images_004.tar"] and train["refused"] == []
    assert len(read_offsets(Path(train["offsets"]))) == 8


def test_refused_tars_are_named_and_the_others_indexed(root: Path) -> None:
    write_tar(root / "train/images_001.tar", ["../../etc/passwd"])
    whole = (root / "train/images_002.tar").read_bytes()
    (root / "train/images_002.tar").write_bytes(whole[:2000])
    result = run(root, "--json")
    assert result.exit_code == 2
    assert "train/images_001.tar: member '../../etc/passwd' at byte 0 leaves the folder" in result.stderr
    assert "train/images_002.tar: not a complete uncompressed tar (cut off after 2,000 bytes" in result.stderr
    train, second = json.loads(result.stdout)["splits"]
    assert train["images"] == 6 and len(train["refused"]) == 2 and second["images"] == 5
    assert run(root, "--split", "index").exit_code == 0


def test_an_index_that_cannot_be_written_is_one_message(root: Path) -> None:
    derived_folder(root).mkdir(parents=True)
    (derived_folder(root) / "offsets").write_text("a file")
    result = run(root)
    assert result.exit_code == 2
    assert "train.safetensors: the offset index cannot be written" in result.stderr
    assert "index.safetensors: the offset index cannot be written" in result.stderr
    assert "Traceback" not in result.output
    result = run(root, "--json")
    assert [len(split["refused"]) for split in json.loads(result.stdout)["splits"]] == [
        1,
        1,
    ]  # one did not stop the other


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--split", "train,tests"], "'tests' is not one of train, index, test"),
        (["--split", "train,"], "'' is not one of train, index, test"),
        (["--split", "test"], "test: contains no tars, expected images_000.tar"),
        (
            ["--root", "nowhere"],
            "nowhere: contains no tars, expected train/images_000.tar and others; `landmarks data",
        ),
        (["--root", "gopher://host/gldv2"], "gopher://"),
    ],
)
def test_mistakes_are_one_message(root: Path, arguments: list[str], said: str) -> None:
    result = run(root, *arguments)
    assert result.exit_code == 2 and said in result.stderr and result.stdout == ""
    assert "Traceback" not in result.output


def test_tars_at_an_address_are_indexed_too(root: Path, http_server: Callable[[Path], HttpServer]) -> None:
    server = http_server(root)
    result = run(server.url, "--json")
    assert result.exit_code == 0, result.output
    here = json.loads(run(root, "--json").stdout)["splits"]
    for there, local in zip(json.loads(result.stdout)["splits"], here, strict=True):
        assert there["images"] == local["images"] and there["offsets"] != local["offsets"]
    assert json.loads(run(server.url, "--json").stdout)["splits"][0]["new"] == []


def test_an_interruption_says_how_to_go_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(name: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("landmarks.data.gldv2.indexing.show_tars", lambda progress, split: interrupted)
        result = run(root, "--split", "train", "--workers", "1")
    assert result.exit_code == 130 and "run the same command again to resume" in result.stderr
    done = len(read_offsets(derived_folder(root) / "offsets/train.safetensors").tars)
    (train,) = json.loads(run(root, "--json", "--split", "train").stdout)["splits"]
    assert 1 <= done < 4 and len(train["new"]) == 4 - done and train["images"] == 12
