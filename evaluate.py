"""Evaluate: `python evaluate.py checkpoint=PATH data=gldv2 data.root=PATH`, or `descriptors.queries=Q.npy …`."""

import sys

from landmarks.cli.evaluate import evaluate

if __name__ == "__main__":
    evaluate(sys.argv[1:])
