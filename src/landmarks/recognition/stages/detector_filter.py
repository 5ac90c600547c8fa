"""Filters queries without a landmark, by the objects that a detector found in them.

GAP counts every prediction on a non-landmark image as wrong, and most test images of Google Landmarks v2 show no
landmark. The second place of 2019 began its recognition with landmark / non-landmark detection; the rule is ours, see
`non_landmark`.
"""

import logging
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.recognition.detections import FoundObjects
from landmarks.recognition.non_landmark import NO_BOX, Judgement, NonLandmarkRule
from landmarks.recognition.predictions import Evidence
from landmarks.recognition.state import RecognitionState
from landmarks.recognition.votes import push_down
from landmarks.retrieval import MISSING, Need, Resources

log = logging.getLogger(__name__)

SHOWN = 10  # unknown classes that the log names


class NonLandmarkFilter:
    """Removes or pushes down the predictions of queries that show no landmark according to a rule.

    Queries that the detector has not processed do not change. The notes ``no_landmark`` and ``detector`` hold decision
    and reason.

    Args:
        rule: decides which queries show no landmark.
        action: "drop" removes the predictions of these queries, "push_down" lowers their confidences below those of
            all other queries and keeps their order.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"detections"})

    def __init__(self, rule: NonLandmarkRule, action: Literal["drop", "push_down"] = "drop") -> None:
        self.rule = rule
        self.action = action
        self._told = False

    def check(self, given: Evidence | RecognitionState) -> None:
        """Raise a LandmarksError, before any work, if the detector lacks classes of the rule."""
        if given.detections is None:
            return
        unknown = self.rule.find_classes(given.detections.classes).unknown
        if unknown and not self._told:
            log.info("Non-landmark filter: the detector does not know %d classes of the rule: %s",
                     len(unknown), ", ".join(unknown[:SHOWN]) + " …" * (len(unknown) > SHOWN))  # fmt: skip
            self._told = True

    def __call__(self, state: RecognitionState, resources: Resources) -> RecognitionState:
        """Return the state with other candidates, and the notes ``no_landmark`` and ``detector``."""
        candidates, found = state.require_answer("non-landmark filter"), state.detections
        if found is None:
            raise LandmarksError(f"stage non-landmark filter needs {MISSING['detections']}")
        judged = self.rule.judge(found, state.query_ids)
        unseen = int((~judged.looked_at).sum())
        log.info(
            "Non-landmark filter: %d of %d queries show no landmark%s",
            judged.no_landmark.sum(), len(state.query_ids),
            f"; {unseen} are not in {found.name} and do not change" if unseen else "",
        )  # fmt: skip
        if self.action == "drop":
            candidates = candidates.rescored(np.where(judged.no_landmark[:, None], -np.inf, candidates.scores))
        else:
            candidates = push_down(candidates, judged.no_landmark)
        return state.with_candidates(
            candidates, no_landmark=judged.no_landmark, detector=in_words(judged, found, self.rule)
        )


def in_words(judged: Judgement, found: FoundObjects, rule: NonLandmarkRule) -> NDArray[np.str_]:
    """Describe why each query was filtered or not: str [Q]."""
    titles, labels = found.classes.titles, found.boxes.labels
    scores, corners = found.boxes.scores, np.clip(found.boxes.boxes, 0, 1)

    def name(box: int) -> str:
        return f"{titles[labels[box]]} {scores[box]:.2f}"

    def pro(box: int, loud: bool) -> str:
        share = np.prod(corners[box, 2:] - corners[box, :2])
        return f"{name(box)} on {share:.0%} {'speaks' if loud else 'is too faint to speak'} for a landmark"

    def contra(box: int, others: int, area: float) -> str:
        if not others:
            return f"{name(box)} covers {area:.0%}"
        return f"{name(box)} and {others} more box{'es' if others > 1 else ''} cover {area:.0%}"

    words = []
    for row in range(len(judged.looked_at)):
        if not judged.looked_at[row]:
            words.append("not looked at")
            continue
        parts = []
        if judged.best_against[row] != NO_BOX:
            others = int(judged.num_against[row]) - 1
            parts.append(contra(judged.best_against[row], others, judged.against_area[row]))
        if judged.best_for[row] != NO_BOX:
            parts.append(pro(judged.best_for[row], judged.speaks_for[row] >= rule.most_for))
        elif judged.found[row]:
            parts.append("nothing speaks for a landmark")
        else:
            parts.append("nothing found")
        words.append(("no landmark: " if judged.no_landmark[row] else "") + ", ".join(parts))
    return np.array(words, dtype=np.str_)
