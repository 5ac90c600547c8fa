"""Draws queries with their best results, and matches of two images, as matplotlib figures, for notebooks."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from landmarks.errors import LandmarksError
from landmarks.interop import AnyImage, pixels_of
from landmarks.report.matches import draw_matches, match_images
from landmarks.report.palette import INK, NEUTRAL, RIGHT, WRONG, Colour, css
from landmarks.report.tiles import letterboxed
from landmarks.retrieval import EMPTY, LocalFeatureStore, Ranking, named_local_features

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCHES = 1.6  # width of a tile
MATCH_INCHES, MATCH_DPI = (9.0, 5.0), 200  # largest size of a figure of matches, and its resolution
LABEL = 22  # most characters of a label under a tile


def plot_neighbours(
    ranking: Ranking,
    query_images: Sequence[AnyImage],
    index_images: Sequence[AnyImage],
    *,
    query_labels: Sequence[Hashable] | None = None,
    index_labels: Sequence[Hashable] | None = None,
    queries: int | Sequence[int] = 5,
    results: int = 6,
) -> "Figure":
    """Draw one query per row with its best results.

    With labels, correct results have a green frame and a tick, wrong ones a red frame and a cross. An image that cannot
    be read is shown as unreadable.

    Args:
        ranking: Result of `search` or `rerank`.
        query_images: Q files, images of Pillow or arrays (uint8 [H, W, 3] RGB, or [H, W]).
        index_images: N images of the same kinds.
        query_labels: Q labels of any type; None or -1 for none.
        index_labels: N labels.
        queries: Number of queries to draw, the first ones, or their rows.
        results: Number of results per query.

    Returns:
        A figure; a notebook shows it as the last value of a cell, and `savefig` writes it.

    Raises:
        LandmarksError: Lengths do not match the ranking, or there is nothing to draw.
    """
    import matplotlib.pyplot as plt

    ranking.check(len(query_images), len(index_images))
    rows = list(range(min(queries, ranking.num_queries))) if isinstance(queries, int) else [int(one) for one in queries]
    columns = min(results, ranking.depth)
    if not rows or columns < 1:
        raise LandmarksError("nothing to draw: at least one query and one result are needed")
    if strange := [row for row in rows if not 0 <= row < ranking.num_queries]:
        raise LandmarksError(f"queries: there is no row {strange[0]}, only {ranking.num_queries} queries")
    if (query_labels is None) != (index_labels is None):
        raise LandmarksError("query_labels and index_labels: give both or neither")
    for labels, images in ((query_labels, query_images), (index_labels, index_images)):
        if labels is not None and len(labels) != len(images):
            raise LandmarksError(f"{len(labels)} labels for {len(images)} images")

    figure, axes = plt.subplots(
        len(rows), 1 + columns, figsize=(INCHES * (1 + columns), 1.25 * INCHES * len(rows)), squeeze=False
    )
    for line, query in zip(axes, rows, strict=True):
        own = None if query_labels is None else query_labels[query]
        _draw(line[0], query_images[query], INK, _named("query", own))
        for place, axis in enumerate(line[1:]):
            index = int(ranking.indices[query, place])
            if index == EMPTY:
                axis.axis("off")
                continue
            label = None if index_labels is None else index_labels[index]
            text = _named(f"{ranking.scores[query, place]:.3f}", label)
            if own is None or own == -1:
                _draw(axis, index_images[index], NEUTRAL, text)
            else:
                right = bool(label == own)
                _draw(axis, index_images[index], RIGHT if right else WRONG, f"{'✓' if right else '✗'} {text}")
    figure.tight_layout(pad=0.4)
    plt.close(figure)  # otherwise a notebook would show it twice
    return figure


def plot_matches(
    image_a: AnyImage,
    image_b: AnyImage,
    local_features: str | LocalFeatureStore = "rootsift",
    *,
    matcher: str | None = None,
    seed: int = 0,
    **settings: Any,
) -> "Figure":
    """Draw two images side by side with lines between the local features that spatial verification matches.

        landmarks.plot_matches("A.jpg", "B.jpg", local_features="xfeat", geometry__model="homography")

    Bright lines join inliers, the pairs that agree on one motion; faint ones join the pairs that were rejected.

    Args:
        image_a: A file, an image of Pillow or an array (uint8 [H, W, 3] RGB, or [H, W]).
        image_b: Another image.
        local_features: A name of `conf/local_features` ("rootsift", "xfeat", "aliked", "disk"), or a store.
        matcher: A name of `conf/matcher` ("mutual", "ratio", "lightglue"); None: the one that belongs to the features.
        seed: Seed of the search for a motion.
        **settings: Settings of the named features, with two underscores for a dot.

    Returns:
        A figure whose title counts inliers and pairs.

    Raises:
        LandmarksError: An image cannot be read, there are no such features, or a setting is unknown or invalid.
    """
    import matplotlib.pyplot as plt

    if isinstance(local_features, str):
        local_features = named_local_features(local_features, matcher, **settings)
    elif settings or matcher is not None:
        given = ", ".join([*(["matcher"] if matcher is not None else []), *settings])
        raise LandmarksError(f"{given}: only allowed with the name of local features, not with a store")
    pair = match_images(pixels_of(image_a), pixels_of(image_b), local_features, seed)
    drawing = draw_matches(pair, *(round(inches * MATCH_DPI) for inches in MATCH_INCHES))
    width, height = drawing.width / MATCH_DPI, drawing.height / MATCH_DPI
    figure, axis = plt.subplots(figsize=(width, height + 0.3), dpi=MATCH_DPI, layout="constrained")
    axis.imshow(np.asarray(drawing))
    axis.axis("off")
    axis.set_title(pair.summary, fontsize=8, color=css(INK), loc="left")
    plt.close(figure)  # otherwise a notebook would show it twice
    return figure


def _draw(axis: "Axes", image: AnyImage, colour: Colour, text: str) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_color(css(colour))
        spine.set_linewidth(2.5)
    axis.set_xlabel(text, fontsize=7, color=css(INK))
    try:
        axis.imshow(np.asarray(letterboxed(pixels_of(image))))
    except LandmarksError:
        axis.text(0.5, 0.5, "unreadable", ha="center", va="center", fontsize=7, transform=axis.transAxes)


def _named(text: str, label: Any) -> str:
    if label is None or label == -1:
        return text
    name = str(label)
    return f"{text}\n{name if len(name) <= LABEL else name[: LABEL - 1] + '…'}"
