"""Columns, domes, cones and flared towers: surfaces of revolution, drawn ray by ray.

One quadric, radius² = a + b·z + c·z², holds all of them, so each pixel's ray meets it in closed form.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from landmarks.data.demo.camera import Floats
from landmarks.data.demo.canvas import Canvas, thresholds
from landmarks.data.demo.texture import Pixels, Texture
from landmarks.data.demo.thing import Thing


@dataclass(frozen=True)
class Revolved:
    """A surface of revolution about a vertical axis: radius² = a + b·ζ + c·ζ², ζ the height above the base.

    Attributes:
        base: centre of the bottom [3].
        height: metres.
        profile: (a, b, c).
        texture: wrapped around `repeats` times, its top at the top.
        thing: what it is a part of, if that has a name.
    """

    base: Floats
    height: float
    profile: tuple[float, float, float]
    texture: Texture
    repeats: int = 1
    thing: Thing | None = None

    def radius(self, above: float) -> float:
        """Radius at a height above the base, metres."""
        a, b, c = self.profile
        return float(np.sqrt(max(a + b * above + c * above * above, 0.0)))

    @cached_property
    def corners(self) -> Floats:
        """Points [24, 3] whose hull holds the surface."""
        turn = np.arange(8) * np.pi / 4
        rings = []
        for above in (0.0, self.height / 2, self.height):
            radius = max(self.radius(above), self.radius(self.height / 2) * 0.6) / np.cos(np.pi / 8)
            ring = np.stack([np.cos(turn) * radius, np.sin(turn) * radius, np.full(8, above)], axis=1)
            rings.append(self.base + ring)
        return np.concatenate(rings)

    def part_of(self, thing: Thing) -> "Revolved":
        """The same surface as a part of a thing."""
        return replace(self, thing=thing)

    def paint(self, canvas: Canvas) -> None:
        """Draw what the camera sees of this surface, inside included where it is open at the top."""
        camera = canvas.camera
        pixels, depths = camera.project(self.corners)
        if depths.min() < 0.5:
            return
        window = canvas.window(pixels)
        if window is None:
            return
        ray = camera.ray_matrix
        x = (window[1].start + 0.5 + np.arange(window[1].stop - window[1].start))[None, :]
        y = (window[0].start + 0.5 + np.arange(window[0].stop - window[0].start))[:, None]
        # Rays start at the surface's own depth: far from the camera the quadric would lose its digits.
        start = float(depths.mean())
        offset = camera.position - self.base
        along = [(ray[i, 0] * x + (ray[i, 1] * y + ray[i, 2])).astype(np.float32) for i in range(3)]
        begin = [along[i] * np.float32(start) + np.float32(offset[i]) for i in range(3)]
        a, b, c = (np.float32(value) for value in self.profile)
        quadratic = along[0] ** 2 + along[1] ** 2 - c * along[2] ** 2
        linear = begin[0] * along[0] + begin[1] * along[1] - along[2] * (b / 2 + c * begin[2])
        constant = begin[0] ** 2 + begin[1] ** 2 - a - begin[2] * (b + c * begin[2])
        discriminant = linear**2 - quadratic * constant
        root = np.sqrt(np.maximum(discriminant, 0))
        quadratic = np.where(np.abs(quadratic) < 1e-9, np.float32(1e-9), quadratic)
        one, other = (-linear - root) / quadratic, (-linear + root) / quadratic
        near, far = np.minimum(one, other), np.maximum(one, other)
        near_z = begin[2] + near * along[2]
        usable = (near_z >= 0) & (near_z <= self.height)
        t = np.where(usable, near, far)
        above = begin[2] + t * along[2]
        mask = (discriminant > 0) & (above >= 0) & (above <= self.height) & (t + start > 0.5)
        nearness = (1 / np.maximum(t + np.float32(start), np.float32(0.5))).astype(np.float32)
        mask &= nearness > canvas.nearness[window]
        if not mask.any():
            return
        if canvas.depth_only and not self.texture.has_openings:
            canvas.put(window, mask, nearness, None, None)
            return
        east, north = begin[0] + t * along[0], begin[1] + t * along[1]
        rise = -(b / 2 + c * above)
        inside = np.where(usable, np.float32(1), np.float32(-1))
        length = np.sqrt(east * east + north * north + rise * rise) + np.float32(1e-6)
        sun = canvas.sun.astype(np.float32)
        facing = inside * (east * sun[0] + north * sun[1] + rise * sun[2]) / length

        width = float(np.ptp(pixels[:, 0]))
        level = self.texture.level(self.texture.colour.shape[1] * self.repeats / max(2.2 * width, 1.0))
        colour: Pixels = self.texture.colours(level)
        rows, cols = colour.shape[:2]
        column = cv2.phase(east, north) * np.float32(cols * self.repeats / (2 * np.pi)) % cols - np.float32(0.5)
        row = np.clip((1 - above / np.float32(self.height)) * np.float32(rows) - np.float32(0.5), 0, rows - 1)
        colour = cv2.remap(colour, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        if self.texture.has_openings:
            mask &= colour[..., 3] > thresholds(level, window)
        if canvas.depth_only:
            canvas.put(window, mask, nearness, None, None)
            return
        light: Pixels = self.texture.lights(level, 0.35, 1.0)
        light = cv2.remap(light, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        light[..., 1] = np.clip(light[..., 1] * np.maximum(facing * np.float32(1.4), 0), 0, 255).astype(np.uint8)
        light[..., 3] = 0
        canvas.put(window, mask, nearness, colour, light)


def cylinder(base: Floats, radius: float, height: float, texture: Texture, repeats: int = 1) -> Revolved:
    """A wall around a circle."""
    return Revolved(np.asarray(base, float), height, (radius**2, 0.0, 0.0), texture, repeats)


def cone(base: Floats, bottom: float, top: float, height: float, texture: Texture, repeats: int = 1) -> Revolved:
    """A cone from radius `bottom` to radius `top`."""
    slope = (top - bottom) / height
    return Revolved(np.asarray(base, float), height, (bottom**2, 2 * bottom * slope, slope**2), texture, repeats)


def dome(base: Floats, radius: float, height: float, texture: Texture, repeats: int = 1) -> Revolved:
    """The upper half of an ellipsoid."""
    return Revolved(np.asarray(base, float), height, (radius**2, 0.0, -((radius / height) ** 2)), texture, repeats)


def bulb(base: Floats, foot: float, belly: float, height: float, texture: Texture, repeats: int = 1) -> Revolved:
    """An ellipsoid cut at radius `foot` below and above, widest (`belly`) half-way: the swell of an onion dome."""
    c = -4 * (belly**2 - foot**2) / height**2
    return Revolved(np.asarray(base, float), height, (foot**2, -c * height, c), texture, repeats)
