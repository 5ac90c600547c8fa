"""The command `landmarks` and its subcommands."""

import sys
from typing import Any

import typer
from omegaconf import DictConfig

from landmarks.cli import data, descriptors, export, import_paddle, leaderboard, pictures, score
from landmarks.cli.hydra_main import quiet_lightning, run_hydra
from landmarks.config.check import refuse_missing
from landmarks.config.locations import import_from_here
from landmarks.errors import LandmarksError

app = typer.Typer(
    help="Experiments in landmark retrieval and recognition: train, search, re-rank, score.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # paragraphs of docstrings flow
)
app.add_typer(data.app, name="data")
app.add_typer(descriptors.app, name="descriptors")
app.add_typer(score.app, name="score")
for _command in (pictures.similarity, pictures.classify, pictures.detect):
    app.command()(_command)
app.command("leaderboard")(leaderboard.leaderboard)
app.command("import-paddle")(import_paddle.import_paddle)
app.command("export")(export.export)

NOTHING_TO_EVALUATE = """name what to evaluate: a checkpoint
  python evaluate.py checkpoint=runs/…/checkpoints/best.ckpt data=gldv2 data.root=PATH
or descriptors of anybody's
  python evaluate.py descriptors.queries=Q.npy descriptors.index=I.npy pipeline=qe"""

_HANDED_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


@app.command("train", context_settings=_HANDED_ON, add_help_option=False)
def train_command(context: typer.Context) -> None:
    """Train and evaluate: `landmarks train model=res200 loss=arcmargin` (`--help` lists all choices)."""
    train(context.args)


@app.command("evaluate", context_settings=_HANDED_ON, add_help_option=False)
def evaluate_command(context: typer.Context) -> None:
    """Evaluate a checkpoint, `landmarks evaluate checkpoint=PATH data=gldv2 data.root=PATH`, or given descriptors.

    `landmarks evaluate descriptors.queries=Q.npy descriptors.index=I.npy pipeline=qe` searches with anybody's.
    """
    evaluate(context.args)


@app.command("extract", context_settings=_HANDED_ON, add_help_option=False)
def extract_command(context: typer.Context) -> None:
    """Write descriptor sets: `landmarks extract checkpoint=PATH data=gldv2 data.root=PATH hydra.run.dir=OUT`."""
    extract(context.args)


def train(arguments: list[str] | None = None) -> None:
    """Run the training job under Hydra; `train.py` and `landmarks train` both end here."""
    run_hydra(_train_job, "train", sys.argv[1:] if arguments is None else arguments)


def evaluate(arguments: list[str] | None = None) -> None:
    """Run an evaluation under Hydra; `evaluate.py` and `landmarks evaluate` both end here."""
    run_hydra(_evaluate_job, "evaluate", sys.argv[1:] if arguments is None else arguments)


def extract(arguments: list[str]) -> None:
    """Run an extraction under Hydra; `landmarks extract` ends here."""
    run_hydra(_extract_job, "extract", arguments)


# Torch and Lightning take seconds to import. A misspelt key is found while Hydra composes, before they are needed.
def _train_job(config: DictConfig) -> Any:
    refuse_missing(config)
    if config.task == "detection":
        from landmarks.detection.train import train_detector_job as train_job
    else:
        from landmarks.training.train import train_job

    quiet_lightning()
    return train_job(config)


def _evaluate_job(config: DictConfig) -> Any:
    refuse_missing(config)
    given = [f"descriptors.{key}" for key, value in config.descriptors.items() if value]
    if config.checkpoint is None and not given:
        raise LandmarksError(NOTHING_TO_EVALUATE)
    if config.checkpoint is not None and given:
        raise LandmarksError(f"checkpoint and {', '.join(given)} exclude each other: evaluate one at a time")
    if given:
        from landmarks.evaluation.precomputed.evaluate import evaluate_precomputed_job

        return evaluate_precomputed_job(config)
    from landmarks.models.opened import read_model_record

    quiet_lightning()
    if read_model_record(config.checkpoint).task == "detection":
        from landmarks.detection.evaluate import evaluate_detector_job as evaluate_job
    else:
        from landmarks.evaluation.evaluate import evaluate_job
    return evaluate_job(config)


def _extract_job(config: DictConfig) -> None:
    refuse_missing(config)
    from landmarks.models.opened import read_model_record

    quiet_lightning()
    if read_model_record(config.checkpoint).task == "detection":
        from landmarks.detection.extract import extract_detections_job as extract_job
    else:
        from landmarks.extraction.extract import extract_job
    extract_job(config)


def main() -> None:
    """Run the command line."""
    import_from_here()
    app()


if __name__ == "__main__":
    main()
