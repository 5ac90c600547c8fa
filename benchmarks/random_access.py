"""Does an image cost the same among ten thousand as among five million?

For each number of entries an offset index of that size is written, of tars with 8,000 images each. Of these tars
only the images that are read, the same number each time, are really there: the rest are holes in sparse files. They
are read in random order through TarStore, header check included, the way a loader with shuffled rows does, and found
with `read_by_id` too, which looks the id up in the index instead of knowing its location. Each size has a process of
its own; the fastest of several rounds counts, so the files are in memory: what is measured is what the index costs.
Also: seconds to open the store and to locate a whole shuffled table of that size, and the most memory until then.

    python benchmarks/random_access.py                  # writes benchmarks/results/random_access.csv
    python benchmarks/random_access.py --entries 10000  # a quick look, writes nothing
"""

import argparse
import json
import multiprocessing
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from machine import machine, write_csv

from landmarks.data import IndexedTar, LocalTars, Offsets, TarStore, read_by_id, write_offsets
from landmarks.ids import format_id

ENTRIES = [10_000, 100_000, 1_000_000, 5_000_000]
READS, IMAGE, MEMBERS = 5_000, 20_000, 8_000
BLOCKS = 1 + -(-IMAGE // 512)  # of a member
RESULTS = Path(__file__).parent / "results" / "random_access.csv"


def write_world(folder: Path, entries: int) -> None:
    """Write the index, sparse tars, and the ids to read (`ids.npy`)."""
    rng = np.random.default_rng(entries)
    ids = np.unique(rng.integers(0, 2**64, entries + 16, dtype=np.uint64))
    ids = np.delete(ids, rng.choice(len(ids), len(ids) - entries, replace=False))
    place = rng.permutation(entries)  # ids say nothing about tars
    tar, member = place // MEMBERS, place % MEMBERS
    files = LocalTars(folder)
    rows = rng.choice(entries, READS, replace=False)
    image = rng.bytes(IMAGE)
    for number in range(-(-entries // MEMBERS)):
        with (folder / f"images_{number:03d}.tar").open("wb") as file:
            for row in rows[tar[rows] == number]:
                name = format_id(ids[row])
                info = tarfile.TarInfo(f"{name[0]}/{name[1]}/{name[2]}/{name}.jpg")
                info.size = IMAGE
                file.seek(int(member[row]) * BLOCKS * 512)
                file.write(info.tobuf() + image)
            file.truncate(MEMBERS * BLOCKS * 512 + 10240)
    counts = np.bincount(tar)
    tars = [IndexedTar(name, files.stamp(name), int(count)) for name, count in zip(files.names(), counts, strict=True)]
    block = (member * BLOCKS + 1).astype(np.uint32)
    offsets = Offsets(tuple(tars), ids, tar.astype(np.uint16), block, np.full(entries, IMAGE, np.uint32))
    write_offsets(offsets, folder / "offsets.safetensors")
    np.save(folder / "ids.npy", ids[rows])
    np.save(folder / "table.npy", rng.permutation(ids))


def measure(folder: Path, repeats: int) -> dict[str, float]:
    wanted = [int(number) for number in np.load(folder / "ids.npy")]
    table = np.load(folder / "table.npy")
    before = resident_mib("VmHWM")
    begin = time.perf_counter()
    store = TarStore(LocalTars(folder), folder / "offsets.safetensors")
    opened = time.perf_counter()
    locations = store.locate(table)
    located = time.perf_counter()
    assert (locations >= 0).all()
    peak = resident_mib("VmHWM") - before
    rows = store.locate(np.array(wanted, dtype=np.uint64)).tolist()
    pairs = list(zip(wanted, rows, strict=True))

    def fastest(read: Callable[[], None]) -> float:
        rounds = []
        for _ in range(repeats):
            start = time.process_time()
            read()
            rounds.append(time.process_time() - start)
        return min(rounds) / len(wanted) * 1e6

    return {
        "cpu_us_per_image": round(fastest(lambda: [store.read(*pair) for pair in pairs] and None), 2),
        "cpu_us_per_image_by_id": round(fastest(lambda: [read_by_id(store, number) for number in wanted] and None), 2),
        "open_seconds": round(opened - begin, 3),
        "locate_table_seconds": round(located - opened, 3),
        "rise_of_peak_rss_mib": round(peak),
    }


def resident_mib(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) / 1024


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, nargs="+", default=ENTRIES)
    parser.add_argument("--repeats", type=int, default=7, help="the fastest round counts")
    arguments = parser.parse_args()
    processes = multiprocessing.get_context("spawn")
    rows = []
    for entries in arguments.entries:
        with tempfile.TemporaryDirectory() as name:
            with processes.Pool(1) as pool:
                pool.apply(write_world, (Path(name), entries))
            with processes.Pool(1) as pool:
                figures = pool.apply(measure, (Path(name), arguments.repeats))
        rows.append(
            {
                "entries": entries,
                "tars": -(-entries // MEMBERS),
                "reads": READS,
                "image_bytes": IMAGE,
                **figures,
                "rounds": arguments.repeats,
                **machine(numpy=np.__version__),
            }
        )
        print(json.dumps(rows[-1]))
    if arguments.entries == ENTRIES:
        write_csv(RESULTS, rows)


if __name__ == "__main__":
    main()
