"""Draws the queries that a stage of a pipeline helped and harmed most: their best results before and after it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from landmarks.errors import LandmarksError
from landmarks.report.matches import DrawnPair, draw_pairs, match_images
from landmarks.report.neighbours import JUDGEMENTS, ROW_HEIGHT, ROW_SPACE, Sheet, draw_legend, result_tile
from landmarks.report.palette import INK, PALE, PAPER
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
from landmarks.retrieval import EMPTY, LocalFeatureStore

RESULTS = 4  # results of each query before the stage, and as many after it
HEADER = 44
GROUP_SPACE = 26


@dataclass(frozen=True)
class EffectSheet:
    """The queries that a stage helped and harmed most, in this order."""

    before: Sheet  # their results before the stage
    after: Sheet  # their results after it

    def __post_init__(self) -> None:
        if not np.array_equal(self.before.query_ids, self.after.query_ids):
            raise LandmarksError("effects: the results before and after the stage are those of other queries")

    def note(self, query: int) -> str:
        """Say what the stage did to a query."""
        before, after = self.before.quality[query], self.after.quality[query]
        return f"{'helped' if after > before else 'harmed'}, AP {before:.3f} → {after:.3f}"

    def risen(self, query: int) -> tuple[int, int] | None:
        """Return the place after the stage, and before it, of the image that explains the change best.

        It is a correct image if the query was helped and a wrong one if it was harmed: the one whose reciprocal rank
        rose most. None if none rose. The place before is -1 for an image that was not in the ranking.
        """
        before, after = self.before.ranking.indices[query], self.after.ranking.indices[query]
        correct = self.after.relevant[query]
        fits = correct if self.after.quality[query] > self.before.quality[query] else ~correct
        same = (after[:, None] == before[None]) & (after[:, None] != EMPTY)
        earlier = np.where(same.any(axis=1), same.argmax(axis=1), -1)
        gain = 1 / (1 + np.arange(len(after))) - np.where(earlier < 0, 0, 1 / (1 + np.maximum(earlier, 0)))
        gain[~fits | (after == EMPTY)] = 0
        place = int(gain.argmax()) if len(gain) else 0
        return (place, int(earlier[place])) if len(gain) and gain[place] > 0 else None


def draw_effects(
    sheet: EffectSheet, read: ReadImage, out: str | Path, headings: tuple[str, str] = ("Before", "After")
) -> Path:
    """Draw the sheet as a PNG file: one row per query, followed by its best results before and after the stage.

    `headings` stand above the two groups of results, which may also be those of two runs.
    """
    results = min(RESULTS, sheet.after.ranking.depth)
    count = len(sheet.after.query_ids)
    if not count or results < 1:
        raise LandmarksError("effects: nothing to draw; needs at least one query and one result")
    group = results * (TILE_WIDTH + SPACE) - SPACE + GROUP_SPACE
    first = MARGIN + TILE_WIDTH + GROUP_SPACE
    width = first + 2 * group - GROUP_SPACE + MARGIN
    canvas = Image.new("RGB", (width, 2 * MARGIN + HEADER + count * ROW_HEIGHT - ROW_SPACE), PAPER)
    pen = ImageDraw.Draw(canvas)
    for left, heading in ((MARGIN, "Query"), (first, headings[0]), (first + group, headings[1])):
        pen.text((left, MARGIN), heading, fill=INK, font=font(17, bold=True))
    draw_legend(pen, width - MARGIN, MARGIN, JUDGEMENTS)
    for query in range(count):
        top = MARGIN + HEADER + query * ROW_HEIGHT
        image = read_or_none(read, int(sheet.after.query_ids[query]))
        draw_tile(canvas, MARGIN, top, Tile(image, INK, str(sheet.after.query_names[query]), sheet.note(query)))
        for number, found in enumerate((sheet.before, sheet.after)):
            start = first + number * group
            line = start - GROUP_SPACE // 2
            pen.line((line, top, line, top + TILE_HEIGHT - 1), fill=PALE, width=1)
            for place in np.flatnonzero(found.ranking.filled[query, :results]).tolist():
                left = start + place * (TILE_WIDTH + SPACE)
                draw_tile(canvas, left, top, result_tile(found, query, place, read))
    return save_sheet(canvas, out)


def draw_risen(
    sheet: EffectSheet, read: ReadImage, features: LocalFeatureStore, out: str | Path, seed: int = 0
) -> Path | None:
    """Draw for each query of the sheet the match with the image that explains the change; see `EffectSheet.risen`.

    Args:
        sheet: The queries.
        read: Reads images at their full size, as features are extracted from them.
        features: Extracts local features, matches and verifies them.
        out: PNG file to write.
        seed: Seed of the stage.

    Returns:
        The file; None if there is nothing to draw, or none of the images can be read.
    """
    drawn = []
    for query, query_id in enumerate(sheet.after.query_ids.tolist()):
        risen = sheet.risen(query)
        if risen is None:
            continue
        place, earlier = risen
        row = int(sheet.after.ranking.indices[query, place])
        try:
            pair = match_images(read(query_id), read(int(sheet.after.index_ids[row])), features, seed)
        except LandmarksError:  # an unreadable image had no features either
            continue
        moved = f"rank {earlier + 1 if earlier >= 0 else 'none'} → {place + 1}"
        correct = bool(sheet.after.relevant[query, place])
        name = str(sheet.after.query_names[query])
        if not correct:
            name += f", not {sheet.after.index_names[row] or 'an image without a known landmark'}"
        note = f"{sheet.note(query)}; {moved}"
        drawn.append(DrawnPair.of(pair, name, note, correct))
    return draw_pairs(drawn, out) if drawn else None
