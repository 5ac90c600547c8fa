"""Table of the published networks, which won second place in both 2019 Google Landmark challenges.

It holds the backbone of each network, the names of the layers in its weight file, and the size of its images.
"""

from dataclasses import dataclass
from typing import Literal

BackboneName = Literal["res152", "res200", "se_x152", "inceptionv4"]


@dataclass(frozen=True)
class PublishedModel:
    """One row of the table of published models.

    Attributes:
        backbone: Name of the backbone in this package.
        naming: Scheme by which its file names the backbone's variables.
        dim: Length of the descriptor; None if the pooled features are the descriptor.
        descriptor: Name of the fully connected layer that gives the descriptor, if there is one.
        classifier: Name of the fully connected layer that gives the class scores, if there is one.
        short_side: Short side of the images in pixels, before it is floored to a multiple of 32.
    """

    backbone: BackboneName
    naming: Literal["placed", "numbered", "se_resnext", "inception"]
    dim: int | None = 512
    descriptor: str | None = "fc_0"
    classifier: str | None = None
    short_side: int = 448


# The published models by the names of their files.
PUBLISHED_MODELS = {
    "res152_arcmargin": PublishedModel("res152", "numbered"),
    "res152_arcmargin_index": PublishedModel("res152", "numbered"),
    "res152_npairs": PublishedModel("res152", "numbered"),
    "res200_arcmargin": PublishedModel("res200", "placed"),
    "se_x152_arcmargin": PublishedModel("se_x152", "se_resnext", descriptor="fc_100"),
    "inceptionv4_arcmargin": PublishedModel("inceptionv4", "inception", short_side=555),
    "res152_softmax_v1": PublishedModel("res152", "placed", dim=256, classifier="fc_1", short_side=224),
    "res152_softmax_v2": PublishedModel(
        "res152", "placed", dim=None, descriptor=None, classifier="fc_0", short_side=224
    ),
}
