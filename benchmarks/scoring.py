"""How long does scoring a full-size GLDv2 submission take, and how much memory?

Makes solution and submission files of both tasks at the size of the real test split (117,577 queries, 100
predictions each, 761,757 index images, every query scored) in a temporary folder, then scores them twice: by
`landmarks score`, and by the plain program most people would write, scoring_plain.py. Each run is a process
of its own; start-up and reading are included. Both must print the same figures to 1e-12. On a machine with other
work (load_1min in the results) compare processor seconds.

    python benchmarks/scoring.py                 # writes benchmarks/results/scoring.csv
    python benchmarks/scoring.py --queries 2000  # a quick look, writes nothing
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

from landmarks.metrics import (
    RecognitionSolution,
    RecognitionSubmission,
    RetrievalSolution,
    RetrievalSubmission,
    write_recognition_solution,
    write_recognition_submission,
    write_retrieval_solution,
    write_retrieval_submission,
)

QUERIES, INDEX_IMAGES, PREDICTIONS = 117_577, 761_757, 100
RESULTS = Path(__file__).parent / "results" / "scoring.csv"
PLAIN = Path(__file__).with_name("scoring_plain.py")
OURS = "from landmarks.cli.score import app; app()"


def write_case(folder: Path, queries: int, seed: int = 0) -> None:
    """Write all four files; a prediction is correct with a chance that falls along the ranking."""
    rng = np.random.default_rng(seed)
    query_ids, index_ids = distinct_ids(rng, queries), distinct_ids(rng, INDEX_IMAGES)
    public = rng.random(queries) < 0.35
    none = np.empty(0, np.uint64)

    counts = np.minimum(rng.geometric(1 / 20, queries), 1000)
    start = np.concatenate([[0], np.cumsum(counts)])
    # Steps of less than 750 through the index keep the correct images of a query apart.
    steps = rng.integers(1, 750, start[-1])
    offset = np.cumsum(steps) - np.repeat(np.cumsum(steps)[start[:-1]], counts)
    positives = (np.repeat(rng.integers(0, INDEX_IMAGES, queries), counts) + offset) % INDEX_IMAGES
    solution = RetrievalSolution(query_ids, public, start, index_ids[positives], none)
    write_retrieval_solution(folder / "retrieval_solution.csv", solution)

    ranking = rng.integers(0, INDEX_IMAGES, (queries, PREDICTIONS))
    drawn = positives[start[:-1, None] + rng.integers(0, counts[:, None], ranking.shape)]
    correct = rng.random(ranking.shape) < 0.5 / np.sqrt(np.arange(1, PREDICTIONS + 1))
    submission = RetrievalSubmission.from_ranking(query_ids, index_ids, np.where(correct, drawn, ranking))
    write_retrieval_submission(folder / "retrieval_submission.csv", submission)

    shows = rng.random(queries) < 0.02
    landmarks = rng.integers(0, 203_094, queries)
    landmark_start = np.concatenate([[0], np.cumsum(shows)])
    truth = RecognitionSolution(query_ids, public, landmark_start, landmarks[shows], none)
    write_recognition_solution(folder / "recognition_solution.csv", truth)
    guess = np.where(rng.random(queries) < 0.6, landmarks, rng.integers(0, 203_094, queries))
    answers = RecognitionSubmission(query_ids, guess, rng.random(queries))
    write_recognition_submission(folder / "recognition_submission.csv", answers)


def distinct_ids(rng: np.random.Generator, number: int) -> np.ndarray:
    ids = np.unique(rng.integers(0, 2**64, number + 16, dtype=np.uint64))
    return rng.permutation(ids)[:number]


def run(command: list[str]) -> tuple[dict[str, dict[str, float]], float, float, float]:
    """Run a program that prints JSON: its figures, seconds, processor seconds, peak resident memory in MiB."""
    with tempfile.TemporaryFile() as output:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{command} failed")
        output.seek(0)
        return json.load(output), seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--repeats", type=int, default=3, help="the fastest run counts")
    arguments = parser.parse_args()

    rows = []
    with tempfile.TemporaryDirectory() as name:
        # In a process of its own: a child starts with its parent's peak memory on record.
        writer = multiprocessing.get_context("spawn").Process(target=write_case, args=(Path(name), arguments.queries))
        writer.start()
        writer.join()
        if writer.exitcode:
            raise SystemExit("the files could not be written")
        for task in ("retrieval", "recognition"):
            files = [f"{name}/{task}_solution.csv", f"{name}/{task}_submission.csv"]
            commands = {
                "landmarks score": [sys.executable, "-c", OURS, task, "--json", *files],
                "plain Python loop": [sys.executable, str(PLAIN), task, *files],
            }
            runs = {who: [run(line) for _ in range(arguments.repeats)] for who, line in commands.items()}
            ours, plain = (each[0][0] for each in runs.values())
            for split, figures in plain.items():
                for figure, value in figures.items():
                    assert abs(ours[split][figure] - value) <= 1e-12, (task, split, figure)
            plain_seconds = min(each[2] for each in runs["plain Python loop"])
            for who, measured in runs.items():
                cpu_seconds = min(each[2] for each in measured)
                rows.append(
                    {
                        "task": task,
                        "implementation": who,
                        "queries": arguments.queries,
                        "predictions": PREDICTIONS if task == "retrieval" else 1,
                        "file_mib": round(sum(Path(file).stat().st_size for file in files) / 2**20, 1),
                        "seconds": round(min(each[1] for each in measured), 2),
                        "cpu_seconds": round(cpu_seconds, 2),
                        "peak_rss_mib": round(min(each[3] for each in measured)),
                        "plain_cpu_seconds_over_this": round(plain_seconds / cpu_seconds, 1),
                        "runs": arguments.repeats,
                        **machine(numpy=np.__version__),
                    }
                )
                print(json.dumps(rows[-1]))
    if arguments.queries == QUERIES:
        write_csv(RESULTS, rows)


if __name__ == "__main__":
    main()
