"""`landmarks descriptors join`: one descriptor set of those of several models."""

from typing import Annotated

import typer

from landmarks.cli.descriptors.show import Dtype, OutPath, Precision, SetPaths, print_sets, set_endings
from landmarks.errors import LandmarksError

Weights = Annotated[
    str | None, typer.Option(metavar="NUMBERS", help="One for each set, with commas; 1 by default.", show_default=False)
]
MaxMissing = Annotated[
    float, typer.Option(min=0, max=1, help="Share of the pictures that may be absent from one of the sets.")
]


def join(
    out: OutPath,
    sets: SetPaths,
    weights: Weights = None,
    max_missing: MaxMissing = 0.01,
    dtype: Dtype = Precision.float32,
) -> None:
    """Join the descriptors that several models give for the same pictures.

    Rows are L2-normalised and weighed, so that the cosine of joined rows is the mean of the models' cosines with the
    squared weights. Join queries and index alike.
    """
    from landmarks.retrieval import DescriptorSet, join_sets

    with set_endings():
        numbers = None if weights is None else _numbers(weights)
        opened = [DescriptorSet.open(path) for path in sets]
        print_sets([join_sets(out, opened, numbers, dtype.value, max_missing)])


def _numbers(text: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise LandmarksError(f"--weights {text}: expected numbers with commas between, such as 1,0.5") from None
