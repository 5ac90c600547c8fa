"""Flat pieces of walls, roofs and sprites, drawn by the homography of their plane."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from landmarks.data.demo.camera import Floats, clip_near
from landmarks.data.demo.canvas import Canvas, thresholds
from landmarks.data.demo.texture import Bytes, Texture
from landmarks.data.demo.thing import Thing

UNIT_SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


@dataclass(frozen=True)
class Panel:
    """A flat piece: origin + s·across + t·up for (s, t) in a convex outline of the unit square.

    Seen from outside, `across` runs to the right and `up` upwards; a texture fills the unit square.
    """

    origin: Floats
    across: Floats
    up: Floats
    texture: Texture
    outline: Floats | None = None
    two_sided: bool = False
    upright_light: bool = False  # sprites: lit as if they faced the sun half-way, whatever way they turn
    thing: Thing | None = None

    @cached_property
    def normal(self) -> Floats:
        """Unit vector out of the panel [3]."""
        normal = np.cross(self.across, self.up)
        return np.asarray(normal / np.linalg.norm(normal))

    @cached_property
    def corners(self) -> Floats:
        """World corners of the outline [N, 3]."""
        outline = UNIT_SQUARE if self.outline is None else self.outline
        return np.asarray(self.origin + outline[:, :1] * self.across + outline[:, 1:] * self.up)

    def part_of(self, thing: Thing) -> "Panel":
        """The same panel as a part of a thing."""
        return replace(self, thing=thing)

    def paint(self, canvas: Canvas) -> None:
        """Draw what the camera sees of this panel."""
        camera = canvas.camera
        normal = self.normal
        if normal @ (camera.position - self.origin) <= 0:
            if not (self.two_sided or self.texture.has_openings):
                return
            normal = -normal
        plane = camera.inverse_depth(self.origin, normal)
        polygon = clip_near(self.corners, camera)
        if plane is None or len(polygon) < 3:
            return
        pixels = camera.project(polygon)[0]
        window = canvas.window(pixels)
        area = cv2.contourArea(pixels.astype(np.float32))
        if window is None or area < 0.3:
            return
        rows, cols = window[0].stop - window[0].start, window[1].stop - window[1].start
        outline = np.zeros((rows, cols), np.uint8)
        corner = np.array([window[1].start, window[0].start])
        shape = np.clip((pixels - corner - 0.5) * 16, -4e6, 4e6).round().astype(np.int32)
        cv2.fillConvexPoly(outline, shape, 255, shift=4)

        x = (window[1].start + 0.5 + np.arange(cols)) * plane[0]
        y = (window[0].start + 0.5 + np.arange(rows)) * plane[1] + plane[2]
        nearness = x.astype(np.float32)[None, :] + y.astype(np.float32)[:, None]
        mask = (outline > 0) & (nearness > canvas.nearness[window])
        if not mask.any():
            return
        texture = self.texture
        if canvas.depth_only and not texture.has_openings:
            canvas.put(window, mask, nearness, None, None)
            return

        texels = texture.colour.shape[0] * texture.colour.shape[1]
        level = texture.level(math.sqrt(texels / max(area, 1.0)))
        colour = texture.colours(level)
        # Texel centres lie at half-integers, as do pixel centres.
        height, width = colour.shape[:2]
        texel_to_plane = np.array([[1 / width, 0, 0.5 / width], [0, -1 / height, 1 - 0.5 / height], [0, 0, 1]])
        shift = np.array([[1, 0, -corner[0] - 0.5], [0, 1, -corner[1] - 0.5], [0, 0, 1]])
        homography = shift @ camera.plane_homography(self.origin, self.across, self.up) @ texel_to_plane
        colour = _warp(colour, homography, cols, rows)
        if texture.has_openings:
            mask &= colour[..., 3] > thresholds(level, window)
        if canvas.depth_only:
            canvas.put(window, mask, nearness, None, None)
            return
        light = _warp(texture.lights(level, *self._sun_along(canvas.sun, normal)), homography, cols, rows)
        self._scale_sun(light, canvas.sun, normal)
        canvas.put(window, mask, nearness, colour, light)

    def _sun_along(self, sun: Floats, normal: Floats) -> tuple[float, float]:
        return float(sun @ self.across / np.linalg.norm(self.across)), float(sun @ normal)

    def _scale_sun(self, light: Bytes, sun: Floats, normal: Floats) -> None:
        """Turn `128 = flat wall` into the sun that falls on this wall; the last channel is for water only."""
        facing = 0.55 if self.upright_light else max(float(sun @ normal), 0.0)
        table = np.clip(np.arange(256) * (facing * 1.4), 0, 255).astype(np.uint8)
        light[..., 1] = cv2.LUT(light[..., 1], table)
        light[..., 3] = 0


def _warp(image: Bytes, homography: Floats, cols: int, rows: int) -> Bytes:
    return np.asarray(
        cv2.warpPerspective(image, homography, (cols, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        dtype=np.uint8,
    )
