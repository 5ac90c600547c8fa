"""`landmarks extract`: descriptors, regions, predictions or detections of a data set."""

from omegaconf import DictConfig

from landmarks.cli.hydra_main import Arguments, quiet_lightning, run_hydra
from landmarks.config import refuse_absent, refuse_missing


def extract(arguments: Arguments = None) -> None:
    """Write descriptor sets: `landmarks extract checkpoint=PATH data=gldv2 data.root=PATH hydra.run.dir=OUT`."""
    run_hydra(_job, "extract", arguments or ())


# Torch and Lightning take seconds to import. A misspelt key is found while Hydra composes, before they are needed.
def _job(config: DictConfig) -> None:
    refuse_missing(config)
    refuse_absent(config)
    from landmarks.models import read_model_record

    quiet_lightning()
    if read_model_record(config.checkpoint, config.trust).task == "detection":
        from landmarks.detection import extract_detections_job as extract_job
    else:
        from landmarks.extraction import extract_job
    extract_job(config)
