"""Evaluate precomputed descriptors: `python evaluate.py descriptors.queries=…`.

All input is checked first, in order of cost: keys, the needs of the stages, files, shapes, ground truth, then every
row. Neither Lightning nor a network is imported.
"""

import logging
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from landmarks.config import EvaluateSettings, check_config, refuse_missing, write_record
from landmarks.evaluation.evidence import open_evidence
from landmarks.evaluation.metrics import ALL, check_monitor
from landmarks.evaluation.outputs import remove_outputs, write_evaluation
from landmarks.evaluation.precomputed.inputs import open_inputs, read_inputs
from landmarks.evaluation.precomputed.keys import (
    available_needs,
    check_keys,
    recognises,
    used_part,
)
from landmarks.evaluation.scoring import evaluate_descriptors
from landmarks.recognition import NO_EVIDENCE, RecognitionPipeline
from landmarks.retrieval import Pipeline

log = logging.getLogger(__name__)


def evaluate_precomputed_job(config: DictConfig) -> float | None:
    """Check and open the descriptors that the configuration names, and evaluate them.

    Returns:
        The monitored metric; None without ground truth.

    Raises:
        LandmarksError: A key or a file is wrong, or they do not fit together; raised before any search.
    """
    refuse_missing(config)
    config = used_part(config)
    check_config(config, EvaluateSettings)
    keys = config.descriptors
    check_keys(keys)
    pipeline: Pipeline = instantiate(config.pipeline)
    pipeline.require(available_needs(config, "index"))
    recognition: RecognitionPipeline | None = instantiate(config.recognition) if recognises(keys) else None
    if recognition is not None:
        recognition.require(available_needs(config, "gallery"))
    check_monitor(config.monitor, recognition is not None, config.predictions is not None, ALL)
    opened, counts = open_inputs(config, pipeline.needs, recognition.needs if recognition else None)
    evidence = NO_EVIDENCE
    if recognition is not None:
        evidence = open_evidence(config.predictions, config.detections, opened.queries.known_ids, opened.landmark_names)
        recognition.check(evidence)
    cache = pipeline.resources.cache
    inputs = read_inputs(opened, keys.weights, cache)
    sets = {"queries": opened.queries, "index": opened.index, **({"gallery": opened.gallery} if opened.gallery else {})}
    # Before the run, because the cache forgets the hashes of arrays when a run ends.
    figures = {"inputs": {**{name: one.record(cache) for name, one in sets.items()}, "truth": counts or None}}
    run_dir = Path(config.run_dir)
    remove_outputs(run_dir)
    write_record(config, run_dir)
    sizes = len(inputs.queries), len(inputs.index), inputs.index.descriptors.shape[1]
    log.info("Searching %d queries in %d index images, %d dimensions", *sizes)
    result = evaluate_descriptors(inputs, pipeline, recognition, evidence)
    title = f"{opened.queries.title} in {opened.index.title}"
    facts = {name: ", ".join(map(str, one.parts)) for name, one in sets.items()}
    if counts:
        said = ", ".join(f"{count} {what}" for what, count in counts.items() if what != "from" and count)
        facts["truth"] = f"{counts['from']}: {said}"
    return write_evaluation(run_dir, config, result, title, title, figures, facts)
