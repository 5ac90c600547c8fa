"""The photographer's part: exposure, white balance, rain on the way to the lens, glow, softness, noise."""

from dataclasses import dataclass

import cv2
import numpy as np

from landmarks.data.demo.light import Light
from landmarks.data.demo.texture import Bytes, Float32, Pixels

GRAIN: Float32 = np.random.default_rng(11).standard_normal((1024, 1024), dtype=np.float32)


@dataclass(frozen=True)
class Exposure:
    """How a picture is taken.

    Attributes:
        stops: over- (positive) or underexposure.
        balance: gain of red and of blue against green.
        blur: width of the softness in pixels, 0 = sharp.
        noise: standard deviation in grey levels of 255.
        saturation: 1 = as it is.
        vignette: darkening of the corners, 0..1.
    """

    stops: float = 0.0
    balance: tuple[float, float] = (1.0, 1.0)
    blur: float = 0.0
    noise: float = 2.0
    saturation: float = 1.0
    vignette: float = 0.15


def draw_exposure(rng: np.random.Generator) -> Exposure:
    """A random photographer: mostly careful, now and then not."""
    careless = rng.random() < 0.12
    warm = rng.normal(0, 0.05)
    return Exposure(
        stops=float(rng.normal(0, 0.5 if careless else 0.2)),
        balance=(float(np.exp(warm)), float(np.exp(-warm + rng.normal(0, 0.03)))),
        blur=float(rng.uniform(0.8, 1.6) if careless else rng.uniform(0, 0.5)),
        noise=float(rng.uniform(3, 6) if careless else rng.uniform(1, 3)),
        saturation=float(np.clip(rng.normal(1.0, 0.15), 0.1, 1.5)),
        vignette=float(rng.uniform(0, 0.35)),
    )


def develop(linear: Float32, light: Light, exposure: Exposure, seed: int) -> Bytes:
    """Turn linear light [H, W, 3] into a picture uint8 [H, W, 3]."""
    rng = np.random.default_rng(seed)
    rows, cols = linear.shape[:2]
    if light.lamps > 0.2:  # bright lamps bleed
        bright = cv2.resize(np.maximum(linear - 0.55, 0), (cols // 4, rows // 4), interpolation=cv2.INTER_AREA)
        linear = linear + 0.8 * cv2.resize(cv2.GaussianBlur(bright, (0, 0), 2.5), (cols, rows))
    if light.rain:
        linear = linear + _rain(rng, rows, cols, light.rain)[..., None]
    if light.snowfall:
        flakes = _flakes(rng, rows, cols, light.snowfall)[..., None]
        linear = linear * (1 - flakes) + 0.85 * flakes
    # The camera meters, but not fully: night stays darker than day.
    gain = (0.27 / (cv2.mean(linear)[1] + 1e-3)) ** (0.62 - 0.16 * light.lamps) * 2.0**exposure.stops
    gains = np.array([gain * exposure.balance[0], gain, gain * exposure.balance[1]])
    keep = exposure.saturation * np.eye(3) + (1 - exposure.saturation) / 3
    image: Pixels = np.maximum(cv2.transform(linear, gains[:, None] * keep), 0)
    if exposure.vignette:
        y, x = np.linspace(-1, 1, rows, dtype=np.float32), np.linspace(-1, 1, cols, dtype=np.float32)
        image *= (1 - np.float32(exposure.vignette * 0.5) * (x[None, :] ** 2 + y[:, None] ** 2))[..., None]
    image = image * (1 + image * 0.12) / (1 + image * 0.42)  # shoulder: highlights roll off
    image = cv2.sqrt(image) * 255
    if exposure.blur > 0.15:
        image = cv2.GaussianBlur(image, (0, 0), exposure.blur)
    tint = cv2.merge([_grain(rng, rows // 2 + 1, cols // 2 + 1) for _ in range(3)]) * np.float32(0.6)
    image = image + np.float32(exposure.noise) * (_grain(rng, rows, cols)[..., None] + cv2.resize(tint, (cols, rows)))
    return np.asarray(np.clip(image, 0, 255), dtype=np.uint8)


def _grain(rng: np.random.Generator, rows: int, cols: int) -> Float32:
    """A random piece of ready-made normal noise [rows, cols]: drawing it anew would cost more than the exposure."""
    y, x = rng.integers(0, [GRAIN.shape[0] - rows, GRAIN.shape[1] - cols])
    return GRAIN[y : y + rows, x : x + cols]


def _rain(rng: np.random.Generator, rows: int, cols: int, amount: float) -> Float32:
    streaks = np.zeros((rows, cols), np.float32)
    slant = rng.uniform(-0.25, 0.25)
    for x, y in rng.uniform([-0.1, -0.1], [1.1, 1.0], (int(260 * amount), 2)):
        start = int(x * cols), int(y * rows)
        length = int(rng.integers(8, 26))
        end = start[0] + int(slant * length), start[1] + length
        cv2.line(streaks, start, end, float(rng.uniform(0.04, 0.12)), 1, cv2.LINE_AA)
    return streaks


def _flakes(rng: np.random.Generator, rows: int, cols: int, amount: float) -> Float32:
    flakes = np.zeros((rows, cols), np.float32)
    for x, y in rng.uniform(0, 1, (int(420 * amount), 2)):
        radius = int(rng.choice([1, 1, 1, 2, 3]))
        cv2.circle(flakes, (int(x * cols), int(y * rows)), radius, float(rng.uniform(0.4, 1.0)), -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(flakes, (0, 0), 0.7), dtype=np.float32)
