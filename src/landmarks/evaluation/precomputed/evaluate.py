"""Evaluates precomputed descriptors: what `python evaluate.py descriptors.queries=…` does.

Whatever can be wrong is looked for first, cheapest first: keys, what the stages need, files, shapes, truth, then every
row. Neither Lightning nor a network is imported.
"""

import logging
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from landmarks.config import EvaluateSettings, check_config, refuse_missing, write_record
from landmarks.evaluation.evidence import open_evidence
from landmarks.evaluation.figures import ALL, check_monitor
from landmarks.evaluation.outputs import remove_outputs, write_evaluation
from landmarks.evaluation.precomputed.inputs import Opened, open_inputs
from landmarks.evaluation.precomputed.keys import (
    available_evidence,
    available_needs,
    check_keys,
    recognises,
    used_part,
)
from landmarks.evaluation.scoring import evaluate_descriptors
from landmarks.recognition import NO_EVIDENCE, RecognitionPipeline
from landmarks.retrieval import Cache, Pipeline

log = logging.getLogger(__name__)


def evaluate_precomputed_job(config: DictConfig) -> float | None:
    """Check, open and evaluate; return the figure that stands for the run, None where nobody knows what is right."""
    refuse_missing(config)
    config = used_part(config)
    check_config(config, EvaluateSettings)
    keys = config.descriptors
    check_keys(keys)
    pipeline: Pipeline = instantiate(config.pipeline)
    pipeline.require(available_needs(keys))
    recognition: RecognitionPipeline | None = instantiate(config.recognition) if recognises(keys) else None
    if recognition is not None:
        recognition.require(available_evidence(config))
    check_monitor(config.monitor, recognition is not None, config.predictions is not None, ALL)
    opened = open_inputs(config, pipeline.needs, recognition.needs if recognition else None)
    evidence = NO_EVIDENCE
    if recognition is not None:
        evidence = open_evidence(config.predictions, config.detections, opened.queries.known_ids, opened.landmark_names)
        recognition.check(evidence)
    cache = pipeline.resources.cache
    inputs = opened.read(keys.weights, cache)
    figures = {"inputs": _record(opened, cache)}  # before the run, which ends by forgetting what it hashed
    run_dir = Path(config.run_dir)
    remove_outputs(run_dir)
    write_record(config, run_dir)
    counts = len(inputs.queries), len(inputs.index), inputs.index.descriptors.shape[1]
    log.info("Searching %d queries in %d index images, %d dimensions", *counts)
    result = evaluate_descriptors(inputs, pipeline, recognition, evidence)
    title = f"{opened.queries.title} in {opened.index.title}"
    return write_evaluation(run_dir, config, result, title, title, figures, _facts(opened))


def _record(opened: Opened, cache: Cache) -> dict[str, Any]:
    """Say for `metrics.json` what the figures are of: files, shapes, and protocols or content."""
    return {**{name: one.record(cache) for name, one in opened.sets.items()}, "truth": opened.counts or None}


def _facts(opened: Opened) -> dict[str, str]:
    facts = {name: one.fact for name, one in opened.sets.items()}
    if opened.counts:
        counts = [f"{count} {what}" for what, count in opened.counts.items() if what != "from" and count]
        facts["truth"] = f"{opened.counts['from']}: {', '.join(counts)}"
    return facts
