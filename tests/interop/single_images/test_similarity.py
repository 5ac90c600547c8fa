"""Descriptors are those of the published steps, one after the other; cosines those of the definition."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from image_models import photograph
from landmarks.data.images import Preprocessing
from landmarks.errors import LandmarksError
from landmarks.interop import embed_images, similarities, single_images
from landmarks.models import OpenedModel, load_model, open_model


def test_images_are_sized_normalised_and_embedded_as_published(retrieval: Path, tmp_path: Path) -> None:
    sizes = [(120, 160), (300, 200), (40, 1600), (97, 97)]
    paths = [photograph(tmp_path / f"{i}.png", i, *size) for i, size in enumerate(sizes)]
    found = embed_images(open_model(retrieval, "descriptors"), paths)
    # by hand: short side 96, each side rounded and floored to a multiple of 32; 1:40 shrinks by 3/40
    for row, path, (width, height) in zip(found, paths, [(128, 96), (96, 128), (288, 32), (96, 96)], strict=True):
        pixels = np.asarray(Image.open(path).resize((width, height), Image.Resampling.LANCZOS), np.float32)
        mean = np.array([0.485, 0.456, 0.406], np.float32) * 255
        std = np.array([0.229, 0.224, 0.225], np.float32) * 255
        images = torch.from_numpy((pixels - mean) / std).permute(2, 0, 1)[None].contiguous()
        with torch.inference_mode():
            expected = load_model(retrieval)(images)[0].numpy()
        np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def fake(retrieval: Path, side: int, give: Callable[[torch.Tensor], torch.Tensor]) -> OpenedModel:
    """The opened model with another network and size."""
    opened = open_model(retrieval, "descriptors")
    network = torch.nn.Identity()
    network.forward = give  # type: ignore[method-assign]
    record = replace(opened.record, name="net", preprocessing=Preprocessing("aspect", side))
    return replace(opened, record=record, network=network)


def test_cosines_of_the_first_with_the_others_in_their_order() -> None:
    rows = np.array([[3.0, 0.0], [5.0, 5.0], [-2.0, 0.0], [0.0, 7.0], [9.0, 0.0]], np.float32)
    assert similarities(rows).tolist() == pytest.approx([0.5**0.5, -1.0, 0.0, 1.0], abs=1e-15)
    assert len(similarities(rows[:1])) == 0
    many = np.random.default_rng(0).normal(size=(1, 512)).astype(np.float32).repeat(50, axis=0)
    assert np.abs(similarities(many)).max() <= 1.0


def test_images_are_embedded_in_batches_of_one_shape_with_a_sensible_number_of_threads(
    retrieval: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [(64, 64), (64, 128), (96, 96)]
    paths = [photograph(tmp_path / f"{i}.png", i, *sizes[i % 3]) for i in range(40)]
    calls = []

    def give(images: torch.Tensor) -> torch.Tensor:
        calls.append((tuple(images.shape), torch.get_num_threads()))
        return images.mean(dim=(2, 3)).repeat(1, 2)

    embedder = fake(retrieval, 64, give)
    torch.set_num_threads(4)
    try:
        monkeypatch.setattr(single_images, "idle_cores", lambda: 4)
        found = embed_images(embedder, paths)
        assert torch.get_num_threads() == 4
        one_by_one = np.concatenate([embed_images(embedder, [path]) for path in paths])
        np.testing.assert_allclose(found, one_by_one, rtol=1e-5)
        batches = [shape for shape, _ in calls[:-40]]
        assert sum(shape[0] for shape in batches) == 40 and len(batches) == 4 and batches[0] == (21, 3, 64, 64)
        assert [threads for shape, threads in calls] == [
            max(min(shape[0] * shape[2] * shape[3] // 2**15, 4), 1) for shape, _ in calls
        ]
        monkeypatch.setattr(single_images, "idle_cores", lambda: 1)
        calls.clear()
        embed_images(embedder, paths)
        assert {threads for _, threads in calls} == {1}, "nobody waits for threads on a busy machine"
    finally:
        torch.set_num_threads(1)


def test_a_batch_is_bounded_in_pixels(retrieval: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_images, "BATCH_PIXELS", 3 * 64 * 64)
    seen: list[int] = []

    def give(images: torch.Tensor) -> torch.Tensor:
        seen.append(len(images))
        return torch.ones(len(images), 4)

    embed_images(fake(retrieval, 64, give), [photograph(tmp_path / f"{i}.png", i, 64, 64) for i in range(8)])
    assert seen == [3, 3, 2]


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_descriptors_without_direction_are_an_error_that_names_the_image(
    retrieval: Path, tmp_path: Path, value: float
) -> None:
    path = photograph(tmp_path / "a.png")
    embedder = fake(retrieval, 64, lambda images: torch.full((1, 4), value))
    with pytest.raises(LandmarksError, match=r"a\.png: net gives a descriptor that is not finite, or all zeros"):
        embed_images(embedder, [path])
