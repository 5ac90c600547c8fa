"""What the parts of re-ranking cost, each beside the straightforward version of it, in one run.

- search: exact search against bare faiss Flat; all-pairs neighbours, exact and approximate, as they grow.
- expansion: query expansion and database augmentation against a dense similarity matrix and a loop.
- diffusion: offline diffusion against slices of a Laplacian and scipy's conjugate gradients; how it grows.
- verification: matching and geometry against scikit-image with the same matches.

    python benchmarks/reranking.py                   # writes benchmarks/results/reranking_*.csv; about half an hour
    python benchmarks/reranking.py --only diffusion  # one part
"""

import argparse
import importlib
import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

from machine import machine, write_csv

# Part to the functions that measure it; each gives rows of one table.
PARTS = {
    "search": ("against_flat", "against_flat_at_full_size", "neighbours"),
    "expansion": ("against_dense", "parts_of_dba", "growth"),
    "diffusion": ("compile_seconds", "versus_scipy", "growth"),
    "verification": ("verification_rows",),
}
RESULTS = Path(__file__).parent / "results"
VERSIONS = ("numpy", "scipy", "numba", "faiss-cpu", "torch", "opencv-python-headless", "scikit-image")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these parts")
    arguments = parser.parse_args()
    if len(arguments.only) > 1:  # each in a process of its own: memory and threads of one would disturb the next
        for part in arguments.only:
            threads = {"OMP_NUM_THREADS": "1"} if part == "verification" else {}  # its processes are the cores
            subprocess.run([sys.executable, __file__, "--only", part], check=True, env={**os.environ, **threads})
        return
    versions = {name.replace("-", "_"): importlib.metadata.version(name) for name in VERSIONS}
    (part,) = arguments.only
    module = importlib.import_module(f"rerank.{part}")
    for name in PARTS[part]:
        rows = [{**row, **machine(**versions)} for row in getattr(module, name)()]
        for row in rows:
            print(json.dumps(row), flush=True)
        write_csv(RESULTS / f"reranking_{part}_{name.removeprefix(f'{part}_')}.csv", rows)


if __name__ == "__main__":
    main()
