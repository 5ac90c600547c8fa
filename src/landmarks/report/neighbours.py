"""Draws a sheet of sample queries with their best results.

The sample mixes good, typical and failed queries, and one without a landmark, so that it does not flatter the model.
Correct results have a green frame and a tick, wrong ones a red frame and a cross; results of a query without a landmark
cannot be correct, so they have a grey frame.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from landmarks.errors import LandmarksError
from landmarks.report.palette import GREY, INK, NEUTRAL, PALE, PAPER, RIGHT, WRONG, Colour
from landmarks.report.tiles import (
    MARGIN,
    SPACE,
    TILE_HEIGHT,
    TILE_WIDTH,
    ReadImage,
    Tile,
    draw_tile,
    font,
    read_or_none,
    save_sheet,
)
from landmarks.retrieval import EMPTY, Ranking

QUERIES, RESULTS = 7, 8  # rows, and results per row
HEADER = 44
QUERY_SPACE = 26
ROW_SPACE = 26
# The legend needs this width, in pixels, beside the headings.
LEAST_WIDTH = 780
JUDGEMENTS = (("✓", "same landmark", RIGHT), ("✗", "another", WRONG))  # entries of the legend
ROW_HEIGHT = TILE_HEIGHT + ROW_SPACE


@dataclass(frozen=True)
class Sheet:
    """The data that the sheet is drawn from."""

    ranking: Ranking  # [Q, K]
    relevant: NDArray[np.bool_]  # bool [Q, K], results that are correct
    quality: NDArray[np.floating]  # float [Q], such as the average precision; NaN for queries without a landmark
    query_ids: NDArray[np.uint64]  # uint64 [Q]
    index_ids: NDArray[np.uint64]  # uint64 [N]
    query_names: NDArray[np.str_]  # [Q] shown under queries; empty for none
    index_names: NDArray[np.str_]  # [N] shown under results

    def __post_init__(self) -> None:
        queries, index = self.ranking.num_queries, len(self.index_ids)
        self.ranking.check(len(self.query_ids), index)
        shapes = (self.relevant.shape, self.quality.shape, self.query_names.shape, self.index_names.shape)
        if shapes != (self.ranking.indices.shape, (queries,), (queries,), (index,)):
            raise LandmarksError(f"neighbours: relevant, quality and names have shapes {shapes}, which do not fit")


def choose_queries(quality: NDArray[np.floating], count: int, seed: int = 0) -> list[tuple[str, int]]:
    """Draw a mixed sample: a third each from the best, the median and the worst tenth, and one without a landmark.

    Args:
        quality: [Q]; NaN for queries without a landmark.
        count: queries to draw; fewer if there are not as many.
        seed: seed of the draw.

    Returns:
        Pairs ``(kind, row)``, good queries first; no row twice.
    """
    random = np.random.default_rng(seed)
    without = np.flatnonzero(np.isnan(quality))
    scored = np.flatnonzero(~np.isnan(quality))
    scored = scored[np.argsort(-quality[scored], kind="stable")]
    places = max(0, min(count - bool(len(without) and count > 1), len(scored)))
    shares = [len(part) for part in np.array_split(np.arange(places), 3)]
    # Shares differ by one at most and add up to no more than there are, so the three pools never overlap.
    best, typical, failed = (max(share, len(scored) // 10) for share in shares)
    middle = (best + len(scored) - failed - typical) // 2
    sample: list[tuple[str, int]] = []
    for kind, share, pool in (
        ("best", shares[0], scored[:best]),
        ("typical", shares[1], scored[middle : middle + typical]),
        ("failure", shares[2], scored[len(scored) - failed :]),
        ("no landmark", min(count - places, len(without)), without),
    ):
        # Sorted places keep the order of the pool, better queries first.
        drawn = np.sort(random.choice(len(pool), max(share, 0), replace=False)) if len(pool) else pool
        sample += [(kind, int(pool[place])) for place in drawn]
    return sample


def draw_neighbours(sheet: Sheet, read: ReadImage, out: str | Path) -> Path:
    """Draw a mixed sample of queries as a PNG file: one row per query, followed by its best results."""
    results = min(RESULTS, sheet.ranking.depth)
    sample = choose_queries(sheet.quality, QUERIES)
    if not sample or results < 1:
        raise LandmarksError("neighbours: nothing to draw; needs at least one query and one result")
    width = max(LEAST_WIDTH, 2 * MARGIN + TILE_WIDTH + QUERY_SPACE + results * (TILE_WIDTH + SPACE) - SPACE)
    height = 2 * MARGIN + HEADER + len(sample) * ROW_HEIGHT - ROW_SPACE
    canvas = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(canvas)
    first = MARGIN + TILE_WIDTH + QUERY_SPACE
    pen.text((MARGIN, MARGIN), "Query", fill=INK, font=font(17, bold=True))
    pen.text((first, MARGIN), "Best results", fill=INK, font=font(17, bold=True))
    draw_legend(pen, width - MARGIN, MARGIN, (*JUDGEMENTS, ("", "query has no landmark", NEUTRAL)))
    for number, (kind, query) in enumerate(sample):
        top = MARGIN + HEADER + number * ROW_HEIGHT
        draw_tile(canvas, MARGIN, top, _query_tile(sheet, kind, query, read))
        line = first - QUERY_SPACE // 2
        pen.line((line, top, line, top + TILE_WIDTH - 1), fill=PALE, width=1)
        for place in range(results):
            if sheet.ranking.indices[query, place] != EMPTY:
                left = first + place * (TILE_WIDTH + SPACE)
                draw_tile(canvas, left, top, result_tile(sheet, query, place, read))
    return save_sheet(canvas, out)


def _query_tile(sheet: Sheet, kind: str, query: int, read: ReadImage) -> Tile:
    image = read_or_none(read, int(sheet.query_ids[query]))
    if np.isnan(sheet.quality[query]):
        return Tile(image, NEUTRAL, "no landmark", "nothing is right", dashed=True)
    return Tile(image, INK, str(sheet.query_names[query]), f"{kind}, AP {sheet.quality[query]:.3f}")


def result_tile(sheet: Sheet, query: int, place: int, read: ReadImage) -> Tile:
    """Return the tile of a result, which says whether it is correct."""
    row = int(sheet.ranking.indices[query, place])
    image = read_or_none(read, int(sheet.index_ids[row]))
    name, note = str(sheet.index_names[row]) or "no landmark known", f"{sheet.ranking.scores[query, place]:.3f}"
    if np.isnan(sheet.quality[query]):
        return Tile(image, PALE, name, note)
    right = bool(sheet.relevant[query, place])
    return Tile(image, RIGHT if right else WRONG, name, note, mark="✓" if right else "✗")


def draw_legend(pen: ImageDraw.ImageDraw, right: int, top: int, entries: tuple[tuple[str, str, Colour], ...]) -> None:
    """Draw the entries side by side, ending at `right`."""
    for mark, text, colour in reversed(entries):
        right -= int(font(13).getlength(text))
        pen.text((right, top + 3), text, fill=GREY, font=font(13))
        right -= 26
        if mark:
            pen.rectangle((right, top + 1, right + 18, top + 19), fill=colour)
            pen.text((right + 9, top + 10), mark, fill=PAPER, font=font(13), anchor="mm")
        else:
            for offset in (0, 8, 16):
                pen.rectangle((right + offset - 2, top + 8, right + offset + 2, top + 12), fill=colour)
        right -= 24
