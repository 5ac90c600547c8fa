"""An extractor for tests of what is around extractors, in a module that other processes can import."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.local_features import FeatureKind, LocalFeatures

DIM = 8
KIND = FeatureKind("corners", DIM, "uint8", 1.0)


class Corners:
    """An extractor whose features are the first pixels of an image, and that can be slow and count its work."""

    kind = KIND
    on_gpu = False

    def __init__(self, setting: int = 0, seconds: float = 0.0, tally: Path | None = None) -> None:
        self.setting = setting
        self.seconds = seconds
        self.tally = tally

    def signature(self) -> dict[str, Any]:
        return {"extractor": "corners", "setting": self.setting}

    def __call__(self, image: NDArray[np.uint8]) -> LocalFeatures:
        time.sleep(self.seconds)
        if self.tally is not None:
            with self.tally.open("a") as file:
                file.write("x")
        count = int(image[0, 0, 0]) % 7
        values = image.reshape(-1)[: count * DIM].reshape(count, DIM)
        points = np.arange(2 * count, dtype=np.float32).reshape(count, 2)
        return LocalFeatures(points, points[:, 0] + 1, -points[:, 0], values.copy(), image.shape[:2], KIND)
