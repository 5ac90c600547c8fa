"""Evaluate a checkpoint on a data set: extract descriptors, then evaluate them."""

import logging
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from landmarks.config import EvaluateSettings, check_config, refuse_missing
from landmarks.data import LandmarkDataModule
from landmarks.evaluation.evidence import EvidenceToCome, open_evidence
from landmarks.evaluation.inputs import Inputs
from landmarks.evaluation.outputs import write_evaluation
from landmarks.evaluation.scoring import evaluate_descriptors
from landmarks.extraction import Extraction, embed
from landmarks.models import TRAINED_HERE, OpenedModel, data_in_words, open_model
from landmarks.recognition import RecognitionPipeline
from landmarks.retrieval import Pipeline

log = logging.getLogger(__name__)


def evaluate_job(config: DictConfig) -> float | None:
    """Open the checkpoint, check the configuration and evaluate; see `evaluate`."""
    refuse_missing(config)
    trained = open_model(config.checkpoint, "descriptors", trust=config.trust)
    check_config(config, EvaluateSettings)
    return evaluate(config, Path(config.run_dir), trained)


def evaluate(config: DictConfig, run_dir: Path, trained: OpenedModel | None = None) -> float | None:
    """Embed queries, index and gallery, search, re-rank, recognise, score, and write the results into the run folder.

    An interrupted evaluation resumes from the descriptors that it left in the folder. All ranks embed images; rank 0
    does the rest while the other ranks return.

    Args:
        config: As composed from `conf/evaluate.yaml`.
        run_dir: The run folder.
        trained: The network; by default that of `config.checkpoint`.

    Returns:
        The monitored metric; None if the data have no ground truth, and on all ranks but the first.

    Raises:
        LandmarksError: The configuration, the model and the data do not fit together; raised before any image is
            embedded.
    """
    trained = trained or open_model(config.checkpoint, "descriptors", trust=config.trust)
    pipeline: Pipeline = instantiate(config.pipeline)
    recognition: RecognitionPipeline = instantiate(config.recognition)
    extraction: Extraction = instantiate(config.extraction)
    extraction.require(pipeline)
    data: LandmarkDataModule = instantiate(config.data, _partial_=True)(
        trained=trained.preprocessing, scales=extraction.scales
    )
    _tell_other_data(trained, config)
    data.prepare_data()
    data.setup("validate")
    gallery_names = data.gallery_set.table.landmark_names
    opened = open_evidence(config.predictions, config.detections, data.query_set.table.ids, gallery_names)
    evidence = EvidenceToCome.open(opened, trained.head, trained.landmark_names, extraction, gallery_names)
    evidence.require(recognition, config.monitor)
    extracted = embed(config, run_dir, trained, data, run_dir / "descriptors", replace_others=True)
    if not extracted.sets:
        return None
    found = evidence.complete(extracted.sets["queries"].descriptors, config.trainer.accelerator)
    inputs = Inputs.extracted(extracted.sets, data.source, data.truth, data.sizes)
    result = evaluate_descriptors(inputs, pipeline, recognition, found)
    figures = {
        "checkpoint": str(config.checkpoint),
        "trained_on": trained.trained_on,
        "unreadable": extracted.unreadable,
    }
    return write_evaluation(run_dir, config, result, trained.name, f"{trained.name} on {data.source.name}", figures)


def _tell_other_data(trained: OpenedModel, config: DictConfig) -> None:
    """Warn where a network is evaluated on other data than it was trained on, which may be an oversight."""
    origin = trained.record.origin
    both = origin.get("trained_on"), data_in_words(config.data.source)
    before, now = (str(data).partition(",")[0] for data in both)
    if origin.get("source") == TRAINED_HERE and before != now:
        log.warning("Trained on %s, evaluated on %s; the data of the training are asked for by data=…", before, now)
