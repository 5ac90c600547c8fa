"""How many members a second does indexing tars take, beside Python's own tarfile?

Writes tars of 8,000 small members, as many as one of the train split holds, and reads them once, so that they are in
memory. Then each of these goes through them in a process of its own, on one core; the fastest of several runs counts:

    headers      read_headers, one tar after the other: what the walk itself costs
    index        update_offsets with 1 worker: with stamps, sorting, and the index written and synced
    index, 8     the same with its 8 workers, which this one core shares
    tarfile      the same offsets by `tarfile.next`, its list of members cleared, as most programs do at best

All must find the same images at the same places. On a machine with other work (load_1min) compare processor seconds.

    python benchmarks/tar_index.py           # writes benchmarks/results/tar_index.csv
    python benchmarks/tar_index.py --tars 1  # a quick look, writes nothing
"""

import argparse
import io
import json
import multiprocessing
import os
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from machine import machine, write_csv

from landmarks.data import LocalTars, read_headers, update_offsets
from landmarks.ids import format_ids

TARS, MEMBERS = 16, 8_000
SMALLEST, LARGEST = 500, 4_000
RESULTS = Path(__file__).parent / "results" / "tar_index.csv"

# Ids, blocks of 512 bytes at which images begin, lengths.
Places = tuple[np.ndarray, np.ndarray, np.ndarray]


def write_tars(folder: Path, tars: int) -> None:
    rng = np.random.default_rng(0)
    names = format_ids(np.unique(rng.integers(0, 2**64, tars * MEMBERS, dtype=np.uint64)))
    noise = rng.bytes(LARGEST)
    for number in range(tars):
        with tarfile.open(folder / f"images_{number:03d}.tar", "w") as tar:
            for name in names[number::tars]:
                info = tarfile.TarInfo(f"{name[0]}/{name[1]}/{name[2]}/{name}.jpg")
                info.size = int(rng.integers(SMALLEST, LARGEST))
                tar.addfile(info, io.BytesIO(noise))


def headers(folder: Path) -> Places:
    files = LocalTars(folder)
    parts = [read_headers(files.walk(name), files.stamp(name).size) for name in files.names()]
    blocks = np.concatenate([part.blocks for part in parts])
    return np.concatenate([part.ids for part in parts]), blocks, np.concatenate([part.lengths for part in parts])


def index(folder: Path, workers: int = 1) -> Places:
    offsets = update_offsets(LocalTars(folder), folder / "offsets.safetensors", workers, rebuild=True).offsets
    return offsets.ids, offsets.block, offsets.length


def index_with_8(folder: Path) -> Places:
    return index(folder, 8)


def plain(folder: Path) -> Places:
    ids, blocks, lengths = [], [], []
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()
                ids.append(int(member.name[-20:-4], 16))
                blocks.append(member.offset_data // 512)
                lengths.append(member.size)
    return np.array(ids, np.uint64), np.array(blocks, np.uint32), np.array(lengths, np.uint32)


WAYS: dict[str, Callable[[Path], Places]] = {
    "headers": headers,
    "index": index,
    "index, 8": index_with_8,
    "tarfile": plain,
}


def measure(way: str, folder: Path, repeats: int) -> tuple[Places, float, float, float]:
    """What was found, seconds and processor seconds of the fastest run, peak resident memory in MiB."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    seconds = []
    for _ in range(repeats):
        begin, cpu_begin = time.perf_counter(), time.process_time()
        places = WAYS[way](folder)
        seconds.append((time.perf_counter() - begin, time.process_time() - cpu_begin))
    return places, *min(seconds), peak_mib()


def peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tars", type=int, default=TARS)
    parser.add_argument("--repeats", type=int, default=5, help="the fastest run counts")
    arguments = parser.parse_args()
    processes = multiprocessing.get_context("spawn")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tars(folder, arguments.tars)
        found: dict[str, Places] = {}
        for way in WAYS:
            with processes.Pool(1) as pool:
                found[way], seconds, cpu_seconds, peak = pool.apply(measure, (way, folder, arguments.repeats))
            ours, theirs = (np.array(each)[:, np.argsort(each[0])] for each in (found["headers"], found[way]))
            assert np.array_equal(ours, theirs), way
            members = len(found[way][0])
            rows.append(
                {
                    "way": way,
                    "tars": arguments.tars,
                    "members": members,
                    "mib": round(sum(path.stat().st_size for path in folder.glob("*.tar")) / 2**20),
                    "seconds": round(seconds, 3),
                    "cpu_seconds": round(cpu_seconds, 3),
                    "members_per_second": round(members / seconds),
                    "members_per_cpu_second": round(members / cpu_seconds),
                    "peak_rss_mib": round(peak),
                    "runs": arguments.repeats,
                    **machine(numpy=np.__version__),
                }
            )
    for row in rows:
        row["times_tarfile"] = round(rows[-1]["cpu_seconds"] / row["cpu_seconds"], 1)
        print(json.dumps(row))
    if arguments.tars == TARS:
        write_csv(RESULTS, rows)


if __name__ == "__main__":
    main()
