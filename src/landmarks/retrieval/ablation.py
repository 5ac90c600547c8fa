"""What each stage of a pipeline gave and cost: its line of the ablation table, and the measuring of it."""

import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

STATUS = Path("/proc/self/status")
PERIOD_SECONDS = 0.01


@dataclass(frozen=True)
class StageReport:
    """One line of the ablation table.

    Attributes:
        stage: name in the pipeline.
        scores: figures after the stage.
        changes: figures minus those after the stage before; empty for the first.
        seconds: wall clock of the stage without the scoring.
        peak_mb: peak memory, MiB, as `Cost` defines it.
        rise_mb: part of the peak above the memory at the start of the stage.
        gpu_peak_mb: peak of torch's GPU memory, MiB.
    """

    stage: str
    scores: dict[str, float]
    changes: dict[str, float]
    seconds: float
    peak_mb: float | None
    rise_mb: float | None
    gpu_peak_mb: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


class Cost:
    """Measures a ``with`` block.

    Memory is sampled 100 times a second, so a shorter peak may be missed. It counts the process's anonymous
    resident pages: its own arrays and those of its libraries, those held before the block included, but no
    memory-mapped files, whose pages the system may take back at any time.

    Attributes:
        seconds: wall clock.
        peak_mb: highest memory seen, MiB; None where the system does not tell (no Linux).
        rise_mb: how far that is above the memory at the start, MiB.
        gpu_peak_mb: highest memory that torch held on the current GPU, MiB; None without one. Memory that faiss
            takes there is not counted.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.peak_mb: float | None = None
        self.rise_mb: float | None = None
        self.gpu_peak_mb: float | None = None

    def __enter__(self) -> "Cost":
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self._before = anonymous_mb()
        self.peak_mb = self._before
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        if self._before is not None:
            self._sampler.start()
        self._start = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.perf_counter() - self._start
        self._ended.set()
        if self._before is not None:
            self._sampler.join()
            self._look()
            self.rise_mb = (self.peak_mb or 0.0) - self._before
        if torch.cuda.is_available():
            self.gpu_peak_mb = torch.cuda.max_memory_allocated() / 2**20

    def _sample(self) -> None:
        while not self._ended.wait(PERIOD_SECONDS):
            self._look()

    def _look(self) -> None:
        self.peak_mb = max(self.peak_mb or 0.0, anonymous_mb() or 0.0)


def anonymous_mb() -> float | None:
    """Anonymous resident memory of this process in MiB, None where the system does not tell."""
    try:
        for line in STATUS.read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return None
