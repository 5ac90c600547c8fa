"""Walls drawn in a building's style: masonry, storeys of windows, portals, clocks, friezes and cornices.

`house_wall` and `plain_wall` give finished textures, the rest adds parts to a wall being carved.
"""

from typing import Literal

import numpy as np

from landmarks.data.demo.relief import Colour, Points, Relief, box, disc, opening
from landmarks.data.demo.style import Style, shade
from landmarks.data.demo.texture import Texture

GLASS: Colour = (0.16, 0.19, 0.23)


Portal = Literal["none", "door", "stepped", "wide"]


def lay_masonry(wall: Relief, style: Style) -> None:
    """The bare wall: brick, cut stone, bands, rubble or plaster."""
    if style.masonry == "brick":
        wall.stones((0.7, 0.24), 0.09, 0.015)
    elif style.masonry == "ashlar":
        wall.stones((1.5, 0.7), 0.05, 0.035)
    elif style.masonry == "rubble":
        wall.stones((0.9, 0.55), 0.13, 0.06)
    elif style.masonry == "banded":
        for y in np.arange(0, wall.tall, 2.4):
            wall.fill(box(0, y, wall.width, y + 1.0), None, shade(style.trim, 0.95))
        wall.stones((1.2, 0.6), 0.03, 0.02)
    wall.weather(0.10 if style.masonry == "plaster" else 0.16)


def add_window(wall: Relief, style: Style, x: float, y: float, width: float, height: float) -> None:
    """A glazed window with its frame, panes, sill and hood."""
    outline = opening(x, y, width, height, style.head)
    if style.surround:
        grown = opening(x, y - 0.1, width + 2 * style.surround, height + style.surround + 0.1, style.head)
        wall.fill(grown, 0.12, style.trim)
    wall.fill(outline, -0.3, GLASS, int(wall.rng.integers(40, 255)))
    across, up = style.panes
    frame = shade(style.trim, 0.8)
    middle = box(x - 0.05, y, x + 0.05, y + height * 0.97)
    for i in range(1, across):
        wall.fill(middle + np.array([width * (i / across - 0.5), 0]), -0.2, frame)
    for i in range(1, up):
        level = y + height * i / up
        wall.fill(box(x - width / 2, level - 0.05, x + width / 2, level + 0.05), -0.2, frame)
    wall.fill(box(x - width * 0.62, y - 0.22, x + width * 0.62, y), 0.25, style.trim)
    top, half = y + height + style.surround, width * 0.72
    if style.hood == "ledge":
        wall.fill(box(x - half, top + 0.05, x + half, top + 0.3), 0.35, style.trim)
    elif style.hood == "gable":
        wall.fill(np.array([[x - half, top], [x + half, top], [x, top + 0.45 * width]]), 0.3, style.trim)
    elif style.hood == "arc":
        arc = opening(x, top - 0.1, 2 * half, 0.5 * width, "segmental")
        wall.fill(arc, 0.3, style.trim)


def add_storeys(wall: Relief, style: Style, x0: float, x1: float, y0: float, y1: float) -> None:
    """Rows of windows between the given bounds, with string courses and the style's order between bays."""
    storeys = max(round((y1 - y0) / style.storey), 1)
    bays = max(round((x1 - x0) / style.bay), 1)
    rise, step = (y1 - y0) / storeys, (x1 - x0) / bays
    for i in range(1, storeys):
        wall.fill(box(x0, y0 + i * rise - 0.16, x1, y0 + i * rise + 0.16), 0.2, style.trim)
    if style.order != "none":
        for j in range(bays + 1):
            x = x0 + j * step
            if style.order == "column":
                wall.shaft(x, y0, y1, 0.09 * step, shade(style.trim, 0.97))
            else:
                wall.fill(box(x - 0.09 * step, y0, x + 0.09 * step, y1), 0.22, style.trim)
    for i in range(storeys):
        for j in range(bays):
            width, height = style.window[0] * step, style.window[1] * rise
            sill = y0 + i * rise + 0.5 * (rise - height) * 0.8
            add_window(wall, style, x0 + (j + 0.5) * step, sill, width, height)


def add_cornice(wall: Relief, style: Style, y: float, depth: float = 0.8) -> None:
    """A cornice with dentils and a carved frieze below it."""
    band = depth * 1.6
    wall.fill(box(0, y - depth - band, wall.width, y - depth), 0.1, shade(style.trim, 0.96))
    step = band * 1.12
    for x in np.arange(0.2, wall.width - band, step):
        wall.glyph(style.motif, x, y - depth - band + 0.04, band * 0.95, 0.14, shade(style.trim, 0.72))
    for x in np.arange(0, wall.width, depth * 0.9):
        wall.fill(box(x, y - depth, x + depth * 0.45, y - depth * 0.55), 0.35, style.trim)
    wall.fill(box(0, y - depth * 0.55, wall.width, y), depth, style.trim)


def add_portal(wall: Relief, style: Style, x: float, width: float, height: float, kind: Portal) -> None:
    """An entrance: plain, stepped back arch in arch, or wide with a painted gate."""
    if kind == "stepped":
        for i in range(4):
            share = 1.5 - 0.17 * i
            shape = opening(x, 0, width * share, height * share, style.head)
            wall.fill(shape, 0.25 - 0.28 * i, shade(style.trim, 1.04 - 0.12 * (i % 2)))
    else:
        frame = opening(x, 0, width * 1.25, height * 1.12, style.head)
        wall.fill(frame, 0.3, style.trim)
    leaf = opening(x, 0, width, height, style.head)
    wall.fill(leaf, -0.8, shade(style.paint, 0.62))
    wall.fill(box(x - 0.06, 0, x + 0.06, height * 0.9), -0.9, shade(style.paint, 0.35))
    for y in np.arange(0.5, height * 0.8, 1.1):
        for side in (-0.25, 0.25):
            cx = x + side * width
            wall.fill(box(cx - 0.15 * width, y, cx + 0.15 * width, y + 0.75), -0.7, shade(style.paint, 0.75))


def add_rose(wall: Relief, style: Style, x: float, y: float, radius: float, petals: int) -> None:
    """A rose window: tracery of `petals` around a core, coloured glass between."""
    wall.fill(disc(x, y, radius * 1.22), 0.3, style.trim)
    wall.fill(disc(x, y, radius * 1.05), 0.0, shade(style.trim, 0.8))
    wall.fill(disc(x, y, radius), -0.35, shade(style.trim, 0.7))
    tints: tuple[Colour, ...] = (GLASS, (0.34, 0.14, 0.18), (0.14, 0.2, 0.42), (0.16, 0.3, 0.24))
    for ring, (distance, size) in enumerate(((0.68, 0.8), (0.34, 0.45))):
        pane = radius * size * min(0.36, 2.0 * distance / petals * 1.2)
        for i in range(petals):
            turn = 2 * np.pi * (i + 0.5 * ring) / petals
            cx, cy = x + radius * distance * np.cos(turn), y + radius * distance * np.sin(turn)
            wall.fill(disc(cx, cy, pane, 16), -0.55, tints[(i + ring) % len(tints)], 230)
    wall.fill(disc(x, y, radius * 0.14), -0.5, tints[1], 230)


def add_clock(wall: Relief, style: Style, x: float, y: float, radius: float, hour: float) -> None:
    """A clock face with twelve marks and two hands."""
    wall.fill(disc(x, y, radius * 1.18), 0.4, style.trim)
    wall.fill(disc(x, y, radius), 0.25, (0.92, 0.9, 0.82), 200)
    for i in range(12):
        turn = i * np.pi / 6
        mark = disc(x + 0.82 * radius * np.cos(turn), y + 0.82 * radius * np.sin(turn), 0.08 * radius, 4, turn)
        wall.fill(mark, 0.3, (0.1, 0.1, 0.12), None)
    for turn, length, thick in ((np.pi / 2 - hour * np.pi / 6, 0.5, 0.07), (np.pi / 2 - hour * 2 * np.pi, 0.75, 0.05)):
        wall.fill(_hand(x, y, turn, length * radius, thick * radius), 0.35, (0.1, 0.1, 0.12), None)


def _hand(x: float, y: float, turn: float, length: float, half: float) -> Points:
    along, aside = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    centre = np.array([x, y])
    return np.array([centre - half * aside, centre + half * aside, centre + length * along])


def house_wall(rng: np.random.Generator, style: Style, width: float, height: float, *, base: float = 0.0,
               portal: Portal = "none", cornice: float = 0.7) -> Texture:  # fmt: skip
    """A storeyed wall with an optional plinth `base` metres high and a portal in its middle."""
    wall = Relief(width, height, style.wall, rng)
    lay_masonry(wall, style)
    low = max(base, 0.6)
    wall.fill(box(0, 0, width, low), 0.15, shade(style.wall, 0.82))
    add_storeys(wall, style, 0.03 * width, 0.97 * width, low, height - 2.7 * cornice)
    if cornice:
        add_cornice(wall, style, height, cornice)
    if portal != "none":
        add_portal(wall, style, width / 2, min(0.3 * width, 4.5), min(0.36 * height, 6.5), portal)
    return wall.texture()


def plain_wall(rng: np.random.Generator, style: Style, width: float, height: float, *, slits: int = 0,
               crenels: bool = False, courses: bool = True) -> Texture:  # fmt: skip
    """Masonry with at most a few slits, and battlements if asked for."""
    wall = Relief(width, height, style.wall, rng)
    lay_masonry(wall, style)
    for i in range(slits):
        x, y = width * (i + 0.5) / slits, height * rng.uniform(0.35, 0.7)
        wall.fill(opening(x, y, min(0.9, width / 12), min(2.6, height / 5), style.head), -0.4, GLASS, 120)
    if courses:
        wall.fill(box(0, 0.62 * height, width, 0.62 * height + 0.4), 0.25, style.trim)
    if crenels:
        wall.fill(box(0, height - 2.6, width, height - 1.9), 0.5, style.trim)
        for x in np.arange(0.4, width - 0.5, 2.2):
            wall.cut(box(x, height - 1.1, x + 1.0, height + 0.2))
    return wall.texture()
