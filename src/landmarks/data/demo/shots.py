"""Photographs of a landmark: where people stand, when they come, what gets in the way."""

import numpy as np

from landmarks.data.demo.camera import Camera, look_at
from landmarks.data.demo.canvas import Surface
from landmarks.data.demo.landmark import Landmark
from landmarks.data.demo.light import draw_light
from landmarks.data.demo.panel import Panel
from landmarks.data.demo.photograph import draw_exposure
from landmarks.data.demo.render import Scene
from landmarks.data.demo.scenery import doorway, place
from landmarks.data.demo.shapes import point
from landmarks.data.demo.site import Site
from landmarks.data.demo.sprites import TREES

# Width and height of the pictures; all about as many pixels.
FORMATS = ((400, 300), (384, 288), (420, 280), (300, 400), (288, 384), (320, 320), (448, 252), (280, 420))


def photograph(landmark: Landmark, site: Site, seed: list[int], moment: str | None = None) -> Scene:
    """A random picture of a landmark in its place; the same seed gives the same scene."""
    rng = np.random.default_rng(seed)
    camera, azimuth = point_camera(landmark, rng, site.favourite)
    light = draw_light(rng, azimuth, moment)
    surfaces = [*landmark.surfaces, *site.seen_by(camera, landmark), *_bystanders(landmark, camera, rng)]
    ground = site.ground
    if ground != "water" and rng.random() < 0.06:  # dug up, newly paved or sown
        ground = rng.choice(["paving", "lawn", "asphalt"])
    scene_seed = int(rng.integers(1 << 31))
    return Scene(camera, light, surfaces, landmark.centre, landmark.radius * 1.15, ground, site.horizon,
                 draw_exposure(rng), scene_seed)  # fmt: skip


def point_camera(landmark: Landmark, rng: np.random.Generator, favourite: float) -> tuple[Camera, float]:
    """A camera somewhere in front, and the azimuth from the landmark to it.

    Most people take the picture that everyone takes; the others walk around, come close or stand far off.

    Args:
        landmark: what to look at.
        rng: source of chance.
        favourite: the usual direction, radians to the side of the front.
    """
    usual = rng.random() < 0.65
    upright = landmark.height > 1.25 * landmark.width
    fitting = [f for f in FORMATS if (f[1] > f[0]) == upright]
    shapes = fitting if usual or rng.random() < 0.5 else FORMATS
    width, height = shapes[int(rng.integers(len(shapes)))]
    spread = landmark.spread
    turn = favourite + rng.normal(0, 0.2) if usual else rng.uniform(-spread, spread)
    turn = float(np.clip(turn, -spread, spread))
    azimuth = -np.pi / 2 + turn
    focal = max(width, height) * (rng.uniform(0.95, 1.3) if usual else rng.uniform(0.75, 1.6))
    detail = not usual and rng.random() < 0.25
    fill = rng.uniform(1.3, 1.8) if detail else rng.uniform(0.78, 1.0) if usual else rng.uniform(0.5, 1.0)
    seen_width = landmark.width * (abs(np.cos(turn)) if spread < 3 else 1.0)
    away = focal * max(seen_width / (width * fill), landmark.height / (height * fill))
    away = max(away, 0.62 * landmark.width, 14.0)
    eye = rng.uniform(1.5, 2.2) if usual or rng.random() < 0.4 else rng.uniform(0.1, 0.5) * landmark.height + 2
    position = point(away * np.cos(azimuth), landmark.depth + away * np.sin(azimuth), eye)
    aim = landmark.centre + point(0, 0, 0.03 * landmark.height)
    stray = np.clip(rng.normal(0, 0.15 if detail else 0.05, 2), -0.3, 0.3)
    shift = stray * (landmark.width, landmark.height)
    aim = aim + point(shift[0] * -np.sin(azimuth), shift[0] * np.cos(azimuth), shift[1])
    aim[2] = max(aim[2], 0.2 * landmark.height)
    roll = rng.normal(0, 0.02) if usual else rng.normal(0, 0.06)
    return look_at(position, aim, width=width, height=height, focal=focal, roll=roll), azimuth


def _ahead(camera: Camera, far: float, aside: float) -> np.ndarray:
    """A point on the ground `far` metres ahead and `aside` of that to the right."""
    forward, right = camera.rotation[2].copy(), camera.rotation[0].copy()
    forward[2] = right[2] = 0
    forward, right = forward / np.linalg.norm(forward), right / np.linalg.norm(right)
    spot = camera.position + far * (forward + aside * right)
    spot[2] = 0.0
    return np.asarray(spot)


def _bystanders(landmark: Landmark, camera: Camera, rng: np.random.Generator) -> list[Surface]:
    """People, cars, lamps and branches between camera and landmark."""
    surfaces: list[Surface] = []
    if landmark.ground == "water":
        for _ in range(int(rng.integers(0, 3))):
            far = rng.uniform(0.55, 1.4) * np.linalg.norm(camera.position)
            spot = _ahead(camera, float(far), rng.uniform(-0.45, 0.45))
            surfaces.append(place("boat", int(rng.integers(8)), spot, camera))
    distance = float(np.hypot(*(camera.position[:2] - landmark.centre[:2])))
    if landmark.ground != "water":
        kinds = ["person"] * int(rng.poisson(3.5))
        kinds += ["car"] * int(rng.integers(1, 4) * (rng.random() < 0.35))
        kinds += [str(rng.choice(["lamp", "flag"]))] * int(rng.integers(1, 4) * (rng.random() < 0.4))
        surfaces += [_stand(kind, camera, distance, rng, 0.28, 0.85) for kind in kinds]
        if rng.random() < 0.25:
            kind = TREES[int(rng.integers(len(TREES)))]
            surfaces.append(_stand(kind, camera, distance, rng, 0.3, 0.7, edge=True))
    chance = rng.random()
    if chance < 0.06:  # someone poses in front of the lens
        surfaces.append(_close("person", 3.2, rng.uniform(-0.3, 0.3), camera, rng, 1.0))
    elif chance < 0.13:  # leaves hang into the picture
        surfaces.append(_close("broadleaf", 9.0, float(rng.choice([-1, 1])) * 0.55, camera, rng, 1.0))
    elif chance < 0.16:  # seen through an arcade
        surfaces.append(_frame(camera, rng))
    return surfaces


def _stand(kind: str, camera: Camera, distance: float, rng: np.random.Generator, near: float, far: float,
           edge: bool = False) -> Panel:  # fmt: skip
    reach = 0.5 * camera.width / camera.intrinsics[0, 0]
    aside = float(rng.choice([-1, 1])) * rng.uniform(0.6, 1.0) * reach if edge else rng.uniform(-1, 1) * reach
    spot = _ahead(camera, max(distance * rng.uniform(near, far), 6.0), aside)
    return place(kind, int(rng.integers(8)), spot, camera)


def _close(kind: str, far: float, aside: float, camera: Camera, rng: np.random.Generator, scale: float) -> Panel:
    spot = _ahead(camera, far, aside)
    spot[2] = max(camera.position[2] - (1.7 if kind == "person" else 4.0), 0.0)
    return place(kind, int(rng.integers(8)), spot, camera, scale)


def _frame(camera: Camera, rng: np.random.Generator) -> Panel:
    width, height = camera.width / camera.intrinsics[0, 0] * 2.1, camera.height / camera.intrinsics[0, 0] * 2.1
    right, up, forward = camera.rotation[0], -camera.rotation[1], camera.rotation[2]
    corner = camera.position + 2 * forward - right * width / 2 - up * height / 2
    return Panel(corner, right * width, up * height, doorway(rng), two_sided=True)
