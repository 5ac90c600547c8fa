"""Skyscrapers, opera houses, great wheels, lattice and television towers."""

import numpy as np

from landmarks.data.demo.canvas import Surface
from landmarks.data.demo.facades import (
    GLASS,
    house_wall,
)
from landmarks.data.demo.landmark import Architect, Landmark
from landmarks.data.demo.panel import Panel
from landmarks.data.demo.relief import Relief, box, disc, opening
from landmarks.data.demo.revolved import Revolved, cone, cylinder, dome
from landmarks.data.demo.roofs import dome_skin
from landmarks.data.demo.shapes import box as solid
from landmarks.data.demo.shapes import point, prism
from landmarks.data.demo.style import PAINTS, shade


def skyscraper(make: Architect) -> Landmark:
    """Setbacks of a patterned curtain wall up to a mast or crown."""
    rng, style = make.rng, make.style
    width, tall = make.between(20, 28), make.between(75, 120)
    sections, sides = make.whole(2, 4), int(rng.choice([4, 4, 4, 8]))
    level, surfaces = 0.0, []
    steel: list[Surface] = []
    for i in range(sections):
        high = tall * (0.5 if i == 0 else 0.5 / max(sections - 1, 1))
        skin = Relief(width, high, shade(style.trim, 0.9), rng)
        skin.weather(0.08)
        columns, rows = make.whole(4, 10), max(int(high / style.storey), 2)
        for a in range(columns):
            for b in range(rows):
                x, y = width * (a + 0.5) / columns, high * (b + 0.5) / rows
                if style.head == "pointed":  # a diagonal grid
                    skin.fill(disc(x, y, 0.52 * width / columns, 4), -0.3, GLASS, int(rng.integers(30, 255)))
                else:
                    half, up = 0.5 * style.window[0] * 1.5 * width / columns, 0.36 * high / rows
                    skin.fill(box(x - half, y - up, x + half, y + up), -0.3, GLASS, int(rng.integers(30, 255)))
            if style.order != "none":
                skin.shaft(width * a / columns, 0, high, 0.06 * width / columns, style.trim)
        skin.fill(box(0, high - 2.5, width, high), 0.6, style.paint)
        texture = skin.texture()
        surfaces += prism(0, 0, level, width / np.sqrt(2), high, sides, texture, turn=0.0)
        level += high
        surfaces += prism(0, 0, level, width / np.sqrt(2), 0.2, sides, texture, 0.05)
        width *= make.between(0.62, 0.85)
    mast = make.plain(shade(style.trim, 0.9))
    crown = make.between(6, 16)
    if rng.random() < 0.5:
        steel += prism(0, 0, level, width / np.sqrt(2), crown, sides, mast, 0.0)
    steel.append(cone(point(0, 0, level + 0.6 * crown), 0.9, 0.2, crown, mast))
    return Landmark("skyscraper", surfaces + steel, 34, level + 1.6 * crown, 0, "asphalt", np.pi)


def opera(make: Architect) -> Landmark:
    """A modern house of curved shells over a glazed base."""
    rng, style = make.rng, make.style
    width = make.between(40, 54)
    base = Relief(width, 6, shade(style.wall, 0.9), rng)
    base.weather(0.1)
    panes = make.whole(8, 18)
    for i in range(panes):
        x = width * (i + 0.5) / panes
        base.fill(
            box(x - 0.4 * width / panes, 0.8, x + 0.4 * width / panes, 4.6), -0.4, GLASS, int(rng.integers(80, 255))
        )
    shells, kind = make.whole(3, 6), int(rng.integers(3))
    skin = dome_skin(rng, style, 50, 16, make.whole(10, 26), rng.choice(["ribs", "coffers", "zigzag"]))
    surfaces = solid(0, 12, 0, width, 24, 6, base.texture(), None, make.plain(shade(style.wall, 1.05)))
    peak = 0.0
    for i in range(shells):
        share = (i + 0.5) / shells - 0.5
        radius = width / shells * make.between(0.55, 0.75)
        high = radius * make.between(1.0, 2.0)
        spot = point(share * 0.85 * width, 12 + make.between(-3, 3), 6)
        if kind == 0:
            surfaces.append(dome(spot, radius, high, skin))
        elif kind == 1:
            surfaces.append(cone(spot, radius, 0.5, high, skin))
        else:  # a hyperboloid, wide at both ends
            waist = 0.55 * radius
            c = 4 * (radius**2 - waist**2) / high**2
            surfaces.append(Revolved(spot, high, (radius**2, -c * high, c), skin))
        peak = max(peak, 6 + high)
    return Landmark("opera house", surfaces, width, peak, 10, "water" if rng.random() < 0.5 else "paving", 1.0)


def great_wheel(make: Architect) -> Landmark:
    """A Ferris wheel with gondolas, on A-shaped legs beside the water."""
    rng, style = make.rng, make.style
    radius, spokes = make.between(24, 34), make.whole(12, 28)
    hub = radius + 5
    surfaces: list[Surface] = []
    tints = [PAINTS[int(i)] for i in rng.integers(len(PAINTS), size=3)]
    for side in (-1.2, 1.2):
        rim = Relief(2.3 * radius, 2.3 * radius, (0.85, 0.85, 0.88), rng)
        rim.clear()
        middle = 1.15 * radius
        for scale, thick in ((1.0, 0.9), (0.9, 0.5), (0.14, 1.2)):
            ring = disc(middle, middle, scale * radius, 64)
            rim.bar(np.concatenate([ring, ring[:1]]), thick, 0.2, style.paint)
        for k in range(spokes):
            turn = 2 * np.pi * k / spokes
            tip = np.array([middle + radius * np.cos(turn), middle + radius * np.sin(turn)])
            rim.bar(np.array([[middle, middle], tip]), 0.3, 0.0, (0.85, 0.85, 0.88))
            pod = disc(tip[0], tip[1], 0.06 * radius, 12)
            rim.fill(pod, 0.4, tints[k % 3], 255 if k % 2 else 160)
            rim.close(pod)
        surfaces.append(Panel(point(-middle, side, hub - middle), point(2 * middle, 0), point(0, 0, 2 * middle),
                              rim.texture(), two_sided=True))  # fmt: skip
    leg = make.plain((0.82, 0.82, 0.84), 2, hub)
    for side in (-3.5, 3.5):
        for lean in (-1, 1):
            foot = point(lean * 0.42 * radius, side)
            surfaces.append(Panel(foot, point(1.2, 0), point(-lean * 0.42 * radius, 0, hub), leg, two_sided=True))
    base = house_wall(rng, style, 24, 5, cornice=0.5)
    surfaces += solid(0, 0, 0, 24, 9, 5, base, None, make.plain(style.roof))
    return Landmark("great wheel", surfaces, 2.3 * radius, hub + radius, 0, rng.choice(["water", "paving"]), 0.9)


def lattice_tower(make: Architect) -> Landmark:
    """An iron tower of trusses on four legs."""
    rng, style = make.rng, make.style
    tall, foot = make.between(70, 110), make.between(13, 18)
    iron = shade(style.paint, 0.7) if rng.random() < 0.4 else (0.36, 0.30, 0.26)
    surfaces: list[Surface] = []
    levels = [0.0, make.between(0.16, 0.26), make.between(0.36, 0.5), 0.8, 1.0]
    radius = [foot * 1.41, foot * make.between(0.7, 0.85), foot * make.between(0.34, 0.45), foot * 0.16, foot * 0.1]
    cells, cross = make.whole(3, 6), rng.random() < 0.5
    for i in range(4):
        low, high = levels[i] * tall, levels[i + 1] * tall
        wide = radius[i] * 1.414
        truss = Relief(wide, high - low, iron, rng, 400)
        truss.clear()
        share = radius[i + 1] / radius[i]
        count = cells if i < 3 else 6
        edges = [np.array([[side * wide, 0], [wide * (0.5 + (side - 0.5) * share), high - low]]) for side in (0, 1)]
        for k in range(count):
            a, b = k / count, (k + 1) / count
            left, right = ([(1 - t) * edge[0] + t * edge[1] for t in (a, b)] for edge in edges)
            truss.bar(np.array([left[0], right[1]]), 0.03 * wide, 0.1, iron)
            truss.bar(np.array([right[0], left[1]]), 0.03 * wide, 0.1, iron)
            truss.bar(np.array([left[1], right[1]]), 0.035 * wide, 0.2, iron)
            if cross:
                truss.bar(np.array([(left[0] + right[0]) / 2, left[1]]), 0.02 * wide, 0.1, iron)
        for edge in edges:
            truss.bar(edge, 0.07 * wide, 0.3, shade(iron, 1.1))
        if i == 0:
            arch = disc(wide / 2, 0, 0.36 * wide, 40)
            truss.cut(arch)
            truss.bar(arch[:21], 0.05 * wide, 0.3, shade(iron, 1.15))
        surfaces += prism(0, 0, low, radius[i], high - low, 4, truss.texture(), radius[i + 1])
        deck = make.plain(shade(iron, 1.2), 10, 2)
        if i < 3:
            surfaces += prism(0, 0, high - 1.2, radius[i + 1] * 1.12, 2.4, 4, deck)
    surfaces.append(cone(point(0, 0, tall), 0.8, 0.2, 0.1 * tall, make.plain(iron)))
    return Landmark("lattice tower", surfaces, 2.2 * foot, 1.1 * tall, 0, "lawn", np.pi)


def television_tower(make: Architect) -> Landmark:
    """A slender concrete shaft with a pod of windows high up."""
    rng, style = make.rng, make.style
    tall, radius = make.between(70, 110), make.between(3, 4.5)
    shaft = Relief(2 * np.pi * radius, tall, (0.72, 0.71, 0.69), rng)
    shaft.weather(0.2)
    for x in np.arange(0, shaft.width, shaft.width / 8):
        shaft.fill(box(x, 0, x + 0.6, tall), 0.3, (0.64, 0.63, 0.61))
    surfaces: list[Surface] = [cone(point(0, 0), 1.7 * radius, 0.6 * radius, tall, shaft.texture())]
    level, size = make.between(0.6, 0.8) * tall, make.between(2.4, 3.6) * radius
    pod = house_wall(rng, style, 2 * np.pi * size, 5, cornice=0.6)
    skin = dome_skin(rng, style, 40, 6, make.whole(12, 24), "ribs")
    kind = int(rng.integers(3))
    if kind == 0:  # a ball
        surfaces.append(dome(point(0, 0, level + size * 0.8), size, 0.8 * size, skin))
        surfaces.append(cone(point(0, 0, level), 0.3 * size, size, 0.8 * size, skin))
        surfaces.append(cylinder(point(0, 0, level + 0.65 * size), 1.02 * size, 0.3 * size, pod))
    elif kind == 1:  # a stack of discs
        for k, scale in enumerate((1.0, 0.8, 0.55)):
            surfaces.append(cone(point(0, 0, level + 6 * k), 0.6 * size * scale, size * scale, 2, skin))
            surfaces.append(cylinder(point(0, 0, level + 6 * k + 2), size * scale, 3, pod))
            surfaces.append(cone(point(0, 0, level + 6 * k + 5), size * scale, 0.5, 1.0, skin))
    else:  # a spinning top
        surfaces.append(cone(point(0, 0, level), 0.5 * radius, size, 7, skin))
        surfaces.append(cylinder(point(0, 0, level + 7), size, 4, pod))
        surfaces.append(cone(point(0, 0, level + 11), size, 0.6, 5, skin))
    mast = Relief(3, 20, (0.9, 0.9, 0.9), rng, 128)
    for y in np.arange(0, 20, 5.0):
        mast.fill(box(0, y, 3, y + 2.5), 0, (0.75, 0.2, 0.16))
    surfaces.append(cone(point(0, 0, tall), 0.7, 0.2, 0.22 * tall, mast.texture()))
    foot = Relief(30, 6, style.wall, rng)
    for x in np.arange(1, 30, 2.5):
        foot.fill(opening(x, 0.6, 1.7, 4, style.head), -0.4, GLASS, int(rng.integers(60, 255)))
    surfaces.append(cone(point(0, 0), 13, 11, 6, foot.texture(), 2))
    surfaces.append(cone(point(0, 0, 6), 11, 2, 3, skin))
    return Landmark("television tower", surfaces, 26, 1.2 * tall, 0, "lawn", np.pi)
