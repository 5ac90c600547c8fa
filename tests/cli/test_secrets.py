"""Users, passwords and tokens in addresses are used, but never written or printed."""

import logging
import os
import re
from collections.abc import Callable, Iterator
from hashlib import md5
from pathlib import Path

import pytest
from typer.testing import CliRunner

import landmarks
from http_server import HttpServer
from landmarks.cli.evaluate import evaluate
from landmarks.cli.extract import extract
from landmarks.cli.main import app
from landmarks.cli.train import train
from landmarks.data import open_root
from landmarks.data.gldv2 import NEEDED
from landmarks.errors import LandmarksError
from landmarks.storage import VARIABLE, hide, owner_of, printable

PLAIN = {"trainer__accelerator": "cpu", "trainer__enable_progress_bar": False, "data__num_workers": 0}
USER, SECRET = "zanzibar", "p4ss=w,rd%40x"
OPEN = "p4ss=w,rd@x"


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What a test hides is not known to the next."""
    os.environ.pop(VARIABLE, None)
    yield
    os.environ.pop(VARIABLE, None)


@pytest.fixture
def served(tiny_world: Path, http_server: Callable[[Path], HttpServer]) -> HttpServer:
    """The tiny world for one person only."""
    server = http_server(tiny_world)
    server.owner = f"{USER}:{OPEN}"
    return server


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in, with caches of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["landmarks"])
    monkeypatch.setenv("LANDMARKS_CACHE", str(tmp_path / "cache"))
    return tmp_path


def with_owner(url: str) -> str:
    return url.replace("://", f"://{USER}:{SECRET}@")


def refuse_secrets(folder: Path, *texts: str) -> None:
    """Fail where a file, a name of one or a text holds the user or the password."""
    secret = re.compile("|".join(map(re.escape, (USER, SECRET, OPEN, "p4ss"))).encode())
    for path in folder.rglob("*"):
        assert not secret.search(str(path).encode()), path
        assert not path.is_file() or not secret.search(path.read_bytes()), path
    for text in texts:
        assert not secret.search(text.encode()), text


def test_runs_do_not_store_secrets(
    served: HttpServer, tiny_run: list[str], here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = f"data.root={with_owner(served.url)}"
    short = [*tiny_run[1:], "trainer.max_steps=1", "evaluate_untrained=false"]
    train([root, *short, "hydra.run.dir=run"])
    train([root, *short, "hydra.run.dir=run", "resume=last", "trainer.max_steps=2"])
    same = ["checkpoint=run/checkpoints/best.ckpt", root, "trainer.accelerator=cpu", "data.num_workers=0"]
    quiet = ["splits=[queries]", "trainer.enable_progress_bar=false"]
    extract(["-m", *same, *quiet, "hydra.sweep.dir=sweep", f"{root},{with_owner(served.url)}/"])
    evaluate([*same, "hydra.run.dir=evaluation", "trainer.enable_progress_bar=false"])
    assert CliRunner().invoke(app, ["data", "stats", "--root", with_owner(served.url)]).exit_code == 0
    assert f"root: http://***@{served.url[7:]}" in (here / "run" / "config.yaml").read_text()
    logging.shutdown()
    refuse_secrets(here, *capfd.readouterr())


def test_runs_in_python_do_not_store_secrets(served: HttpServer, tiny_run: list[str], here: Path) -> None:
    root = with_owner(served.url)
    short = [*tiny_run[1:], "trainer.max_steps=1", "evaluate_untrained=false"]
    run = landmarks.train(*short, data__root=root, run_dir="run")
    landmarks.evaluate(f"data.root={root}", checkpoint=run.checkpoint, run_dir="evaluation", **PLAIN)
    assert f"root: http://***@{served.url[7:]}" in (here / "run" / "config.yaml").read_text()
    assert landmarks.gldv2_statistics(root)
    with pytest.raises(LandmarksError) as refused:
        landmarks.train(data="gldv2", data__root=f"{root}/nothing?sig={SECRET}", run_dir="other")
    logging.shutdown()
    refuse_secrets(here, str(refused.value))


def test_a_new_password_does_not_change_the_data_set(served: HttpServer) -> None:
    with_other = open_root(served.url.replace("://", "://somebody:else@"))
    assert str(open_root(with_owner(served.url))) == str(with_other) == str(open_root(served.url))


def test_a_record_gives_no_access_to_the_data(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train(["data=gldv2", "data.root=https://***@example.org:8080/gldv2", "trainer.accelerator=cpu"])
    screen = capsys.readouterr().err
    assert "records do not keep user and password; give them again in place of ***" in screen
    assert "machine example.org login USER password PASSWORD" in screen


@pytest.mark.parametrize(
    "fault", ["404", "403", "500", "closed", "query", "chain", "scheme", "no scheme", "token", "grammar", "url"]
)
def test_errors_do_not_show_secrets(
    fault: str, served: HttpServer, here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("landmarks.storage.RetryPolicy.wait", lambda *_: 0.0)
    root = with_owner(served.url)
    if fault.isdecimal():
        served.fail("metadata/test.csv", status=int(fault), method="*")
    if fault == "closed":
        served.close()
    root = {
        "query": f"{served.url}/x?X-Amz-Signature={SECRET}&sig={SECRET}",
        "chain": f"simplecache::{root}",
        "no scheme": f"//{USER}:{SECRET}@bucket/x",
        "token": f"{served.url}/x#token={SECRET}",
        "scheme": f"s3://{USER}:{SECRET}@bucket",
        "grammar": f"{root}/a=b",
        "url": f"https://{USER}:p4ss/with?odd#signs@example.org:x",
    }.get(fault, root)
    arguments = ["data=gldv2", "trainer.accelerator=cpu", "hydra.run.dir=run", f"data.root={root}"]
    with pytest.raises(SystemExit) as ended:
        train(arguments)
    assert ended.value.code == 2
    done = CliRunner().invoke(app, ["data", "verify", "--root", root])
    assert done.exit_code != 0 and isinstance(done.exception, SystemExit)
    refuse_secrets(here, *capfd.readouterr(), done.output, done.stderr)


@pytest.mark.parametrize("fault", [None, "404", "closed", "md5", "redirect", "query", "root"])
def test_downloads_do_not_show_secrets(
    fault: str | None,
    http_server: Callable[[Path], HttpServer],
    here: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("landmarks.storage.RetryPolicy.wait", lambda *_: 0.0)
    release = here / "release"
    files = {path: f"{columns}\n".encode() for path, columns in NEEDED.items()}
    right = md5(b"tar" if fault != "md5" else b"rat").hexdigest()
    files |= {"test/images_000.tar": b"tar", "md5sum/test/md5.images_000.txt": f"{right}  images_000.tar\n".encode()}
    for path, content in files.items():
        (release / path).parent.mkdir(parents=True, exist_ok=True)
        (release / path).write_bytes(content)
    server = http_server(release)
    server.owner = f"{USER}:{OPEN}"
    url = with_owner(server.url)
    if fault == "404":
        server.fail("test/images_000.tar", status=404, method="*")
    if fault == "closed":
        server.close()
    if fault == "redirect":
        elsewhere = {"Location": f"/nowhere?X-Amz-Signature={SECRET}"}
        server.fail("test/images_000.tar", status=302, method="*", headers=elsewhere)
    if fault == "query":
        url = f"{server.url}?token={SECRET}"
    root = f"s3://{USER}:{SECRET}@bucket" if fault == "root" else "root"
    command = ["data", "download", "--root", root, "--base-url", url, "--split", "test", "--tars", "0"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == (0 if fault is None else 2 if fault in ("closed", "query", "root") else 1), done.output
    refuse_secrets(here, *capfd.readouterr(), done.output, done.stderr)


def test_several_users_of_a_host_are_distinguished() -> None:
    first, second = hide("https://a:b@host/x"), hide(["https://c:d@host/x"])[0]
    assert (first, second) == ("https://***@host/x", "https://***2@host/x")
    assert hide(first) == first and hide("https://a:b@host/y") == "https://***@host/y"
    assert owner_of(second) == ("https://host/x", ("c", "d"))
    assert owner_of("https://token@host") == ("https://host", ("token", ""))
    assert owner_of("https://host/a@b") == ("https://host/a@b", None)
    with pytest.raises(LandmarksError, match="do not keep user and password"):
        owner_of("https://***3@host/x")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("data.root='https://u:p@h:80/x',b", "data.root='https://***@h:80/x',b"),
        ("https://u:p@h/a,https://v:q@h/b", "https://***@h/a,https://***@h/b"),
        ("https://h/x?sig=s: refused", "https://h/x?***: refused"),
        ("https://h/x#token=s, gone", "https://h/x#***, gone"),
        ("https://h/x#a?b=c", "https://h/x#***"),
        ("data.root=//u:p@h/x", "data.root=//***@h/x"),
        ("//u:p/q@h/x: no such folder", "//***@h/x: no such folder"),
        ("a//u:p@h/x and //a@b/c", "a//u:p@h/x and //a@b/c"),
        ("https://u:p/q#r@h/x", "https://***@h/x"),
        ("https://h:80/a@b and ask me@home", "https://h:80/a@b and ask me@home"),
        ("who? what? a@b:/c", "who? what? a@b:/c"),
    ],
)
def test_secrets_in_addresses_are_hidden(text: str, shown: str) -> None:
    assert printable(text) == shown
