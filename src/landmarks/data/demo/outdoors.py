"""Pictures under the open sky without a landmark: woods, beaches, streets, people, cars, wide country."""

import numpy as np

from landmarks.data.demo.camera import Camera, look_at
from landmarks.data.demo.canvas import Surface
from landmarks.data.demo.ground import Ground
from landmarks.data.demo.light import draw_light
from landmarks.data.demo.photograph import draw_exposure
from landmarks.data.demo.relief import Relief
from landmarks.data.demo.render import Scene
from landmarks.data.demo.scenery import moved, ordinary_house, place
from landmarks.data.demo.shapes import floor, point
from landmarks.data.demo.shots import FORMATS
from landmarks.data.demo.sky import Horizon
from landmarks.data.demo.sprites import TREES


def under_the_sky(rng: np.random.Generator, surfaces: list[Surface], camera: Camera, ground: Ground, horizon: Horizon,
                  radius: float = 40.0) -> Scene:  # fmt: skip
    """A scene of these surfaces at a random moment, with the sun mostly behind the camera."""
    light = draw_light(rng, float(np.arctan2(*(-camera.rotation[2][[1, 0]]))))
    turn = float(rng.uniform())
    return Scene(camera, light, surfaces, point(0, radius * 0.6), radius, ground, (horizon, int(rng.integers(3)), turn),
                 draw_exposure(rng), int(rng.integers(1 << 31)))  # fmt: skip


def anywhere(rng: np.random.Generator, eye: float = 1.7, aim: float = 2.5, far: float = 30.0) -> Camera:
    """A view north from the origin at height `eye`, towards about `aim` metres above the ground `far` away."""
    width, height = FORMATS[int(rng.integers(len(FORMATS)))]
    focal = max(width, height) * rng.uniform(0.75, 1.3)
    target = point(rng.normal(0, 2), far, aim * rng.uniform(0.6, 1.4))
    return look_at(point(0, 0, eye), target, width=width, height=height, focal=focal, roll=rng.normal(0, 0.02))


def woods(rng: np.random.Generator) -> Scene:
    """Trees near and far."""
    camera = anywhere(rng, aim=4)
    kinds = rng.choice(TREES, 2)
    surfaces: list[Surface] = []
    for _ in range(int(rng.integers(12, 34))):
        far = rng.uniform(9, 60)
        spot = point(rng.uniform(-0.6, 0.6) * far, far)
        surfaces.append(place(str(rng.choice(kinds)), int(rng.integers(8)), spot, camera, rng.uniform(0.7, 1.4)))
    return under_the_sky(rng, surfaces, camera, "lawn", rng.choice(["woods", "hills", "mountains"]))


def beach(rng: np.random.Generator) -> Scene:
    """Sand with parasols, bathers and palms, or boats on the sea."""
    camera = anywhere(rng, aim=1.5)
    surfaces: list[Surface] = []
    at_sea = rng.random() < 0.4
    for _ in range(int(rng.integers(4, 14))):
        far = rng.uniform(8, 55)
        kind = "boat" if at_sea else str(rng.choice(["parasol", "person", "palm", "person"]))
        surfaces.append(place(kind, int(rng.integers(8)), point(rng.uniform(-0.5, 0.5) * far, far), camera))
    if not at_sea:
        sea = Relief(60, 30, (0.25, 0.45, 0.52), rng, 128)
        sea.weather(0.4)
        surfaces.append(floor(0, 290, 0.03, 900, 430, sea.texture()))
    return under_the_sky(rng, surfaces, camera, "water" if at_sea else "sand", rng.choice(["hills", "none"]))


def street(rng: np.random.Generator) -> Scene:
    """A row of ordinary houses with cars, lamps and passers-by."""
    camera = anywhere(rng, aim=4)
    surfaces: list[Surface] = []
    if rng.random() < 0.5:  # along the street
        for side in (-1, 1):
            y = rng.uniform(8, 14)
            for _ in range(4):
                house, wide, _ = ordinary_house(int(rng.integers(16)))
                surfaces += moved(house, point(side * 9, y + wide / 2), -side * np.pi / 2)
                y += wide
    else:
        x = -28.0
        while x < 28:
            house, wide, _ = ordinary_house(int(rng.integers(16)))
            surfaces += moved(house, point(x + wide / 2, 26), 0.0)
            x += wide + (rng.uniform(2, 6) if rng.random() < 0.3 else 0)
    for kind, number in (("car", 4), ("person", 5), ("lamp", 3), ("broadleaf", 2)):
        for _ in range(int(rng.integers(0, number + 1))):
            far = rng.uniform(9, 22)
            surfaces.append(place(kind, int(rng.integers(8)), point(rng.uniform(-0.4, 0.4) * far, far), camera))
    return under_the_sky(rng, surfaces, camera, rng.choice(["asphalt", "paving"]), rng.choice(["city", "hills"]))


def portrait(rng: np.random.Generator) -> Scene:
    """People close by, somewhere outdoors."""
    camera = anywhere(rng, aim=1.3, far=6)
    surfaces: list[Surface] = [
        place("person", int(rng.integers(8)), point(rng.uniform(-0.8, 0.8), 2.0 + 0.4 * i), camera)
        for i in range(int(rng.integers(1, 6)))
    ]
    for _ in range(int(rng.integers(0, 9))):
        far = rng.uniform(12, 40)
        kind = str(rng.choice(["broadleaf", "bush", "conifer", "lamp", "car"]))
        surfaces.append(place(kind, int(rng.integers(8)), point(rng.uniform(-0.5, 0.5) * far, far), camera))
    return under_the_sky(
        rng, surfaces, camera, rng.choice(["lawn", "paving", "sand"]), rng.choice(["woods", "city", "hills"]), 20
    )


def traffic(rng: np.random.Generator) -> Scene:
    """Cars, close."""
    camera = anywhere(rng, aim=0.9, far=9)
    surfaces: list[Surface] = []
    for _ in range(int(rng.integers(1, 6))):
        far = rng.uniform(4.5, 18)
        surfaces.append(place("car", int(rng.integers(8)), point(rng.uniform(-0.35, 0.35) * far, far), camera))
    for _ in range(int(rng.integers(0, 6))):
        far = rng.uniform(15, 40)
        surfaces.append(
            place(str(rng.choice(TREES)), int(rng.integers(8)), point(rng.uniform(-0.5, 0.5) * far, far), camera)
        )
    return under_the_sky(rng, surfaces, camera, "asphalt", rng.choice(["city", "woods"]), 20)


def wide_country(rng: np.random.Generator) -> Scene:
    """Hills or mountains under a large sky, perhaps over a lake."""
    camera = anywhere(rng, eye=rng.uniform(2, 30), aim=12, far=60)
    ground: Ground = rng.choice(["lawn", "water", "sand"])
    surfaces: list[Surface] = []
    for _ in range(int(rng.integers(0, 6))):
        far = rng.uniform(30, 90)
        kind = "boat" if ground == "water" else str(rng.choice(TREES))
        surfaces.append(place(kind, int(rng.integers(8)), point(rng.uniform(-0.5, 0.5) * far, far), camera))
    return under_the_sky(rng, surfaces, camera, ground, rng.choice(["mountains", "hills", "woods"]))
