"""A pinhole camera, the one model behind every demo picture.

World: metres, x east, y north, z up, ground at z = 0. Camera: x right, y down, z forward. A pixel's ray is scaled
to unit depth, so that the number along a ray is the depth itself (Hartley and Zisserman, Multiple View Geometry,
chapter 6).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NEAR = 0.5  # metres; nothing closer is drawn


@dataclass(frozen=True)
class Camera:
    """A calibrated view.

    Attributes:
        width, height: picture size in pixels.
        intrinsics: K, float64 [3, 3].
        rotation: world to camera, float64 [3, 3].
        position: centre of projection in the world, float64 [3].
    """

    width: int
    height: int
    intrinsics: Floats
    rotation: Floats
    position: Floats

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Project world points [N, 3] to pixels [N, 2] and depths [N] in metres."""
        seen = (points - self.position) @ self.rotation.T
        depth = seen[:, 2]
        pixels = seen @ self.intrinsics.T
        return pixels[:, :2] / depth[:, None], depth

    def plane_homography(self, origin: Floats, across: Floats, up: Floats) -> Floats:
        """Homography [3, 3] from (s, t), meaning the world point origin + s·across + t·up, to pixels."""
        columns = np.stack([across, up, origin - self.position], axis=1)
        return self.intrinsics @ self.rotation @ columns

    @cached_property
    def ray_matrix(self) -> Floats:
        """Matrix [3, 3] from (x, y, 1) in pixels to the world ray of unit depth."""
        return self.rotation.T @ np.linalg.inv(self.intrinsics)

    def inverse_depth(self, origin: Floats, normal: Floats) -> Floats | None:
        """Coefficients (a, b, c) of a plane's 1/depth = a·x + b·y + c over the picture; None seen edge-on."""
        distance = float(normal @ (origin - self.position))
        if abs(distance) < 1e-6:
            return None
        return np.asarray((normal @ self.ray_matrix) / distance)

    def scaled(self, factor: float) -> "Camera":
        """The same view on a picture `factor` times as large."""
        scale = np.diag([factor, factor, 1.0])
        size = round(self.width * factor), round(self.height * factor)
        return Camera(*size, scale @ self.intrinsics, self.rotation, self.position)

    def mirrored(self) -> "Camera":
        """The view of the world mirrored in the ground plane: what still water shows."""
        flip = np.array([1.0, 1.0, -1.0])
        return Camera(self.width, self.height, self.intrinsics, self.rotation * flip, self.position * flip)


def look_at(position: Floats, target: Floats, *, width: int, height: int, focal: float, roll: float = 0.0) -> Camera:
    """Place a camera that looks from `position` to `target`.

    Args:
        position: where the camera is [3].
        target: what is in the middle of the picture [3].
        width: of the picture in pixels.
        height: of the picture in pixels.
        focal: focal length in pixels.
        roll: turn about the optical axis in radians.
    """
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    cos, sin = np.cos(roll), np.sin(roll)
    rotation = np.stack([cos * right + sin * down, cos * down - sin * right, forward])
    intrinsics = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Camera(width, height, intrinsics, rotation, np.asarray(position, dtype=np.float64))


def clip_near(polygon: Floats, camera: Camera) -> Floats:
    """Cut a convex world polygon [N, 3] where it passes behind the camera; may come back empty [0, 3]."""
    depth = (polygon - camera.position) @ camera.rotation[2] - NEAR
    if (depth > 0).all():
        return polygon
    kept = []
    for i in range(len(polygon)):
        j = (i + 1) % len(polygon)
        if depth[i] > 0:
            kept.append(polygon[i])
        if (depth[i] > 0) != (depth[j] > 0):
            share = depth[i] / (depth[i] - depth[j])
            kept.append(polygon[i] + share * (polygon[j] - polygon[i]))
    return np.array(kept).reshape(-1, 3)
