"""What a small detector learns from scratch on the detection set of the demo, in how much time.

    python train.py experiments=demo_detector hydra.run.dir=RUN
    python benchmarks/demo_detector.py RUN

Reads the figures of a finished run; its best checkpoint was scored on images of landmarks that no training image
shows. Writes benchmarks/results/demo_detector.csv: mAP at IoU 0.5 by both evaluators, average precision of each class,
steps and seconds of training.
"""

import argparse
import json
from pathlib import Path

from machine import machine, write_csv

RESULTS = Path(__file__).parent / "results" / "demo_detector.csv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of the run")
    run = parser.parse_args().run
    found = json.loads((run / "metrics.json").read_text())
    versions = json.loads((run / "run.json").read_text()).get("versions", {})
    made_with = machine(**{name: versions[name] for name in ("torch", "torchvision") if name in versions})
    figures = {
        **found["trained"]["validation"],
        **{f"training {name}": value for name, value in found["training"].items()},
        **{f"AP {title}": value for title, value in found["ap@0.5"].items()},
    }
    write_csv(RESULTS, [{"figure": name, "value": value, **made_with} for name, value in figures.items()])
    for name, value in figures.items():
        print(f"{name:28} {value if value is None else round(value, 4)}")


if __name__ == "__main__":
    main()
