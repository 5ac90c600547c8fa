"""How long does opening the full Google Landmarks v2 take, and how much memory?

Makes a folder with the tables of the real size and formats (4,132,914 train images of 203,094 landmarks, 1,580,470 of
81,313 in train_clean, 761,757 index images) in a temporary folder. Its 600 tars are holes without content, beside an
offset index that says where images would be: opening reads no image. Each split is opened in a process of its
own, the fastest of some runs counts, all files in the page cache. `open_seconds` begin when Python runs and end when
the images are located: imports included; `process_seconds` contain Python's start and end, too.

Then two DataLoader workers read id, landmark and location of every train image one by one. Their private memory
(Private_Clean + Private_Dirty of /proc/PID/smaps_rollup) is compared with workers that have a table of ten images.

    python benchmarks/open_full_size.py                # writes benchmarks/results/open_full_size.csv
    python benchmarks/open_full_size.py --scale 0.01   # a quick look, writes nothing
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import machine, write_csv

from landmarks.data import IndexedTar, LocalTars, Offsets, write_offsets
from landmarks.ids import format_ids
from landmarks.storage import derived_folder

RESULTS = Path(__file__).parent / "results" / "open_full_size.csv"
TRAIN, TRAIN_LANDMARKS, TRAIN_TARS = 4_132_914, 203_094, 500
CLEAN, CLEAN_LANDMARKS = 1_580_470, 81_313
INDEX, INDEX_LANDMARKS, INDEX_TARS = 761_757, 101_302, 100
TEST, TEST_TARS = 117_577, 20
TAR_BYTES = 1 << 30
WORDS = ["Cath%C3%A9drale", "Notre", "Dame", "Church", "of", "St_Mary", "Panorama", "View", "Castle", "Bridge", "DSC"]
SPLITS = ("train", "train_clean", "index", "train+index")

OPEN = """
import time
start = time.perf_counter()
import json, re, sys
from pathlib import Path

def memory(key):
    return int(re.search(rf"{key}:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

bare = memory("VmRSS")
from landmarks.data.gldv2.source import GLDv2
imported, imported_rss = time.perf_counter() - start, memory("VmRSS")
images = GLDv2(sys.argv[1], train_split=sys.argv[2], gallery_split="train").train()
seconds = time.perf_counter() - start
assert images.present.all()
print(json.dumps({
    "images": len(images), "landmarks": images.table.num_landmarks,
    "open_seconds": round(seconds, 2), "import_seconds": round(imported, 2),
    "cpu_seconds": round(time.process_time(), 2),
    "peak_rss_mib": round(memory("VmHWM")),
    "rss_after_mib": round(memory("VmRSS")), "bare_python_mib": round(bare), "after_imports_mib": round(imported_rss),
    "imports_torch": "torch" in sys.modules,
}))
"""


def write_release(root: Path, scale: float, seed: int = 0) -> None:
    """Write all tables and, for the tars, holes and offset indexes."""
    rng = np.random.default_rng(seed)

    def scaled(number: int) -> int:
        return max(100, round(number * scale))

    sizes = [scaled(number) for number in (TRAIN, INDEX, TEST)]
    ids = np.unique(rng.integers(0, 2**64, sum(sizes) + 16, dtype=np.uint64))
    train, index, test = np.split(rng.permutation(ids)[: sum(sizes)], np.cumsum(sizes)[:-1])
    (root / "metadata").mkdir(parents=True)
    labels = rng.permutation(long_tail(rng, len(train), scaled(TRAIN_LANDMARKS)))
    write_train(root / "metadata" / "train.csv", train, labels, rng)
    write_clean(root / "metadata" / "train_clean.csv", train, labels, scaled(CLEAN), scaled(CLEAN_LANDMARKS))
    index_labels = long_tail(rng, len(index), scaled(INDEX_LANDMARKS))
    rows = zip(format_ids(index), index_labels.tolist(), strict=True)
    lines = [f"{image},{landmark}" for image, landmark in rows]
    (root / "metadata" / "index_image_to_landmark.csv").write_text("\n".join(["id,landmark_id", *lines]) + "\n")
    for name, images in (("index", index), ("test", test)):
        (root / "metadata" / f"{name}.csv").write_text("\n".join(["id", *format_ids(images)]) + "\n")
    for folder, images, tars in (("train", train, TRAIN_TARS), ("index", index, INDEX_TARS), ("test", test, TEST_TARS)):
        write_tars(root, folder, images, tars, rng)


def long_tail(rng: np.random.Generator, images: int, landmarks: int) -> np.ndarray:
    """A landmark for each image: most landmarks have a few images, some have thousands."""
    weights = rng.lognormal(0, 1.35, landmarks)
    counts = 1 + np.floor(weights / weights.sum() * (images - landmarks)).astype(np.int64)
    counts[: images - counts.sum()] += 1
    return np.repeat(np.arange(landmarks), counts)


def write_train(path: Path, ids: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> None:
    """Addresses as of Wikimedia; every twelfth has commas and is quoted, some of those have quotes in them."""
    with path.open("w") as file:
        file.write("id,url,landmark_id\n")
        for start in range(0, len(ids), 100_000):
            block = format_ids(ids[start : start + 100_000])
            words = rng.integers(0, len(WORDS), (len(block), 6)).tolist()
            numbers = rng.integers(0, 10**6, len(block)).tolist()
            for row, image in enumerate(block):
                place = f"https://upload.wikimedia.org/wikipedia/commons/{image[0]}/{image[:2]}/"
                name = "_".join(WORDS[word] for word in words[row])
                url = f"{place}{name}_%28{numbers[row]}%29.jpg"
                if numbers[row] % 12 == 0:
                    middle = ',_""1""' if numbers[row] % 5 == 0 else ","
                    url = f'"{place}{name}{middle}_{numbers[row]}.jpg"'
                file.write(f"{image},{url},{labels[start + row]}\n")


def write_clean(path: Path, ids: np.ndarray, labels: np.ndarray, images: int, landmarks: int) -> None:
    """The images of the largest landmarks, as many as are asked for."""
    counts = np.bincount(labels)
    chosen = np.argsort(-counts)[:landmarks]
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(counts)
    share = images / counts[chosen].sum()
    with path.open("w") as file:
        file.write("landmark_id,images\n")
        for landmark in chosen:
            rows = order[ends[landmark] - counts[landmark] : ends[landmark]]
            kept = max(1, int(min(1.0, share) * len(rows)))
            file.write(f"{landmark},{' '.join(format_ids(ids[rows[:kept]]))}\n")


def write_tars(root: Path, folder: str, ids: np.ndarray, count: int, rng: np.random.Generator) -> None:
    """Tars that take no place on the disk, and the index that `landmarks data index` would make of real ones."""
    (root / folder).mkdir()
    for number in range(count):
        with (root / folder / f"images_{number:03d}.tar").open("wb") as file:
            file.truncate(TAR_BYTES)
    files = LocalTars(root / folder)
    ids = np.sort(ids)
    tar = rng.integers(0, count, len(ids)).astype(np.uint16)
    offsets = Offsets(
        tuple(
            IndexedTar(name, files.stamp(name), int(images))
            for name, images in zip(files.names(), np.bincount(tar, minlength=count), strict=True)
        ),
        ids,
        tar,
        rng.integers(1, TAR_BYTES // 512, len(ids)).astype(np.uint32),
        rng.integers(20_000, 400_000, len(ids)).astype(np.uint32),
    )
    write_offsets(offsets, derived_folder(root) / "offsets" / f"{folder}.safetensors")


def opened(root: Path, split: str) -> dict[str, object]:
    """Open a split in a process of its own."""
    begin = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", OPEN, str(root), split], stdout=subprocess.PIPE, text=True, check=True
    )
    return {**json.loads(result.stdout), "process_seconds": round(time.perf_counter() - begin, 2)}


class Rows:
    """Reads a piece of a table row by row, as TrainDataset does, and tells the memory of its process."""

    def __init__(self, images, pieces):
        self.images = images
        self.bounds = np.linspace(0, len(images), pieces + 1).astype(int).tolist()

    def __len__(self):
        return len(self.bounds) - 1

    def __getitem__(self, piece):
        table = self.images.table
        for row in range(self.bounds[piece], self.bounds[piece + 1]):
            int(table.ids[row]), int(table.landmarks[row]), int(table.locations[row])
        return os.getpid(), private_mib()


def private_mib() -> float:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def worker_memory(root: Path, context: str) -> dict[str, object]:
    """Private memory of two workers: with the whole table, and with ten images of it."""
    from torch.utils.data import DataLoader

    from landmarks.data import GLDv2

    images = GLDv2(root, train_split="train").train()

    def largest(chosen) -> float:
        loader = DataLoader(
            Rows(chosen, 8), num_workers=2, batch_size=None, collate_fn=tuple, multiprocessing_context=context
        )
        told: dict[int, float] = {}
        for pid, mib in loader:
            told[pid] = max(told.get(pid, 0.0), mib)
        return max(told.values())

    table = images.table
    # Not a view, and nothing of the whole table beside it: what the workers of a tiny set hold.
    few = images.take(np.arange(10))
    small = largest(few)
    whole = largest(images)
    return {
        "images": len(images),
        "landmarks": table.num_landmarks,
        "worker_start": context,
        "table_mib": round((table.ids.nbytes + table.landmarks.nbytes + table.locations.nbytes) / 2**20),
        "worker_private_mib": round(whole, 1),
        "worker_private_ten_images_mib": round(small, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=3, help="the fastest run counts")
    arguments = parser.parse_args()

    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "gldv2"
        # In a process of its own: a child starts with its parent's peak memory on record.
        spawn = multiprocessing.get_context("spawn")
        writer = spawn.Process(target=write_release, args=(root, arguments.scale))
        writer.start()
        writer.join()
        if writer.exitcode:
            raise SystemExit("the files could not be written")
        for split in SPLITS:
            opened(root, split)  # puts the files into the page cache
            runs = [opened(root, split) for _ in range(arguments.repeats)]
            best = min(runs, key=lambda run: run["open_seconds"])
            rows.append({"what": f"open {split}", **best, "runs": arguments.repeats, **machine(numpy=np.__version__)})
            print(json.dumps(rows[-1]), flush=True)
        for context in ("fork", "spawn"):
            memory = worker_memory(root, context)
            rows.append({"what": "read every row of train in 2 workers", **memory, **machine(numpy=np.__version__)})
            print(json.dumps(rows[-1]), flush=True)
    if arguments.scale == 1:
        write_csv(RESULTS, rows)


if __name__ == "__main__":
    main()
