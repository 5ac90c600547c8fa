"""Pictures taken indoors: rooms, laid tables, posters."""

from dataclasses import replace

import numpy as np

from landmarks.data.demo.camera import Camera, Floats, look_at
from landmarks.data.demo.canvas import Surface, named
from landmarks.data.demo.facades import GLASS
from landmarks.data.demo.light import Light, draw_light
from landmarks.data.demo.outdoors import anywhere
from landmarks.data.demo.panel import Panel
from landmarks.data.demo.photograph import draw_exposure
from landmarks.data.demo.relief import Colour, Relief, box, disc
from landmarks.data.demo.render import Scene
from landmarks.data.demo.revolved import bulb, cone, cylinder, dome
from landmarks.data.demo.shapes import box as solid
from landmarks.data.demo.shapes import floor, point
from landmarks.data.demo.shots import FORMATS
from landmarks.data.demo.style import PAINTS
from landmarks.data.demo.texture import Texture


def _cloth(rng: np.random.Generator, width: float, height: float) -> Texture:
    """A wall, floor or cloth: plain, striped, checked or dotted."""
    red, green, blue = rng.uniform(0.25, 0.92, 3)
    other: Colour = tuple(rng.uniform(0.2, 0.95, 3).tolist())
    cloth = Relief(width, height, (red, green, blue), rng, 320, finest=200.0)
    kind, step = int(rng.integers(4)), width / int(rng.integers(5, 20))
    for i, x in enumerate(np.arange(0, width, step)):
        if kind == 1:
            cloth.fill(box(x, 0, x + step / 2, height), None, other)
        for j, y in enumerate(np.arange(0, height, step)):
            if kind == 2 and (i + j) % 2:
                cloth.fill(box(x, y, x + step, y + step), None, other)
            elif kind == 3:
                cloth.fill(disc(x + step / 2, y + step / 2, step * 0.25, 12), None, other)
    cloth.weather(0.12)
    return cloth.texture()


def _lamplight(rng: np.random.Generator) -> Light:
    """Light of a window and of lamps."""
    light = draw_light(rng, -np.pi / 2, "clear")
    warm = rng.uniform(0, 1)
    skylight = (0.55, 0.55 - 0.08 * warm, 0.55 - 0.2 * warm)
    return replace(light, sunlight=(0.5, 0.44, 0.36), skylight=skylight, haze=0.0, clouds=0.0, shadows=0.7)


def _inside(rng: np.random.Generator, camera: Camera, surfaces: list[Surface], centre: Floats, radius: float) -> Scene:
    """A scene with neither ground nor horizon."""
    seed = int(rng.integers(1 << 31))
    return Scene(camera, _lamplight(rng), surfaces, centre, radius, None, ("none", 0, 0.0), draw_exposure(rng), seed)


def room(rng: np.random.Generator) -> Scene:
    """The inside of a room with a window and furniture."""
    camera = anywhere(rng, eye=1.5, aim=1.4, far=5)
    wide, far, tall = rng.uniform(4, 6), rng.uniform(5, 8), rng.uniform(2.6, 3.4)
    back = Relief(wide, tall, tuple(rng.uniform(0.5, 0.9, 3).tolist()), rng, 360, finest=200.0)
    back.weather(0.05)
    for x in (0.25, 0.7):
        if rng.random() < 0.75:
            back.fill(box(x * wide - 0.6, 0.9, x * wide + 0.6, 2.3), 0.05, (0.85, 0.84, 0.8))
            back.fill(box(x * wide - 0.5, 1.0, x * wide + 0.5, 2.2), -0.1, (0.75, 0.85, 0.95), 200)
    side, carpet, ceiling = _cloth(rng, far, tall), _cloth(rng, wide, far), _cloth(rng, 1, 1)
    half = wide / 2
    surfaces: list[Surface] = [
        Panel(point(-half, far), point(wide, 0), point(0, 0, tall), back.texture()),
        Panel(point(-half, -1), point(0, far + 1), point(0, 0, tall), side, two_sided=True),
        Panel(point(half, far), point(0, -far - 1), point(0, 0, tall), side, two_sided=True),
        floor(0, far / 2 - 0.5, 0, wide, far + 1, carpet),
        Panel(point(-half, far, tall), point(wide, 0), point(0, -far - 1), ceiling, two_sided=True),
    ]
    for _ in range(int(rng.integers(2, 7))):
        cloth = _cloth(rng, 2, 1)
        x, y = rng.uniform(-0.4, 0.4) * wide, rng.uniform(0.5, 0.9) * far
        block = solid(x, y, 0, rng.uniform(0.5, 2), rng.uniform(0.4, 1), rng.uniform(0.4, 1.9), cloth, None, cloth)
        surfaces += named("furniture", block)
    return _inside(rng, camera, surfaces, point(0, far / 2, 1), 6.0)


def table(rng: np.random.Generator) -> Scene:
    """Plates, fruit, cups and bottles on a cloth. One unit is a decimetre."""
    width, height = FORMATS[int(rng.integers(len(FORMATS)))]
    eye = point(rng.uniform(-3, 3), -9, rng.uniform(4, 13))
    camera = look_at(eye, point(0, 0.5, 0.4), width=width, height=height, focal=width * rng.uniform(0.9, 1.5), roll=0.0)
    behind = _cloth(rng, 40, 20)
    surfaces: list[Surface] = [
        *named("table", [floor(0, 0, 0, 30, 24, _cloth(rng, 30, 24))]),
        Panel(point(-40, 14, -8), point(80, 0), point(0, 0, 40), behind),
    ]
    fruits: tuple[Colour, ...] = (
        (0.75, 0.15, 0.1),
        (0.9, 0.55, 0.1),
        (0.55, 0.7, 0.2),
        (0.85, 0.78, 0.25),
        (0.4, 0.16, 0.3),
    )
    for _ in range(int(rng.integers(4, 11))):
        spot = point(rng.uniform(-4, 4), rng.uniform(-3, 5))
        colour = fruits[int(rng.integers(5))]
        skin = Relief(4, 2, colour, rng, 128, finest=200.0)
        skin.weather(0.3)
        texture, kind = skin.texture(), int(rng.integers(5))
        if kind <= 1:
            surfaces += named("fruit", [bulb(spot, 0.15, rng.uniform(0.5, 0.9), rng.uniform(0.9, 1.5), texture)])
        elif kind == 2:
            white = _cloth(rng, 3, 1)
            dish = [cone(spot, 0.8, 1.9, 0.25, white), dome(spot + point(0, 0, 0.1), 1.2, 0.5, texture)]
            surfaces += named("plate", dish)
        elif kind == 3:
            bottle = [cylinder(spot, 0.6, 2.2, texture), cone(spot + point(0, 0, 2.2), 0.6, 0.22, 0.7, texture),
                      cylinder(spot + point(0, 0, 2.9), 0.22, 0.8, texture)]  # fmt: skip
            surfaces += named("bottle", bottle)
        else:
            surfaces += named("cup", [cone(spot, 0.5, 0.75, 1.1, _cloth(rng, 4, 1))])
    return _inside(rng, camera, surfaces, point(0, 0, 1), 12.0)


def poster(rng: np.random.Generator) -> Scene:
    """A picture on a wall: shapes and colours."""
    camera = anywhere(rng, eye=1.5, aim=1.5, far=3.2)
    sheet = Relief(4, 3, tuple(rng.uniform(0.3, 0.95, 3).tolist()), rng, 400, finest=200.0)
    for _ in range(int(rng.integers(6, 40))):
        colour: Colour = PAINTS[int(rng.integers(5))] if rng.random() < 0.5 else tuple(rng.uniform(0, 1, 3).tolist())
        x, y = rng.uniform(0.2, 3.8), rng.uniform(0.2, 2.8)
        shape = disc(x, y, rng.uniform(0.08, 0.7), int(rng.choice([3, 4, 5, 32])), rng.uniform(0, 6))
        sheet.fill(shape, 0.02, colour)
    sheet.fill(box(0, 0, 4, 0.08), 0.1, GLASS)
    surfaces: list[Surface] = [
        Panel(point(-9, 3.2, -4), point(18, 0), point(0, 0, 12), _cloth(rng, 18, 12)),
        *named("poster", [Panel(point(-2, 3), point(4, 0), point(0, 0, 3), sheet.texture())]),
    ]
    return _inside(rng, camera, surfaces, point(0, 3, 1.5), 6.0)
