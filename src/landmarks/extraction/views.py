"""How images become descriptors: scales, mirroring, regions; and what comes of it."""

from dataclasses import dataclass

from landmarks.data import ImageSet
from landmarks.errors import LandmarksError
from landmarks.retrieval import Descriptors, DescriptorSet, Pipeline, regions_of


@dataclass(frozen=True)
class Extraction:
    """Which views of an image are embedded.

    With more than one view the descriptor is the sum of the views' L2-normalised descriptors; with one it is what the
    network gives. The same holds for each region: it is embedded in every view, and the mirrored view's regions
    are put back into their places.
    """

    # factors of the input size, each a view of its own, resized from the original image
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False  # also embed every view mirrored
    regions: int = 0  # levels of a grid of regions that are embedded too, for regional diffusion; 0 for none

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", tuple(float(scale) for scale in self.scales))
        if not self.scales or min(self.scales) <= 0 or len(set(self.scales)) < len(self.scales):
            raise LandmarksError(f"extraction.scales={list(self.scales)}: expected different numbers above 0")
        if self.regions < 0:
            raise LandmarksError(f"extraction.regions is {self.regions}: it must be 0 or more")

    def require(self, pipeline: Pipeline) -> None:
        """Check, before any work, that what the stages need will be there."""
        if "regions" in pipeline.needs and not self.regions:
            raise LandmarksError("The pipeline has a stage that needs regional descriptors: set extraction.regions=3.")


@dataclass(frozen=True)
class Embedded:
    """Images and what the network made of them."""

    images: ImageSet  # holds every embedded image, in any order; also those that could not be read
    descriptors: DescriptorSet  # of the n that could be read, in any order
    regions: DescriptorSet | None = None  # of the same images, R x D values a row; None where they were not embedded

    @property
    def readable(self) -> ImageSet:
        """The n images in the order of `descriptors`."""
        return self.images.take(self.images.table.find(self.descriptors.ids))

    @property
    def region_rows(self) -> Descriptors | None:
        """Regions [n, R, D] in the order of `descriptors`, memory-mapped as they lie."""
        return None if self.regions is None else regions_of(self.descriptors, self.regions)
