"""A small stock of cut-outs: trees, people, cars, lamps, parasols, boats and flags."""

from functools import lru_cache

import numpy as np

from landmarks.data.demo.noise import patch
from landmarks.data.demo.relief import Colour, Points, Relief, box, disc, polyline
from landmarks.data.demo.style import shade
from landmarks.data.demo.texture import Texture

STOCK = 6  # variants of every kind of sprite


SIZES: dict[str, tuple[float, float]] = {  # width and height in metres
    "broadleaf": (8.0, 10.0), "conifer": (5.0, 11.0), "poplar": (3.4, 12.0), "bare": (8.0, 10.0),
    "palm": (6.0, 9.0), "bush": (3.4, 1.8), "person": (0.8, 1.75), "car": (4.4, 1.55), "lamp": (1.6, 6.5),
    "parasol": (3.0, 2.6), "boat": (7.0, 8.0), "flag": (2.6, 9.0),
}  # fmt: skip


TREES = ("broadleaf", "conifer", "poplar", "bare", "palm", "bush")


@lru_cache(maxsize=256)
def draw_sprite(kind: str, variant: int) -> Texture:
    """A cut-out from the stock."""
    rng = np.random.default_rng([list(SIZES).index(kind), variant])
    width, height = SIZES[kind]
    sprite = Relief(width, height, (0.3, 0.3, 0.3), rng, 224, finest=200.0)
    sprite.clear()
    if kind in TREES:
        _tree(sprite, kind, rng)
    else:
        _DRAW[kind](sprite, rng)
    return sprite.texture()


def _blob(sprite: Relief, outline: Points, colour: Colour, height: float = 0.0) -> None:
    sprite.close(outline)
    sprite.fill(outline, height, colour)


def _tree(sprite: Relief, kind: str, rng: np.random.Generator) -> None:
    width, height = sprite.width, sprite.tall
    bark: Colour = (0.32, 0.25, 0.19)
    leaf = np.array([0.30, 0.42, 0.18]) * rng.uniform(0.75, 1.15) + rng.normal(0, 0.025, 3)
    if kind == "conifer":
        leaf = np.array([0.16, 0.30, 0.19]) * rng.uniform(0.8, 1.2)
    elif rng.random() < 0.12:
        leaf = np.array([0.62, 0.38, 0.14])  # autumn
    middle = width / 2
    if kind == "bare":
        _branch(sprite, np.array([middle, 0.0]), np.pi / 2, 0.34 * height, 0.42, bark, rng)
        return
    sprite.bar(polyline([(middle, 0), (middle, 0.6 * height)]), 0.05 * width, -0.5, bark)
    if kind == "palm":
        for turn in rng.uniform(-0.5, np.pi + 0.5, 15):
            reach = 0.46 * width * rng.uniform(0.8, 1.1)
            t = np.linspace(0, 1, 7)
            x = middle + reach * t * np.cos(turn)
            y = 0.72 * height + reach * (t * np.sin(turn) - 0.5 * t**2)
            green = shade((float(leaf[0]), float(leaf[1]), float(leaf[2])), rng.uniform(0.8, 1.3))
            sprite.bar(np.stack([x, y], 1), 0.35, 0.2, green)
        return
    for _ in range(420):
        if kind == "conifer":
            level = rng.uniform(0.1, 1.0) ** 0.8
            x, y = (
                middle + rng.uniform(-0.5, 0.5) * width * (1.02 - level) * (0.75 + 0.25 * ((level * 7) % 1)),
                level * height,
            )
            radius = 0.035 * width
        else:
            turn, far = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform(0, 1))
            low = 0.02 if kind == "bush" else 0.24
            x = middle + 0.46 * width * far * np.cos(turn)
            y = height * ((1 + low) / 2 + (1 - low) / 2 * 0.94 * far * np.sin(turn))
            radius = rng.uniform(0.022, 0.055) * width
        light = rng.normal(0.92, 0.16) + 0.28 * (y / height - 0.55) - 0.12 * (x - middle) / width
        tone = np.clip(leaf * light, 0, 1)
        _blob(sprite, disc(x, y, radius, 7, rng.uniform(0, 6)), (float(tone[0]), float(tone[1]), float(tone[2])),
              float(rng.uniform(0, 0.25)))  # fmt: skip
    # Between the leaves light comes through.
    fine = patch(rng, sprite.rows, sprite.cols, 0.7)
    sprite.colour *= (0.7 + 0.6 * fine)[..., None]
    sprite.solid[fine < 0.27] = 0


def _branch(sprite: Relief, foot: Points, turn: float, length: float, thick: float, colour: Colour,
            rng: np.random.Generator) -> None:  # fmt: skip
    tip = foot + length * np.array([np.cos(turn), np.sin(turn)])
    sprite.bar(np.array([foot, tip]), thick, 0.0, colour)
    if length > 0.45:
        for lean in rng.uniform([-0.75, -0.25, 0.2], [-0.3, 0.25, 0.8]):
            _branch(sprite, tip, turn + lean, length * rng.uniform(0.58, 0.78), thick * 0.6, colour, rng)


def _person(sprite: Relief, rng: np.random.Generator) -> None:
    coat, legs = ((float(r), float(g), float(b)) for r, g, b in rng.uniform(0.12, 0.8, (2, 3)))
    skin = shade((0.78, 0.6, 0.48), rng.uniform(0.5, 1.1))
    stride = rng.uniform(0.02, 0.16)
    for side in (-1, 1):
        sprite.bar(polyline([(0.4 + side * stride, 0.03), (0.4, 0.85)]), 0.16, 0.0, shade(legs, 0.7))
        sprite.bar(
            polyline([(0.4 + side * 0.2, 1.36), (0.4 + side * (0.24 + stride), 0.85)]), 0.1, 0.0, shade(coat, 0.85)
        )
    _blob(
        sprite, np.array([[0.24, 0.78], [0.56, 0.78], [0.62, 1.4], [0.52, 1.46], [0.28, 1.46], [0.18, 1.4]]), coat, 0.15
    )
    _blob(sprite, disc(0.4, 1.6, 0.115, 14), skin, 0.2)
    _blob(sprite, disc(0.4, 1.65, 0.11, 14)[:8], (0.18, 0.13, 0.1), 0.2)


def _car(sprite: Relief, rng: np.random.Generator) -> None:
    red, green, blue = rng.uniform(0.1, 0.85, 3) if rng.random() < 0.6 else [rng.uniform(0.15, 0.9)] * 3
    paint: Colour = (float(red), float(green), float(blue))
    body = [(0.1, 0.3), (4.3, 0.3), (4.3, 0.75), (3.4, 0.9), (2.9, 1.45), (1.2, 1.45), (0.7, 0.92), (0.1, 0.8)]
    _blob(sprite, np.array(body), paint, 0.1)
    for glass in (
        [(1.3, 1.38), (1.95, 1.38), (1.95, 0.95), (0.9, 0.95)],
        [(2.05, 1.38), (2.8, 1.38), (3.2, 0.95), (2.05, 0.95)],
    ):
        sprite.fill(np.array(glass), 0.0, (0.15, 0.18, 0.22), 30)
    sprite.fill(box(0.1, 0.55, 4.3, 0.6), 0.15, shade(paint, 0.7))
    for x in (0.95, 3.4):
        _blob(sprite, disc(x, 0.33, 0.33, 18), (0.08, 0.08, 0.08), 0.2)
        sprite.fill(disc(x, 0.33, 0.17, 14), 0.2, (0.6, 0.6, 0.62))


def _lamp(sprite: Relief, rng: np.random.Generator) -> None:
    iron: Colour = (0.14, 0.15, 0.16)
    sprite.bar(polyline([(0.8, 0), (0.8, 5.8)]), 0.14, 0.1, iron)
    _blob(sprite, box(0.6, 0, 1.0, 0.8), iron, 0.2)
    for x in (0.3, 1.3) if rng.random() < 0.5 else (0.8,):
        sprite.bar(polyline([(0.8, 5.4), (x, 5.7)]), 0.1, 0.1, iron)
        globe = disc(x, 6.0, 0.26, 16)
        _blob(sprite, globe, (0.9, 0.88, 0.8), 0.2)
        sprite.fill(globe, None, None, 255)


def _parasol(sprite: Relief, rng: np.random.Generator) -> None:
    one = (float(rng.uniform(0.5, 0.9)), float(rng.uniform(0.1, 0.6)), float(rng.uniform(0.1, 0.6)))
    sprite.bar(polyline([(1.5, 0), (1.5, 2.4)]), 0.08, 0.0, (0.7, 0.7, 0.7))
    for i in range(6):
        left, right = -1.45 + i * 0.483, -1.45 + (i + 1) * 0.483
        tone = one if i % 2 else (0.92, 0.9, 0.86)
        _blob(
            sprite,
            np.array([[1.5 + left, 1.75], [1.5 + right, 1.75], [1.5 + right * 0.2, 2.5], [1.5 + left * 0.2, 2.5]]),
            tone,
            0.1,
        )


def _boat(sprite: Relief, rng: np.random.Generator) -> None:
    tone = (float(rng.uniform(0.2, 0.9)), float(rng.uniform(0.2, 0.8)), float(rng.uniform(0.2, 0.8)))
    _blob(sprite, np.array([[0.8, 0.0], [5.8, 0.0], [6.8, 1.1], [0.2, 1.0]]), tone, 0.1)
    sprite.bar(polyline([(3.2, 1), (3.2, 7.9)]), 0.12, 0.0, (0.4, 0.3, 0.2))
    _blob(sprite, np.array([[3.4, 1.5], [6.4, 1.6], [3.4, 7.6]]), (0.92, 0.9, 0.85), 0.0)
    _blob(sprite, np.array([[3.0, 1.5], [0.8, 1.7], [3.0, 6.4]]), (0.86, 0.85, 0.8), 0.0)


def _flag(sprite: Relief, rng: np.random.Generator) -> None:
    sprite.bar(polyline([(0.3, 0), (0.3, 8.9)]), 0.12, 0.0, (0.75, 0.75, 0.75))
    for i in range(3):
        tone = tuple(float(c) for c in rng.uniform(0.1, 0.9, 3))
        _blob(sprite, box(0.35, 7.0 + 0.6 * i, 2.5, 7.6 + 0.6 * i), tone, 0.05)  # type: ignore[arg-type]


_DRAW = {"person": _person, "car": _car, "lamp": _lamp, "parasol": _parasol, "boat": _boat, "flag": _flag}
