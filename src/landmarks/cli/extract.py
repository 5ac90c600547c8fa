"""`landmarks extract`: write descriptors, regions, predictions or detections of a data set."""

from landmarks.api import run_extract
from landmarks.cli.hydra_main import Arguments, run_hydra


def extract(arguments: Arguments = None) -> None:
    """Write descriptor sets: `landmarks extract checkpoint=PATH data=gldv2 data.root=PATH hydra.run.dir=OUT`."""
    run_hydra(run_extract, "extract", arguments or ())
