"""Bell towers, columns, lighthouses and windmills."""

import numpy as np

from landmarks.data.demo.canvas import Surface, named
from landmarks.data.demo.facades import (
    add_clock,
    add_cornice,
    add_storeys,
    add_window,
    house_wall,
    lay_masonry,
    plain_wall,
)
from landmarks.data.demo.landmark import Architect, Landmark
from landmarks.data.demo.panel import Panel
from landmarks.data.demo.relief import Relief, box, polyline
from landmarks.data.demo.revolved import cone, cylinder, dome
from landmarks.data.demo.roofs import tiled_roof
from landmarks.data.demo.shapes import box as solid
from landmarks.data.demo.shapes import point, prism, wall
from landmarks.data.demo.style import shade


def campanile(make: Architect) -> Landmark:
    """A free-standing bell or clock tower."""
    rng, style = make.rng, make.style
    side, tall = make.between(8, 12), make.between(42, 66)
    shaft = Relief(side, tall, style.wall, rng)
    lay_masonry(shaft, style)
    add_storeys(shaft, style, 0.14 * side, 0.86 * side, 3, 0.7 * tall)
    for x in (0.06 * side, 0.94 * side):
        shaft.fill(box(x - 0.07 * side, 0, x + 0.07 * side, 0.9 * tall), 0.4, style.trim)
    clock = rng.random() < 0.6
    if clock:
        add_clock(shaft, style, side / 2, 0.8 * tall, 0.3 * side, make.between(0, 12))
    else:
        for x in (0.32, 0.68):
            add_window(shaft, style, x * side, 0.74 * tall, 0.2 * side, 0.13 * tall)
    add_cornice(shaft, style, 0.72 * tall, 0.4)
    add_cornice(shaft, style, tall, 0.9)
    roof = tiled_roof(rng, style, 10, 16)
    surfaces = solid(0, 0, 0, side, side, tall, shaft.texture(), None, roof)
    belfry, cap = make.between(0.6, 0.85) * side, make.between(0.9, 2.6) * side
    room = house_wall(rng, style, belfry, 5, cornice=0.4)
    surfaces += solid(0, 0, tall, belfry, belfry, 5, room)
    if rng.random() < 0.3:
        surfaces.append(dome(point(0, 0, tall + 5), 0.55 * belfry, 0.7 * belfry, roof))
        cap = 0.7 * belfry
    else:
        surfaces += prism(0, 0, tall + 5, 0.76 * belfry, cap, int(rng.choice([4, 8])), roof, 0.0)
    low = house_wall(rng, style, 3 * side, 6, portal="door", cornice=0.5)
    surfaces += named("hall", solid(0, side * 0.4, 0, 3 * side, side * 1.4, 6, low, None, roof))
    return Landmark("clock tower" if clock else "campanile", surfaces, 3 * side, tall + 5 + cap, 0, "paving", np.pi)


def column(make: Architect) -> Landmark:
    """An obelisk or a triumphal column on a carved base."""
    rng, style = make.rng, make.style
    tall, thick = make.between(26, 40), make.between(1.7, 2.6)
    base = Relief(4 * thick, 6, style.trim, rng)
    lay_masonry(base, style)
    for x in (0.15, 0.6):
        base.glyph(style.motif, x * 4 * thick, 1.2, 1.1 * thick, 0.4, shade(style.paint, 0.85))
    add_cornice(base, style, 6, 0.6)
    surfaces = solid(0, 0, 0, 4 * thick, 4 * thick, 6, base.texture(), None, make.plain(style.trim))
    step = plain_wall(rng, style, 20, 1.2, courses=False)
    surfaces += solid(0, 0, 0, 7 * thick, 7 * thick, 1.2, step, None, step)
    if rng.random() < 0.5:
        face = Relief(2 * thick, tall, style.wall, rng)
        face.weather(0.18)
        for y in np.arange(1.5, 0.85 * tall, 2.2):
            rows = np.roll(style.motif, int(rng.integers(9)), 0)
            face.glyph(rows, 0.5 * thick, y, thick, 0.25, shade(style.wall, 0.6))
        surfaces += prism(0, 0, 6, 1.3 * thick, tall, 4, face.texture(), 0.95 * thick)
        surfaces += prism(0, 0, 6 + tall, 0.95 * thick, 2.2 * thick, 4, make.plain((0.8, 0.66, 0.3)), 0.0)
        return Landmark("obelisk", surfaces, 6 * thick, tall + 9, 0, "paving", np.pi)
    around = 2 * np.pi * thick
    band = Relief(around, tall, style.wall, rng)
    band.weather(0.16)
    for k in range(-2, int(tall / 2.4) + 1):  # a carved band that winds upwards
        y = 2.4 * k
        band.fill(polyline([(0, y), (around, y + 2.4), (around, y + 2.7), (0, y + 0.3)]), 0.3, style.trim)
        for x in np.arange(0.1, 1, 0.16):
            band.glyph(style.motif, x * around, y + 0.5 + 2.4 * x, 1.4, 0.25, shade(style.wall, 0.68))
    surfaces.append(cone(point(0, 0, 6), thick, 0.86 * thick, tall, band.texture()))
    surfaces.append(cone(point(0, 0, 6 + tall), 0.9 * thick, 1.6 * thick, 1.6, make.plain(style.trim)))
    gold = make.plain((0.75, 0.62, 0.28))
    surfaces.append(cone(point(0, 0, 7.6 + tall), 0.9, 0.5, 3.4, gold))
    surfaces.append(dome(point(0, 0, 11 + tall), 0.7, 1.0, gold))
    return Landmark("victory column", surfaces, 6 * thick, tall + 12, 0, "paving", np.pi)


def lighthouse(make: Architect) -> Landmark:
    """A painted tower with a gallery and a lantern, and the keeper's house."""
    rng, style = make.rng, make.style
    radius, tall = make.between(3.6, 5.0), make.between(24, 38)
    around = 2 * np.pi * radius
    shaft = Relief(around, tall, (0.9, 0.89, 0.85), rng)
    bands, slant = make.whole(2, 5), make.between(-1, 1) * (6 if rng.random() < 0.4 else 0)
    for k in range(-1, bands + 1):
        y0, y1 = tall * k / bands, tall * (k + 0.5) / bands
        shaft.fill(polyline([(0, y0), (around, y0 + slant), (around, y1 + slant), (0, y1)]), 0.0, style.paint)
    for k in range(4):
        add_window(shaft, style, around * (0.2 + 0.2 * k), tall * (0.15 + 0.2 * k), 1.2, 2.0)
    shaft.weather(0.16)
    surfaces: list[Surface] = [cone(point(0, 0), radius, 0.68 * radius, tall, shaft.texture())]
    rail = Relief(20, 1.6, (0.2, 0.2, 0.22), rng)
    rail.clear()
    for x in np.arange(0, 20, 0.8):
        rail.bar(polyline([(x, 0), (x, 1.6)]), 0.12, 0, (0.2, 0.2, 0.22))
    rail.bar(polyline([(0, 1.5), (20, 1.5)]), 0.15, 0, (0.2, 0.2, 0.22))
    surfaces.append(cone(point(0, 0, tall - 1), 0.68 * radius, 1.05 * radius, 1.0, make.plain((0.3, 0.3, 0.32))))
    surfaces.append(cylinder(point(0, 0, tall), 1.05 * radius, 1.6, rail.texture()))
    lantern = Relief(12, 4, (0.25, 0.25, 0.27), rng)
    for x in np.arange(0.2, 12, 1.2):
        lantern.fill(box(x, 0.4, x + 0.9, 3.7), -0.1, (0.55, 0.6, 0.6), 255)
    surfaces.append(cylinder(point(0, 0, tall), 0.5 * radius, 4, lantern.texture()))
    surfaces.append(dome(point(0, 0, tall + 4), 0.62 * radius, 0.55 * radius, make.plain(style.paint)))
    house = house_wall(rng, style, 12, 5, portal="door", cornice=0.4)
    x = float(rng.choice([-1, 1])) * (radius + 6)
    surfaces += named("house", [*solid(x, 3, 0, 12, 8, 5, house), *_saddle(make, x, 3, 5, 12, 8)])
    return Landmark("lighthouse", surfaces, 24, tall + 7, 0, "sand" if rng.random() < 0.5 else "lawn", np.pi)


def windmill(make: Architect) -> Landmark:
    """A tapering mill with four lattice sails."""
    rng, style = make.rng, make.style
    radius, tall = make.between(5, 6.5), make.between(14, 20)
    body = Relief(2 * np.pi * radius, tall, style.wall, rng)
    lay_masonry(body, style)
    for k in range(8):
        add_window(body, style, body.width * (k + 0.5) / 8, tall * (0.12 + 0.3 * (k % 3)), 1.3, 2.0)
    body.fill(box(0, 0.4 * tall, body.width, 0.4 * tall + 0.7), 0.5, style.paint)
    surfaces: list[Surface] = [cone(point(0, 0), radius, 0.62 * radius, tall, body.texture())]
    surfaces.append(dome(point(0, 0, tall), 0.7 * radius, 0.75 * radius, tiled_roof(rng, style, 16, 6)))
    reach = make.between(0.75, 0.95) * tall
    sails = Relief(2 * reach, 2 * reach, (0.5, 0.4, 0.3), rng)
    sails.clear()
    turn, wide = make.between(0, np.pi / 2), make.between(0.12, 0.18) * reach
    for k in range(4):
        along = np.array([np.cos(turn + k * np.pi / 2), np.sin(turn + k * np.pi / 2)])
        aside = np.array([-along[1], along[0]]) * wide
        hub = np.array([reach, reach])
        sails.bar(np.array([hub, hub + 0.98 * reach * along]), 0.35, 0.1, (0.36, 0.26, 0.18))
        for a in np.linspace(0.2, 0.97, 12):
            sails.bar(np.array([hub + a * reach * along, hub + a * reach * along + aside]), 0.14, 0, (0.6, 0.5, 0.4))
        for b in (0.33, 0.66, 1.0):
            sails.bar(np.array([hub + 0.2 * reach * along + b * aside, hub + 0.97 * reach * along + b * aside]),
                      0.12, 0, (0.85, 0.8, 0.7))  # fmt: skip
    y = -0.62 * radius - 1.5
    surfaces.append(Panel(point(-reach, y, tall + 1 - reach), point(2 * reach, 0), point(0, 0, 2 * reach),
                          sails.texture(), two_sided=True))  # fmt: skip
    shed = house_wall(rng, style, 14, 4, portal="door", cornice=0.3)
    surfaces += named("house", solid(0, 4, 0, 14, 8, 4, shed, None, tiled_roof(rng, style, 14, 8)))
    return Landmark("windmill", surfaces, 1.7 * reach, tall + reach, 0, "lawn", 1.1)


def _saddle(make: Architect, x: float, y: float, z: float, width: float, depth: float) -> list[Surface]:
    roof = tiled_roof(make.rng, make.style, width, depth)
    half = depth / 2
    rise = 0.6 * half
    return [
        Panel(point(x - width / 2, y - half, z), point(width, 0), point(0, half, rise), roof),
        Panel(point(x + width / 2, y + half, z), point(-width, 0), point(0, -half, rise), roof),
        wall(point(x + width / 2, y - half, z), point(x + width / 2, y + half, z), rise, roof,
             np.array([[0, 0], [1, 0], [0.5, 1.0]])),
        wall(point(x - width / 2, y + half, z), point(x - width / 2, y - half, z), rise, roof,
             np.array([[0, 0], [1, 0], [0.5, 1.0]])),
    ]  # fmt: skip
