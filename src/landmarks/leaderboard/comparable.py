"""Decides when a metric measured here is comparable with a published one.

Published metrics of retrieval and recognition are for the whole GLDv2 test set with the v2.1 ground truth (Weyand et
al., "Google Landmarks Dataset v2", CVPR 2020). A metric measured here is for the same data if its run records that

- the data set is `gldv2`, evaluated with its own v2.1 solution files, without landmarks held out of training;
- all 117,577 test images were queries and, for retrieval, all 761,757 index images were searched, except for
  unreadable ones, at most 0.1 % of either: a sample of the index, as in training, makes every metric higher;
- the solution scores 1,129 queries of retrieval, or lists each of the 117,577 test images for recognition, and has both
  a public and a private part.

The contents of the official files are not known here, so their counts distinguish them from a small data set in the
same layout, which has the same file names. A metric is for the same row if models, image sizes, views and pipeline
stages are the row's. Detectors are never comparable: the published metric is for the public split of the 2018
challenge, whose boxes were never published.
"""

from collections.abc import Iterator, Sequence

from landmarks.leaderboard.rows import Row, task_of
from landmarks.leaderboard.runs import Evaluated, Protocol, Run, Solution

SOURCE, RELEASE = "gldv2", "v2.1"
QUERIES, INDEX = 117_577, 761_757
SCORED_IN_RETRIEVAL = 1_129
UNREADABLE = 0.001
EXACT = ("exact", "torch")
# The rule that the leaderboard shows.
RULE = (
    f"A metric is compared with a published one only if it was measured on the whole GLDv2 test set ({QUERIES:,} "
    f"queries, {INDEX:,} index images, ground truth {RELEASE}) with the models, sizes and stages of the row. A point "
    "is 0.01."
)
DETECTION = "the published metric is for the public split of the 2018 challenge, whose boxes were never published"


def obstacles(run: Run, row: Row) -> list[str]:
    """Return the reasons why a run is not comparable with the published metrics of a row.

    Args:
        run: A run of the row's models.
        row: The row.

    Returns:
        A phrase for each reason; empty if the run is comparable.
    """
    return [*other_data(run.stamp.data, row.metric), *_other_views(run.stamp.protocol, row), *_other_stages(run, row)]


def other_data(data: Evaluated, metric: str) -> list[str]:
    """Return the reasons why a metric is not for the whole test set; empty if it is.

    Args:
        data: The data that were evaluated.
        metric: Name of the metric.
    """
    task = task_of(metric)
    if task == "detection":
        return [DETECTION]
    if data.source is None:
        return ["the data set is not recorded: descriptors.use_data=true records it"]
    if data.source != SOURCE:
        return [f"another data set: {data.source}"]
    return list(_not_whole(data, task))


def _not_whole(data: Evaluated, task: str) -> Iterator[str]:
    truth = data.truth.get(task)
    if truth is None:
        yield f"no ground truth of {task}"
        return
    if data.release != RELEASE or truth.where != SOURCE:
        yield f"a ground truth other than {RELEASE} of the data set ({truth.where}, {data.release})"
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
        yield f"the ground truth of {task} has {known:,} queries instead of {expected:,}"
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
