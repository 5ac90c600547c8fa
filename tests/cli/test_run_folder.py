"""A run folder belongs to one run, is locked while it runs, and is overwritten only if asked; mistakes leave none."""

import json
import resource
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import DictConfig

from landmarks.cli.hydra_main import run_hydra
from landmarks.cli.train import train
from landmarks.storage import FileLock


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["train.py"])
    return tmp_path


def _work(config: DictConfig) -> None:
    (Path(config.run_dir) / "run.json").write_text(json.dumps({"job": config.job, "task": "landmarks"}))


def _refused(arguments: list[str], capsys: pytest.CaptureFixture[str], name: str = "train") -> str:
    with pytest.raises(SystemExit) as ended:
        run_hydra(_work, name, arguments)
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_runs_of_the_same_name_get_folders_of_their_own(here: Path) -> None:
    for _ in range(3):
        run_hydra(_work, "train", ["hydra.run.dir='runs/${now:%Y}'"])
    assert len(list((here / "runs").iterdir())) == 3


def test_a_run_is_overwritten_only_if_asked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_hydra(_work, "train", ["hydra.run.dir=a"])
    run_hydra(_work, "train", ["hydra.run.dir=a"])  # it left nothing that would be lost
    (here / "a" / "metrics.json").write_text("{}")
    before = (here / "a" / ".hydra" / "overrides.yaml").read_text()
    screen = _refused(["hydra.run.dir=a", "seed=5"], capsys)
    assert "a holds a run: resume=last resumes it, overwrite=true replaces it" in screen
    assert "holds a run" in _refused(["hydra.run.dir=a", "resume=elsewhere/last.ckpt"], capsys)
    assert "a holds the output of `landmarks train`" in _refused(
        ["hydra.run.dir=a", "checkpoint=x"], capsys, "evaluate"
    )
    assert (here / "a" / ".hydra" / "overrides.yaml").read_text() == before
    run_hydra(_work, "train", ["hydra.run.dir=a", "overwrite=true"])
    run_hydra(_work, "train", ["hydra.run.dir=a", "resume=last"])


def test_a_folder_of_other_files_is_refused_and_left_as_it_was(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "photos" / "Tower Bridge").mkdir(parents=True)
    for given in ("hydra.run.dir=photos", "hydra.run.dir=.", "hydra.sweep.dir=photos"):
        screen = _refused([given, "overwrite=true", *(["-m", "seed=0,1"] if "sweep" in given else [])], capsys)
        assert f"Error {given}: this folder holds other files, such as" in screen
    assert list(here.rglob("*")) == [here / "photos", here / "photos" / "Tower Bridge"]


def test_only_a_folder_that_was_made_is_removed_and_an_empty_one_will_do(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "empty").mkdir()
    for folder in ("empty", "empty", "made"):  # the second finds what Hydra noted for the first
        with pytest.raises(SystemExit):
            train([f"hydra.run.dir={folder}", "seed=-1"])
        assert "seed: -1 is invalid" in capsys.readouterr().err
    assert (here / "empty").is_dir() and not (here / "made").exists()
    run_hydra(_work, "extract", ["hydra.run.dir=empty/sets", "checkpoint=x"])  # as `leaderboard --run` has them
    run_hydra(_work, "evaluate", ["hydra.run.dir=empty", "checkpoint=x"])


def test_one_run_at_a_time_in_a_folder_that_can_be_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "a").mkdir()
    with FileLock(here / "a" / ".lock"):
        program = "from landmarks.cli.train import train; train(['hydra.run.dir=a'])"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=here)
    assert done.returncode == 2 and "another run uses this folder" in done.stderr
    (here / "file").touch()
    for folder in ("file", "file/x", "/proc/x"):
        screen = _refused([f"hydra.run.dir={folder}"], capsys)
        assert f"hydra.run.dir={folder}: cannot be made or written" in screen and len(screen.splitlines()) == 1


@pytest.mark.parametrize(
    ("slip", "words"),
    [
        ("data.root=nowhere", "nowhere"),
        ("resume=last", "there is no checkpoint"),
        ("resume=", "resume= is empty: name a file, or leave it out"),
        ("detections=", "detections= is empty: name a folder, or leave it out"),
        ("data.source.exclude=", "data.source.exclude= is empty: name a file, or leave it out"),
        ("seed=-1", "seed: -1 is invalid"),
        ("data.image_size=0", "data.image_size: 0 is invalid"),
        ("trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches: 0 is invalid"),
        ("trainer.val_check_interval=1000", "trainer.val_check_interval is 1000, and an epoch has"),
        ("trainer.limit_val_batches=0", "trainer.limit_val_batches: 0 is invalid"),
        ("trainer.max_steps=0", "trainer.max_steps: 0 is invalid"),
        ("trainer.val_check_interval=0", "trainer.val_check_interval: 0 is invalid"),
        ("trainer.devices=-3", "`devices` selected with `CPUAccelerator` should be an int > 0"),
        ("trainer.precision=16-mixed", "trainer.precision=16-mixed: processors have no such mode"),
        ("data.root=", "data.root= is empty: name a folder or an address"),
        ("optimizer.lr=inf", "optimizer.lr: inf is invalid: it should be a finite number"),
        ("callbacks.evaluation=null", "callbacks.evaluation=null: every run needs this callback"),
        ("callbacks.checkpoint.mode=min", "callbacks.checkpoint.mode=min: of public/map@100 the max is the best"),
        ("logger=null", "A whole group such as logger or callbacks cannot be null"),
        ("optimizer.lr=-1", "optimizer: Invalid learning rate: -1"),
        ("scheduler.warmup=2", "scheduler.warmup: 2 must lie in [0, 1)"),
        ("scheduler.final=-1", "scheduler.final: -1 must lie in [0, 1]"),
        ("monitor=public/map@11", "monitor=public/map@11: there is no such metric"),
        ("monitor=pubic/map@100", "monitor=pubic/map@100: there is no such metric"),
    ],
)
def test_invalid_settings_are_refused_before_work_and_leave_no_folder(
    here: Path, tiny_run: list[str], capsys: pytest.CaptureFixture[str], slip: str, words: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        train([*tiny_run, slip, "hydra.run.dir=a"])
    assert ended.value.code == 2 and not (here / "a").exists()
    screen = capsys.readouterr().err
    assert words in screen and len(screen.splitlines()) <= 9


def test_a_disk_without_room_for_checkpoints_is_refused(
    here: Path, tiny_run: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=2**20))
    with pytest.raises(SystemExit):
        train([*tiny_run, "hydra.run.dir=a"])
    assert "a: 1 MiB are free, but the checkpoints of this run need about" in capsys.readouterr().err
    assert not (here / "a").exists()


def test_folders_of_jobs_are_named_after_what_differs(here: Path) -> None:
    long = ["data.decode_margin=1.5", f"name={'n' * 100}", "optimizer.weight_decay=0.125"]
    run_hydra(_work, "train", ["-m", *long, "optimizer.lr=0.001,0.002", "hydra.sweep.dir='a sweep'"])
    names = sorted(path.name for path in (here / "a sweep").iterdir() if path.is_dir())
    assert names == ["0_optimizer.lr=0.001", "1_optimizer.lr=0.002"]


def test_the_recorded_command_does_the_same_again(here: Path, tiny_run: list[str]) -> None:
    arguments = [*tiny_run, "name='a, b'", "trainer.max_steps=1", "evaluate_untrained=false"]
    train([*arguments, "hydra.run.dir=first"])
    command = json.loads((here / "first" / "run.json").read_text())["command"]
    (here / "lazy_loader.py").write_text("raise SystemExit('a stranger's file was run')")
    assert subprocess.run(shlex.split(command), capture_output=True, cwd=here).returncode == 0
    (second,) = (here / "runs").iterdir()
    metrics = [json.loads((folder / "metrics.json").read_text()) for folder in (here / "first", second)]
    assert metrics[0]["trained"] == metrics[1]["trained"]


def test_a_full_disk_is_one_message(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def work(config: DictConfig) -> None:
        raise OSError(28, "No space left on device", "a/checkpoints/best.ckpt")

    with pytest.raises(SystemExit) as ended:
        run_hydra(work, "train", ["hydra.run.dir=a"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("Error a/checkpoints/best.ckpt: No space left on device. What was")


def test_a_closed_pipe_gives_no_traceback() -> None:
    program = "from landmarks.cli.train import train; train(['--help'])"
    done = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.stdout is not None and done.stderr is not None
    done.stdout.read(1)
    done.stdout.close()
    assert done.stderr.read() == b""


def test_a_sweep_refuses_only_jobs_that_hold_a_run(here: Path) -> None:
    run_hydra(_work, "train", ["-m", "seed=0,1", "hydra.sweep.dir=s"])
    (here / "s" / "0_seed=0" / "metrics.json").write_text("{}")
    seen = []
    with pytest.raises(SystemExit):
        run_hydra(lambda config: seen.append(config.seed), "train", ["-m", "seed=0,1", "hydra.sweep.dir=s"])
    assert seen == [1]


def test_one_command_resumes_an_interrupted_sweep(here: Path) -> None:
    run_hydra(_work, "train", ["-m", "seed=0,1", "hydra.sweep.dir=s"])
    checkpoint = here / "s" / "0_seed=0" / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir()
    checkpoint.touch()
    seen = []
    arguments = ["-m", "seed=0,1,2", "hydra.sweep.dir=s", "resume=last"]
    run_hydra(lambda config: seen.append((config.seed, config.resume)), "train", arguments)
    assert seen == [(0, "last"), (1, None), (2, None)]


@pytest.mark.parametrize("held", [False, True])
def test_a_full_disk_leaves_no_empty_files(held: bool, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if held:
        run_hydra(_work, "evaluate", ["hydra.run.dir=a", "checkpoint=x"])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))  # files cannot grow beyond, as on a full disk
    try:
        screen = _refused(["hydra.run.dir=a", "checkpoint=x"], capsys, "evaluate")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "What was complete before is kept; make room" in screen and len(screen.splitlines()) == 1
    left = [path for path in (here / "a").rglob("*") if path.is_file() and path.suffix != ".log"]
    assert bool(left) == held and all(path.stat().st_size for path in left)


def test_a_disk_without_room_for_a_configuration_is_refused_at_once(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("landmarks.config.run_folder.LEAST_ROOM", 1 << 62)
    assert "hydra.run.dir=a: the disk is full; make room" in _refused(["hydra.run.dir=a"], capsys)
    assert not (here / "a").exists()
