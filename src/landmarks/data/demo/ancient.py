"""Temples, pyramids, pagodas and arenas."""

import numpy as np

from landmarks.data.demo.canvas import Surface
from landmarks.data.demo.facades import (
    GLASS,
    add_cornice,
    add_window,
    house_wall,
    lay_masonry,
    plain_wall,
)
from landmarks.data.demo.landmark import Architect, Landmark
from landmarks.data.demo.panel import Panel
from landmarks.data.demo.relief import Relief, box, opening
from landmarks.data.demo.revolved import cone, cylinder
from landmarks.data.demo.roofs import tiled_roof
from landmarks.data.demo.shapes import box as solid
from landmarks.data.demo.shapes import gable_roof, point, prism
from landmarks.data.demo.style import shade


def temple(make: Architect) -> Landmark:
    """Columns all around on a stepped base, under a pediment."""
    rng, style = make.rng, make.style
    count, gap = make.whole(4, 8), make.between(3.4, 4.6)
    thick, tall = make.between(0.75, 1.1), make.between(9, 13)
    width, depth = count * gap, count * gap * make.between(1.2, 1.7)
    steps = make.whole(3, 5)
    stone = make.plain(shade(style.trim, 0.95), 30, 2)
    surfaces: list[Surface] = []
    for i in range(steps):
        grow = 2 * (steps - i) * 0.9
        surfaces += solid(0, depth / 2, 0.6 * i, width + grow, depth + grow, 0.6, stone, None, stone)
    base = 0.6 * steps
    fluted = Relief(2 * np.pi * thick, tall, style.trim, rng, 256)
    for x in np.linspace(0, fluted.width, 14, endpoint=False):
        fluted.fill(box(x, 0.6, x + 0.2, tall - 1.2), -0.08, None)
    fluted.weather(0.14)
    column, capital = fluted.texture(), make.plain(shade(style.trim, 1.05), 4, 1)
    back = max(round(depth / gap), 3)
    spots = [((i + 0.5) * gap - width / 2, gap / 2) for i in range(count)]
    spots += [(s * (width - gap) / 2, (j + 0.5) * depth / back) for s in (-1, 1) for j in range(1, back)]
    for x, y in spots:
        surfaces.append(cone(point(x, y, base), thick, 0.82 * thick, tall - 0.8, column))
        surfaces.append(cone(point(x, y, base + tall - 0.8), 0.8 * thick, 1.35 * thick, 0.8, capital))
    cella = house_wall(rng, style, width - 3 * gap, tall, portal="door", cornice=0.5)
    surfaces += solid(
        0, depth / 2, base, width - 2.6 * gap, depth - 3 * gap, tall, cella, plain_wall(rng, style, 20, tall)
    )
    beam = Relief(width, 3.2, style.trim, rng)
    beam.weather(0.12)
    add_cornice(beam, style, 3.2, 1.1)
    top = base + tall
    surfaces += solid(0, depth / 2, top, width + 1, depth + 1, 3.2, beam.texture())
    pediment = Relief(width, 5, style.trim, rng)
    pediment.stones((1.6, 0.8), 0.04)
    for i in range(make.whole(3, 7)):
        size = make.between(1.2, 2.4)
        pediment.glyph(style.motif, width * (0.24 + 0.075 * i), 0.4, size, 0.4, shade(style.paint, 0.9))
    rise = make.between(0.2, 0.3) * width
    roof = tiled_roof(rng, style, depth, 10)
    surfaces += gable_roof(0, depth / 2, top + 3.2, width + 1.4, depth + 1.4, rise, roof, pediment.texture(), "y")
    return Landmark("temple", surfaces, width + 6, top + 3 + rise, depth * 0.3, "lawn", 1.0)


def pyramid(make: Architect) -> Landmark:
    """Terraces with a stair up the front and a shrine, or smooth courses of stone."""
    rng, style = make.rng, make.style
    side, terraces = make.between(44, 60), make.whole(5, 9)
    rise = make.between(2.8, 4.0)
    surfaces: list[Surface] = []
    if make.whole(0, 2) == 0:
        face = Relief(side, 0.8 * side, style.wall, rng)
        face.stones((2.4, 1.4), 0.12, 0.15)
        face.weather(0.3)
        door = opening(side / 2, 2, 3, 4, "flat")
        face.fill(door, -1.0, GLASS)
        tall = make.between(0.55, 0.75) * side
        texture = face.texture()
        for i, scale in enumerate((1.0, 0.34)):
            surfaces += prism(i * side * 0.7, i * 0.5 * side, 0, 0.7071 * side * scale, tall * scale, 4, texture, 0.0)
        return Landmark("pyramid", surfaces, side, tall, 0, "sand", np.pi)
    for i in range(terraces):
        width = side * (1 - 0.82 * i / terraces)
        step = Relief(width, rise, style.wall, rng, 360)
        step.stones((1.8, 0.9), 0.1, 0.08)
        step.weather(0.25)
        for x in np.arange(0.6, width - 2, 3.2):
            step.glyph(style.motif, x, 0.24 * rise, 0.55 * rise, 0.3, shade(style.paint, 0.8))
        step.fill(box(0, 0.88 * rise, width, rise), 0.4, shade(style.wall, 1.1))
        texture = step.texture()
        surfaces += prism(0, 0, i * rise, 0.7071 * width, rise, 4, texture, 0.7071 * (width - 1.2))
        top = make.plain(shade(style.wall, 1.05), 12, 12)
        surfaces.append(Panel(point(-width / 2, -width / 2, (i + 1) * rise), point(width, 0), point(0, width), top))
    tall = terraces * rise
    stair = Relief(8, tall, shade(style.wall, 1.08), rng)
    for y in np.arange(0, tall, 0.6):
        stair.fill(box(0.8, y, 7.2, y + 0.25), -0.3, shade(style.wall, 0.7))
    foot, head = -side / 2 - 1.5, -side * 0.09 - 0.2 * side / terraces
    surfaces.append(Panel(point(-4, foot), point(8, 0), point(0, head - foot, tall), stair.texture()))
    shrine = house_wall(rng, style, 0.16 * side, 6, portal="wide", cornice=0.5)
    surfaces += solid(0, 0, tall, 0.16 * side, 0.16 * side, 6, shrine)
    return Landmark("step pyramid", surfaces, side, tall + 7, 0, "lawn", 1.2)


def pagoda(make: Architect) -> Landmark:
    """Storeys that shrink upwards, each under its own flared roof."""
    rng, style = make.rng, make.style
    storeys, sides = make.whole(3, 8), int(rng.choice([4, 4, 6, 8]))
    radius, rise = make.between(7, 10), make.between(4.0, 6.0)
    shrink = make.between(0.8, 0.9)
    body = Relief(radius * 1.4, rise, style.paint, rng)
    body.weather(0.15)
    for x in np.linspace(0, body.width, 4):
        body.fill(box(x - 0.25, 0, x + 0.25, rise), 0.25, shade(style.paint, 0.6))
    for x in np.linspace(0, body.width, 4)[:-1] + body.width / 6:
        add_window(body, style, x, 0.2 * rise, 0.18 * body.width, 0.45 * rise)
    add_cornice(body, style, rise, 0.35)
    walls, roof = body.texture(), tiled_roof(rng, style, 14, 5)
    stone = plain_wall(rng, style, 24, 3)
    surfaces: list[Surface] = prism(0, 0, 0, 1.5 * radius, 2.2, sides, stone)
    surfaces += prism(0, 0, 2.2, 1.5 * radius, 0.1, sides, stone, 0.1)
    level = 2.2
    for _ in range(storeys):
        surfaces += prism(0, 0, level, radius, rise, sides, walls)
        surfaces += prism(0, 0, level + 0.72 * rise, 1.62 * radius, 0.24 * rise, sides, roof, 1.2 * radius)
        surfaces += prism(0, 0, level + 0.96 * rise, 1.2 * radius, 0.34 * rise, sides, roof, 0.6 * radius)
        level += rise
        radius *= shrink
    surfaces += prism(0, 0, level + 0.2 * rise, 1.0 * radius, 1.2 * rise, sides, roof, 0.0)
    surfaces.append(cylinder(point(0, 0, level + rise), 0.35, 1.3 * rise, make.plain((0.8, 0.65, 0.25))))
    return Landmark("pagoda", surfaces, 26, level + 2.3 * rise, 0, "lawn", np.pi)


def arena(make: Architect) -> Landmark:
    """Tiers of arches around an open ring, part of it fallen."""
    rng, style = make.rng, make.style
    radius, tiers, rise = make.between(24, 34), make.whole(2, 4), make.between(6, 8.5)
    around = np.pi * radius
    ring = Relief(around, tiers * rise, style.wall, rng)
    lay_masonry(ring, style)
    bays = make.whole(9, 15)
    for i in range(tiers):
        for j in range(bays):
            x, size = around * (j + 0.5) / bays, around / bays
            shape = opening(x, i * rise + 0.4, 0.6 * size, 0.72 * rise, style.head)
            ring.fill(shape, -1.5, shade(style.wall, 0.35), 60 + 12 * j)
            if (i + j) % 3 == 0:
                ring.cut(shape)
            ring.shaft(around * j / bays, i * rise, (i + 1) * rise, 0.08 * size, style.trim)
        ring.fill(box(0, (i + 1) * rise - 0.9, around, (i + 1) * rise), 0.7, style.trim)
    if rng.random() < 0.6:
        broken = np.cumsum(rng.normal(0, 0.06 * rise, 24)) + 0.9 * tiers * rise
        edge = np.stack([np.linspace(0.1, 0.8, 24) * around, np.clip(broken, 0.4 * tiers * rise, tiers * rise)], 1)
        ring.cut(np.concatenate([edge, [[0.8 * around, 60], [0.1 * around, 60]]]))
    slope = make.between(-0.16, 0.1)
    texture = ring.texture()
    surfaces: list[Surface] = [cone(point(0, 0), radius, radius * (1 + slope), tiers * rise, texture, 2)]
    inner = house_wall(rng, style, around, tiers * rise * 0.75, cornice=0.6)
    surfaces.append(cylinder(point(0, 0), 0.86 * radius, tiers * rise * 0.75, inner, 2))
    return Landmark("arena", surfaces, 2.1 * radius, tiers * rise * 1.25, 0, "paving", np.pi)
