"""Evaluate a checkpoint: `python evaluate.py checkpoint=PATH data=gldv2 data.root=PATH`."""

from landmarks.cli.main import evaluate

if __name__ == "__main__":
    evaluate()
