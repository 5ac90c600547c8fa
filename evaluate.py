"""Evaluate: `python evaluate.py checkpoint=PATH data=gldv2 data.root=PATH`, or `descriptors.queries=Q.npy …`."""

from landmarks.cli.evaluate import evaluate

if __name__ == "__main__":
    evaluate()
