"""Bridges over water: stone arches, suspension, cable-stayed, and a pair of towers."""

import numpy as np

from landmarks.data.demo.canvas import Surface
from landmarks.data.demo.facades import add_cornice, add_storeys, house_wall, lay_masonry
from landmarks.data.demo.landmark import Architect, Landmark
from landmarks.data.demo.panel import Panel
from landmarks.data.demo.relief import Colour, Relief, box, opening
from landmarks.data.demo.roofs import tiled_roof
from landmarks.data.demo.shapes import box as solid
from landmarks.data.demo.shapes import floor, passage, point, prism, wall
from landmarks.data.demo.style import shade
from landmarks.data.demo.texture import Texture


def stone_bridge(make: Architect) -> Landmark:
    """A row of arches, in one tier or as an aqueduct in two or three."""
    rng, style = make.rng, make.style
    length, tiers = make.between(80, 120), make.whole(1, 3)
    count, depth = make.whole(4, 7), make.between(7, 10)
    rise = make.between(11, 15) if tiers == 1 else make.between(9, 12)
    tall = rise * tiers
    face = Relief(length, tall, style.wall, rng, 760)
    lay_masonry(face, style)
    ways = []
    for tier in range(tiers):
        number = count * (1 if tier == 0 else 2 if tier == 1 else 4)
        wide = length / number
        for i in range(number):
            x = wide * (i + 0.5)
            high = min(0.8 * rise, 0.95 * wide)
            face.fill(opening(x, tier * rise, 0.84 * wide, high * 1.08, style.head), 0.25, style.trim)
            face.cut(opening(x, tier * rise, 0.74 * wide, high, style.head))
            if tier == 0:
                ways.append((x - length / 2, 0.74 * wide, high))
        face.fill(box(0, (tier + 1) * rise - 0.8, length, (tier + 1) * rise), 0.5, style.trim)
    if tiers == 1:
        for x in np.arange(0, length, length / count):
            face.fill(box(x - 1, 0, x + 1, 0.6 * rise), 0.8, shade(style.wall, 0.92))
        for x in np.arange(0.5, length - 2, 2.6):
            face.glyph(style.motif, x, rise - 2.6, 1.6, 0.2, shade(style.trim, 0.75))
    texture = face.texture()
    surfaces: list[Surface] = [
        wall(point(-length / 2, 0), point(length / 2, 0), tall, texture),
        wall(point(length / 2, depth), point(-length / 2, depth), tall, texture),
        floor(0, depth / 2, tall - 0.4, length, depth, make.plain(shade(style.wall, 0.9), 40, 8)),
    ]
    lining = make.plain(shade(style.wall, 0.85), 10, 10)
    for x, wide, high in ways:
        surfaces += passage(x, 0.05, wide, high, depth, lining)
    if tiers == 1 and rng.random() < 0.5:
        hut, roof = house_wall(rng, style, 7, 12, cornice=0.5), tiled_roof(rng, style, 7, 7)
        for x in (-0.5, 0.5):
            surfaces += solid(x * length * 0.9, depth / 2, 0, 7, depth + 1, tall + 10, hut)
            surfaces += prism(x * length * 0.9, depth / 2, tall + 10, 0.75 * depth, 7, 4, roof, 0.0)
    kind = "stone bridge" if tiers == 1 else "aqueduct"
    return Landmark(kind, surfaces, 0.75 * length, tall * 1.3, depth / 2, "water" if tiers == 1 else "lawn", 0.8)


def _deck(make: Architect, length: float, level: float, width: float, colour: Colour) -> list[Surface]:
    edge = Relief(length, 3, colour, make.rng, 500)
    for x in np.arange(0, length, 3.0):
        edge.fill(box(x, 0.3, x + 0.25, 2.7), 0.3, shade(colour, 0.75))
        edge.fill(np.array([[x, 0.3], [x + 0.3, 0.3], [x + 3, 2.7], [x + 2.7, 2.7]]), 0.2, shade(colour, 0.8))
    edge.weather(0.12)
    road, under = make.plain((0.4, 0.4, 0.41), 30, 6), make.plain(shade(colour, 0.5), 30, 6)
    sides = solid(0, width / 2, level, length, width, 3, edge.texture(), under, road)
    below = Panel(point(-length / 2, width, level), point(length, 0), point(0, -width, 0), under)
    return [*sides, below]


def _pylon(make: Architect, wide: float, tall: float, colour: Colour, kind: int) -> Texture:
    """A bridge tower seen along the road: a portal of two legs joined by beams, crosses or arches."""
    tower = Relief(wide, tall, colour, make.rng, 400)
    if make.style.masonry in ("ashlar", "rubble", "brick"):
        tower.stones((1.6, 0.9), 0.07, 0.05)
    tower.weather(0.15)
    if kind == 0:
        return tower.texture()
    for low, high in ((0.02, 0.24), (0.32, 0.6), (0.66, 0.92)):
        head = make.style.head if high - low > 0.2 else "flat"
        tower.cut(opening(wide / 2, low * tall, 0.56 * wide, (high - low) * tall, head))
    return tower.texture()


def suspension_bridge(make: Architect) -> Landmark:
    """Two towers, a sagging main cable with hangers, a stiff deck."""
    rng, style = make.rng, make.style
    span, level, tall = make.between(80, 110), make.between(9, 14), make.between(34, 48)
    length, width = 1.7 * span, 10.0
    colour = style.paint if rng.random() < 0.5 else style.wall
    surfaces = _deck(make, length, level, width, shade(colour, 0.9))
    cables = Relief(length, tall, (0.5, 0.5, 0.52), rng, 900)
    cables.clear()
    sag = make.between(0.55, 0.8) * (tall - level - 3)
    steel = shade(colour, 0.9)
    x = np.linspace(-length / 2, length / 2, 161)
    inner = tall - 0.6 - sag * (1 - (2 * x / span) ** 2)
    outer = (tall - 0.6) - (tall - level - 3) * (np.abs(x) - span / 2) / (length / 2 - span / 2)
    y = np.where(np.abs(x) < span / 2, inner, outer)
    cables.bar(np.stack([x + length / 2, y], 1), 0.7, 0.2, steel)
    step = make.whole(3, 6)
    for i in range(0, 161, step):
        cables.bar(np.array([[x[i] + length / 2, level + 2.5], [x[i] + length / 2, y[i]]]), 0.22, 0.1, steel)
    web = cables.texture()
    for side in (0.0, width):
        surfaces.append(Panel(point(-length / 2, side), point(length, 0), point(0, 0, tall), web, two_sided=True))
    kind = make.whole(0, 1)
    thick = make.between(3.5, 6)
    along, across = _pylon(make, thick, tall, colour, 0), _pylon(make, width + 4, tall + 2, colour, 1)
    for x0 in (-span / 2, span / 2):
        surfaces += solid(x0, -1.2, 0, thick, 2.6, tall + 2, along)
        surfaces += solid(x0, width + 1.2, 0, thick, 2.6, tall + 2, along)
        for dx in (-thick / 2, thick / 2):
            surfaces.append(Panel(point(x0 + dx, -2), point(0, width + 4), point(0, 0, tall + 2), across))
        if kind:
            surfaces += solid(x0, width / 2, 0, 1.8 * thick, width + 8, 5, along)
    return Landmark("suspension bridge", surfaces, 0.85 * length, tall, width / 2, "water", 0.85)


def cable_stayed_bridge(make: Architect) -> Landmark:
    """One or two slender pylons with fans or harps of straight cables."""
    rng, style = make.rng, make.style
    length, level, width = make.between(120, 160), make.between(8, 13), 10.0
    tall = make.between(44, 64)
    white: Colour = style.paint if rng.random() < 0.4 else (0.84, 0.84, 0.83)
    surfaces = _deck(make, length, level, width, (0.66, 0.66, 0.65))
    masts = [0.0] if rng.random() < 0.5 else [-0.23 * length, 0.23 * length]
    cables = Relief(length, tall, (0.8, 0.8, 0.8), rng, 900)
    cables.clear()
    number, harp = make.whole(6, 13), rng.random() < 0.5
    reach = (0.46 if len(masts) == 1 else 0.22) * length
    for mast in masts:
        for side in (-1, 1):
            for i in range(1, number + 1):
                share = i / number
                top = tall * (0.95 if not harp else 0.3 + 0.65 * share)
                foot = mast + length / 2 + side * reach * share
                cables.bar(np.array([[mast + length / 2, top], [foot, level + 2.5]]), 0.3, 0.1, shade(white, 0.95))
    web = cables.texture()
    for y in (0.6, width - 0.6):
        surfaces.append(Panel(point(-length / 2, y), point(length, 0), point(0, 0, tall), web, two_sided=True))
    thick = make.between(2.6, 4.2)
    skin = _pylon(make, thick, tall, white, 0)
    lean = make.between(0, 5) if harp else 0.0
    for mast in masts:
        for y in (-0.8, width + 0.8):
            for face in solid(mast, y, 0, thick, 1.6, tall, skin):
                if isinstance(face, Panel):
                    inward = point(0, lean if y < 0 else -lean, 0)
                    surfaces.append(Panel(face.origin, face.across, face.up + inward, skin))
        for z in (level - 1.5, 0.8 * tall):
            surfaces += solid(mast, width / 2, z, 0.8 * thick, width + 1, 1.5, skin)
    return Landmark("cable-stayed bridge", surfaces, 0.75 * length, tall, width / 2, "water", 0.85)


def tower_bridge(make: Architect) -> Landmark:
    """Two ornate towers joined by walkways high above a lifting deck."""
    rng, style = make.rng, make.style
    span, side, tall = make.between(34, 48), make.between(9, 12), make.between(28, 38)
    shaft = Relief(side, tall, style.wall, rng)
    lay_masonry(shaft, style)
    add_storeys(shaft, style, 0.16 * side, 0.84 * side, 13, 0.9 * tall)
    for x in (0.08 * side, 0.92 * side):
        shaft.fill(box(x - 0.08 * side, 0, x + 0.08 * side, tall), 0.5, style.trim)
    add_cornice(shaft, style, tall, 0.6)
    roof = tiled_roof(rng, style, 8, 10)
    texture = shaft.texture()
    width = 0.7 * side
    surfaces = _deck(make, 2.6 * span, 9, width, style.paint)
    walk = Relief(span, 3.5, style.paint, rng)
    for x in np.arange(0, span, 2.4):
        walk.fill(np.array([[x, 0.4], [x + 0.5, 0.4], [x + 2.4, 3.2], [x + 1.9, 3.2]]), 0.3, shade(style.trim, 1.0))
        walk.fill(np.array([[x + 1.9, 0.4], [x + 2.4, 0.4], [x + 0.5, 3.2], [x, 3.2]]), 0.3, shade(style.trim, 1.0))
    lattice = walk.texture()
    for y in (1.0, width - 1.5):
        surfaces += solid(0, y, 0.74 * tall, span, 2.2, 3.5, lattice, None, lattice)
    cap = make.between(0.7, 1.3) * side
    for x in (-span / 2 - side / 2, span / 2 + side / 2):
        surfaces += solid(x, width / 2, 0, side, side, tall, texture)
        surfaces += prism(x, width / 2, tall, 0.72 * side, cap, 4, roof, 0.0)
        for dx in (-0.46, 0.46):
            surfaces += prism(x + dx * side, width / 2 - 0.46 * side, tall, 0.14 * side, 0.5 * cap, 4, roof, 0.0)
        surfaces += solid(x, width / 2, 0, 1.5 * side, 1.5 * side, 4, make.plain(shade(style.wall, 0.8), 12, 4))
    chain = Relief(0.8 * span, tall, style.paint, rng)
    chain.clear()
    t = np.linspace(0, 1, 30)
    drop = 0.76 * tall - (0.76 * tall - 11) * (1 - (1 - t) ** 2)
    chain.bar(np.stack([t * 0.8 * span, drop], 1), 1.0, 0.2, style.paint)
    for i in range(2, 30, 3):
        chain.bar(np.array([[t[i] * 0.8 * span, 11], [t[i] * 0.8 * span, drop[i]]]), 0.25, 0.1, style.trim)
    web = chain.texture()
    start = span / 2 + side
    for z in (0.5, width - 0.5):
        surfaces.append(Panel(point(start, z), point(0.8 * span, 0), point(0, 0, tall), web, two_sided=True))
        surfaces.append(Panel(point(-start, z), point(-0.8 * span, 0), point(0, 0, tall), web, two_sided=True))
    return Landmark("tower bridge", surfaces, span + 4 * side, tall + cap, width / 2, "water", 0.85)
