"""Fixtures shared by all tests: real photographs, expected values, a tiny demo world, composed configurations."""

import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hypothesis import HealthCheck, settings
from omegaconf import DictConfig

from http_server import HttpServer
from landmarks.config import config_root, register_resolvers, register_search_path
from rectangles import write_rectangles
from tiny_world import write_tiny_world

pytest_plugins = ["printed", "tiny_sets"]

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = Path(os.environ.get("LANDMARKS_TEST_DATA", ROOT.parent / "shared" / "data"))

Compose = Callable[..., DictConfig]

# No deadline: a busy machine is no fault of the code. A test that needs more or fewer examples says so itself.
settings.register_profile("landmarks", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("landmarks")


def pytest_collection_finish() -> None:
    """Take what was imported and collected out of the garbage collector's rounds, one of 20 seconds otherwise."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def derived_files_apart(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Offsets and other derived files go to a folder of this session: tests write into no data set."""
    os.environ["LANDMARKS_CACHE"] = str(tmp_path_factory.mktemp("derived"))


@pytest.fixture(autouse=True)
def code_of_folders_forgotten(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a test imports from a folder of its own is gone for the next, whose modules may have the same names."""
    paths, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = paths
    for name in sys.modules.keys() - modules:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path_factory.getbasetemp())):
            del sys.modules[name]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photographs."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs the shared test data; set LANDMARKS_TEST_DATA (looked in {SHARED_DATA})")
    return SHARED_DATA


@pytest.fixture(scope="session")
def oracles() -> Path:
    """The folder of values that other implementations computed."""
    return ROOT / "tests" / "oracles"


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo world of 8 landmarks, copied once for all test processes; do not write into it."""
    base = tmp_path_factory.getbasetemp()
    # the processes of pytest-xdist share the folder above theirs
    root = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "landmarks-tiny-world"
    write_tiny_world(root)
    return root


@pytest.fixture(scope="session")
def rectangles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Coloured rectangles in the layout of Open Images; do not write into it."""
    root = tmp_path_factory.mktemp("rectangles") / "set"
    write_rectangles(root)
    return root


@pytest.fixture
def http_server() -> Iterator[Callable[[Path], HttpServer]]:
    """`http_server(folder)`: a local HTTP server of a folder, with ranges and with faults where a test wants them."""
    servers: list[HttpServer] = []

    def serve(folder: Path) -> HttpServer:
        servers.append(HttpServer(folder))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def compose_config() -> Iterator[Compose]:
    """`compose_config("train", *overrides, run_dir=…)`: a configuration as a command would compose it."""
    register_search_path()
    register_resolvers()

    def composed(name: str, *overrides: str, run_dir: Path | None = None) -> DictConfig:
        extra = [f"run_dir={run_dir}", "name=test"] if run_dir is not None else []
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(config_root() / "conf"), version_base="1.3"):
            return compose(name, [*overrides, *extra])

    yield composed
    GlobalHydra.instance().clear()


@pytest.fixture(scope="session")
def tiny_run(tiny_world: Path) -> list[str]:
    """Overrides for a training run of a few seconds on the tiny world."""
    return [
        f"data.root={tiny_world}",
        "data.image_size=64",
        "data.batch_size=8",
        "data.num_workers=0",
        "model=timm",
        "model.name=test_resnet",
        "model.dim=32",
        "trainer.max_epochs=1",
        "trainer.check_val_every_n_epoch=1",
        "trainer.accelerator=cpu",
        "trainer.devices=1",
        "trainer.enable_progress_bar=false",
        "callbacks.progress=null",
    ]


@dataclass(frozen=True)
class TrainedRun:
    """A finished run: its folder, its best checkpoint, and the figure that stands for it."""

    folder: Path
    value: float

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoints" / "best.ckpt"

    @property
    def metrics(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "metrics.json").read_text())
        return found


@pytest.fixture(scope="session")
def trained_run(compose_config: Compose, tiny_run: list[str], tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """One training run on the tiny world for all tests that look at what a run leaves; do not write into it."""
    from landmarks.training import train_job

    folder = tmp_path_factory.mktemp("trained") / "run"
    value = train_job(compose_config("train", *tiny_run, run_dir=folder))
    assert value is not None
    return TrainedRun(folder, value)
