import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data.demo.camera import NEAR, Camera, clip_near, look_at

metres = st.floats(-50, 50)


@st.composite
def cameras(draw: st.DrawFn) -> Camera:
    azimuth, away, eye = draw(st.floats(-3, 3)), draw(st.floats(5, 200)), draw(st.floats(0.5, 60))
    position = np.array([away * np.cos(azimuth), away * np.sin(azimuth), eye])
    target = np.array([draw(st.floats(-2, 2)), draw(st.floats(-2, 2)), draw(st.floats(0, 30))])
    roll = draw(st.floats(-0.3, 0.3))
    return look_at(position, target, width=400, height=300, focal=draw(st.floats(200, 900)), roll=roll)


@given(cameras())
def test_rotation_is_one(camera: Camera) -> None:
    np.testing.assert_allclose(camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(camera.rotation) > 0


def test_up_is_up_and_right_is_right() -> None:
    camera = look_at(np.array([0.0, -10, 2]), np.array([0.0, 0, 2]), width=100, height=80, focal=100)
    pixels, depth = camera.project(np.array([[0.0, 0, 2], [1, 0, 2], [0, 0, 3]]))
    np.testing.assert_allclose(pixels, [[50, 40], [60, 40], [50, 30]], atol=1e-9)
    np.testing.assert_allclose(depth, 10)


@given(cameras(), metres, metres)
def test_homography_and_depth_of_a_plane_agree_with_projection(camera: Camera, s: float, t: float) -> None:
    origin, across, up = np.array([-1.0, 2, 0]), np.array([0.9, 0.3, 0]), np.array([0.0, 0.2, 1])
    world = origin + s * across + t * up
    pixels, depth = camera.project(world[None])
    if depth[0] < 0.1:
        return
    mapped = camera.plane_homography(origin, across, up) @ [s, t, 1]
    np.testing.assert_allclose(mapped[:2] / mapped[2], pixels[0], rtol=1e-6, atol=1e-5)
    plane = camera.inverse_depth(origin, np.cross(across, up))
    if plane is not None:
        np.testing.assert_allclose(plane @ [*pixels[0], 1], 1 / depth[0], rtol=1e-5, atol=1e-9)


@given(cameras(), metres, metres, st.floats(0, 40))
def test_mirrored_view_sees_the_mirrored_world(camera: Camera, x: float, y: float, z: float) -> None:
    straight, depth = camera.project(np.array([[x, y, -z]]))
    if depth[0] > 0.1:
        np.testing.assert_allclose(camera.mirrored().project(np.array([[x, y, z]]))[0], straight, rtol=1e-9)


@given(cameras(), st.floats(0.5, 3))
def test_scaled_view_scales_pixels(camera: Camera, factor: float) -> None:
    point = np.zeros((1, 3))
    np.testing.assert_allclose(camera.scaled(factor).project(point)[0], factor * camera.project(point)[0], rtol=1e-9)


def test_clipping_keeps_what_is_in_front() -> None:
    camera = look_at(np.array([0.0, 0, 2]), np.array([0.0, 10, 2]), width=100, height=100, focal=100)
    wall = np.array([[1.0, -5, 0], [1, 5, 0], [1, 5, 4], [1, -5, 4]])
    kept = clip_near(wall, camera)
    assert kept[:, 1].min() == NEAR and kept[:, 1].max() == 5
    assert len(clip_near(wall - np.array([0, 10, 0]), camera)) == 0
    ahead = wall + np.array([0, 10, 0])
    np.testing.assert_array_equal(clip_near(ahead, camera), ahead)
