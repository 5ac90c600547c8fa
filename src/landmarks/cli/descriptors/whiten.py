"""`landmarks descriptors whiten`: learn a whitening, or apply one that was saved."""

from pathlib import Path
from typing import Annotated

import typer

from landmarks.cli.descriptors.show import Dtype, OutPath, Precision, print_sets, set_endings
from landmarks.errors import LandmarksError

SetPath = Annotated[Path, typer.Argument(metavar="SET", help="Folder of a descriptor set.")]
LearnOn = Annotated[
    Path | None,
    typer.Option(metavar="SET", help="Learn the whitening on this set; not on the one that is scored."),
]
Dim = Annotated[int | None, typer.Option(help="Axes to keep.", show_default=False)]
Power = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="1 whitens, 0 turns and cuts only (PCA); 1 by default.", show_default=False),
]
WhiteningFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Apply a whitening that was saved.")]
SaveWhitening = Annotated[Path | None, typer.Option(metavar="FILE", help="Save what was learned (.safetensors).")]


def whiten(
    out: OutPath,
    described: SetPath,
    learn_on: LearnOn = None,
    dim: Dim = None,
    power: Power = None,
    whitening: WhiteningFile = None,
    save_whitening: SaveWhitening = None,
    dtype: Dtype = Precision.float32,
) -> None:
    """Whiten a set, with a whitening learned now (--learn-on, --dim) or saved before (--whitening).

    Whiten queries and index with the same file: sets that were whitened otherwise are not compared.
    """
    from landmarks.retrieval import DescriptorSet, learn_whitening, load_whitening, whiten_set
    from landmarks.retrieval import save_whitening as save

    with set_endings() as stderr:
        source = DescriptorSet.open(described)
        if whitening is not None:
            if (learn_on, dim, power, save_whitening) != (None,) * 4:
                raise LandmarksError(
                    "--whitening brings what was learned: leave out --learn-on, --dim, --power and --save-whitening"
                )
            learned = load_whitening(whitening)
        elif learn_on is not None and dim is not None:
            if save_whitening is not None and save_whitening.exists():
                raise LandmarksError(f"{save_whitening} exists already: apply it with --whitening, or remove it")
            learned = learn_whitening(DescriptorSet.open(learn_on), dim, 1.0 if power is None else power)
        else:
            raise LandmarksError("give --learn-on SET and --dim NUMBER, or --whitening FILE")
        origin = f"{learned.protocol.data} {learned.protocol.split}".strip() or "a set without a name"
        stderr.print(
            f"Whitening {learned.hash}: {learned.dim} of {len(learned.mean)} axes with {learned.explained:.1%} of the "
            f"variance, power {learned.power:g}, learned on {origin}",
            markup=False,
        )
        whitened = whiten_set(out, source, learned, dtype.value)
        if save_whitening is not None:
            save(learned, save_whitening)
        print_sets([whitened])
