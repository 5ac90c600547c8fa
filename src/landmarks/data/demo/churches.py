"""Cathedrals, basilicas, mosques and churches with onion domes."""

import numpy as np

from landmarks.data.demo.canvas import Surface
from landmarks.data.demo.facades import (
    add_clock,
    add_cornice,
    add_portal,
    add_rose,
    add_window,
    house_wall,
    lay_masonry,
    plain_wall,
)
from landmarks.data.demo.landmark import Architect, Landmark
from landmarks.data.demo.relief import Relief, box, opening
from landmarks.data.demo.revolved import bulb, cone, cylinder, dome
from landmarks.data.demo.roofs import dome_skin, tiled_roof
from landmarks.data.demo.shapes import box as solid
from landmarks.data.demo.shapes import gable_roof, point, prism, wall
from landmarks.data.demo.style import shade
from landmarks.data.demo.texture import Texture


def cathedral(make: Architect) -> Landmark:
    """A west front with portals, a rose window and one or two towers before a buttressed nave."""
    rng, style = make.rng, make.style
    nave, tower, tall = make.between(12, 18), make.between(8, 11), make.between(22, 30)
    top, length = tall + make.between(8, 22), make.between(35, 50)
    front = Relief(nave, tall, style.wall, rng)
    lay_masonry(front, style)
    portals = make.whole(1, 3)
    for i in range(portals):
        x = nave * (i + 0.5) / portals
        add_portal(front, style, x, 0.42 * nave / portals, 0.24 * tall, "stepped")
    add_rose(front, style, nave / 2, 0.6 * tall, 0.3 * nave, make.whole(6, 16))
    add_cornice(front, style, 0.42 * tall, 0.5)
    add_cornice(front, style, tall, 0.6)
    shaft = Relief(tower, top, style.wall, rng)
    lay_masonry(shaft, style)
    for share in (0.2, 0.45, 0.72):
        add_window(shaft, style, tower / 2, share * top, 0.36 * tower, 0.15 * top)
    for x in (0.7, tower - 0.7):
        shaft.fill(box(x - 0.7, 0, x + 0.7, 0.93 * top), 0.6, shade(style.wall, 0.95))
    if make.whole(0, 1):
        add_clock(shaft, style, tower / 2, 0.66 * top, 0.2 * tower, make.between(0, 12))
    add_cornice(shaft, style, top, 0.5)
    shaft_texture, spire = shaft.texture(), tiled_roof(rng, style, 8, 16)
    flank = Relief(length, 0.8 * tall, style.wall, rng)
    lay_masonry(flank, style)
    for x in np.arange(3, length, 6.0):
        add_window(flank, style, x, 0.2 * tall, 2.4, 0.42 * tall)
        flank.fill(box(x + 2.4, 0, x + 3.6, 0.7 * tall), 1.0, shade(style.trim, 0.95))
    roof = tiled_roof(rng, style, length, 10)

    middle = length / 2 + tower / 2
    surfaces: list[Surface] = [wall(point(-nave / 2, 0), point(nave / 2, 0), tall, front.texture())]
    surfaces += solid(0, middle, 0, nave, length, 0.8 * tall, flank.texture())[1:]
    surfaces += gable_roof(0, middle - 2, 0.8 * tall, nave, length + tower, 0.3 * tall, roof,
                           plain_wall(rng, style, nave, 8), "y")  # fmt: skip
    sides = (-1, 1) if rng.random() < 0.6 else (int(rng.choice([-1, 1])),)
    peak = make.between(0.8, 2.4) * tower if rng.random() < 0.75 else 0.0
    for side in sides:
        x = side * (nave + tower) / 2
        surfaces += solid(x, tower / 2 - 1, 0, tower, tower, top, shaft_texture, None, spire)
        if peak:
            surfaces += prism(x, tower / 2 - 1, top, tower * 0.52, peak, make.whole(1, 2) * 4, spire, 0.0)
    return Landmark("cathedral", surfaces, nave + 2 * tower, top + peak, 10, "paving", 0.85)


def basilica(make: Architect) -> Landmark:
    """A domed church: portico, drum of windows, dome and lantern, bell cotes."""
    rng, style = make.rng, make.style
    width, tall, depth = make.between(28, 44), make.between(13, 19), make.between(24, 34)
    radius = make.between(0.24, 0.34) * width
    front = house_wall(rng, style, width, tall, base=1.2, portal="door", cornice=0.9)
    flank = house_wall(rng, style, depth, tall, base=1.2, cornice=0.9)
    roof = tiled_roof(rng, style, width, depth)
    surfaces = solid(0, depth / 2, 0, width, depth, tall, front, flank, roof)
    drum_tall = make.between(5, 10)
    drum = house_wall(rng, style, 2 * np.pi * radius, drum_tall, cornice=0.5)
    pattern = rng.choice(["ribs", "coffers", "zigzag"])
    skin = dome_skin(rng, style, 2 * np.pi * radius, radius * 1.2, make.whole(8, 20), pattern)
    swell = make.between(0.8, 1.35) * radius
    centre = 0.45 * depth
    surfaces.append(cylinder(point(0, centre, tall), radius * 1.04, drum_tall, drum))
    surfaces.append(dome(point(0, centre, tall + drum_tall), radius, swell, skin))
    top = tall + drum_tall + swell
    lantern = house_wall(rng, style, 8, 4, cornice=0.3)
    surfaces.append(cylinder(point(0, centre, top - 0.6), 0.16 * radius, 0.4 * radius, lantern))
    surfaces.append(cone(point(0, centre, top - 0.6 + 0.4 * radius), 0.2 * radius, 0, 0.5 * radius, skin))
    if rng.random() < 0.6:
        shaft = house_wall(rng, style, 6, tall + 8, cornice=0.5)
        for side in (-1, 1):
            x = side * (width / 2 - 2)
            surfaces += solid(x, 3, 0, 6, 6, tall + 8, shaft)
            surfaces.append(dome(point(x, 3, tall + 8), 2.9, 3.4, skin))
    return Landmark("basilica", surfaces, width, top + 0.8 * radius, depth * 0.4, "paving", 0.9)


def mosque(make: Architect) -> Landmark:
    """A great dome among half domes, and two or four slender minarets."""
    rng, style = make.rng, make.style
    width, tall = make.between(30, 42), make.between(10, 14)
    radius = make.between(0.26, 0.34) * width
    front = Relief(width, tall, style.wall, rng)
    lay_masonry(front, style)
    bays = make.whole(5, 9)
    for i in range(bays):
        x, size = width * (i + 0.5) / bays, width / bays
        front.fill(opening(x, 0, 0.74 * size, 0.72 * tall, "horseshoe"), 0.2, style.trim)
        front.fill(opening(x, 0, 0.58 * size, 0.64 * tall, "horseshoe"), -0.9, shade(style.wall, 0.4))
        front.glyph(style.motif, x - 0.13 * size, 0.76 * tall, 0.26 * size, 0.2, style.paint)
    add_cornice(front, style, tall, 0.5)
    texture = front.texture()
    roof = make.plain(style.roof, 30, 30)
    skin = dome_skin(rng, style, 40, radius, make.whole(10, 24), rng.choice(["ribs", "zigzag"]))
    surfaces = solid(0, width / 2, 0, width, width, tall, texture, texture, roof)
    drum = house_wall(rng, style, 2 * np.pi * radius, 4, cornice=0.3)
    surfaces.append(cylinder(point(0, width / 2, tall), radius, 4, drum))
    swell = make.between(0.75, 1.1) * radius
    surfaces.append(dome(point(0, width / 2, tall + 4), radius, swell, skin))
    for x in (-0.33, 0.33):
        for y in (0.16, 0.84):
            surfaces.append(dome(point(x * width, y * width, tall), 0.13 * width, 0.12 * width, skin))
    reach = make.between(1.5, 2.1) * (tall + 4 + swell)
    thick = make.between(1.3, 1.9)
    shaft = Relief(2 * np.pi * thick, reach, style.wall, rng)
    lay_masonry(shaft, style)
    balconies = make.whole(1, 3)
    shaft.weather(0.1)
    shaft_texture, band = shaft.texture(), make.plain(shade(style.trim, 1.05), 8, 2)
    rows = (0.02,) if make.whole(0, 1) else (0.02, 0.98)
    for x in (-0.54, 0.54):
        for y in rows:
            base = point(x * width, y * width)
            surfaces.append(cone(base, thick, 0.8 * thick, 0.86 * reach, shaft_texture))
            for k in range(balconies):
                level = (0.82 - 0.2 * k) * reach
                surfaces.append(cone(base + point(0, 0, level), thick, 1.8 * thick, 1.2, band))
            surfaces.append(cone(base + point(0, 0, 0.86 * reach), 0.9 * thick, 0, 0.14 * reach, skin))
    return Landmark("mosque", surfaces, 1.1 * width, reach, width * 0.3, "paving", 1.0)


def onion_church(make: Architect) -> Landmark:
    """A cluster of towers under painted onion domes."""
    rng, style = make.rng, make.style
    width, tall = make.between(16, 22), make.between(9, 13)
    front = house_wall(rng, style, width, tall, portal="stepped", cornice=0.6)
    surfaces = solid(0, width / 2, 0, width, width, tall, front, None, make.plain(style.roof))
    spots = [(0.0, 0.5, 1.6), (-0.36, 0.14, 1.0), (0.36, 0.14, 1.0), (-0.36, 0.86, 1.0), (0.36, 0.86, 1.0)]
    skins: list[Texture] = []
    for pattern in ("zigzag", "ribs", "zigzag"):
        paint = Architect.of(int(rng.integers(1 << 30)), 0).style
        skins.append(dome_skin(rng, paint, 16, 6, make.whole(6, 12), pattern))
    shaft = house_wall(rng, style, 15, 12, cornice=0.5)
    peak = 0.0
    for i, (x, y, size) in enumerate(spots):
        radius, high = 0.1 * width * size, make.between(7, 12) * size**0.8
        base = point(x * width, y * width, tall)
        skin = skins[i % 3]
        surfaces.append(cylinder(base, radius, high, shaft))
        surfaces.append(bulb(base + point(0, 0, high), radius, 1.4 * radius, 2.2 * radius, skin))
        surfaces.append(cone(base + point(0, 0, high + 2.2 * radius), radius, 0, 1.7 * radius, skin))
        peak = max(peak, tall + high + 3.9 * radius)
    return Landmark("onion church", surfaces, width * 1.2, peak, width * 0.3, "lawn", 1.0)
