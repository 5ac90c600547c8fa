"""Palaces, capitols and town halls."""

import numpy as np

from landmarks.data.demo.canvas import Surface
from landmarks.data.demo.facades import (
    GLASS,
    add_clock,
    add_cornice,
    add_portal,
    add_storeys,
    house_wall,
    lay_masonry,
    plain_wall,
)
from landmarks.data.demo.landmark import Architect, Landmark
from landmarks.data.demo.relief import Relief, box, disc
from landmarks.data.demo.revolved import cone, cylinder, dome
from landmarks.data.demo.roofs import dome_skin, tiled_roof
from landmarks.data.demo.shapes import TRIANGLE, gable_roof, hip_roof, point, prism, wall
from landmarks.data.demo.shapes import box as solid
from landmarks.data.demo.style import shade


def palace(make: Architect) -> Landmark:
    """A long front with a raised middle under a pediment, and pavilions at the ends."""
    rng, style = make.rng, make.style
    width, tall, depth = make.between(46, 64), make.between(14, 20), make.between(14, 18)
    middle = make.between(0.22, 0.34) * width
    long, flank = house_wall(rng, style, width, tall, base=1.5), house_wall(rng, style, depth, tall, base=1.5)
    roof = tiled_roof(rng, style, width, 9, make.whole(4, 11))
    surfaces = solid(0, depth / 2, 0, width, depth, tall, long, flank)
    surfaces += hip_roof(0, depth / 2, tall, width + 1, depth + 1, make.between(5, 9), roof)
    block = Relief(middle, tall + 3, style.wall, rng)
    lay_masonry(block, style)
    add_storeys(block, style, 0.5, middle - 0.5, 0.42 * tall, tall)
    add_portal(block, style, middle / 2, 0.22 * middle, 0.3 * tall, "wide")
    columns = make.whole(4, 8)
    for i in range(columns):
        block.shaft(middle * (i + 0.5) / columns, 0.3, tall - 0.2, 0.035 * middle, style.trim)
    add_cornice(block, style, tall + 3, 0.9)
    texture = block.texture()
    surfaces += solid(0, 1, 0, middle, 8, tall + 3, texture, flank)
    tympanum = Relief(middle, 5, style.trim, rng)
    tympanum.glyph(style.motif, 0.4 * middle, 0.4, 0.2 * middle, 0.5, shade(style.paint, 0.9))
    tympanum.weather(0.12)
    gable, slate = tympanum.texture(), tiled_roof(rng, style, 12, 8)
    surfaces += gable_roof(0, 1, tall + 3, middle + 1, 9, 0.24 * middle, slate, gable, "y")
    if rng.random() < 0.6:
        end = 0.16 * width
        pavilion = house_wall(rng, style, end, tall + 2, base=1.5)
        for side in (-1, 1):
            x = side * (width - end) / 2
            surfaces += solid(x, 3, 0, end, depth, tall + 2, pavilion, flank)
            surfaces += hip_roof(x, 3, tall + 2, end + 1, depth + 1, make.between(5, 8), slate, 0.3)
    return Landmark("palace", surfaces, width, tall + 9, 6, "lawn", 0.8)


def capitol(make: Architect) -> Landmark:
    """Two wings, a colonnaded middle and a tall dome on two drums."""
    rng, style = make.rng, make.style
    wing, middle, tall = make.between(16, 24), make.between(20, 26), make.between(13, 17)
    radius = 0.34 * middle
    face = house_wall(rng, style, wing, tall, base=1.5, cornice=0.8)
    centre = Relief(middle, tall + 2, style.wall, rng)
    lay_masonry(centre, style)
    add_storeys(centre, style, 0.5, middle - 0.5, 1.5, tall - 1)
    add_portal(centre, style, middle / 2, 4, 6, "wide")
    add_cornice(centre, style, tall + 2, 0.9)
    roof = make.plain(style.roof, 20, 20)
    surfaces: list[Surface] = []
    for side in (-1, 1):
        surfaces += solid(side * (middle + wing) / 2, 11, 0, wing, 16, tall, face, None, roof)
    surfaces += solid(0, 11, 0, middle, 22, tall + 2, centre.texture(), None, roof)
    column = make.plain(shade(style.trim, 1.02), 5, tall)
    count = make.whole(4, 8)
    for i in range(count):
        x = middle * 0.8 * ((i + 0.5) / count - 0.5)
        surfaces.append(cone(point(x, -3.5), 0.8, 0.66, 0.8 * tall, column))
    porch = Relief(middle * 0.86, 3, style.trim, rng)
    add_cornice(porch, style, 3, 0.9)
    beam = porch.texture()
    surfaces += solid(0, -1.8, 0.8 * tall, middle * 0.86, 5, 3, beam)
    surfaces += gable_roof(
        0, -1.8, 0.8 * tall + 3, middle * 0.9, 6, 0.2 * middle, roof, plain_wall(rng, style, 20, 4), "y"
    )
    level = tall + 2
    for scale, high in ((1.12, make.between(5, 7)), (0.96, make.between(4, 7))):
        drum = house_wall(rng, style, 2 * np.pi * radius * scale, high, cornice=0.5)
        surfaces.append(cylinder(point(0, 11, level), radius * scale, high, drum))
        level += high
    skin = dome_skin(rng, style, 2 * np.pi * radius, radius, make.whole(10, 18), rng.choice(["ribs", "coffers"]))
    swell = make.between(1.0, 1.4) * radius
    surfaces.append(dome(point(0, 11, level), 0.96 * radius, swell, skin))
    surfaces.append(cylinder(point(0, 11, level + swell - 0.5), 1.5, 4, plain_wall(rng, style, 9, 4)))
    surfaces.append(cone(point(0, 11, level + swell + 3.5), 1.7, 0, 3.5, skin))
    return Landmark("capitol", surfaces, middle + 2 * wing, level + swell + 7, 6, "lawn", 0.9)


def town_hall(make: Architect) -> Landmark:
    """Stepped or curved gables and a belfry with a clock."""
    rng, style = make.rng, make.style
    width, tall, depth = make.between(24, 34), make.between(13, 18), 14.0
    tower, reach = make.between(6, 8), tall + make.between(12, 26)
    face = house_wall(rng, style, width, tall, portal="wide", cornice=0.7)
    flank, roof = house_wall(rng, style, depth, tall), tiled_roof(rng, style, width, 9, make.whole(2, 6))
    surfaces = solid(0, depth / 2, 0, width, depth, tall, face, flank)
    rise = make.between(7, 10)
    surfaces += gable_roof(0, depth / 2, tall, width, depth, rise, roof, plain_wall(rng, style, depth, 8))
    count = make.whole(1, 4)
    for i in range(count):
        wide = 0.8 * width / count
        gable = Relief(wide, rise, style.wall, rng)
        lay_masonry(gable, style)
        gable.fill(disc(wide / 2, 0.34 * rise, 0.14 * rise), -0.4, GLASS, 220)
        gable.glyph(style.motif, wide / 2 - 0.1 * rise, 0.55 * rise, 0.2 * rise, 0.3, style.paint)
        x = width * ((i + 0.5) / count - 0.5)
        if style.hood in ("none", "ledge"):  # steps
            for k in range(5):
                half = wide / 2 * (1 - (k + 1) / 5.5)
                gable.cut(box(-1, (k + 0.55) * rise / 5, wide / 2 - half, rise + 1))
                gable.cut(box(wide / 2 + half, (k + 0.55) * rise / 5, wide + 1, rise + 1))
        outline = None if style.hood in ("none", "ledge") else TRIANGLE
        surfaces.append(
            wall(point(x - wide / 2, -0.1, tall), point(x + wide / 2, -0.1, tall), rise, gable.texture(), outline)
        )
    shaft = Relief(tower, reach, style.wall, rng)
    lay_masonry(shaft, style)
    add_storeys(shaft, style, 0.8, tower - 0.8, 2, 0.72 * reach)
    add_clock(shaft, style, tower / 2, 0.82 * reach, 0.3 * tower, make.between(0, 12))
    add_cornice(shaft, style, reach, 0.6)
    x = make.between(-0.4, 0.4) * width
    surfaces += solid(x, 1.5, 0, tower, tower, reach, shaft.texture())
    spire = make.between(1.0, 2.2) * tower
    surfaces += prism(x, 1.5, reach, 0.75 * tower, spire, int(rng.choice([4, 8])), tiled_roof(rng, style, 8, 12), 0.0)
    return Landmark("town hall", surfaces, width, reach + spire, 5, "paving", 0.85)
