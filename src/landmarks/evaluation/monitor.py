"""The one figure that stands for a run: refused before any work where it will not be, found afterwards."""

import logging
from collections.abc import Mapping

import numpy as np

from landmarks.errors import LandmarksError
from landmarks.evaluation.figures import PREFIX
from landmarks.evaluation.scoring import ALL, Scores
from landmarks.metrics import retrieval_figures

RETRIEVAL_FIGURES = tuple(retrieval_figures(np.zeros((0, 0), np.bool_), np.zeros(0, np.int64)))
RECOGNITION_FIGURES = ("gap", "gap_ignoring_non_landmark", "top1")
MAIN_FIGURES = ("map@100", "gap")

log = logging.getLogger(__name__)


def check_monitor(monitor: str, recognised: bool, predictions: bool, split: str = "private") -> None:
    """Refuse, before any work, to wait for a figure that will not be there; the message names those of `split`."""
    of, _, name = monitor.partition("/")
    known = [*RETRIEVAL_FIGURES, *(RECOGNITION_FIGURES if recognised else ())]
    of_classifier = [f"{PREFIX}{figure}" for figure in RECOGNITION_FIGURES] if recognised else []
    if of in (split, "public", "private") and (name in known or (predictions and name in of_classifier)):
        return
    if name in of_classifier and not predictions:
        raise LandmarksError(
            f"monitor={monitor}: there is no classifier here whose figure that could be: use one trained with softmax "
            "or arcmargin, or predictions=DIR, or monitor another figure, such as private/gap"
        )
    there = ", ".join(f"{split}/{figure}" for figure in [*known, *(of_classifier if predictions else ())])
    raise LandmarksError(f"monitor={monitor}: there is no such figure; there are: {there}")


def choose_monitor(wanted: str, scores: Scores) -> str:
    """Name the figure that stands for a run.

    The one asked for, else the same one of another split, else the main figure of the task whose truth is known; the
    one asked for where nobody knows anything.
    """
    split, _, name = wanted.partition("/")
    candidates = [(one, figure) for figure in (name, *MAIN_FIGURES) for one in (split, ALL, "private", "public")]
    chosen = next(("/".join(pair) for pair in candidates if pair[1] in scores.get(pair[0], {})), wanted)
    if chosen != wanted:
        log.info("Nobody knows %s here: %s stands for the run", wanted, chosen)
    return chosen


def figure(scores: Mapping[str, Mapping[str, float]], name: str) -> float | None:
    """Return one figure such as `public/map@100`, or None where there is no ground truth at all."""
    if not scores:
        return None
    split, _, metric = name.partition("/")
    if metric not in scores.get(split, {}):
        known = ", ".join(f"{s}/{m}" for s, values in scores.items() for m in values)
        raise LandmarksError(f"monitor={name}: there is no such figure; there are: {known}")
    return scores[split][metric]


def known_scores(scores: Scores) -> Scores:
    """Leave out figures that are not a number, of splits without queries, and splits without figures."""
    known = {split: {name: value for name, value in of.items() if not np.isnan(value)} for split, of in scores.items()}
    return {split: values for split, values in known.items() if values}
