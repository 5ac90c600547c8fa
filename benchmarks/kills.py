"""What does a kill at any moment cost? Kills jobs with SIGKILL, lets them go on, and compares what they end with.

For each kind of job one run is left alone. Then, again and again in a fresh folder, the same command is started, killed
at a random moment of its work, and started again in the way that the README gives (`resume=last` for training, the same
command for all else) until it ends. Three things are counted:

    lost    work that lay finished on the disk at the kill and was done again: steps before `last.ckpt`, rows of
            descriptors and of the retrieval cache, bytes of downloads, jobs of a sweep that had ended
    wrong   a result that is not that of the run that was left alone, to the last bit: figures, weights, descriptors,
            rankings, submissions, downloaded files
    stuck   processes that live 30 s after the kill, and a second start that hangs or ends without saying what to do

Kinds are train, ddp (two processes with gloo; the kill hits the parent or the other rank, in steps or in start-up),
sweep, extract, evaluate (a checkpoint, or precomputed descriptors), index (of tars, or the retrieval cache of an
evaluation) and download. Jobs are forked from a process that has imported everything, so that a round takes seconds;
other ranks of DDP start as ever.

    python benchmarks/kills.py                      # all kinds, 20 rounds each: benchmarks/results/kills.csv
    python benchmarks/kills.py train                # one kind, whose row of the table is replaced
    python benchmarks/kills.py train ddp --rounds 3 # a quick look, writes nothing
"""

import argparse
import csv
import functools
import hashlib
import importlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from machine import machine, write_csv

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests" / "support"))

import landmarks.data
import landmarks.evaluation
import landmarks.report
import landmarks.training
import tiny_sets
from http_server import HttpServer, Request, _Handler
from landmarks.cli.main import app
from landmarks.data.stores.offset_file import read_offsets
from landmarks.models import open_checkpoint
from landmarks.storage import RowLog
from tiny_world import write_tiny_world

RESULTS = Path(__file__).parent / "results" / "kills.csv"
KINDS = ("train", "ddp", "sweep", "extract", "evaluate", "index", "download")
ROUNDS = 20
GONE_WITHIN = 30.0  # seconds after a kill
HANGS_AFTER = 300.0  # seconds of a start, on a machine with other work
WORK = "work.txt"  # lines of work that was done, beside the run folder

SMALL = [
    "data.image_size=64",
    "data.batch_size=8",
    "data.num_workers=0",
    "model=timm",
    "model.name=test_resnet",
    "model.dim=32",
    "trainer.max_epochs=3",
    "trainer.check_val_every_n_epoch=1",
    "trainer.accelerator=cpu",
    "callbacks.progress=null",
]
OF_TIME = re.compile(r"seconds|memory|_mb$|started|directory|command|machine|git|versions|checkpoint$|config$|cost")

T = TypeVar("T")
Words = list[str]


@dataclass
class Job:
    """One kind of job in a folder of its own."""

    folder: Path
    words: Callable[[bool], Words]  # of the command; True: to go on
    result: Callable[[], dict[str, str]]  # digests of what a finished run leaves
    begun: Callable[[], bool]  # whether it is at work
    finished_work: Callable[[], Counter[str]] = Counter  # what the disk holds at a kill, that must not be done again
    redone: Callable[[Counter[str]], dict[str, int]] = lambda before: {}  # of that, what the second start did again

    @property
    def work(self) -> Path:
        return self.folder / WORK


@dataclass
class Tally:
    rounds: int = 0
    ended_before: int = 0
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)  # seconds after work began


# Processes


def forked(work: Callable[[], Any], output: Path, log: Path | None = None) -> int:
    """Do `work` in a child of this process, in a session of its own; return its id, which is also the session's."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        with output.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        if log is not None:
            count_work(log)
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def in_child(work: Callable[[], T]) -> T:
    """Return what `work` gives, JSON, computed in a child: this process must stay as it is, without threads."""
    with tempfile.TemporaryDirectory() as name:
        answer = Path(name) / "answer"
        child = forked(lambda: answer.write_text(json.dumps(work())), Path(name) / "output")
        os.waitpid(child, 0)
        if not answer.exists():
            raise RuntimeError((Path(name) / "output").read_text()[-2000:])
        found: T = json.loads(answer.read_text())
        return found


def run_words(words: Words) -> None:
    torch.set_num_threads(1)
    sys.argv = ["landmarks", *words]
    app(words, standalone_mode=True)


def members(session: int) -> list[int]:
    """Processes of a session that are alive."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                state, _, _, of = (path / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(of) == session and state not in "ZX":
                    found.append(int(path.name))
    return found


def ended(child: int) -> int | None:
    """The exit code of a child, None while it runs."""
    done, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def wait_gone(session: int) -> list[int]:
    until = time.monotonic() + GONE_WITHIN
    while (alive := members(session)) and time.monotonic() < until:
        time.sleep(0.1)
    for process in alive:
        with suppress(OSError):
            os.kill(process, signal.SIGKILL)
    return alive


# Work that is done is noted by the jobs themselves, after it is done, in a file that a kill does not harm.


def count_work(path: Path) -> None:
    number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(*words: object) -> None:
        os.write(number, (" ".join(map(str, words)) + "\n").encode())

    step = landmarks.training.LandmarkModule.training_step
    add = RowLog.add

    @functools.wraps(step)
    def noted_step(self: Any, *arguments: Any) -> Any:
        note("step", Path(self.trainer.default_root_dir).name, self.trainer.global_step)
        return step(self, *arguments)

    @functools.wraps(add)
    def noted_add(self: RowLog, rows: Any) -> None:
        before = self.count
        add(self, rows)
        note("rows", self.folder.name, self.count - before)

    landmarks.training.LandmarkModule.training_step = noted_step
    RowLog.add = noted_add


def rows_done(work: Path) -> Counter[str]:
    """Rows by the folder that they were written into."""
    found: Counter[str] = Counter()
    for line in work.read_text().splitlines() if work.exists() else ():
        kind, name, count = line.split()
        if kind == "rows":
            found[name] += int(count)
    return found


def steps_done(work: Path) -> list[tuple[str, int]]:
    lines = [line.split() for line in (work.read_text().splitlines() if work.exists() else ())]
    return [(name, int(number)) for kind, name, number in lines if kind == "step"]


# Results


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def without_times(value: Any) -> Any:
    """Leave out of metrics.json what differs between any two runs."""
    if isinstance(value, dict):
        return {key: without_times(each) for key, each in value.items() if not OF_TIME.search(key)}
    return [without_times(each) for each in value] if isinstance(value, list) else value


def evaluated(run: Path) -> dict[str, str]:
    """Digests of what an evaluation left."""
    found = {}
    figures = without_times(json.loads((run / "metrics.json").read_text()))
    text = json.dumps(figures, sort_keys=True).replace(str(run.parent), "")
    found["metrics.json"] = digest(text.encode())
    with np.load(run / "ranking.npz") as arrays:
        found["ranking.npz"] = digest(*(arrays[name].tobytes() for name in arrays.files))
    for path in sorted((run / "submissions").glob("*.csv")):
        found[path.name] = digest(path.read_bytes())
    return found


def descriptors(folder: Path) -> dict[str, str]:
    """Digests of the descriptor sets of a folder, in the order of their ids."""
    found = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if (path / "ids.npy").exists():
            ids = np.load(path / "ids.npy")
            order = np.argsort(ids)
            found[path.name] = digest(ids[order].tobytes(), np.load(path / "descriptors.npy")[order].tobytes())
        elif path.is_dir():
            found[path.name] = "unfinished"
    return found


def weights(path: Path) -> str:
    state = open_checkpoint(path)["state_dict"]
    return digest(*(name.encode() + tensor.numpy().tobytes() for name, tensor in sorted(state.items())))


def trained(run: Path) -> dict[str, str]:
    files = {name: weights(run / "checkpoints" / name) for name in ("best.ckpt", "last.ckpt")}
    return files | evaluated(run) | descriptors(run / "descriptors")


def checkpointed(run: Path) -> int:
    """The step of the last checkpoint, -1 where there is none; corrupt ones raise."""
    path = run / "checkpoints" / "last.ckpt"
    return int(open_checkpoint(path)["global_step"]) if path.exists() else -1


# Kinds


@dataclass
class World:
    """What all rounds share, and read only."""

    folder: Path
    data: Path = field(init=False)
    checkpoint: Path = field(init=False)

    def __post_init__(self) -> None:
        self.data = self.folder / "world"
        self.checkpoint = self.folder / "trained" / "checkpoints" / "best.ckpt"

    def make(self) -> None:
        write_tiny_world(self.data)
        words = [
            "train",
            f"data.root={self.data}",
            *SMALL,
            "trainer.max_epochs=1",
            f"hydra.run.dir={self.folder}/trained",
        ]
        self._do(words)
        self._do(["extract", f"checkpoint={self.checkpoint}", f"data.root={self.data}", "trainer.accelerator=cpu",
                  "data.num_workers=0", "callbacks.progress=null",
                  f"hydra.run.dir={self.folder}/extracted"])  # fmt: skip
        rng = np.random.default_rng(0)
        centres = rng.standard_normal((60, 64))
        for name, count in (("queries", 300), ("index", 6000)):
            rows = centres[rng.integers(0, 60, count)] + 0.7 * rng.standard_normal((count, 64))
            np.save(self.folder / f"{name}.npy", (rows / np.linalg.norm(rows, axis=1)[:, None]).astype(np.float32))
            np.save(self.folder / f"{name}_labels.npy", rng.integers(0, 60, count))
        self._do(evaluate_job(self, self.folder / "warm", 0).words(False))
        in_child(self._write_tars)

    def _write_tars(self) -> None:
        rng = np.random.default_rng(0)
        ids = [f"{number:016x}" for number in np.unique(rng.integers(0, 2**63, 60 * 1200)).tolist()]
        for number in range(60):
            names = dict.fromkeys(ids[number::60], b"x" * 300)
            tiny_sets.write_tar(self.folder / "tars" / "train" / f"images_{number:03d}.tar", names)

    def _do(self, words: Words) -> None:
        output = self.folder / "preparing.txt"
        modules = self.folder / "modules.txt"

        def work() -> None:
            try:
                run_words(words)
            finally:
                modules.write_text("\n".join(sys.modules))

        child = forked(work, output)
        if os.waitpid(child, 0)[1]:
            raise RuntimeError(output.read_text()[-3000:])
        for name in modules.read_text().split():  # once for all that are forked from here
            if name not in sys.modules and not name.startswith("__"):
                with suppress(Exception):
                    importlib.import_module(name)


def train_job(world: World, folder: Path, number: int, extra: Words | None = None) -> Job:
    run = folder / "run"
    # every second round writes last.ckpt after each step, so that kills come while it is written and in mid-epoch
    often = ["callbacks.last.minutes=0"] if number % 2 else []

    def words(again: bool) -> Words:
        go_on = ["resume=last"] if again and (run / "checkpoints" / "last.ckpt").exists() else []
        return ["train", f"data.root={world.data}", *SMALL, *(extra or ["trainer.devices=1"]), *often,
                f"hydra.run.dir={run}", *go_on]  # fmt: skip

    def finished() -> Counter[str]:
        output = (run / "run.log").read_text() if (run / "run.log").exists() else ""
        evaluations = len(re.findall(r"public/map@100 is", output))
        first_of_run = 1 if "Evaluating the untrained network" in output else 0
        return Counter(step=in_child(lambda: checkpointed(run)), evaluations=evaluations - first_of_run,
                       noted=len(steps_done(folder / WORK)))  # fmt: skip

    def redone(before: Counter[str]) -> dict[str, int]:
        steps = steps_done(folder / WORK)[before["noted"] :]
        found = {}
        if before["step"] >= 0 and steps and steps[0][1] < before["step"]:
            found["steps before last.ckpt"] = before["step"] - steps[0][1]
        epoch = 1 + max((number for _, number in steps_done(folder / WORK)), default=0)
        due = (before["evaluations"] - 1) * (epoch // 3)
        if before["evaluations"] > 1 and before["step"] < due:
            found["evaluated steps without a checkpoint"] = due - before["step"]
        return found

    return Job(folder, words, lambda: trained(run), lambda: bool(steps_done(folder / WORK)), finished, redone)


def ddp_job(world: World, folder: Path, number: int) -> Job:
    return train_job(world, folder, number, ["trainer=ddp", "trainer.devices=2", "trainer.max_epochs=2"])


def sweep_job(world: World, folder: Path, number: int) -> Job:
    sweep = folder / "sweep"

    def words(again: bool) -> Words:
        go_on = ["resume=last"] if again else []
        return ["train", "-m", "seed=0,1", f"data.root={world.data}", *SMALL, "trainer.max_epochs=1",
                "trainer.devices=1", f"hydra.sweep.dir={sweep}", *go_on]  # fmt: skip

    def runs() -> list[Path]:
        return sorted(path for path in sweep.iterdir() if path.is_dir() and path.name[0].isdigit())

    def result() -> dict[str, str]:
        return {f"{run.name}/{name}": value for run in runs() for name, value in trained(run).items()}

    def finished() -> Counter[str]:
        done = {run.name: in_child(lambda run=run: checkpointed(run)) for run in runs()} if sweep.exists() else {}
        return Counter(done | {"noted": len(steps_done(folder / WORK))})

    def redone(before: Counter[str]) -> dict[str, int]:
        first: dict[str, int] = {}
        for name, step in steps_done(folder / WORK)[before["noted"] :]:
            first.setdefault(name, step)
        return {f"steps of {name}": before[name] - step for name, step in first.items() if before[name] > step}

    return Job(folder, words, result, lambda: bool(steps_done(folder / WORK)), finished, redone)


def rows_job(folder: Path, words: Words, result: Callable[[], dict[str, str]], begun: Callable[[], bool]) -> Job:
    """A job that writes rows once: those noted before and after a kill must not be more than the sets hold."""

    def redone(before: Counter[str]) -> dict[str, int]:
        rows = rows_done(folder / WORK)
        return {name: rows[name] - total for name, total in reference_rows(folder).items() if rows[name] > total}

    return Job(folder, lambda again: words, result, begun, lambda: rows_done(folder / WORK), redone)


def reference_rows(folder: Path) -> Counter[str]:
    """Rows that the run left alone wrote, whose folder lies beside those of the rounds."""
    number = int(folder.name.rpartition("-")[2])
    return rows_done(folder.with_name(f"{folder.name.partition('-')[0]}-reference-{number % 2}") / WORK)


def extract_job(world: World, folder: Path, number: int) -> Job:
    run = folder / "run"
    words = ["extract", f"checkpoint={world.checkpoint}", f"data.root={world.data}", "splits=[queries,index,gallery]",
             "data.eval_batch_size=4", "data.num_workers=0", "trainer.accelerator=cpu", "callbacks.progress=null",
             "extraction.scales=[0.7,1.0,1.4]", "extraction.flip=true", "data.image_size=160",
             f"hydra.run.dir={run}"]  # fmt: skip
    if number % 2:
        words += ["dtype=float16", "extraction.regions=2"]
    return rows_job(
        folder, words, lambda: descriptors(run), lambda: (folder / WORK).exists() and bool(rows_done(folder / WORK))
    )


def evaluate_job(world: World, folder: Path, number: int) -> Job:
    run, cache = folder / "run", folder / "cache"
    if number % 2:
        words = ["evaluate", f"checkpoint={world.checkpoint}", f"data.root={world.data}", "data.eval_batch_size=4",
                 "data.num_workers=0", "trainer.accelerator=cpu", "callbacks.progress=null",
                 "data.image_size=160"]  # fmt: skip
    else:
        sets = [f"descriptors.{name}={world.folder}/extracted/{name}" for name in ("queries", "index", "gallery")]
        words = ["evaluate", *sets, "descriptors.use_data=true", f"data.root={world.data}"]
    words += ["pipeline=second_place_2019", "recognition=calibrated", f"cache.folder={cache}",
              f"local_features.folder={folder}/local", f"hydra.run.dir={run}"]  # fmt: skip
    if number % 10 != 4:  # the others start processes for local features, which take seconds to import what they need
        words.append("pipeline.workers=1")
    result = lambda: evaluated(run) | descriptors(run / "descriptors")  # noqa: E731
    return rows_job(folder, words, result, lambda: (run / "run.json").exists())


def places(path: Path) -> str:
    """A digest of where all images lie; the order of tars in the file is that in which threads were done with them."""
    offsets = read_offsets(path)
    tars = np.array([tar.name for tar in offsets.tars])
    return digest(*(each.tobytes() for each in (offsets.ids, tars[offsets.tar], offsets.block, offsets.length)))


def index_job(world: World, folder: Path, number: int) -> Job:
    if number % 2:
        derived = folder / "derived"
        words = ["data", "index", "--root", str(folder / "tars"), "--workers", "2"]
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "tars").exists():
            shutil.copytree(world.folder / "tars", folder / "tars", copy_function=os.link)

        def result() -> dict[str, str]:
            return {path.name: places(path) for path in derived.rglob("*.safetensors")}

        return Job(folder, lambda again: words, result, lambda: True)
    run, cache = folder / "run", folder / "cache"
    parts = [f"descriptors.{name}={world.folder}/{name}.npy" for name in ("queries", "index")]
    parts += [
        f"descriptors.{one}_labels={world.folder}/{two}_labels.npy"
        for one, two in (("query", "queries"), ("index", "index"))
    ]
    words = ["evaluate", *parts, "pipeline=diffusion", f"cache.folder={cache}", f"hydra.run.dir={run}"]

    def kept() -> dict[str, str]:
        files = sorted(cache.rglob("*.npy"))
        return {f"{path.parent.name}/{path.name}": digest(path.read_bytes()) for path in files}

    return rows_job(folder, words, lambda: evaluated(run) | kept(), lambda: (run / "run.json").exists())


class SlowServer(HttpServer):
    """Sends 15 MB a second over each connection, and notes what is asked in a file."""

    def __init__(self, folder: Path, notes: Path) -> None:
        super().__init__(folder)
        self._notes = notes.open("a", buffering=1)
        self._server.RequestHandlerClass = SlowHandler

    def arrived(self, request: Request) -> Any:
        self._notes.write(json.dumps([request.method, request.path, request.range]) + "\n")
        return super().arrived(request)


class SlowHandler(_Handler):
    def setup(self) -> None:
        super().setup()
        at_once = self.wfile.write

        def write(data: Any) -> int:
            for begin in range(0, len(data), 150_000):
                at_once(data[begin : begin + 150_000])
                time.sleep(0.01 if len(data) > 10_000 else 0)
            return len(data)

        self.wfile.write = write  # type: ignore[method-assign]


def download_job(world: World, folder: Path, number: int) -> Job:
    folder.mkdir(parents=True, exist_ok=True)
    target, notes, address = folder / "copy", folder / "requests.jsonl", folder / "address"
    served = world.folder / "release"
    notes.touch()

    def serve() -> None:
        server = SlowServer(served, notes)
        address.write_text(server.url)
        while os.getppid() != 1 and not (folder / "enough").exists():
            time.sleep(0.2)

    if not served.exists():
        in_child(lambda: write_release(world.data, served))
    servers.append(forked(serve, folder / "server.txt"))
    while not address.exists() or not address.read_text():
        time.sleep(0.05)
    words = ["data", "download", "--root", str(target), "--split", "metadata,train,index,test", "--tars", "0-2",
             "--base-url", address.read_text(), "--workers", "2"]  # fmt: skip

    def result() -> dict[str, str]:
        return {
            str(path.relative_to(target)): digest(path.read_bytes())
            for path in sorted(target.rglob("*"))
            if path.is_file()
        }

    def held() -> Counter[str]:
        files = [path for path in target.rglob("*") if path.is_file()] if target.exists() else []
        sizes = {str(path.relative_to(target)): path.stat().st_size for path in files}
        return Counter(sizes | {"": len(notes.read_text().splitlines())})

    def redone(before: Counter[str]) -> dict[str, int]:
        found = {}
        for line in notes.read_text().splitlines()[before[""] :]:
            method, path, asked = json.loads(line)
            start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
            there = max(before[path], before[f"{path}.partial"])
            if method == "GET" and there > start:
                found[path] = there - start
        return found

    return Job(folder, lambda again: words, result, lambda: target.exists() and any(target.rglob("*.*")), held, redone)


def write_release(world: Path, served: Path) -> None:
    """The tiny world with tars of 5 MB, and their sums."""
    shutil.copytree(world, served)
    rng = np.random.default_rng(0)
    for split in ("train", "index", "test"):
        for path in (served / split).glob("*.tar"):
            path.unlink()
        shutil.rmtree(served / "md5sum" / split)
        (served / "md5sum" / split).mkdir()
        for number in range(3):
            path = served / split / f"images_{number:03d}.tar"
            path.write_bytes(rng.bytes(12_000_000))
            digest_ = hashlib.md5(path.read_bytes()).hexdigest()
            (served / "md5sum" / split / f"md5.{path.stem}.txt").write_text(f"{digest_}  {path.name}\n")


servers: list[int] = []
JOBS: dict[str, Callable[[World, Path, int], Job]] = {
    "train": train_job,
    "ddp": ddp_job,
    "sweep": sweep_job,
    "extract": extract_job,
    "evaluate": evaluate_job,
    "index": index_job,
    "download": download_job,
}

# Rounds


def start(job: Job, again: bool) -> int:
    job.folder.mkdir(parents=True, exist_ok=True)
    words = job.words(again)

    def work() -> None:
        os.environ["LANDMARKS_CACHE"] = str(job.folder / "derived")
        run_words(words)

    return forked(work, job.folder / "output.txt", job.work)


def await_work(job: Job, child: int) -> bool:
    """Wait until it is at work; False where it ended before."""
    while not job.begun():
        if ended(child) is not None:
            return False
        time.sleep(0.01)
    return True


def reference(job: Job) -> tuple[float, dict[str, str]]:
    """Seconds of work, and the result."""
    child = start(job, again=False)
    await_work(job, child)
    begin = time.monotonic()
    while (code := ended(child)) is None:
        time.sleep(0.02)
    if code:
        raise RuntimeError((job.folder / "output.txt").read_text()[-3000:])
    seconds, found = time.monotonic() - begin, in_child(job.result)
    assert found, f"{job.folder}: nothing to compare"
    return seconds, found


def play(kind: str, job: Job, seconds: float, expected: dict[str, str], chance: random.Random, tally: Tally) -> None:
    """One round; it counts only if the kill came before the end."""
    name = job.folder.name
    child = start(job, again=False)
    in_start_up = kind == "ddp" and chance.random() < 0.25
    if in_start_up:  # while the other rank still imports
        while len(members(child)) < 2 and child in members(child):
            time.sleep(0.01)
        delay = chance.uniform(0, 6)
    elif await_work(job, child):
        delay = chance.uniform(0, seconds)
    else:
        delay = 0
    time.sleep(delay)
    others = [process for process in members(child) if process != child]
    victim = chance.choice(others) if kind == "ddp" and others and chance.random() < 0.5 else child
    if child not in members(child):
        os.waitpid(child, 0)
        tally.ended_before += 1
        return
    with suppress(OSError):
        os.kill(victim, signal.SIGKILL)
    alive = wait_gone(child)
    with suppress(ChildProcessError):
        os.waitpid(child, 0)
    tally.rounds += 1
    tally.moments.append(delay)
    if alive:
        tally.stuck.append(f"{name}: {len(alive)} processes lived on")
    before = job.finished_work()
    for _ in range(3):
        size = (job.folder / "output.txt").stat().st_size
        child = start(job, again=True)
        code, until = None, time.monotonic() + HANGS_AFTER
        while code is None and time.monotonic() < until:
            time.sleep(0.02)
            code = ended(child)
        said = (job.folder / "output.txt").read_bytes()[size:].decode("utf-8", "replace")
        if code == 0:
            break
        left = wait_gone(child) if code is None else []
        if code is None or "Traceback" in said or "Error" not in said:
            tally.stuck.append(f"{name}: {'hangs' if code is None else f'code {code}'}, {left} {said[-600:]}")
            return
    else:
        tally.stuck.append(f"{name}: refused three times: {said[-600:]}")
        return
    redone = job.redone(before)
    if redone:
        tally.lost.append(f"{name}: {redone}")
    found = in_child(job.result)
    differ = sorted(key for key in expected | found if expected.get(key) != found.get(key))
    if differ:
        tally.wrong.append(f"{name}: {differ}")


def play_kind(kind: str, world: World, rounds: int, seed: int, keep: bool) -> Tally:
    chance, tally = random.Random(f"{kind} {seed}"), Tally()
    references = []
    for parity in (0, 1):
        job = JOBS[kind](world, world.folder / f"{kind}-reference-{parity}", parity)
        references.append(reference(job))
    print(kind, "alone:", [round(seconds, 1) for seconds, _ in references], "s of work", flush=True)
    number = 0
    while tally.rounds < rounds and number < 3 * rounds:
        folder = world.folder / f"{kind}-{number}"
        faults = len(tally.lost + tally.wrong + tally.stuck)
        play(kind, JOBS[kind](world, folder, number), *references[number % 2], chance, tally)
        (folder / "enough").touch()
        if len(tally.lost + tally.wrong + tally.stuck) > faults:
            print((tally.lost + tally.wrong + tally.stuck)[faults:], flush=True)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
        number += 1
    for one in servers:
        with suppress(OSError):
            os.kill(one, signal.SIGKILL)
            os.waitpid(one, 0)
    servers.clear()
    return tally


def keep_rows(rows: list[dict[str, Any]]) -> None:
    """Put rows among those of other kinds that were measured before."""
    found = {row["kind"]: row for row in rows}
    if RESULTS.exists():
        with RESULTS.open(newline="") as file:
            found = {row["kind"]: row for row in csv.DictReader(file)} | found
    write_csv(RESULTS, [found[kind] for kind in KINDS if kind in found])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder in which everything stays, to look at")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        world = World(arguments.keep or Path(name))
        world.folder.mkdir(exist_ok=True)
        os.environ["LANDMARKS_CACHE"] = str(world.folder / "derived")
        world.make()
        rows = []
        for kind in arguments.kinds or KINDS:
            begin = time.monotonic()
            tally = play_kind(kind, world, arguments.rounds, arguments.seed, arguments.keep is not None)
            rows.append(
                {
                    "kind": kind,
                    "rounds": tally.rounds,
                    "lost": len(tally.lost),
                    "wrong": len(tally.wrong),
                    "stuck": len(tally.stuck),
                    "ended_before_the_kill": tally.ended_before,
                    "first_kill_seconds": round(min(tally.moments, default=0), 2),
                    "last_kill_seconds": round(max(tally.moments, default=0), 2),
                    "seconds": round(time.monotonic() - begin),
                    **machine(torch=torch.__version__, numpy=np.__version__),
                }
            )
            print(json.dumps(rows[-1]), flush=True)
            if arguments.rounds >= ROUNDS:
                keep_rows(rows)


if __name__ == "__main__":
    main()
