"""Castles, town gates and triumphal arches."""

import numpy as np

from landmarks.data.demo.facades import (
    add_cornice,
    add_portal,
    add_storeys,
    house_wall,
    lay_masonry,
    plain_wall,
)
from landmarks.data.demo.landmark import Architect, Landmark
from landmarks.data.demo.relief import Relief, box, opening
from landmarks.data.demo.revolved import cone, cylinder
from landmarks.data.demo.roofs import tiled_roof
from landmarks.data.demo.shapes import TRIANGLE, hip_roof, passage, point, wall
from landmarks.data.demo.shapes import box as solid
from landmarks.data.demo.style import shade


def castle(make: Architect) -> Landmark:
    """Curtain walls with battlements, round towers of uneven height, and a keep."""
    rng, style = make.rng, make.style
    side, tall = make.between(34, 48), make.between(9, 13)
    curtain = plain_wall(rng, style, side, tall, slits=5, crenels=True)
    gate = Relief(10, tall + 5, style.wall, rng)
    lay_masonry(gate, style)
    add_portal(gate, style, 5, 4, 0.42 * tall, "stepped")
    gate.glyph(style.motif, 3.4, 0.62 * tall, 3.2, 0.4, style.paint)
    add_cornice(gate, style, tall + 5, 0.5)
    roof = tiled_roof(rng, style, 20, 10)
    surfaces = solid(0, side / 2, 0, side, side, tall, curtain)
    surfaces += solid(make.between(-0.15, 0.15) * side, 0.5, 0, 10, 8, tall + 5, gate.texture())
    peak = 0.0
    for x, y in ((-0.5, 0), (0.5, 0), (-0.5, 1), (0.5, 1)):
        radius, high = make.between(3.4, 5.6), tall + make.between(3, 13)
        capped = rng.random() < 0.6
        shaft = plain_wall(rng, style, 2 * np.pi * radius, high, slits=6, crenels=not capped)
        base = point(x * side, y * side)
        surfaces.append(cylinder(base, radius, high, shaft))
        if capped:
            cap = make.between(1.4, 2.6) * radius
            surfaces.append(cone(base + point(0, 0, high), 1.16 * radius, 0, cap, roof))
            high += cap
        peak = max(peak, high)
    keep, reach = make.between(12, 17), tall + make.between(8, 16)
    block = house_wall(rng, style, keep, reach, cornice=0.6)
    aside, behind = make.between(-0.12, 0.12) * side, side * 0.6
    surfaces += solid(aside, behind, 0, keep, keep, reach, block)
    surfaces += hip_roof(aside, behind, reach, keep + 1, keep + 1, make.between(4, 9), roof)
    return Landmark("castle", surfaces, side * 1.15, max(peak, reach + 7), side * 0.35, "lawn", 1.2)


def town_gate(make: Architect) -> Landmark:
    """A brick gate between two stout towers with steep caps."""
    rng, style = make.rng, make.style
    radius, tall = make.between(4.5, 6.5), make.between(16, 24)
    span = make.between(10, 15)
    bridge = Relief(span, 0.85 * tall, style.wall, rng)
    lay_masonry(bridge, style)
    add_storeys(bridge, style, 0.5, span - 0.5, 0.45 * tall, 0.75 * tall)
    add_portal(bridge, style, span / 2, 0.4 * span, 0.34 * tall, "stepped")
    add_cornice(bridge, style, 0.85 * tall, 0.5)
    shaft = plain_wall(rng, style, 2 * np.pi * radius, tall, slits=make.whole(4, 9))
    roof = tiled_roof(rng, style, 20, 10)
    texture = bridge.texture()
    surfaces = solid(0, 3, 0, span, 6, 0.85 * tall, texture)
    surfaces += hip_roof(0, 3, 0.85 * tall, span, 7, 5, roof)
    peak = make.between(0.5, 1.1) * tall
    for side in (-1, 1):
        base = point(side * (span / 2 + radius * 0.6), 2)
        surfaces.append(cylinder(base, radius, tall, shaft))
        surfaces.append(cone(base + point(0, 0, tall), 1.15 * radius, 0, peak, roof))
    gable = plain_wall(rng, style, 6, 5)
    surfaces.append(wall(point(-3, -0.1, 0.85 * tall), point(3, -0.1, 0.85 * tall), 5, gable, TRIANGLE))
    return Landmark("town gate", surfaces, span + 4 * radius, tall + peak, 2, "paving", 0.9)


def gatehouse(make: Architect) -> Landmark:
    """A triumphal arch: one or three ways through a carved block with an attic."""
    rng, style = make.rng, make.style
    width, depth = make.between(22, 30), make.between(6, 9)
    tall = width * make.between(0.75, 1.05)
    ways = [(0.0, 0.3 * width, 0.58 * tall)]
    if rng.random() < 0.6:
        ways += [(-0.33 * width, 0.14 * width, 0.34 * tall), (0.33 * width, 0.14 * width, 0.34 * tall)]
    faces = []
    for _ in range(2):
        face = Relief(width, tall, style.wall, rng)
        lay_masonry(face, style)
        for x, _, _ in ways[1:]:
            face.fill(box(width / 2 + x - 0.08 * width, 0.45 * tall, width / 2 + x + 0.08 * width, 0.62 * tall), -0.2,
                      shade(style.wall, 0.9))  # fmt: skip
            face.glyph(style.motif, width / 2 + x - 0.08 * tall, 0.45 * tall, 0.16 * tall, 0.4, shade(style.trim, 1.1))
        for x in (-0.46, -0.2, 0.2, 0.46):
            face.shaft((0.5 + x) * width, 0.06 * tall, 0.66 * tall, 0.03 * width, style.trim)
        add_cornice(face, style, 0.74 * tall, 0.9)
        for x in np.arange(0.08, 0.9, 0.12) * width:
            face.glyph(style.motif, x, 0.78 * tall, 0.1 * width, 0.3, shade(style.paint, 0.9))
        add_cornice(face, style, tall, 0.7)
        for x, wide, high in ways:
            face.fill(opening(width / 2 + x, 0, 1.18 * wide, 1.08 * high, "round"), 0.3, style.trim)
            face.cut(opening(width / 2 + x, 0, wide, high, "round"))
        faces.append(face.texture())
    end, top = plain_wall(rng, style, depth, tall), make.plain(style.trim)
    sides = solid(0, depth / 2, 0, width, depth, tall, faces[0], end, top)
    sides[2] = wall(point(width / 2, depth), point(-width / 2, depth), tall, faces[1])
    lining = plain_wall(rng, style, depth, 12, courses=False)
    for x, wide, high in ways:
        sides += passage(x, 0, wide, high, depth, lining)
    return Landmark("triumphal arch", sides, width, tall, depth / 2, "paving", 0.9)
