"""How images are embedded (scales, mirroring, regions), and the result of embedding them."""

from dataclasses import dataclass

from landmarks.data import ImageSet
from landmarks.errors import LandmarksError
from landmarks.retrieval import Descriptors, DescriptorSet, Pipeline, regions_of


@dataclass(frozen=True)
class Extraction:
    """Which views of an image are embedded.

    With several views the descriptor is the sum of the views' L2-normalised descriptors; with one view it is the output
    of the network. The same holds for each region: it is embedded in every view, and regions of mirrored views are
    matched to those of the unmirrored ones.

    Attributes:
        scales: Factors of the input size, each a view of its own, resized from the original image.
        flip: Also embed every view mirrored.
        regions: Levels of a grid of regions that are embedded too, for regional diffusion; 0 for none.
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

    def require(self, pipeline: Pipeline) -> None:
        """Raise LandmarksError if a stage of the pipeline needs regions and none will be extracted."""
        if "regions" in pipeline.needs and not self.regions:
            raise LandmarksError("The pipeline has a stage that needs regional descriptors: set extraction.regions=3.")


@dataclass(frozen=True)
class Embedded:
    """A set of images and its descriptors.

    Attributes:
        images: All images of the set, in any order, with those that could not be read.
        descriptors: Descriptors of the n images that could be read, in any order.
        regions: Descriptors of the regions of the same images, R x D values in each row; None if not extracted.
    """

    images: ImageSet
    descriptors: DescriptorSet
    regions: DescriptorSet | None = None

    @property
    def readable(self) -> ImageSet:
        """The n images in the order of `descriptors`."""
        return self.images.take(self.images.table.find(self.descriptors.ids))

    @property
    def region_rows(self) -> Descriptors | None:
        """Descriptors of regions [n, R, D] in the order of `descriptors`, memory-mapped; None if not extracted."""
        return None if self.regions is None else regions_of(self.descriptors, self.regions)
