"""Reads what a run found for each query: the tables that an evaluation writes into `queries`, and its stamp."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.metrics import (
    RECOGNITION_COLUMNS,
    RECOGNITION_QUERIES,
    RETRIEVAL_COLUMNS,
    RETRIEVAL_QUERIES,
    K,
    RunPredictions,
)

_TABLES = {RETRIEVAL_QUERIES: RETRIEVAL_COLUMNS, RECOGNITION_QUERIES: RECOGNITION_COLUMNS}


@dataclass(frozen=True)
class RunQueries:
    """The results of a run by query.

    Attributes:
        folder: The run folder.
        metrics: Content of its `metrics.json`.
        retrieval: A row for each query that retrieval scores, sorted by id; None without a ground truth of retrieval.
        recognition: The same for recognition.
    """

    folder: Path
    metrics: dict[str, Any]
    retrieval: pl.DataFrame | None
    recognition: pl.DataFrame | None

    @classmethod
    def read(cls, folder: str | Path) -> "RunQueries":
        """Read the results of a run.

        Raises:
            LandmarksError: The folder holds no evaluated run, one of an older version, or corrupt files.
        """
        folder = Path(folder)
        path = folder / "metrics.json"
        try:
            metrics = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise LandmarksError(f"{path}: does not exist; name the folder of a run that was evaluated") from None
        except (ValueError, RecursionError, OSError) as error:
            raise LandmarksError(f"{path}: is not readable as the metrics of a run ({error})") from None
        if not isinstance(metrics, dict) or not isinstance(metrics.get("data"), dict):
            raise LandmarksError(f"{path}: does not say what was evaluated; evaluate again with this version")
        if metrics.get("task") != "landmarks":
            raise LandmarksError(f"{folder}: is not a run of retrieval or recognition, which has queries to compare")
        tables = [_table(folder / name, of) for name, of in _TABLES.items()]
        if all(table is None for table in tables):
            raise LandmarksError(
                f"{folder}: has no results by query: its data have no ground truth, or an older version evaluated it; "
                "evaluate again, with landmarks evaluate checkpoint=…"
            )
        return cls(folder, metrics, *tables)

    @property
    def configuration(self) -> str:
        """The configuration as text without seeds and run folder: equal for runs that differ in nothing else."""
        config = self.metrics.get("config") or {}
        text = json.dumps(_without_seeds(config), sort_keys=True)
        return text.replace(json.dumps(str(config.get("run_dir")))[1:-1], "")

    @cached_property
    def relevant(self) -> NDArray[np.bool_]:
        """Ranks of the retrieval queries that hold a correct image, bool [Q, 100]."""
        assert self.retrieval is not None
        ranks = self.retrieval["correct_ranks"].fill_null("").str.extract_all(r"\d+").cast(pl.List(pl.Int64))
        rows = np.repeat(np.arange(len(ranks)), ranks.list.len().to_numpy())
        relevant = np.zeros((len(ranks), K), np.bool_)
        relevant[rows, ranks.explode().drop_nulls().to_numpy() - 1] = True
        return relevant

    def predictions(self, rows: NDArray[np.bool_]) -> RunPredictions:
        """Return the answers to the recognition queries of a mask, bool [Q]."""
        assert self.recognition is not None
        table = self.recognition.filter(rows)
        return RunPredictions(
            table["score"].fill_null(float("nan")).to_numpy(),
            table["correct"].to_numpy(),
            (table["landmarks"].fill_null("") != "").to_numpy(),
        )


def _table(path: Path, columns: dict[str, Any]) -> pl.DataFrame | None:
    if not path.is_file():
        return None
    try:
        table = pl.read_csv(path, schema=columns)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise LandmarksError(f"{path}: is not a table of results by query ({error}); evaluate the run again") from None
    required = [name for name in columns if name not in ("landmarks", "answer", "score", "correct_ranks")]
    if table.select(pl.any_horizontal(pl.col(required).is_null().any())).item():
        raise LandmarksError(f"{path}: lacks values; evaluate the run again")
    return table.sort("id")


def _without_seeds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_seeds(one) for key, one in value.items() if key != "seed"}
    return [_without_seeds(one) for one in value] if isinstance(value, list) else value
