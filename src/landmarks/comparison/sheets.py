"""Draws the queries that moved most between two runs: their best results in the one and in the other."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray

from landmarks.comparison.compare import Comparison, Moved
from landmarks.comparison.queries import RunQueries
from landmarks.data import Source, open_root
from landmarks.errors import LandmarksError
from landmarks.evaluation import landmark_namer
from landmarks.ids import parse_ids
from landmarks.metrics import RetrievalSubmission, read_retrieval_submission
from landmarks.report import EffectSheet, Sheet, draw_effects, reader
from landmarks.retrieval import EMPTY, Ranking

OWN_SOURCES = "landmarks.data."
RANKING, SUBMISSION = "ranking.npz", "submissions/retrieval.csv"
DRAWN = 3  # queries drawn that rose most, and as many that fell most


def draw_moved(found: Comparison, system: str, out: Path) -> Path:
    """Draw the queries of a system that moved most beside those of the first system, of the first run of each.

    Raises:
        LandmarksError: The images or rankings of the runs are not there.
    """
    first, other = found.systems[0].runs[0], next(one for one in found.systems if one.name == system).runs[0]
    moved = [one for one in found.moved if one.system == system]
    rose = [one for one in moved if one.after > one.before][:DRAWN]
    fell = [one for one in moved if one.after < one.before][:DRAWN]
    if not moved:
        raise LandmarksError("no query moved")
    source = _source_of(other)
    queries, index = source.queries(), source.index()
    ids = parse_ids([one.query for one in (*rose, *fell)])
    answers = [read_retrieval_submission(run.folder / SUBMISSION) for run in (first, other)]
    index_ids = np.unique(np.concatenate([one.image_ids for one in answers]))
    names = landmark_namer(source, index.table)(index_ids).astype(np.str_)
    sheets = [
        _sheet(run, of, ids, index_ids, names, [*rose, *fell], quality)
        for run, of, quality in zip((first, other), answers, ("before", "after"), strict=True)
    ]
    return draw_effects(EffectSheet(*sheets), reader(queries, index), out, (found.systems[0].name, system))


def _sheet(
    run: RunQueries,
    answers: RetrievalSubmission,
    ids: NDArray[np.uint64],
    index_ids: NDArray[np.uint64],
    index_names: NDArray[np.str_],
    moved: Sequence[Moved],
    quality: str,
) -> Sheet:
    assert run.retrieval is not None
    depth = run.relevant.shape[1]
    indices = np.full((len(ids), depth), EMPTY, np.int32)
    scores = np.full(indices.shape, -np.inf, np.float32)
    relevant = np.zeros(indices.shape, np.bool_)
    similarities = Ranking.load(run.folder / RANKING).scores  # a row for each of the submission
    rows = {query: row for row, query in enumerate(run.retrieval["id"].to_list())}
    for place, (query, one) in enumerate(zip(ids, moved, strict=True)):
        at = int(np.flatnonzero(answers.query_ids == query)[0])
        results = answers.image_ids[answers.start[at] : answers.start[at + 1]][:depth]
        indices[place, : len(results)] = np.searchsorted(index_ids, results)
        scores[place, : len(results)] = similarities[at, : len(results)]
        relevant[place] = run.relevant[rows[one.query]]
    values = np.array([getattr(one, quality) for one in moved])
    names = np.array([one.query for one in moved])
    return Sheet(Ranking(indices, scores), relevant, values, ids, index_ids, names, index_names)


def _source_of(run: RunQueries) -> Source:
    """Open the data set that a run was evaluated on; only those of the package, for a run may come from others."""
    data = (run.metrics.get("config") or {}).get("data") or {}
    node = data.get("source") or {}
    if not str(node.get("_target_", "")).startswith(OWN_SOURCES) or not data.get("root"):
        raise LandmarksError("the run does not say where its images are")
    source: Source = instantiate(node)(open_root(data["root"]))
    source.prepare(training=False)
    return source
