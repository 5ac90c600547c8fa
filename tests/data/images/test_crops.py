import albumentations as A  # noqa: N812 - the name its users know
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data.images import draw_crop, generators, scaled


def test_a_crop_depends_on_size_and_seed_alone() -> None:
    crop = A.RandomResizedCrop((8, 8), scale=(0.1, 0.5))
    first = [draw_crop(crop, (300, 400), generators(seed)) for seed in range(20)]
    assert first == [draw_crop(crop, (300, 400), generators(seed)) for seed in range(20)]
    assert len(set(first)) == 20
    for left, top, right, bottom in first:
        assert 0 <= left < right <= 400 and 0 <= top < bottom <= 300


@given(
    box=st.tuples(*[st.integers(0, 100)] * 4),
    size=st.tuples(st.integers(1, 100), st.integers(1, 100)),
    divisor=st.sampled_from([1, 2, 4, 8]),
)
def test_scaled_boxes_lie_inside(box: tuple[int, int, int, int], size: tuple[int, int], divisor: int) -> None:
    left, right = sorted(side % (size[1] + 1) for side in box[::2])
    top, bottom = sorted(side % (size[0] + 1) for side in box[1::2])
    small = -(-size[0] // divisor), -(-size[1] // divisor)
    x, y, x2, y2 = scaled((left, top, right, bottom), size, small)
    assert 0 <= x < x2 <= small[1] and 0 <= y < y2 <= small[0]
    if divisor == 1 and left < right and top < bottom:
        assert (x, y, x2, y2) == (left, top, right, bottom)
