"""Searches, re-ranks, recognises and scores given descriptors: what `python evaluate.py descriptors.queries=…` does.

Whatever can be wrong is looked for first, cheapest first: keys, what the stages need, files, shapes, truth, then every
row. Neither Lightning nor a network is imported.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from landmarks.config.check import check_config, refuse_missing
from landmarks.config.record import versions, write_record
from landmarks.config.settings import EvaluateSettings
from landmarks.evaluation.outputs import print_scores, remove_outputs, write_recognised
from landmarks.evaluation.precomputed.inputs import Inputs, open_inputs
from landmarks.evaluation.precomputed.keys import available_needs, check_keys, used_part
from landmarks.evaluation.precomputed.recognition import GivenRecognition, merged, recognition_pipeline
from landmarks.evaluation.precomputed.sets import GivenSet
from landmarks.evaluation.precomputed.truth import SolutionTruth, check_monitor, choose_monitor
from landmarks.evaluation.precomputed.writing import draw_recognised, write_found
from landmarks.evaluation.stamp import data_stamp, pipeline_stamp, protocol_stamp, solution_stamp
from landmarks.retrieval.cache import Cache
from landmarks.retrieval.pipeline import Pipeline
from landmarks.retrieval.ranking import Ranking
from landmarks.retrieval.state import SearchState

log = logging.getLogger(__name__)


def evaluate_given_job(config: DictConfig) -> float | None:
    """Check the configuration and evaluate.

    Returns:
        The figure that stands for the run, or None where nobody knows what is right.

    Raises:
        LandmarksError: bad input of any kind, before any work.
    """
    refuse_missing(config)
    config = used_part(config)
    check_config(config, EvaluateSettings)
    check_keys(config.descriptors)
    pipeline: Pipeline = instantiate(config.pipeline)
    pipeline.require(available_needs(config.descriptors))
    recognition = recognition_pipeline(config)
    check_monitor(config.monitor, recognition is not None)
    inputs = open_inputs(config, pipeline.needs, recognition.needs if recognition else None)
    recogniser = GivenRecognition.open(recognition, config, inputs) if recognition else None
    return evaluate_given(config, inputs, pipeline, recogniser, Path(config.run_dir))


def evaluate_given(
    config: DictConfig, inputs: Inputs, pipeline: Pipeline, recogniser: GivenRecognition | None, run_dir: Path
) -> float | None:
    """Search, re-rank, recognise, score, and write it all.

    Args:
        config: the used part of a checked configuration.
        inputs: what is given.
        pipeline: whose needs the inputs fulfil.
        recogniser: whose needs the inputs fulfil; None where nothing can be recognised.
        run_dir: gets what `write_found` writes, instead of that of an earlier evaluation.
    """
    queries, index = inputs.queries, inputs.index
    cache = pipeline.resources.cache
    state = inputs.state(config.descriptors.weights, cache)
    described = _describe(inputs, cache)  # before the run, which ends by forgetting what it hashed
    run_dir.mkdir(parents=True, exist_ok=True)
    remove_outputs(run_dir)
    write_record(config, run_dir)
    log.info("Searching %d queries in %d index images, %d dimensions", *state.queries.shape[:1], *state.index.shape)

    def score(state: SearchState, ranking: Ranking) -> Mapping[str, float]:
        figures = inputs.truth.figures(ranking) if inputs.truth else {}
        return {f"{split}/map@100": values["map@100"] for split, values in figures.items()}

    found = pipeline.run(state, score)
    recognised = recogniser(inputs, state) if recogniser else None
    scores = merged(
        inputs.truth.figures(found.ranking) if inputs.truth else {}, recognised.scores if recognised else {}
    )
    monitor = choose_monitor(config.monitor, scores) if scores else config.monitor
    split, _, name = monitor.partition("/")
    value = scores[split][name] if scores else None
    figures = {
        "name": config.name,
        "monitor": {"name": monitor, "value": value},
        "scores": scores,
        "inputs": described,
        "protocol": protocol_stamp(queries.protocols),
        "pipeline": pipeline_stamp(found.stages, recognised.result.stages if recognised else ()),
        "data": _data(inputs, recogniser),
        "seed": config.seed,
        "versions": versions(),
        "config": OmegaConf.to_container(config, resolve=True),
    }
    title = f"{_names(queries)} in {_names(index)}"
    ablations = {"Retrieval": found.stages}
    if recognised:
        ablations["Recognition"] = recognised.result.stages
        write_recognised(run_dir, recognised)
        draw_recognised(run_dir / "recognition.png", inputs, recognised, inputs.solutions)
    write_found(run_dir, title, inputs, found, ablations, figures)
    print_scores(run_dir, {title: scores}, ablations)
    return value


def _data(inputs: Inputs, recogniser: GivenRecognition | None) -> dict[str, Any]:
    """The stamp of the data; labels are nobody's official truth."""
    given = inputs.truth
    retrieval = solution_stamp(given.solution, given.source) if isinstance(given, SolutionTruth) else None
    recognition = solution_stamp(recogniser.solution, recogniser.solution_source) if recogniser else None
    truth = {"retrieval": retrieval, "recognition": recognition}
    return data_stamp(inputs.source, len(inputs.queries), len(inputs.index), truth)


def _describe(inputs: Inputs, cache: Cache) -> dict[str, Any]:
    """What the figures are of: files, shapes, and protocols or content."""
    sets = {"queries": inputs.queries, "index": inputs.index}
    if inputs.gallery is not None:
        sets["gallery"] = inputs.gallery
    described: dict[str, Any] = {name: _describe_set(given, cache) for name, given in sets.items()}
    return {**described, "truth": dict(inputs.truth.summary()) if inputs.truth else None}


def _describe_set(given: GivenSet, cache: Cache) -> list[dict[str, Any]]:
    return [
        {
            "file": name,
            "shape": list(part.shape),
            "dtype": str(part.dtype),
            "content": cache.key([part], {}),
            "protocol": None if protocol is None else asdict(protocol),
        }
        for name, part, protocol in zip(given.names, given.parts, given.protocols, strict=True)
    ]


def _names(given: GivenSet) -> str:
    return " + ".join("/".join(Path(name).absolute().parts[-2:]) for name in given.names)
