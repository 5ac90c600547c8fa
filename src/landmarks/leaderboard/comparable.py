"""When a figure measured here may stand beside a published one.

Published figures of retrieval and recognition are of the whole GLDv2 test set by the v2.1 ground truth (Weyand et al.,
"Google Landmarks Dataset v2", CVPR 2020). A figure measured here is one of the same data if its stamp says that

- the data set is `gldv2`, scored by its own v2.1 solution files, and nothing was held out of training instead;
- all 117,577 test images were queries and, for retrieval, all 761,757 index images were searched, but for unreadable
  ones, at most 0.1 % of either: a sample of the index, as in training, makes every figure higher;
- the solution scores 1,129 queries of retrieval, or says of each of the 117,577 test images whether and how recognition
  scores it, and has both a public and a private part.

The real files' content is not known here, so their counts tell them from a miniature in the same layout, which has the
same file names. And it is one of the same row if models, size and views of the images, and stages of the pipeline are
the row's. Of detectors nothing is comparable: the published figure is of the public split of the 2018 challenge, whose
boxes were never published.
"""

from collections.abc import Iterator, Sequence

from landmarks.leaderboard.rows import Row, task_of
from landmarks.leaderboard.runs import Evaluated, Protocol, Run, Solution

SOURCE, RELEASE = "gldv2", "v2.1"
QUERIES, INDEX = 117_577, 761_757
SCORED_IN_RETRIEVAL = 1_129
UNREADABLE = 0.001
EXACT = ("exact", "torch")
RULE = (
    f"A figure stands beside a published one only if it was measured on the whole GLDv2 test set ({QUERIES:,} queries, "
    f"{INDEX:,} index images, ground truth {RELEASE}) with the models, sizes and stages of the row. A point is 0.01."
)
DETECTION = "the published figure is of the public split of the 2018 challenge, whose boxes were never published"


def obstacles(run: Run, row: Row) -> list[str]:
    """Why a run of a row's models may not stand beside the published figures; empty if it may."""
    return [*other_data(run.stamp.data, row.metric), *_other_views(run.stamp.protocol, row), *_other_stages(run, row)]


def other_data(data: Evaluated, metric: str) -> list[str]:
    """Why a figure is not one of the whole test set; empty if it is."""
    task = task_of(metric)
    if task == "detection":
        return [DETECTION]
    if data.source is None:
        return ["nobody knows which data set this is: descriptors.use_data=true would say"]
    if data.source != SOURCE:
        return [f"another data set: {data.source}"]
    return list(_not_whole(data, task))


def _not_whole(data: Evaluated, task: str) -> Iterator[str]:
    truth = data.truth.get(task)
    if truth is None:
        yield f"no ground truth of {task}"
        return
    if data.release != RELEASE or truth.where != SOURCE:
        yield f"another ground truth than {RELEASE} of the data set ({truth.where}, {data.release})"
    if data.held_out:
        yield "landmarks held out of training"
    yield from _other_solution(truth, task)
    counts = [("queries", "queries", QUERIES)] + ([("index", "index images", INDEX)] if task == "retrieval" else [])
    for key, name, whole in counts:
        number = data.embedded.get(key, 0)
        if number > whole:
            yield f"{number:,} instead of {whole:,} {name}"
        elif number < whole * (1 - UNREADABLE):
            yield f"a part of the data: {number:,} of {whole:,} {name}"


def _other_solution(truth: Solution, task: str) -> Iterator[str]:
    scored = truth.public + truth.private
    known = scored if task == "retrieval" else scored + truth.ignored
    expected = SCORED_IN_RETRIEVAL if task == "retrieval" else QUERIES
    if known != expected:
        yield f"the ground truth of {task} is about {known:,} queries, not {expected:,}"
    elif not (truth.public and truth.private):
        yield "the ground truth has no public or no private queries"


def _other_views(protocols: Sequence[Protocol | None], row: Row) -> Iterator[str]:
    for one in protocols:
        if one is None:
            continue
        sizes = row.sizes.get(one.model)
        if sizes and one.input_size not in sizes:
            yield f"images of {one.input_size} px instead of {' or '.join(map(str, sorted(sizes)))}"
        if one.scales != [1.0] or one.flip:
            yield "several views of each image"
        if row.task == "retrieval" and one.resize not in ("", "aspect"):
            yield f"images resized as {one.resize!r}"


def _other_stages(run: Run, row: Row) -> Iterator[str]:
    if not row.stages:
        return
    stages = run.stamp.pipeline
    ran = stages.recognition if row.task == "recognition" else stages.retrieval
    if tuple(ran) != row.stages:
        yield f"another pipeline: {', '.join(ran) or 'none'}"
    index = stages.choices.get("index", EXACT[0])
    if index not in EXACT:
        yield f"searched approximately (index={index})"
