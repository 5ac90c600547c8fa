"""`landmarks evaluate` and `evaluate.py`."""

from landmarks.api import run_evaluate
from landmarks.cli.hydra_main import Arguments, run_hydra


def evaluate(arguments: Arguments = None) -> None:
    """Evaluate a checkpoint (`landmarks evaluate checkpoint=PATH data=gldv2 data.root=PATH`) or descriptors.

    Precomputed descriptors: `landmarks evaluate descriptors.queries=Q.npy descriptors.index=I.npy pipeline=qe`.
    """
    run_hydra(run_evaluate, "evaluate", arguments or ())
