"""Small sets of made-up images in the layouts that the sources read."""

import io
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image


def image(seed: int = 0, height: int = 60, width: int = 80) -> np.ndarray:
    """A smooth image, so that JPEG keeps it nearly unchanged: uint8 [height, width, 3]."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (3, 4, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def encoded(image: np.ndarray, kind: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def jpeg(seed: int = 0, height: int = 60, width: int = 80) -> bytes:
    return encoded(image(seed, height, width), quality=95)


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for image_id, data in members.items():
            info = tarfile.TarInfo(f"{image_id[0]}/{image_id[1]}/{image_id[2]}/{image_id}.jpg")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@dataclass
class TinyGLDv2:
    """A complete folder in the official layout, small enough to damage in every way."""

    root: Path
    train: dict[str, int] = field(default_factory=dict)
    index: dict[str, int | None] = field(default_factory=dict)
    test: list[str] = field(default_factory=list)

    def csv(self, name: str) -> Path:
        return self.root / "metadata" / f"{name}.csv"

    def edit(self, name: str, old: str, new: str) -> None:
        text = self.csv(name).read_text()
        assert old in text
        self.csv(name).write_text(text.replace(old, new, 1))

    def remove_tars(self, *splits: str, extract: bool = False) -> None:
        """Leave folders without tars, empty or with what was in them."""
        for path in [path for split in splits for path in (self.root / split).glob("*.tar")]:
            if extract:
                shutil.unpack_archive(path, path.parent, filter="data")
            path.unlink()


def image_id(split: int, number: int) -> str:
    return f"{number * 0x0123456789ABCDEF % 2**60 + split:016x}"


@pytest.fixture
def tiny(tmp_path: Path) -> TinyGLDv2:
    """12 train images of 4 landmarks, 8 index images of which 6 have a landmark, 4 test images."""
    world = TinyGLDv2(
        tmp_path / "gldv2",
        {image_id(1, i): [7, 7, 7, 7, 20, 20, 20, 20, 100, 100, 100, 3000][i] for i in range(12)},
        {image_id(2, i): [7, 7, 7, 9, 9, 9, None, None][i] for i in range(8)},
        [image_id(3, i) for i in range(4)],
    )
    for split, ids in (("train", world.train), ("index", world.index), ("test", world.test)):
        members = {name: jpeg(seed) for seed, name in enumerate(ids)}
        names = sorted(members)
        for part in (0, 1):
            chosen = {name: members[name] for name in names[part::2]}
            write_tar(world.root / split / f"images_00{part}.tar", chosen)
    metadata, truth = world.root / "metadata", world.root / "ground_truth"
    metadata.mkdir()
    truth.mkdir()
    rows = [f"{name},,{landmark}" for name, landmark in world.train.items()]
    rows[1] = rows[1].replace(",,", ',"https://a.org/x,y ""z"".jpg",')
    world.csv("train").write_text("\n".join(["id,url,landmark_id", *rows]) + "\n")
    clean = {mark: [n for n, value in world.train.items() if value == mark] for mark in (20, 7)}
    lines = [f"{mark},{' '.join(names)}" for mark, names in clean.items()]
    world.csv("train_clean").write_text("\n".join(["landmark_id,images", *lines]) + "\n")
    world.csv("index").write_text("\n".join(["id", *world.index]) + "\n")
    labels = [f"{name},{mark}" for name, mark in world.index.items() if mark is not None]
    world.csv("index_image_to_landmark").write_text("\n".join(["id,landmark_id", *labels]) + "\n")
    world.csv("test").write_text("\n".join(["id", *world.test]) + "\n")
    sevens = " ".join(name for name, mark in world.index.items() if mark == 7)
    (truth / "retrieval_solution_v2.1.csv").write_text(
        "id,images,Usage\n"
        f"{world.test[0]},{sevens},Public\n{world.test[1]},{sevens},Private\n"
        f"{world.test[2]},None,Ignored\n{world.test[3]},None,Ignored\n"
    )
    (truth / "recognition_solution_v2.1.csv").write_text(
        "id,landmarks,Usage\n"
        f"{world.test[0]},7,Public\n{world.test[1]},7 20,Private\n"
        f"{world.test[2]},,Private\n{world.test[3]},,Ignored\n"
    )
    return world


@pytest.fixture
def photo_folder(tmp_path: Path) -> Callable[[dict[str, int]], Path]:
    """Writes folders of that many images: `photo_folder({"Bridge": 12})` -> root."""

    def write(folders: dict[str, int]) -> Path:
        root = tmp_path / "photos"
        for name, count in folders.items():
            (root / name).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                (root / name / f"{number:03d}.jpg").write_bytes(jpeg(number, 20, 24))
        return root

    return write


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """Makes images and tars: `make.image`, `make.encoded`, `make.jpeg`, `make.write_tar`."""
    return SimpleNamespace(image=image, encoded=encoded, jpeg=jpeg, write_tar=write_tar)
