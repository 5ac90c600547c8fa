"""Tables and plots of the benchmarks, from the CSV files that they write."""

from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import polars as pl

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"
MACHINE = ("machine", "cpu", "cores")
LOADS = ("load", "load_1min")
VERSIONS = (
    *("python", "numpy", "scipy", "numba", "faiss_cpu", "torch", "torchvision", "onnxruntime", "polars", "pillow"),
    *("simplejpeg", "albumentations", "opencv_python_headless", "scikit_image"),
)
LONG = 20
"""From so many rows on a table scrolls by itself."""


def tables() -> Iterator[tuple[str, str]]:
    """Give the name and the Markdown table of every result."""
    for path in sorted(RESULTS.glob("*.csv")):
        yield path.stem, _table(path)


def _table(path: Path) -> str:
    """Show what varies as a table, and in a line what was the same in all rows."""
    rows = pl.read_csv(path, infer_schema=False).fill_null("")
    same = {name: rows[name][0] for name in rows.columns if rows[name].n_unique() == 1}
    aside = {*MACHINE, *LOADS, *VERSIONS}
    shown = [name for name in rows.columns if name not in aside and (name not in same or len(rows) < 3)]
    fixed = {name: value for name, value in same.items() if name not in aside and name not in shown and value}
    lines = [":::{container} long", ""] if len(rows) > LONG else []
    lines += [f"| {' | '.join(_heading(name) for name in shown)} |", f"|{'---|' * len(shown)}"]
    lines += [f"| {' | '.join(_cell(row[name]) for name in shown)} |" for row in rows.iter_rows(named=True)]
    lines += ["", ":::"] if len(rows) > LONG else []
    notes = [f"in all rows: {', '.join(f'{_heading(k)} {_cell(v)}' for k, v in fixed.items())}"] if fixed else []
    notes.append(f"machine: {_machine(rows)}")
    notes.append(f"file: {{download}}`{path.name} </../benchmarks/results/{path.name}>`")
    return "\n".join([*lines, "", f"*{'; '.join(notes)}.*", ""])


def _machine(rows: pl.DataFrame) -> str:
    words = []
    for name in (*MACHINE, *VERSIONS):
        if name in rows.columns:
            values = " or ".join(sorted(set(rows[name]) - {""}))
            words.append(
                values if name in ("machine", "cpu") else f"{values} {name}" if name == "cores" else f"{name} {values}"
            )
    for name in LOADS:
        if name in rows.columns:
            loads = [float(value) for value in rows[name] if value]
            words.append(f"load {min(loads):g} to {max(loads):g}")
    return ", ".join(words)


def _heading(name: str) -> str:
    return name.replace("_", " ")


def _cell(value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        return value.replace("|", r"\|")
    if "e" in value.lower() or "." not in value:
        return value
    return f"{number:.4g}" if abs(number) < 1000 else f"{number:.0f}"


def draw(folder: Path) -> None:
    """Write the plots as SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    style = {"svg.hashsalt": "landmarks", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    for name, paint in {
        "losses": _losses,
        "inference": _inference,
        "neighbours": _neighbours,
        "diffusion": _diffusion,
        "cleaning": _cleaning,
    }.items():
        with mpl.rc_context(style):
            figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
            paint(axes)
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
            plt.close(figure)


def _losses(axes: list[Axes]) -> None:
    rows = pl.read_csv(RESULTS / "losses.csv")
    for (loss, way), part in rows.group_by("loss", "implementation", maintain_order=True):
        style = "-o" if way == "ours" else "--s"
        axes[0].plot(part["classes"], part["peak_mb"], style, label=f"{loss}, {way}")
        axes[1].plot(part["classes"], part["seconds"], style, label=f"{loss}, {way}")
    for axis, what in zip(axes, ("peak memory, MB", "seconds a step"), strict=True):
        axis.set(xscale="log", yscale="log", xlabel="classes", title=what)
    axes[0].legend(frameon=False)


def _inference(axes: list[Axes]) -> None:
    rows = pl.read_csv(RESULTS / "inference.csv").filter(
        pl.col("way").is_in(["eager", "channels_last", "compile", "onnxruntime", "bf16"])
    )
    ways = rows["way"].unique(maintain_order=True).to_list()
    for axis, networks in zip(axes, (["res152", "se_x152"], ["inceptionv4", "res18"]), strict=True):
        for number, way in enumerate(ways):
            part = rows.filter(pl.col("way") == way)
            times = [part.filter(pl.col("network") == name)["ms_an_image"][0] for name in networks]
            axis.bar([place + 0.16 * (number - 2) for place in range(len(networks))], times, 0.15, label=way)
        axis.set_xticks(range(len(networks)), networks)
        axis.set_title("milliseconds an image")
    axes[1].legend(frameon=False)


def _neighbours(axes: list[Axes]) -> None:
    rows = pl.read_csv(RESULTS / "reranking_search_neighbours.csv").filter(pl.col("measured") == True)  # noqa: E712
    for (way,), part in rows.group_by("implementation", maintain_order=True):
        axes[0].plot(part["rows"], part["seconds"], "-o", label=way)
        axes[1].plot(part["rows"], part["recall"], "-o", label=way)
    axes[0].set(xscale="log", yscale="log", xlabel="images", title="seconds")
    axes[1].set(xscale="log", xlabel="images", title="recall")
    axes[0].legend(frameon=False)


def _diffusion(axes: list[Axes]) -> None:
    rows = pl.read_csv(RESULTS / "reranking_diffusion_growth.csv")
    for name, label in (("lists_seconds", "neighbours"), ("graph_seconds", "graph"), ("rows_seconds", "diffusion")):
        axes[0].plot(rows["images"], rows[name], "-o", label=label)
    axes[1].plot(rows["images"], rows["peak_rise_mib"], "-o")
    axes[0].set(xscale="log", yscale="log", xlabel="images", title="seconds (the last: extrapolated)")
    axes[1].set(xscale="log", xlabel="images", title="memory above the start, MiB")
    axes[0].legend(frameon=False)


def _cleaning(axes: list[Axes]) -> None:
    rows = pl.read_csv(RESULTS / "cleaning_planted.csv").filter(images_a_place="all", planted=0.2)
    rules = pl.col("rule")
    kinds = {
        "a least cosine: 0.6, 0.7, 0.8": ("-o", rules.str.starts_with("cosine")),
        "votes of neighbours": ("v", rules.str.contains("^[125] of [0-9]+ neighbours$")),
        "the default": ("*", rules.str.starts_with("default: ")),
        "the default and 6 or 8 inliers": ("s", rules.str.contains("verified")),
    }
    for axis, model in zip(axes, ("trained", "imagenet"), strict=True):
        for label, (style, chosen) in kinds.items():
            part = rows.filter(chosen, model=model)
            axis.plot(part["recall"], part["precision"], style, label=label)
        axis.axhline(rows["precision_before"][0], color="grey", linewidth=0.8, linestyle=":")
        axis.set(xlabel="right images that are kept", ylabel="right among the kept", title=f"features: {model}")
    axes[0].legend(frameon=False)
