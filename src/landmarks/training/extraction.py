"""How pictures become descriptors: scales, mirroring, regions."""

from dataclasses import dataclass

from landmarks.errors import LandmarksError


@dataclass(frozen=True)
class Extraction:
    """Which views of a picture are described.

    With more than one view the descriptor is the sum of the views' L2-normalised descriptors; with one it is what the
    network gives.

    Attributes:
        scales: factors of the input size, each a view of its own, resized from the original picture.
        flip: also describe every view mirrored.
        regions: levels of a grid of regions that are described too, for regional diffusion; 0 for none.

    Raises:
        LandmarksError: no scale, one that is not above 0, or fewer than 0 levels.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    regions: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", tuple(float(scale) for scale in self.scales))
        if not self.scales or min(self.scales) <= 0 or len(set(self.scales)) < len(self.scales):
            raise LandmarksError(f"extraction.scales={list(self.scales)}: expected different numbers above 0")
        if self.regions < 0:
            raise LandmarksError(f"extraction.regions is {self.regions}: it must be 0 or more")
