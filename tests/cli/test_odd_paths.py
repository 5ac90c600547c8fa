"""Paths with characters of Hydra's grammar work, or the message shows how to quote them."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from landmarks.cli.evaluate import evaluate
from landmarks.cli.extract import extract
from landmarks.cli.hydra_main import run_hydra
from landmarks.cli.main import main
from landmarks.cli.train import train
from landmarks.config import as_text, expand_home, understood

ODD = ["/a/b=c", "/a,b", "{a}", "/x/{a}", "/it's", '/"b"', "/(1)", "/[1]", "[1]", "'/a", '"a', "/a=\\", "/a='\\'"]
COMMANDS: dict[str, Callable[[list[str]], None]] = {"train": train, "evaluate": evaluate, "extract": extract}
KEYS = [
    *(("train", key) for key in ("data.root", "model.pretrained", "resume", "data.source.exclude")),
    ("train", "hydra.run.dir"),
    *(("evaluate", key) for key in ("checkpoint", "descriptors.queries", "descriptors.index_labels", "predictions")),
    *(("evaluate", key) for key in ("detections", "run_dir")),
    *(("extract", key) for key in ("checkpoint", "data.root")),
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["landmarks"])
    return tmp_path


def _suggested(command: str, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What the message says to type, as the shell hands it on."""
    with pytest.raises(SystemExit) as ended:
        COMMANDS[command](arguments)
    assert ended.value.code == 2
    screen = capsys.readouterr().err
    assert len(screen.splitlines()) < 10, screen
    return [word for line in re.findall("write: (.*)", screen) for word in shlex.split(line)]


def _value(argument: str) -> Any:
    return OmegaConf.create({"value": OverridesParser.create().parse_override(argument).value()}).value


@pytest.mark.parametrize("path", ODD)
def test_the_hint_shows_an_argument_that_works(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    (suggested,) = _suggested("train", [f"data.root={path}"], capsys)
    meant = path[1:-1] if path[0] == path[-1] == "'" else path
    assert suggested.startswith("data.root=") and _value(suggested) == meant


@pytest.mark.parametrize(("command", "key"), KEYS)
def test_the_hint_covers_every_key(command: str, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    (suggested,) = _suggested(command, [f"{key}=/a=b"], capsys)
    assert suggested == f'{key}="/a=b"' and _value(suggested) == "/a=b"


@pytest.mark.parametrize("value", ["2024", "[a]", "/x/${y}"])
def test_what_is_read_as_something_else_is_explained_too(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    (suggested,) = _suggested("train", ["data=gldv2", f"data.root={value}", "trainer.accelerator=cpu"], capsys)
    assert _value(suggested) == value


def test_other_mistakes_get_no_quoting_hint(capsys: pytest.CaptureFixture[str]) -> None:
    for slip in (["seed=-1"], ["loss.margn=0.3"], ["data=gldv2", "data.root=nowhere"], ["optimizer.lr=fast"]):
        assert _suggested("train", [*slip, "trainer.accelerator=cpu"], capsys) == []


@pytest.mark.parametrize("name", ["Gebäude", "日本", "a#b", "a & b; c!", "a|b>c", "é~"])
def test_letters_without_a_meaning_need_no_quotes(name: str) -> None:
    assert _value(understood([f"data.root=/x/{name}"])[0]) == f"/x/{name}"


def test_home_is_written_out_wherever_a_path_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for argument, meant in {
        "data.root=~/x": "data.root=/home/me/x",
        "data.root='~/x y'": "data.root='/home/me/x y'",
        "descriptors.queries=[~/a,'~/b']": "descriptors.queries=[/home/me/a,'/home/me/b']",
        "hydra.run.dir=~": "hydra.run.dir=/home/me",
        "--out=~/x": "--out=/home/me/x",
        "~/x": "/home/me/x",
        "~loss": "~loss",
        "name=a~/b": "name=a~/b",
        "data.root=~nobody-of-this-name/x": "data.root=~nobody-of-this-name/x",
    }.items():
        assert expand_home(argument) == meant


def test_commands_that_are_not_of_hydra_know_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["landmarks", "data", "stats", "--root=~/no [/data]"])
    with pytest.raises(SystemExit):
        main()
    assert f"{tmp_path}/no [/data]" in capsys.readouterr().err


def test_options_may_stand_between_overrides(capsys: pytest.CaptureFixture[str]) -> None:
    seeds = []
    run_hydra(lambda config: seeds.append(config.seed), "train", ["name=x", "-m", "seed=1,2", "--config-dir", "."])
    assert seeds == [1, 2]
    run_hydra(lambda _: None, "train", ["name=x", "--cfg", "job", "seed=7"])
    assert "seed: 7" in capsys.readouterr().out


def test_odd_names_everywhere(
    trained_run: Any, tiny_world: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = here / "Größe=1, it's {a} [/b] (2)"
    odd.mkdir(parents=True)
    (odd / "data").symlink_to(tiny_world)
    shutil.copy(trained_run.checkpoint, odd / "best [1].ckpt")
    arguments = [f"checkpoint={odd}/best [1].ckpt", f"data.root={odd}/data", f"hydra.run.dir={odd}/out"]
    given = [text for argument in arguments if (text := as_text(argument))]
    same = ["trainer.accelerator=cpu", "data.num_workers=0", "trainer.enable_progress_bar=false"]
    evaluate([*given, *same])
    assert f"{odd}/out" in capsys.readouterr().out
    assert (odd / "out" / "report.html").is_file()
    recorded = OmegaConf.load(odd / "out" / "config.yaml")
    assert isinstance(recorded, DictConfig) and recorded.data.root == f"{odd}/data"
