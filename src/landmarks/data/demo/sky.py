"""Sky and horizon: a gradient, clouds that lie on a plane in perspective, hills and skylines far away."""

from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from landmarks.data.demo.camera import Camera
from landmarks.data.demo.canvas import THRESHOLDS, Canvas
from landmarks.data.demo.light import Light
from landmarks.data.demo.noise import fractal
from landmarks.data.demo.texture import Float32, Texture

Horizon = Literal["hills", "mountains", "city", "woods", "none"]
FAR = 1500.0  # metres to the panorama
ARC = np.radians(100.0)  # one panorama fills this much of the horizon, then repeats
TALLEST = 0.22  # tangent of the elevation at its upper edge


def paint_sky(camera: Camera, light: Light, seed: int) -> Float32:
    """Linear RGB [H, W, 3] of the sky in every pixel."""
    ray = camera.ray_matrix
    cols, rows = camera.width // 8 + 2, camera.height // 8 + 2
    x, y = np.meshgrid(np.arange(cols) * 8.0, np.arange(rows) * 8.0)
    direction = [ray[i, 0] * x + ray[i, 1] * y + ray[i, 2] for i in range(3)]
    length = np.sqrt(sum(d * d for d in direction))
    rise = np.clip(direction[2] / length, 0, 1)
    blend = (np.minimum(rise * 1.35, 1) ** 0.6)[..., None]
    small = (1 - blend) * np.array(light.horizon) + blend * np.array(light.zenith)
    if light.lamps < 0.6 and light.clouds < 0.7:  # the glow around the sun
        towards = sum(d * s for d, s in zip(direction, light.sun, strict=True)) / length
        glow = np.clip(towards, 0, 1) ** 24
        small += 0.35 * glow[..., None] * np.array(light.sunlight)
    sky = cv2.resize(small.astype(np.float32), (cols * 8, rows * 8))[: camera.height, : camera.width]
    if light.clouds > 0.03:  # clouds are soft: half the resolution does
        half = np.array([[2.0, 0, 0], [0, 2.0, 0], [0, 0, 1.0]])
        size = camera.width // 2 + 1, camera.height // 2 + 1
        small_sky = cv2.resize(sky, size, interpolation=cv2.INTER_AREA)
        sky = cv2.resize(_add_clouds(small_sky, ray @ half, light, seed), (camera.width, camera.height))
    return np.ascontiguousarray(sky, dtype=np.float32)


def _add_clouds(sky: Float32, ray: np.ndarray, light: Light, seed: int) -> Float32:
    rng = np.random.default_rng(seed)
    field = fractal(int(rng.integers(4)) + 20, 256, 2.4)
    # From a pixel to its place on the cloud plane: the ray's (x, y) over its height.
    scale = rng.uniform(60, 130)
    place = np.array([[scale, 0, rng.uniform(0, 256)], [0, scale, rng.uniform(0, 256)], [0, 0, 1]])
    plane = place @ ray
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    rows, cols = sky.shape[:2]
    density = cv2.warpPerspective(field, plane, (cols, rows), flags=flags, borderMode=cv2.BORDER_WRAP)
    rise = ray[2, 0] * np.arange(cols)[None, :] + (ray[2, 1] * np.arange(rows) + ray[2, 2])[:, None]
    edge = 1 - light.clouds
    cover = np.clip((density - edge * 0.9) * 3.2, 0, 1) * np.clip(rise * 9, 0, 1).astype(np.float32)
    body = 1.15 - 0.45 * np.clip((density - edge) * 1.6, 0, 1)
    day = 0.55 if light.lamps < 0.6 else 0.03  # at night the sun is a floodlight and lights no cloud
    white = np.array(light.sunlight) * day + np.array(light.skylight) * 0.75
    return sky + cover[..., None] * (body[..., None] * white.astype(np.float32) - sky)


def paint_horizon(canvas: Canvas, panorama: Texture, turn: float) -> None:
    """Stand a panorama far away behind everything that is drawn already."""
    camera = canvas.camera
    ray = camera.ray_matrix
    cols, rows = camera.width // 8 + 2, camera.height // 8 + 2
    x, y = np.meshgrid(np.arange(cols) * 8.0 + 0.5, np.arange(rows) * 8.0 + 0.5)
    east, north, up = (ray[i, 0] * x + ray[i, 1] * y + ray[i, 2] for i in range(3))
    forward = camera.rotation[2]
    ahead = east * forward[0] + north * forward[1]
    aside = east * forward[1] - north * forward[0]
    bearing = np.arctan2(aside, ahead) - np.arctan2(forward[1], forward[0])
    elevation = up / np.hypot(east, north)
    height, width = panorama.colour.shape[:2]
    u = ((bearing / ARC + turn) * width).astype(np.float32)
    v = ((1 - (elevation + 0.012) / TALLEST) * height).astype(np.float32)
    size = cols * 8, rows * 8
    u, v = (cv2.resize(m, size)[: camera.height, : camera.width] for m in (u, v))
    inside = (v > 0) & (v < height - 1)
    used = np.flatnonzero(inside.any(axis=1))
    if not len(used):
        return
    window = slice(int(used[0]), int(used[-1]) + 1), slice(0, camera.width)
    u, v, inside = u[window] % width, v[window], inside[window]
    colour = cv2.remap(panorama.colour, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    light = cv2.remap(panorama.lights(0, 0.3, 1.0), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    light[..., 1] = light[..., 1] // 2
    mask = inside & (colour[..., 3] > THRESHOLDS[window])
    canvas.put(window, mask, np.full(u.shape, 1 / FAR, np.float32), colour, light)


@lru_cache(maxsize=16)
def draw_panorama(kind: Horizon, variant: int) -> Texture:
    """One of a few horizons that all landmarks share."""
    rng = np.random.default_rng([variant, len(kind)])
    height, width = 128, 1024
    colour = np.zeros((height, width, 4), np.uint8)
    relief = np.zeros((height, width), np.float32)
    glass = np.zeros((height, width), np.uint8)
    layers = {"hills": 3, "mountains": 3, "woods": 2, "city": 1, "none": 0}[kind]
    x = np.arange(width)
    for i in range(layers):
        ridge = fractal(int(rng.integers(4)) + 30, 1024, 2.6 if kind != "woods" else 1.2)[rng.integers(1024)]
        near = (i + 1) / layers
        tall = {"hills": 60, "mountains": 118, "woods": 26, "city": 14}[kind] * (1 - 0.62 * near) + 8
        if kind == "woods":
            tall = 14 + 6 * i
        top = height - tall * (0.35 + 0.65 * ridge)
        mask = np.arange(height)[:, None] >= top[None, :]
        green = np.array([70, 92, 52]) if kind != "mountains" else np.array([112, 112, 110])
        tint = (1 - near) * 0.6 * np.array([150, 165, 185]) + (0.4 + 0.6 * near) * green
        speckle = 1 + 0.35 * (fractal(31, 1024, 1.2)[:height] - 0.5)
        colour[..., :3][mask] = np.clip(tint * speckle[..., None], 0, 255)[mask]
        if kind == "mountains" and i == 0:
            snow = mask & (np.arange(height)[:, None] < 70 + 20 * (speckle - 1))
            colour[..., :3][snow] = (225, 228, 235)
        colour[..., 3][mask] = 255
        relief[mask] = (3 * fractal(33, 1024, 2.0)[:height] + i)[mask]
    if kind == "city":
        for _ in range(110):
            wide, tall = int(rng.integers(8, 34)), int(rng.gamma(3, 9) + 12)
            left, top = int(rng.integers(0, width - wide)), max(height - tall, 4)
            tint = rng.uniform(90, 165) * np.array([1, 0.98, 0.96]) + rng.normal(0, 6, 3)
            colour[top:, left : left + wide] = (*np.clip(tint, 0, 255).astype(int), 255)
            grid = ((np.arange(top, height) - top) % 4 < 2)[:, None] & ((x[left : left + wide] - left) % 4 < 2)
            colour[top:, left : left + wide, :3][grid] = np.clip(tint * 0.62, 0, 255)
            lit = grid & (rng.random(grid.shape) < 0.5)
            glass[top:, left : left + wide] = np.where(lit, 200, 0)
    return Texture(colour, relief, glass, 0.4)
