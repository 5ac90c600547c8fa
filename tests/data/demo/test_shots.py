"""Views of one facade are related by the homography of the cameras; views of two landmarks by none."""

import cv2
import numpy as np
import pytest

from landmarks.data.demo.camera import Camera, look_at
from landmarks.data.demo.catalogue import build_landmark, kind_of
from landmarks.data.demo.everyday import everyday
from landmarks.data.demo.landmark import Landmark
from landmarks.data.demo.light import draw_light
from landmarks.data.demo.panel import Panel
from landmarks.data.demo.photograph import Exposure
from landmarks.data.demo.render import Scene, render
from landmarks.data.demo.shots import photograph
from landmarks.data.demo.site import draw_site


def number_of(kind: str) -> int:
    return next(n for n in range(40) if kind_of(0, n) == kind)


def view(landmark: Landmark, degrees: float, moment: str, seed: int) -> tuple[np.ndarray, Camera]:
    middle = landmark.facade.corners.mean(0)
    turn = np.radians(degrees) - np.pi / 2
    away = 1.25 * max(landmark.width, landmark.height)
    spot = middle + np.array([away * np.cos(turn), away * np.sin(turn), 0.0])
    spot[2] = 2.0
    camera = look_at(spot, middle, width=420, height=400, focal=430, roll=0.03 * seed)
    light = draw_light(np.random.default_rng(seed), turn, moment)
    scene = Scene(camera, light, landmark.surfaces, landmark.centre, landmark.radius, "paving", ("city", 0, 0.1),
                  Exposure(), seed)  # fmt: skip
    return render(scene), camera


def fronts(landmark: Landmark) -> list[Panel]:
    """The wide walls that face the front; each has a homography of its own."""
    panels = [s for s in landmark.surfaces if isinstance(s, Panel) and s.outline is None]
    return [p for p in panels if p.normal[1] < -0.99 and p.across[0] > 0.15 * landmark.width and p.up[2] > 5]


def match(one: np.ndarray, two: np.ndarray) -> tuple[np.ndarray | None, int]:
    """SIFT, the ratio test and a robust homography; its inliers."""
    cv2.setRNGSeed(1)
    sift = cv2.SIFT_create(1500)
    (points_a, a), (points_b, b) = (
        sift.detectAndCompute(cv2.cvtColor(i, cv2.COLOR_RGB2GRAY), None) for i in (one, two)
    )
    pairs = cv2.BFMatcher().knnMatch(a, b, k=2)
    good = [m for m, n in pairs if m.distance < 0.8 * n.distance]
    if len(good) < 4:
        return None, 0
    source = np.float32([points_a[m.queryIdx].pt for m in good])
    target = np.float32([points_b[m.trainIdx].pt for m in good])
    homography, mask = cv2.findHomography(source, target, cv2.USAC_MAGSAC, 2.5, confidence=0.9999, maxIters=5000)
    return homography, 0 if mask is None else int(mask.sum())


@pytest.mark.parametrize("kind", ["palace", "mosque", "basilica", "capitol", "gatehouse"])
def test_two_views_of_a_facade_agree_with_the_cameras(kind: str) -> None:
    landmark = build_landmark(0, number_of(kind))
    one, first = view(landmark, -14, "clear", 1)
    two, second = view(landmark, 12, "cloudy", 2)
    found, inliers = match(one, two)
    assert found is not None and inliers >= 40
    errors = []
    for wall in fronts(landmark):
        corners, truth = (camera.project(wall.corners)[0] for camera in (first, second))
        mapped = cv2.perspectiveTransform(corners[None], found)[0]
        errors.append(np.linalg.norm(mapped - truth, axis=1).max())
    assert min(errors) < 4.0, "pixels, over the corners of the wall that gave most matches"


def test_two_landmarks_do_not_match() -> None:
    palace, other = (build_landmark(0, number_of(kind)) for kind in ("palace", "town hall"))
    for moment in ("clear", "overcast"):
        one, two = view(palace, -10, moment, 1)[0], view(other, 8, moment, 2)[0]
        assert match(one, two)[1] < 20


@pytest.mark.parametrize("number", range(0, 40, 7))
def test_photographs_show_their_landmark(number: int) -> None:
    landmark = build_landmark(0, number)
    site = draw_site(landmark, [0, number])
    for shot in range(8):
        scene = photograph(landmark, site, [0, number, shot])
        camera = scene.camera
        assert min(camera.width, camera.height) >= 250
        assert max(camera.width, camera.height) <= 450
        pixels, depth = camera.project(landmark.centre[None])
        assert depth[0] > 5 and camera.position[2] > 1
        assert (np.abs(pixels[0] / [camera.width, camera.height] - 0.5) < 0.75).all()


def test_photographs_are_repeatable_and_varied() -> None:
    landmark = build_landmark(0, 5)
    site = draw_site(landmark, [0, 6])
    one, again, other = (render(photograph(landmark, site, [0, 6, shot])) for shot in (1, 1, 2))
    assert np.array_equal(one, again)
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_everyday_pictures_are_repeatable_and_varied() -> None:
    images = [render(everyday([0, 0, shot])) for shot in (*range(12), 0)]
    assert np.array_equal(images[0], images[-1])
    tiny = np.array([cv2.resize(image, (8, 8), interpolation=cv2.INTER_AREA).ravel() for image in images[:-1]], float)
    distance = np.sqrt(((tiny[:, None] - tiny[None]) ** 2).mean(2))[np.triu_indices(12, 1)]
    assert distance.min() > 5 and np.median(distance) > 30
