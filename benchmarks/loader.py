"""Training images a second from one worker process, beside a plain data set that does the same.

The plain one is what most people would write: extracted files, Pillow, the same list of albumentations, the collate
function of torch. Ours reads once from tars and once from the same extracted files. All take turns in one run, each
with one worker of one thread, so that other work on the machine slows all of them; compare processor seconds, which
it slows least. Originals are the photographs of gldv2_mini with 780 to 800 pixels on the long side, written under
several names into a temporary folder in the layout of Google Landmarks v2.

    python benchmarks/loader.py ../shared/data/gldv2_mini               # writes benchmarks/results/loader.csv
    python benchmarks/loader.py ../shared/data/gldv2_mini --rounds 1    # a quick look, writes nothing
"""

import argparse
import io
import resource
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import albumentations
import cv2
import numpy as np
import PIL
import simplejpeg
import torch
from hydra.utils import instantiate
from machine import machine, write_csv
from numpy.typing import NDArray
from omegaconf import OmegaConf
from PIL import Image
from torch.utils.data import DataLoader, Dataset, default_collate

from landmarks.config import config_root
from landmarks.data import (
    Augmentation,
    FolderStore,
    ImageSet,
    ImageTable,
    LocalTars,
    ShuffledBatches,
    TrainDataset,
    collate_train,
    open_tar_store,
    single_thread,
)
from landmarks.ids import format_id, format_ids

IMAGES = 480
BATCH = 32
RESULTS = Path(__file__).parent / "results" / "loader.csv"
CASES = [("original", 224), ("gentle", 224), ("strong", 224), ("original", 448)]
MARGIN = 1.25  # data.decode_margin
Make = Callable[[], DataLoader[Any]]


class PlainDataset(Dataset[tuple[torch.Tensor, int]]):
    """Files, Pillow, albumentations."""

    def __init__(self, paths: list[Path], transforms: Sequence[Any]) -> None:
        self.paths = paths
        self.transform = albumentations.Compose(transforms)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        with Image.open(self.paths[row]) as image:
            pixels = np.asarray(image.convert("RGB"))
        return torch.from_numpy(self.transform(image=pixels)["image"]).permute(2, 0, 1), row


def large_photographs(mini: Path) -> list[bytes]:
    found = []
    for path in sorted(mini.glob("*/images_*.tar")):
        with tarfile.open(path) as tar:
            files = [tar.extractfile(member) for member in tar if member.isreg()]
            found += [data for file in files if file is not None and is_large(data := file.read())]
    if not found:
        raise SystemExit(f"{mini}: no tars with photographs of 800 pixels")
    return found


def is_large(data: bytes) -> bool:
    return 780 <= max(simplejpeg.decode_jpeg_header(data)[:2]) <= 800


def write_both_layouts(folder: Path, photographs: list[bytes]) -> ImageTable:
    """IMAGES of them as tars and as an extracted tree."""
    ids = np.unique(np.random.default_rng(0).integers(2**64, size=IMAGES, dtype=np.uint64))
    (folder / "tars").mkdir()
    for part in range(4):
        with tarfile.open(folder / "tars" / f"images_{part:03d}.tar", "w") as tar:
            for row in range(part, len(ids), 4):
                name = format_id(ids[row])
                member = tarfile.TarInfo(f"{name[0]}/{name[1]}/{name[2]}/{name}.jpg")
                member.size = len(data := photographs[row % len(photographs)])
                tar.addfile(member, io.BytesIO(data))
                path = folder / "files" / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    return ImageTable(ids, np.zeros(len(ids), np.int32), np.array(["a"]))


def loaders(folder: Path, table: ImageTable, augmentation: str, size: int) -> dict[tuple[str, str], Make]:
    config = OmegaConf.load(config_root() / "conf" / "augmentation" / f"{augmentation}.yaml")
    ours: Augmentation = instantiate(config)(image_size=size)
    transforms: Sequence[Any] = [
        one(size=(size, size)) if isinstance(one, partial) else one
        for one in instantiate(config.transforms, _convert_="all")
    ]
    paths = [folder / "files" / n[0] / n[1] / n[2] / f"{n}.jpg" for n in format_ids(table.ids)]
    stores = {
        "tars": open_tar_store(LocalTars(folder / "tars"), folder / "offsets"),
        "files": FolderStore(folder / "files"),
    }
    options: dict[str, Any] = {"num_workers": 1, "worker_init_fn": single_thread}
    plain = partial(
        DataLoader,
        PlainDataset(paths, transforms),
        BATCH,
        shuffle=True,
        drop_last=True,
        collate_fn=default_collate,
        **options,
    )
    return {
        ("plain", "files"): plain,
        **{
            ("landmarks", name): partial(
                DataLoader,
                TrainDataset(ImageSet(table, store), [ours], decode_margin=MARGIN),
                batch_sampler=ShuffledBatches(len(table), BATCH),
                collate_fn=collate_train,
                **options,
            )
            for name, store in stores.items()
        },
    }


def epoch(make: Make) -> tuple[float, float]:
    """Seconds of one epoch after its first batch, and processor seconds of the worker for all of it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    batches = iter(make())
    next(batches)
    start = time.perf_counter()
    count = sum(1 for _ in batches)
    seconds = (time.perf_counter() - start) / count
    del batches  # ends the worker
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds / BATCH, processor_seconds / (count + 1) / BATCH


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mini", type=Path, help="a folder in the layout of Google Landmarks v2")
    parser.add_argument("--rounds", type=int, default=5, help="the fastest counts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder, photographs = Path(name), large_photographs(options.mini)
        table = write_both_layouts(folder, photographs)
        for augmentation, size in CASES:
            makes = loaders(folder, table, augmentation, size)
            runs: dict[tuple[str, str], list[tuple[float, float]]] = {who: [] for who in makes}
            for _ in range(options.rounds):
                for who, make in makes.items():
                    runs[who].append(epoch(make))
            best: dict[tuple[str, str], NDArray[np.float64]] = {who: np.min(runs[who], axis=0) for who in runs}
            for (implementation, storage), (seconds, processor_seconds) in best.items():
                rows.append(
                    {
                        "implementation": implementation,
                        "storage": storage,
                        "augmentation": augmentation,
                        "image_size": size,
                        "images": len(table),
                        "photographs": len(photographs),
                        "mean_kib": round(np.mean([len(data) for data in photographs]) / 1024),
                        "images_per_second": round(1 / seconds),
                        "images_per_core_second": round(1 / processor_seconds),
                        "over_plain": round(float(best["plain", "files"][1] / processor_seconds), 2),
                        "rounds": options.rounds,
                        **machine(
                            simplejpeg=simplejpeg.__version__,
                            pillow=PIL.__version__,
                            albumentations=albumentations.__version__,
                            torch=torch.__version__,
                        ),
                    }
                )
                print(",".join(str(value) for value in rows[-1].values()), flush=True)
    if options.rounds >= 5:
        write_csv(RESULTS, rows)


if __name__ == "__main__":
    main()
