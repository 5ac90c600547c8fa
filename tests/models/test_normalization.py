import pytest
import torch

from landmarks.data.images import MEAN, STD
from landmarks.models import normalize


def test_values() -> None:
    images = torch.randint(256, (2, 3, 5, 7), dtype=torch.uint8)
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    torch.testing.assert_close(normalize(images), (images.float() / 255 - mean) / std)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_memory_format_stays_and_the_images_are_left_alone(layout: torch.memory_format) -> None:
    images = torch.full((2, 3, 6, 8), 9, dtype=torch.uint8).contiguous(memory_format=layout)
    assert normalize(images).is_contiguous(memory_format=layout) and (images == 9).all()


def test_other_types_and_shapes_are_refused() -> None:
    with pytest.raises(TypeError, match="float32"):
        normalize(torch.zeros(1, 3, 2, 2))
    for shape in ((3, 2, 2), (1, 4, 2, 2), (1, 2, 2, 3)):
        with pytest.raises(ValueError, match=r"\[B, 3, H, W\]"):
            normalize(torch.zeros(shape, dtype=torch.uint8))
