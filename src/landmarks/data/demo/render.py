"""From a scene to a picture: paint, cast shadows, shade, add sky and water, hand over to the photographer.

Everything is drawn larger than the picture and shrunk at the end, which smooths all edges.
"""

from dataclasses import dataclass, field
from typing import TypeVar

import cv2
import numpy as np

from landmarks.data.demo.camera import Camera, Floats, look_at
from landmarks.data.demo.canvas import Canvas, Surface, paint_all
from landmarks.data.demo.ground import Ground, paint_ground
from landmarks.data.demo.light import Light
from landmarks.data.demo.noise import fractal
from landmarks.data.demo.photograph import Exposure, develop
from landmarks.data.demo.sky import Horizon, draw_panorama, paint_horizon, paint_sky
from landmarks.data.demo.texture import Bytes, Float32, Pixels

OVERSAMPLING = 1.4
SUN_DISTANCE = 3000.0  # metres: far enough for nearly parallel rays
SHADOW_SIDE = 288  # pixels along a side of the shadow map
LAMP = (1.0, 0.68, 0.32)  # linear colour of a lit window

AnyCanvas = TypeVar("AnyCanvas", bound=Canvas)


@dataclass
class Scene:
    """What one picture shows.

    Attributes:
        camera: the view, in final pixels; up to 700 on a side.
        light: the moment.
        surfaces: everything solid.
        centre, radius: the sphere within which shadows are cast, metres.
        ground: what lies at z = 0; None for indoor scenes.
        horizon: what stands far away, which variant of it, and how it is turned (share of its arc).
        exposure: how the picture is taken.
        seed: for clouds, ripples, rain and noise.
    """

    camera: Camera
    light: Light
    surfaces: list[Surface]
    centre: Floats
    radius: float
    ground: Ground | None = "lawn"
    horizon: tuple[Horizon, int, float] = ("hills", 0, 0.0)
    exposure: Exposure = field(default_factory=Exposure)
    seed: int = 0


def empty_canvas(scene: Scene, kind: type[AnyCanvas]) -> AnyCanvas:
    """A canvas as large as a scene is painted, which is larger than its picture."""
    return kind(scene.camera.scaled(OVERSAMPLING), scene.light.sun)


def render(scene: Scene, canvas: Canvas | None = None) -> Bytes:
    """Take the picture: uint8 [H, W, 3] RGB.

    Args:
        scene: what to show.
        canvas: an `empty_canvas` of this scene that keeps more than the picture needs.
    """
    canvas = empty_canvas(scene, Canvas) if canvas is None else canvas
    paint_all(canvas, scene.surfaces)
    if scene.ground is not None:
        paint_ground(canvas, "snow" if scene.light.snow and scene.ground != "water" else scene.ground)
    shadow = cast_shadows(canvas, scene) if scene.light.shadows > 0 else None
    linear = finish(canvas, scene, shadow)
    if scene.ground == "water":
        linear = reflect(linear, canvas, scene)
    size = scene.camera.width, scene.camera.height
    small = cv2.resize(linear, size, interpolation=cv2.INTER_AREA)
    return develop(small.astype(np.float32, copy=False), scene.light, scene.exposure, scene.seed)


def finish(canvas: Canvas, scene: Scene, shadow: Float32 | None) -> Float32:
    """Put horizon and sky behind what is painted, and light it all."""
    kind, variant, turn = scene.horizon
    if kind != "none":
        paint_horizon(canvas, draw_panorama(kind, variant), turn)
    linear = shade(canvas, scene.light, shadow)
    empty = (canvas.nearness == 0).view(np.uint8)
    if empty.any():
        cv2.copyTo(paint_sky(canvas.camera, scene.light, scene.seed), empty, linear)
    return linear


def shade(canvas: Canvas, light: Light, shadow: Float32 | None) -> Float32:
    """Linear RGB [H, W, 3] of lit surfaces, lamps and haze."""
    sky, sun, glass, _ = cv2.split(canvas.light)
    sun = sun.astype(np.float32) if shadow is None else cv2.multiply(sun, shadow, dtype=cv2.CV_32F)
    sky = sky.astype(np.float32)
    clear: Pixels = cv2.exp(np.float32(-light.haze) / np.maximum(canvas.nearness, np.float32(1e-4)))
    pane = np.arange(256, dtype=np.float32)
    lit = np.clip((pane - 255 * (1 - light.lamps)) * (3 / 255), 0, 1) * (0.35 + 0.65 * light.lamps) * (light.lamps > 0)
    planes = []
    for i, albedo in enumerate(cv2.split(canvas.colour)[:3]):
        plane: Pixels = cv2.multiply(albedo, albedo, scale=1 / 255**2, dtype=cv2.CV_32F)
        plane *= cv2.addWeighted(sky, light.skylight[i] / 255, sun, light.sunlight[i] / 179, 0)
        glow = lit * LAMP[i] + (pane > 0) * np.float32(0.16 * light.horizon[i])
        plane += cv2.LUT(glass, glow.astype(np.float32))
        plane -= light.horizon[i]
        plane *= clear
        plane += light.horizon[i]
        planes.append(plane)
    return np.asarray(cv2.merge(planes), dtype=np.float32)


def cast_shadows(canvas: Canvas, scene: Scene) -> Float32:
    """How much of the sun reaches each pixel, float32 [H, W] in 0..1.

    The sun is a distant camera: what it does not see lies in shadow (Williams, Casting curved shadows on curved
    surfaces, 1978).
    """
    focal = 0.5 * SHADOW_SIDE * SUN_DISTANCE / scene.radius
    sun = scene.centre + SUN_DISTANCE * scene.light.sun
    view = look_at(sun, scene.centre, width=SHADOW_SIDE, height=SHADOW_SIDE, focal=focal)
    seen = Canvas(view, scene.light.sun, depth_only=True)
    paint_all(seen, scene.surfaces)

    camera = canvas.camera
    nearness = canvas.nearness[::2, ::2]
    rows, cols = nearness.shape
    depth = 1 / np.maximum(nearness, 1e-4)
    # A pixel's world point is position + depth·ray; its place in the sun's picture is linear in depth.
    to_sun = view.intrinsics @ view.rotation
    turn = to_sun @ camera.ray_matrix
    shift = to_sun @ (camera.position - view.position)
    x, y = np.arange(cols) * 2 + 0.5, np.arange(rows) * 2 + 0.5
    u, v, w = (
        depth * (turn[i, 0] * x[None, :] + (turn[i, 1] * y + turn[i, 2])[:, None]).astype(np.float32) + shift[i]
        for i in range(3)
    )
    map_x, map_y = (u / w - 0.5).astype(np.float32), (v / w - 0.5).astype(np.float32)
    nearest = cv2.remap(seen.nearness, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    bias = 2.5 * scene.radius / SHADOW_SIDE + 0.15
    hidden = ((nearest > 0) & (1 / np.maximum(nearest, 1e-6) < w - bias)).astype(np.float32)
    soft = cv2.resize(cv2.blur(hidden, (3, 3)), (canvas.camera.width, canvas.camera.height))
    return np.asarray(1 - scene.light.shadows * 0.9 * soft, dtype=np.float32)


def reflect(linear: Float32, canvas: Canvas, scene: Scene) -> Float32:
    """Lay the mirrored scene on the water, broken by ripples."""
    small = scene.camera.scaled(OVERSAMPLING / 2).mirrored()
    mirror = Canvas(small, scene.light.sun)
    paint_all(mirror, scene.surfaces)
    image = finish(mirror, scene, None)
    camera = canvas.camera
    ripple = fractal(50 + scene.seed % 3, 256, 1.4)
    homography = camera.plane_homography(np.zeros(3), np.array([0.12, 0, 0]), np.array([0, 0.12, 0]))
    size = camera.width, camera.height
    waves = cv2.warpPerspective(ripple, homography, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP) - 0.5
    strength = np.minimum(canvas.nearness * (camera.intrinsics[0, 0] * 0.5), 14).astype(np.float32)
    x = np.arange(camera.width, dtype=np.float32)[None, :] / 2 + waves * strength * 0.4
    y = np.arange(camera.height, dtype=np.float32)[:, None] / 2 + waves * strength
    mirrored = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    water = (canvas.light[..., 3] > 127)[..., None]
    blend = 0.62 + 0.25 * waves[..., None]
    tint = np.array([0.86, 0.92, 0.95], np.float32)
    return np.where(water, linear * (1 - blend) + mirrored * blend * tint, linear).astype(np.float32)
