"""What each stage of the retrieval pipelines gives, with and without the guard, where right images are many and where
there is one.

    python evaluate.py checkpoint=A.ckpt data=gldv2 data.root=GLDV2_MINI extraction.regions=3 hydra.run.dir=RUN_A
    python benchmarks/pipelines.py A=RUN_A B=RUN_B

RUN is the folder of an evaluation: its descriptors and its data are taken. There are two test beds:

- all: the queries and the index as they are.
- one: each query has one right image. The queries of a landmark are dealt in turn to PARTS images of it, evenly spaced
  by id, and search an index without its others. Images of other landmarks stay, so wrong ones come in crowds.

With --train the beds are made from the gallery instead: in the order of ids every third image of a landmark is a query,
the others are the index. Defaults are chosen there, because the queries of the test are not to be looked at for it.

Pipelines that lack an input (regions) are left out. Inliers of a pair are counted once for all models, pipelines and
beds, so verification has no seconds; other stages find neighbours in a cache where they were searched before. Writes
benchmarks/results/pipelines.csv, or pipelines_train.csv.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from machine import machine, write_csv
from numpy.typing import NDArray
from omegaconf import OmegaConf

from landmarks.config import config_root, register_resolvers, register_search_path
from landmarks.data import GLDv2
from landmarks.errors import LandmarksError
from landmarks.metrics import average_precision
from landmarks.retrieval import (
    EMPTY,
    DescriptorSet,
    Gallery,
    Pipeline,
    Ranking,
    Resources,
    SearchState,
    SpatialVerification,
    regions_of,
)

RESULTS = Path(__file__).parent / "results"
PARTS = 2
GUARDS = {"yes": (), "no": ("pipeline.guard=null",)}


@dataclass(frozen=True)
class World:
    """Queries and index with their landmarks, and which of the queries are public."""

    state: SearchState
    query_landmarks: NDArray[np.int32]
    index_landmarks: NDArray[np.int32]
    public: NDArray[np.bool_]

    def part(self, queries: NDArray[np.int64], index: NDArray[np.int64]) -> "World":
        """Return some of the queries and images."""
        state = self.state
        assert state.query_images is not None and state.index_images is not None
        part = SearchState(
            state.queries[queries],
            state.index[index],
            query_images=state.query_images.take(queries),
            index_images=state.index_images.take(index),
            query_regions=None if state.query_regions is None else state.query_regions[queries],
            index_regions=None if state.index_regions is None else state.index_regions[index],
            gallery=state.gallery,
        )
        return World(part, self.query_landmarks[queries], self.index_landmarks[index], self.public[queries])

    def one_right(self) -> Iterator["World"]:
        """Split the queries, each with one right image in the index of its part."""
        assert self.state.index_images is not None and self.state.query_images is not None
        ids = self.state.index_images.table.ids, self.state.query_images.table.ids
        for landmark in np.unique(self.query_landmarks):
            right, queries = np.flatnonzero(self.index_landmarks == landmark), self.query_landmarks == landmark
            right, rows = right[np.argsort(ids[0][right])], np.flatnonzero(queries)
            rows = rows[np.argsort(ids[1][rows])]
            parts = min(PARTS, len(right), len(rows))
            for number in range(parts):
                others = np.delete(right, number * len(right) // parts)
                index = np.delete(np.arange(len(self.index_landmarks)), others)
                yield self.part(rows[number::parts], index)

    def precision(self, ranking: Ranking) -> NDArray[np.float64]:
        """Return the AP of every query."""
        right = (self.index_landmarks[ranking.indices] == self.query_landmarks[:, None]) & ranking.filled
        landmarks, counts = np.unique(self.index_landmarks, return_counts=True)
        return average_precision(right, counts[np.searchsorted(landmarks, self.query_landmarks)])


class Counted(SpatialVerification):
    """Remembers the inliers of every pair of images."""

    known: dict[tuple[int, int], int]

    def inliers(self, state: SearchState, resources: Resources) -> NDArray[np.int32]:
        ranking = state.require_ranking("verification")
        shown = ranking.indices[:, : self.depth]
        assert state.query_images is not None and state.index_images is not None
        queries, images = state.query_images.table.ids, state.index_images.table.ids
        pairs = [
            [(int(query), int(images[image])) if image != EMPTY else None for image in row]
            for query, row in zip(queries, shown, strict=True)
        ]
        new = np.array([[pair is not None and pair not in self.known for pair in row] for row in pairs])
        if new.any():
            # Only the pairs that are new, in the places of a ranking.
            asked = replace(
                state,
                ranking=Ranking(shown, ranking.scores[:, : self.depth]).rescored(
                    np.where(new, ranking.scores[:, : self.depth], -np.inf)
                ),
            )
            found = super().inliers(asked, resources)
            for row, query, counts in zip(asked.require_ranking("").indices, queries, found, strict=True):
                for image, count in zip(row, counts, strict=True):
                    if image != EMPTY:
                        self.known[int(query), int(images[image])] = int(count)
        return np.array([[0 if pair is None else self.known[pair] for pair in row] for row in pairs], np.int32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN", help="folders of evaluations")
    parser.add_argument("--train", action="store_true", help="beds of train images, to choose defaults on")
    parser.add_argument("--only", nargs="+", help="these pipelines")
    parser.add_argument("--overrides", nargs="+", default=[], help="settings to try, as on the command line")
    arguments = parser.parse_args()
    register_search_path()
    register_resolvers()
    there = sorted(path.stem for path in (config_root() / "conf" / "pipeline").glob("*.yaml"))
    rows: list[dict[str, object]] = []
    known: dict[tuple[int, int], int] = {}
    with tempfile.TemporaryDirectory() as cache:
        for run in arguments.runs:
            name, _, folder = run.partition("=")
            world = from_train(Path(folder)) if arguments.train else opened(Path(folder))
            for bed, parts in {"all": [world], "one": list(world.one_right())}.items():
                for pipeline in arguments.only or there:
                    for guard, overrides in GUARDS.items():
                        composed = [f"pipeline={pipeline}", *overrides, *arguments.overrides, f"cache.folder={cache}"]
                        for row in measured(parts, composed, known):
                            about = {"model": name, "bed": bed, "pipeline": pipeline, "guard": guard}
                            rows.append({**about, **row, **machine()})
                            print(json.dumps(rows[-1]), flush=True)
    write_csv(RESULTS / ("pipelines_train.csv" if arguments.train else "pipelines.csv"), rows)


def opened(run: Path) -> World:
    """Queries that are scored, and the index, of an evaluation."""
    data = OmegaConf.load(run / "config.yaml").data
    source = GLDv2(data.root, gallery_split=data.source.gallery_split)
    sets = {name: DescriptorSet.open(run / "descriptors" / name) for name in ("queries", "index", "gallery")}
    images = {"queries": source.queries(), "index": source.index(), "gallery": source.gallery()}
    shown = {name: images[name].take(images[name].table.find(found.ids)) for name, found in sets.items()}
    solution, labels = source.truth().retrieval, shown["gallery"].table
    assert solution is not None
    regions = {
        name: regions_of(sets[name], DescriptorSet.open(run / "descriptors" / f"{name}_regions"))
        for name in ("queries", "index")
        if (run / "descriptors" / f"{name}_regions").is_dir()
    }
    state = SearchState(
        sets["queries"].descriptors,
        sets["index"].descriptors,
        query_images=shown["queries"],
        index_images=shown["index"],
        query_regions=regions.get("queries"),
        index_regions=regions.get("index"),
        gallery=Gallery(sets["gallery"].descriptors, labels.landmarks, labels.num_landmarks),
    )
    # Right images of a query are those of its landmark, so the groups of the solution are landmarks.
    place = {int(image): row for row, image in enumerate(sets["index"].ids)}
    index_landmarks = np.full(len(place), -1, np.int32)
    query_landmarks = np.full(len(solution.query_ids), -1, np.int32)
    for row, start in enumerate(solution.positives_start[:-1]):
        right = [place[int(image)] for image in solution.positives[start : solution.positives_start[row + 1]]]
        query_landmarks[row] = index_landmarks[right] = min(right)
    rows = {int(image): row for row, image in enumerate(sets["queries"].ids)}
    scored = np.array([rows[int(image)] for image in solution.query_ids])
    whole = World(state, np.full(len(rows), -1, np.int32), index_landmarks, np.zeros(len(rows), np.bool_))
    part = whole.part(scored, np.arange(len(place)))
    return replace(part, query_landmarks=query_landmarks, public=solution.public)


def from_train(run: Path) -> World:
    """Queries and index from the gallery of an evaluation: in the order of ids every third image of a landmark."""
    data = OmegaConf.load(run / "config.yaml").data
    source = GLDv2(data.root, gallery_split=data.source.gallery_split)
    found = DescriptorSet.open(run / "descriptors" / "gallery")
    images = source.gallery()
    images = images.take(images.table.find(found.ids))
    landmarks = images.table.landmarks
    order = np.lexsort((found.ids, landmarks))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - np.searchsorted(landmarks[order], landmarks[order])
    asked = place % 3 == 2
    state = SearchState(found.descriptors, found.descriptors, query_images=images, index_images=images)
    state = replace(state, gallery=Gallery(found.descriptors[~asked], landmarks[~asked], images.table.num_landmarks))
    whole = World(state, landmarks, landmarks, np.zeros(len(order), np.bool_))
    return whole.part(np.flatnonzero(asked), np.flatnonzero(~asked))


def measured(parts: list[World], overrides: list[str], known: dict[tuple[int, int], int]) -> list[dict[str, object]]:
    """One row for each stage, over all parts of a bed."""
    with initialize_config_dir(str(config_root() / "conf"), version_base="1.3"):
        config = compose("evaluate", ["checkpoint=x", "data.image_size=1", "run_dir=x", "name=x", *overrides])
    pipeline: Pipeline = instantiate(config.pipeline)
    counting = [stage for stage in pipeline.stages.values() if isinstance(stage, SpatialVerification)]
    for stage in counting:
        stage.__class__, stage.known = Counted, known  # type: ignore[assignment, attr-defined]
    found: dict[str, list[NDArray[np.float64]]] = {}
    seconds: dict[str, float] = {}
    for part in parts:
        precisions: list[NDArray[np.float64]] = []

        def score(
            _: SearchState, ranking: Ranking, part: World = part, precisions: list = precisions
        ) -> dict[str, float]:
            precisions.append(part.precision(ranking))
            return {}

        try:
            reports = pipeline.run(part.state, score).stages
        except LandmarksError as error:
            if "regional descriptors" not in str(error):
                raise
            return []
        for report, values in zip(reports, precisions, strict=True):
            found.setdefault(report.stage, []).append(values)
            seconds[report.stage] = seconds.get(report.stage, 0) + report.seconds
    public = np.concatenate([part.public for part in parts])
    rows: list[dict[str, object]] = []
    for stage, values in found.items():
        every = np.concatenate(values)
        splits = {"public": every[public], "private": every[~public]}
        maps = {f"map100_{name}": round(float(split.mean()), 4) for name, split in splits.items() if len(split)}
        cost = "" if pipeline.stages[stage] in counting else round(seconds[stage], 2)
        rows.append({"stage": stage, **maps, "seconds": cost})
    return rows


if __name__ == "__main__":
    main()
